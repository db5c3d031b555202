// What officers do with the pages: `story.mjs FOLDER PICTURES`, called by `run`.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import https from 'node:https';
import { join } from 'node:path';

import { Tab, launch } from './browser.mjs';
import { ATTACK, PERSONS, eventually, federation } from './federation.mjs';

const [place, pictures] = process.argv.slice(2);
const LANGUAGES = ['de', 'en'];
const KIND = { released: 2, refused: 4, looked: 25 };

// ------------------------------------------------------------------------------------------------------------- the story

async function a_stranger_is_told_how_to_get_in({ stranger }) {
    for (const language of LANGUAGES) {
        await stranger.speak(language);
        await stranger.visit('/log', { status: 401, language, name: 'stranger' });
        assert.match(await stranger.text(), /lotse officer link/);
        await stranger.visit('/nothing/here', { status: 401, language });
    }
    console.log(`fonts   ${(await stranger.fonts()).join(', ')}`);
}

async function a_one_time_link_opens_the_pages_once({ tab, stranger, jobcenter }) {
    const { url, officer } = jobcenter.link('m.sommer');
    assert.equal(officer, `spiffe://${jobcenter.id}/officer/m.sommer`);
    const path = new URL(url).pathname;
    await tab.speak('de');
    await tab.visit(path, { language: 'de', name: 'link' });
    await tab.click('main button');
    await tab.check('after the link', 'de');
    assert.equal(new URL(tab.page.url()).pathname, '/');
    const [cookie] = await tab.context.cookies();
    const { name, secure, httpOnly, sameSite, session } = cookie;
    assert.deepEqual({ name, secure, httpOnly, sameSite, session },
        { name: `__Host-lotse-${jobcenter.id}`, secure: true, httpOnly: true, sameSite: 'Strict', session: true });
    await stranger.visit(path, { language: 'en' });
    const again = await stranger.click('main button');
    assert.equal(again.status(), 401);
    await stranger.check('a used link', 'en');
}

async function every_page_is_good_in_both_languages({ tab, jobcenter }) {
    const [released, refused, looked] = [KIND.released, KIND.refused, KIND.looked].map((kind) => newest(jobcenter, kind));
    await eventually('a checkpoint', () => jobcenter.tries('log', 'show', `${looked}`).includes('Signed:'));
    const pages = [
        ['/', 'overview'], ['/log', 'log'],
        [`/log?kind=${KIND.refused}&direction=1&decision=2&peer=aa-hanau.hessen.example`, 'log-filtered'],
        ['/log?kind=1&direction=2&from=2001-01-01T00%3A00', 'log-empty'], ['/log?peer=%3Cb%3E&from=gestern', 'log-wrong', 400],
        [`/log/${released}`, 'entry-released'], [`/log/${refused}`, 'entry-refused'], [`/log/${looked}`, 'entry-looked'],
        ['/log/0', 'entry-first'], ['/peers', 'peers'], ['/agreements', 'agreements'],
        [`/agreements/${jobcenter.agreement}`, 'agreement'], ['/log/99999999', 'not-found', 404], ['/nothing', 'no-page', 404],
    ];
    for (const language of LANGUAGES) {
        await speak(tab, language);
        for (const [path, name, status] of pages) {
            await tab.visit(path, { language, name, status });
            const text = await tab.text('body');
            for (const person of PERSONS) assert.ok(!text.includes(person), `${path} shows a person`);
        }
    }
}

async function pages_are_good_in_the_dark_on_a_telephone_and_on_paper({ tab, jobcenter }) {
    await speak(tab, 'en');
    const paths = {
        overview: '/', log: '/log', entry: `/log/${newest(jobcenter, KIND.refused)}`, peers: '/peers',
        agreement: `/agreements/${jobcenter.agreement}`,
    };
    for (const [name, path] of Object.entries(paths)) {
        await tab.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
        await tab.visit(path, { language: 'en', name: `dark-${name}` });
        await tab.page.emulateMediaFeatures([]);
        await tab.page.setViewport({ width: 390, height: 844, isMobile: true });
        await tab.visit(path, { language: 'en', name: `telephone-${name}` });
        await tab.page.setViewport({ width: 1280, height: 900 });
    }
    await tab.visit(paths.entry, { language: 'en' });
    await tab.page.emulateMediaType('print');
    await tab.picture('print-entry');
    await tab.page.emulateMediaType(null);
}

async function the_keyboard_is_enough({ tab }) {
    await speak(tab, 'en');
    await tab.visit('/log', { language: 'en' });
    await tab.page.keyboard.press('Tab');
    assert.equal(await tab.page.evaluate(() => document.activeElement.className), 'skip');
    const [outline] = await tab.page.$$eval('.skip', (all) => all.map((one) => getComputedStyle(one).outlineStyle));
    assert.equal(outline, 'solid', 'the focus is seen');
    await tab.page.keyboard.press('Enter');
    assert.equal(await tab.page.evaluate(() => document.activeElement.id), 'content');
    await tab.page.focus('#decision');
    await tab.page.keyboard.type('refused');
    await tab.page.focus('.filter button');
    await Promise.all([tab.page.waitForNavigation(), tab.page.keyboard.press('Enter')]);
    assert.match(tab.page.url(), /decision=2/);
}

