// Chromium, and what must hold of every page that it shows.

import assert from 'node:assert/strict';
import { X509Certificate, createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(process.env.LOTSE_MODULES, 'package.json'));
const puppeteer = require('puppeteer-core');
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const POLICY =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const LOADED = ['document', 'stylesheet', 'image', 'other'];
const ACTIVE = 'script, style, [style], iframe, object, embed';

/// Starts Chromium. It takes exactly these certificates as good, whoever issued them.
export async function launch(certificates, place) {
    const pins = certificates.map((pem) => {
        const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
        return createHash('sha256').update(key).digest('base64');
    });
    return puppeteer.launch({
        executablePath: process.env.LOTSE_CHROMIUM,
        userDataDir: join(place, 'profile'),
        args: [`--ignore-certificate-errors-spki-list=${pins.join(',')}`, '--no-sandbox', '--disable-dev-shm-usage'],
    });
}

/// A tab that remembers what went wrong in it.
export class Tab {
    static async open(browser, origin, pictures) {
        const context = await browser.createBrowserContext();
        const tab = Object.assign(new Tab(), { context, origin, pictures, page: await context.newPage(), faults: [] });
        await tab.page.setViewport({ width: 1280, height: 900 });
        tab.page.on('console', (message) => tab.noteConsole(message));
        tab.page.on('pageerror', (error) => tab.faults.push(`script: ${error}`));
        tab.page.on('dialog', (dialog) => tab.faults.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
        tab.page.on('request', (request) => {
            // Chromium draws its own fields with pictures of its own; those of a page the policy would refuse, and say so.
            if (request.url().startsWith('data:')) return;
            if (!request.url().startsWith(`${origin}/`)) tab.faults.push(`request to ${request.url()}`);
            if (!LOADED.includes(request.resourceType())) tab.faults.push(`loads ${request.url()}`);
        });
        return tab;
    }

    noteConsole(message) {
        // That a page was answered with 4xx is what some of the checks want; it is no fault of the page.
        const isStatus = /^Failed to load resource: the server responded with a status of 4/.test(message.text());
        if (['error', 'warning', 'warn'].includes(message.type()) && !isStatus) this.faults.push(`console: ${message.text()}`);
    }

    async speak(language) {
        await this.page.setExtraHTTPHeaders({ 'accept-language': language });
    }

    /// Shows a page and checks everything that holds of every page.
    async visit(path, { status = 200, language, name }) {
        const response = await this.page.goto(this.origin + path, { waitUntil: 'load' });
        assert.equal(response.status(), status, path);
        const headers = response.headers();
        assert.equal(headers['content-security-policy'], POLICY);
        for (const [header, value] of Object.entries({
            'x-content-type-options': 'nosniff', 'cache-control': 'no-store', 'referrer-policy': 'same-origin',
            'strict-transport-security': 'max-age=31536000',
        })) assert.equal(headers[header], value, header);
        await this.check(path, language);
        if (name) await this.picture(`${name}-${language}`);
    }

    /// Checks the page that is shown: its language and title, nothing ran, nothing was complained about, axe finds nothing.
    async check(path, language) {
        const { page } = this;
        assert.equal(await page.$eval('html', (html) => html.lang), language, path);
        assert.match(await page.title(), /^\S.* · .* · Lotse$/);
        assert.equal(await page.$$eval(ACTIVE, (all) => all.length), 0, `${path}: active content`);
        const attributes = await page.$$eval('*', (all) => all.flatMap((one) => one.getAttributeNames()));
        const handlers = attributes.filter((name) => name.startsWith('on'));
        assert.deepEqual(handlers, [], path);
        assert.equal(await page.$$eval('h1', (all) => all.length), 1, `${path}: one heading of the first level`);
        assert.equal(await page.evaluate(() => window.attacked), undefined, `${path}: an attack ran`);
        assert.deepEqual(await this.axe(), [], `${path}: axe`);
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
        assert.ok(wider <= 0, `${path} is ${wider} pixels wider than the window`);
        assert.deepEqual(this.faults, [], path);
    }

    async axe() {
        await this.page.evaluate(AXE);
        const { violations } = await this.page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html} (${node.failureSummary})`));
    }

    /// Returns the fonts that Chromium draws the page with: findings about contrast and width depend on them.
    async fonts() {
        const session = await this.page.createCDPSession();
        await session.send('DOM.enable');
        await session.send('CSS.enable');
        const { root } = await session.send('DOM.getDocument');
        const { nodeId } = await session.send('DOM.querySelector', { nodeId: root.nodeId, selector: 'body' });
        const { fonts } = await session.send('CSS.getPlatformFontsForNode', { nodeId });
        await session.detach();
        return [...new Set(fonts.map((font) => font.familyName))];
    }

    async picture(name) {
        await this.page.screenshot({ path: join(this.pictures, `${name}.png`), fullPage: true });
    }

    text(selector = 'main') {
        return this.page.$eval(selector, (element) => element.innerText);
    }

    /// Clicks and waits for the page that comes.
    async click(selector) {
        const [response] = await Promise.all([this.page.waitForNavigation({ waitUntil: 'load' }), this.page.click(selector)]);
        return response;
    }
}
