// Two agencies with real nodes on loopback, told what to do through `lotse`: one of them calls itself and its agreement as an
// attacker would.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 60_000;

/// What a peer could send to run or to mislead in a browser.
export const ATTACK = `<script>window.attacked=1</script><img src=x onerror="window.attacked=1">"'</td>Amt`;

/// Names of persons: in no page.
export const PERSONS = ['Özdemir-Großmann', 'Übelacker'];

export class Agency {
    constructor(binary, place, id, name, kind) {
        Object.assign(this, { binary, place, id, name, kind, folder: join(place, id) });
    }

    async setUp() {
        [this.peer, this.own, this.pages] = await Promise.all([port(), port(), port()]);
        const printed = this.lotse('init', '--agency', this.id, '--name', this.name, '--kind', this.kind, '--system', 'akte',
            '--allow-loopback', '--peer-address', this.peer, '--listen-peer', this.peer, '--listen-agency', this.own,
            '--listen-pages', this.pages);
        this.fingerprint = /Fingerprint of its root key: +([\d ]+)/.exec(printed)[1].trim();
        await this.start();
        this.card = join(this.place, `${this.id}.card`);
        this.lotse('peer', 'card', '--out', this.card);
    }

    async start() {
        const messages = openSync(join(this.place, `${this.id}.log`), 'a');
        this.process = spawn(this.binary, ['run', '--folder', this.folder], { stdio: ['ignore', messages, messages] });
        await eventually(`${this.id} runs`, () => existsSync(join(this.folder, 'run', 'ports.toml')));
    }

    async stop() {
        const ended = new Promise((resolve) => this.process.once('exit', resolve));
        this.process.kill('SIGTERM');
        return ended;
    }

    messages() {
        return readFileSync(join(this.place, `${this.id}.log`), 'utf8');
    }

    /// Gives a command about this agency's folder; returns what it prints.
    lotse(...command) {
        const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] };
        return execFileSync(this.binary, [...command, '--folder', this.folder], options);
    }

    /// The same for a command that may end with a code.
    tries(...command) {
        try {
            return this.lotse(...command);
        } catch (error) {
            return `${error.stdout}${error.stderr}`;
        }
    }

    link(officer) {
        return JSON.parse(this.lotse('officer', 'link', officer, '--json'));
    }

    issued(name) {
        return ['crt', 'key'].map((end) => readFileSync(join(this.folder, 'pki', 'issued', `${name}.${end}`)));
    }

    authority() {
        return readFileSync(join(this.folder, 'pki', 'ca.crt'));
    }

    certificate() {
        return readFileSync(join(this.folder, 'pki', 'node.crt'));
    }
}

/// Makes two agencies that exchange: consents and referrals from files, most of them refused.
export async function federation(binary, place) {
    const jobcenter = new Agency(binary, place, 'jc-hanau.hessen.example', 'Jobcenter Hanau', 'jobcenter_ge');
    const peer = new Agency(binary, place, 'aa-hanau.hessen.example', ATTACK, 'employment_agency');
    await Promise.all([jobcenter.setUp(), peer.setUp()]);
    jobcenter.lotse('peer', 'accept', peer.card, '--fingerprint', peer.fingerprint);
    peer.lotse('peer', 'accept', jobcenter.card, '--fingerprint', jobcenter.fingerprint);
    await agree(jobcenter, peer);
    exchange(jobcenter, peer);
    await eventually('the referral arrives', () => peer.lotse('log', 'list', '--kind', 'taken').includes('taken'));
    peer.lotse('peer', 'suspend', jobcenter.id, '--reason', ATTACK);
    peer.lotse('peer', 'resume', jobcenter.id, '--reason', 'test');
    return { jobcenter, peer };
}

/// The peer writes the agreement, with an attack in its title and in a clause.
async function agree(jobcenter, peer) {
    const text = join(peer.place, 'agreement.toml');
    const today = new Date().toISOString().slice(0, 10);
    peer.lotse('agreement', 'new', '--party', `${jobcenter.card}=${jobcenter.kind}`, '--from', today, '--out', text);
    const attacked = readFileSync(text, 'utf8').replaceAll(/^title = .*$/gm, () => `title = ${JSON.stringify(ATTACK)}`);
    assert.ok(attacked.split(ATTACK.slice(0, 8)).length > 2, 'title and clauses');
    writeFileSync(text, attacked);
    const id = /agreement +([0-9a-f-]{36})/.exec(peer.lotse('agreement', 'offer', text))[1];
    await eventually('the offer arrives', () => jobcenter.lotse('agreement', 'list').includes(id));
    for (const agency of [jobcenter, peer]) {
        const digest = /digest +([0-9a-f]{64})/.exec(agency.lotse('agreement', 'show', id))[1];
        agency.lotse('agreement', 'sign', id, '--digest', digest);
    }
    for (const agency of [jobcenter, peer]) {
        await eventually('the agreement is in force', () => agency.lotse('agreement', 'status', id).includes('in force\n'));
    }
    jobcenter.agreement = id;
}

function exchange(jobcenter, peer) {
    const consents = join(jobcenter.place, 'consents.csv');
    const referrals = join(jobcenter.place, 'referrals.csv');
    writeFileSync(consents, [
        'Einwilligung;Aktenzeichen;Art_der_Person;Erteilt_durch;Altersgruppe;Empfänger;Zwecke;Datensatzarten;Datenkategorien;' +
            'Rückmeldung;Erteilt_am;Gültig_bis;Form;Textsprache;Textfassung;Hinweis_Zweck;Hinweis_Folgen_der_Verweigerung;' +
            'Hinweis_Widerruf;Formular_SHA256;Erfasst_durch',
        `0198c5a4-7d3e-7cc0-8000-000000000001;Akte-1;Person;selbst;volljährig;${peer.id};Erstorientierung;Zuweisung;` +
            '"Identität, Kontakt, Sprachen";Ergebnis;02.01.2025;31.12.2029;schriftlich;de;2025-01;ja;ja;ja;' +
            '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08;mb-17',
    ].join('\n'));
    const refused = Array.from({ length: 60 }, (_, number) =>
        `Akte-${number + 2};Erstorientierung Geflüchtete;Erstorientierung;Sprachkurs;${PERSONS[1]};Zoë;15.09.1985;` +
            `uk:Muttersprache;Nussallee ${number}`);
    writeFileSync(referrals, [
        'Aktenzeichen;Art;Zweck;Gewünschte_Leistungen;Familienname;Vornamen;Geburtsdatum;Sprachen;Straße',
        `Akte-1;Erstorientierung Geflüchtete;Erstorientierung;Sprachkurs;${PERSONS[0]};Jürgen;01.04.1990;` +
            'uk:Muttersprache,de:A2;Am Freiheitsplatz 1',
        ...refused,
    ].join('\n'));
    jobcenter.lotse('consent', 'import', '--file', consents);
    jobcenter.tries('referral', 'send', '--file', referrals, '--to', peer.id);
}

/// Waits until something holds that other programs bring about.
export async function eventually(what, holds) {
    for (const end = Date.now() + PATIENCE_MS; !holds(); await sleep(100)) {
        assert.ok(Date.now() < end, `waited in vain: ${what}`);
    }
}

/// A free port on loopback.
function port() {
    return new Promise((resolve) => {
        const probe = createServer().listen(0, '127.0.0.1', () => {
            const address = `127.0.0.1:${probe.address().port}`;
            probe.close(() => resolve(address));
        });
    });
}