async function the_filter_narrows_and_pages_follow_without_gap({ tab, jobcenter }) {
    await speak(tab, 'en');
    await tab.visit('/log', { language: 'en' });
    await tab.page.select('#kind', String(KIND.refused));
    await tab.page.select('#decision', '2');
    await tab.click('.filter button');
    await tab.check('filtered', 'en');
    const seen = [];
    for (;;) {
        const rows = await tab.page.$$eval('tbody tr', (all) =>
            all.map(({ cells }) => [cells[0].innerText, cells[5].innerText]));
        assert.ok(rows.every(([, decision]) => decision.includes('refused')), JSON.stringify(rows));
        seen.push(...rows.map(([index]) => Number(index)));
        assert.equal(await tab.page.$eval('#kind', (select) => select.value), String(KIND.refused), 'the filter stays');
        if (!(await tab.page.$('a[rel=next]'))) break;
        await tab.click('a[rel=next]');
        await tab.check('an older page', 'en');
    }
    assert.equal(seen.length, 60);
    assert.ok(seen.every((index, at) => at === 0 || index < seen[at - 1]), 'newest first, none twice');
    await tab.click('.turn a');
    assert.match(await tab.text('caption'), /^Entries, newest first: 50 /);
    const entry = JSON.parse(jobcenter.lotse('log', 'list', '--json', '--kind', 'released').split('\n')[0]).entry;
    const record = uuid(entry.recordId);
    await tab.visit(`/log?record=${record}`, { language: 'en' });
    const about = await tab.text('table');
    assert.match(about, /was released to/);
}

async function an_entry_explains_its_decision_and_proves_itself({ tab, jobcenter, peer }) {
    await speak(tab, 'de');
    const refused = newest(jobcenter, KIND.refused);
    await tab.visit(`/log/${refused}`, { language: 'de' });
    const why = await tab.text('.decision');
    assert.match(why, /abgelehnt/);
    assert.match(why, /NO_CONSENT/);
    assert.match(why, /Keine geltende Einwilligung deckt/);
    assert.match(why, /§ 14 SGB IX/);
    const released = newest(jobcenter, KIND.released);
    await tab.visit(`/log/${released}`, { language: 'de' });
    assert.ok((await tab.text('.decision')).includes(ATTACK), 'the agreement that it rests on, by its title');
    const proof = await tab.text('section[aria-labelledby=proof]');
    assert.match(proof, /geprüft/);
    const answer = await get(jobcenter, `/log/${released}/proof`, await cookies(tab));
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-disposition'], /^attachment; filename="entry-\d+\.proof"$/);
    const file = join(place, 'entry.proof');
    writeFileSync(file, answer.text);
    const trusted = ['--card', jobcenter.card, '--fingerprint', jobcenter.fingerprint];
    const verified = execFileSync(jobcenter.binary, ['verify', file, ...trusted], { encoding: 'utf8' });
    assert.match(verified, new RegExp(`Verified: entry ${released} of ${jobcenter.id}`));
    const root = await tab.page.$$eval('section[aria-labelledby=proof] dd code', (all) => all.map((one) => one.innerText));
    assert.ok(root.every((hash) => hash.length >= 40), String(root));
    assert.ok(!(await tab.text()).includes(peer.fingerprint));
}

async function what_a_peer_sends_is_text({ tab, browser, peer }) {
    await speak(tab, 'en');
    for (const path of ['/peers', '/agreements', '/log']) {
        await tab.visit(path, { language: 'en' });
        assert.ok((await tab.text()).includes(ATTACK), `${path} shows the name as it is`);
    }
    // The attacker's own pages, with its reason in the log.
    const own = await Tab.open(browser, `https://${peer.pages}`, pictures);
    await own.speak('en');
    await own.visit(new URL(peer.link('default').url).pathname, { language: 'en' });
    await own.click('main button');
    const { index } = JSON.parse(peer.lotse('log', 'list', '--json', '--kind', 'peer-suspended'));
    await own.visit(`/log/${index}`, { language: 'en', name: 'attack' });
    assert.ok((await own.text()).includes(ATTACK));
    await own.context.close();
}

async function certificates_open_the_pages_for_officers_only({ jobcenter, peer }) {
    const officer = await get(jobcenter, '/log', {}, jobcenter.issued('officer-default'));
    assert.equal(officer.status, 200);
    assert.match(officer.text, /mit Zertifikat/);
    for (const [agency, name] of [[jobcenter, 'admin-default'], [jobcenter, 'system-akte'], [peer, 'officer-default']]) {
        await assert.rejects(get(jobcenter, '/log', {}, agency.issued(name)), `${agency.id} ${name}`);
    }
    await assert.rejects(get(jobcenter, '/log', {}, undefined, { maxVersion: 'TLSv1.2' }), 'TLS 1.2');
}

async function who_looked_is_in_the_log({ tab, jobcenter }) {
    await speak(tab, 'en');
    await tab.visit(`/log?kind=${KIND.looked}`, { language: 'en' });
    await tab.click('tbody a');
    assert.match(await tab.text('.facts'), /officer\/(m\.sommer|default)/);
    const listed = jobcenter.lotse('log', 'list', '--json', '--kind', 'officer-looked').trim().split('\n');
    const looks = listed.map((line) => JSON.parse(line).entry.actor);
    for (const name of ['m.sommer', 'default']) {
        assert.ok(looks.includes(`spiffe://${jobcenter.id}/officer/${name}`), String(looks));
    }
}

async function signing_out_ends_the_session({ tab, jobcenter }) {
    await speak(tab, 'en');
    const kept = await cookies(tab);
    await tab.visit('/', { language: 'en' });
    const after = await tab.click('.person button');
    assert.equal(after.status(), 401);
    assert.equal((await get(jobcenter, '/log', kept)).status, 401, 'the cookie of before opens nothing');
}

async function the_log_still_verifies_and_the_node_ends_well({ jobcenter }) {
    assert.equal(await jobcenter.stop(), 0);
    assert.match(jobcenter.lotse('log', 'verify'), /Everything is as it was written\./);
}

const STORY = [
    a_stranger_is_told_how_to_get_in,
    a_one_time_link_opens_the_pages_once,
    every_page_is_good_in_both_languages,
    pages_are_good_in_the_dark_on_a_telephone_and_on_paper,
    the_keyboard_is_enough,
    the_filter_narrows_and_pages_follow_without_gap,
    an_entry_explains_its_decision_and_proves_itself,
    what_a_peer_sends_is_text,
    certificates_open_the_pages_for_officers_only,
    who_looked_is_in_the_log,
    signing_out_ends_the_session,
    the_log_still_verifies_and_the_node_ends_well,
];

// ----------------------------------------------------------------------------------------------------------------- tools

/// Chooses a language by the switch, unless the page has it.
async function speak(tab, language) {
    await tab.page.goto(`${tab.origin}/`, { waitUntil: 'load' });
    const button = `button[name=language][value=${language}]`;
    if (await tab.page.$(button)) await tab.click(button);
    assert.equal(await tab.page.$eval('html', (html) => html.lang), language);
}

/// The newest entry of a kind.
function newest(agency, kind) {
    const entries = agency.lotse('log', 'list', '--json', '--limit', '500').trim().split('\n').map((line) => JSON.parse(line));
    const names = { [KIND.released]: 'RELEASED', [KIND.refused]: 'SUBMIT_REFUSED', [KIND.looked]: 'OFFICER_LOOKED' };
    return Number(entries.find(({ entry }) => entry.kind === `ENTRY_KIND_${names[kind]}`).index ?? 0);
}

function uuid(base64) {
    const hex = Buffer.from(base64, 'base64').toString('hex');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function cookies(tab) {
    const all = await tab.context.cookies();
    return { cookie: all.map(({ name, value }) => `${name}=${value}`).join('; ') };
}

/// Gets a page without a browser, checking the node's certificate as one that trusts the agency's authority.
function get(agency, path, headers = {}, [cert, key] = [], more = {}) {
    const [host, port] = agency.pages.split(':');
    return new Promise((resolve, reject) => {
        const options = { host, port, path, headers, ca: agency.authority(), cert, key, agent: false, ...more };
        const request = https.request(options, (response) => {
            const { statusCode: status, headers } = response;
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('error', reject);
            response.on('end', () => resolve({ status, headers, text: Buffer.concat(parts).toString() }));
        });
        request.on('error', reject);
        request.end();
    });
}

let failed = 0;
const stage = {};
try {
    Object.assign(stage, await federation(process.env.LOTSE_BINARY, place));
    stage.browser = await launch([stage.jobcenter.certificate(), stage.peer.certificate()], place);
    stage.tab = await Tab.open(stage.browser, `https://${stage.jobcenter.pages}`, pictures);
    stage.stranger = await Tab.open(stage.browser, `https://${stage.jobcenter.pages}`, pictures);
    for (const chapter of STORY) {
        try {
            for (const tab of [stage.tab, stage.stranger]) tab.faults.length = 0;
            await chapter(stage);
            console.log(`ok      ${chapter.name}`);
        } catch (error) {
            failed += 1;
            console.log(`FAILED  ${chapter.name}\n${error.stack}`);
        }
    }
} catch (error) {
    failed = STORY.length;
    console.log(`${error.stack}\n${error.stderr ?? ''}`);
} finally {
    await stage.browser?.close();
    for (const agency of [stage.jobcenter, stage.peer].filter(Boolean)) {
        if (agency.process?.exitCode === null) agency.process.kill('SIGKILL');
        if (failed) console.log(`---- what the node of ${agency.id} said\n${agency.messages()}`);
    }
}
console.log(`${STORY.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
