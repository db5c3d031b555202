-- Schema level 1. Times are UTC microseconds; sets are bit masks (bit n for value n of the code list); ids are 16, digests 32
-- bytes. `*_key` and `content` columns are encrypted at rest: the key wraps, the content is wrapped.

-- Counters that several works share: next leaf, next inbox event, federation version, per peer revision and receipt numbers.
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;

-- Cards: the own one and those of accepted peers; only the newest good one of each agency.
CREATE TABLE card (
    agency TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    digest BLOB NOT NULL,
    seal BLOB NOT NULL,
    taken_at INTEGER NOT NULL
) STRICT;

-- Agencies whose first card an administrator has accepted.
CREATE TABLE peer (
    agency TEXT PRIMARY KEY,
    accepted_at INTEGER NOT NULL,
    suspended INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL,
    highest_epoch INTEGER NOT NULL DEFAULT 0,
    highest_revision INTEGER NOT NULL DEFAULT 0,
    highest_receipt_number INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Versions of agreements, their seals, and which agreements are suspended here.
CREATE TABLE agreement (
    digest BLOB PRIMARY KEY,
    agreement_id BLOB NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL,
    offered_at INTEGER NOT NULL,
    completed_at INTEGER,
    UNIQUE (agreement_id, version)
) STRICT;
CREATE TABLE agreement_seal (
    digest BLOB NOT NULL REFERENCES agreement (digest),
    agency TEXT NOT NULL,
    signature BLOB NOT NULL,
    sealed_at INTEGER NOT NULL,
    PRIMARY KEY (digest, agency)
) STRICT;
CREATE TABLE agreement_suspension (
    agreement_id BLOB PRIMARY KEY,
    suspended_at INTEGER NOT NULL
) STRICT;

-- Subjects: the key of their register entries, their reference, and how each recipient knows them. The id is derived from the
-- reference with a key that is not in the database.
CREATE TABLE subject (
    subject_id BLOB PRIMARY KEY,
    subject_key BLOB NOT NULL,
    reference BLOB NOT NULL
) STRICT;
CREATE TABLE subject_alias (
    subject_id BLOB NOT NULL REFERENCES subject (subject_id),
    recipient TEXT NOT NULL,
    subject_ref BLOB NOT NULL,
    PRIMARY KEY (subject_id, recipient)
) STRICT, WITHOUT ROWID;

-- Consents. What the decision reads is in clear and names nobody; the record as given is in `content`.
CREATE TABLE consent (
    consent_id BLOB PRIMARY KEY,
    subject_id BLOB NOT NULL REFERENCES subject (subject_id),
    state INTEGER NOT NULL,
    given_by INTEGER NOT NULL,
    form INTEGER NOT NULL,
    purposes INTEGER NOT NULL,
    record_kinds INTEGER NOT NULL,
    categories INTEGER NOT NULL,
    explicit_categories INTEGER NOT NULL,
    feedback INTEGER NOT NULL,
    given_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    releases_from_secrecy INTEGER NOT NULL,
    content_digest BLOB NOT NULL,
    recorded_at INTEGER NOT NULL,
    content_key BLOB NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE INDEX consent_subject ON consent (subject_id);
CREATE INDEX consent_expiry ON consent (expires_at) WHERE state = 1;
-- A consent towards one recipient: its reference there, its epoch, and what was withdrawn. A withdrawal is written here at its
-- arrival, so that no claim after it sees the old coverage; its row in `withdrawal` says when it took effect.
CREATE TABLE consent_recipient (
    consent_id BLOB NOT NULL REFERENCES consent (consent_id),
    recipient TEXT NOT NULL,
    consent_ref BLOB NOT NULL,
    form_commitment BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    withdrawn_purposes INTEGER NOT NULL DEFAULT 0,
    withdrawn_categories INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (consent_id, recipient)
) STRICT, WITHOUT ROWID;
CREATE TABLE withdrawal (
    withdrawal_id BLOB PRIMARY KEY,
    consent_id BLOB NOT NULL REFERENCES consent (consent_id),
    recipients TEXT NOT NULL,
    purposes INTEGER NOT NULL,
    categories INTEGER NOT NULL,
    arrived_at INTEGER NOT NULL,
    effective_at INTEGER
) STRICT;
CREATE INDEX withdrawal_consent ON withdrawal (consent_id);
CREATE INDEX withdrawal_pending ON withdrawal (arrived_at) WHERE effective_at IS NULL;

-- Outgoing items. One row from submission to the end; content and frozen envelope head are encrypted. An item in doubt whose
-- batch is answered is taken: exceptions are written into the row, the rule is not.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    record_id BLOB NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    thread_id BLOB NOT NULL,
    system TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    content_digest BLOB NOT NULL,
    subject_id BLOB,
    purpose INTEGER NOT NULL,
    present INTEGER NOT NULL,
    request BLOB NOT NULL,
    state INTEGER NOT NULL,
    referral_state INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    batch_id BLOB,
    envelope_id BLOB,
    envelope_digest BLOB,
    consent_id BLOB,
    sent INTEGER NOT NULL,
    left_out INTEGER NOT NULL,
    hold_until INTEGER,
    feedback INTEGER NOT NULL,
    head BLOB,
    content_key BLOB,
    content BLOB
) STRICT;
CREATE INDEX outbox_due ON outbox (recipient, next_attempt_at) WHERE state = 1;

-- Batches on their way: which items, the seal, and the receipt. One row per claim.
CREATE TABLE batch (
    batch_id BLOB PRIMARY KEY,
    peer TEXT NOT NULL,
    state INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    root BLOB NOT NULL,
    seal BLOB NOT NULL,
    items BLOB NOT NULL,
    in_doubt INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    receipt BLOB,
    answered_at INTEGER
) STRICT;
CREATE INDEX batch_open ON batch (peer, next_attempt_at) WHERE state <> 3;

-- Disclosure register (Übermittlungsverzeichnis): one row per release, written once, encrypted under the subject's key.
CREATE TABLE register (
    seq INTEGER PRIMARY KEY,
    subject_id BLOB NOT NULL,
    recipient TEXT NOT NULL,
    record_id BLOB NOT NULL,
    envelope_digest BLOB NOT NULL,
    batch_id BLOB NOT NULL,
    consent_ref BLOB NOT NULL,
    released_at INTEGER NOT NULL,
    keep_until INTEGER NOT NULL,
    content BLOB NOT NULL
) STRICT;
CREATE INDEX register_subject ON register (subject_id);

-- Incoming envelopes: what was done with each, and the copies that are held.
CREATE TABLE custody (
    seq INTEGER PRIMARY KEY,
    envelope_id BLOB NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    owner TEXT NOT NULL,
    record_id BLOB NOT NULL,
    kind INTEGER NOT NULL,
    thread_id BLOB NOT NULL,
    thread_sequence INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    sender_generation INTEGER NOT NULL,
    recipient_generation INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    leaf_hash BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    consent_ref BLOB,
    subject_ref BLOB,
    epoch INTEGER NOT NULL,
    agreement_id BLOB,
    clause_id TEXT NOT NULL,
    purpose INTEGER NOT NULL,
    present INTEGER NOT NULL,
    covered INTEGER NOT NULL,
    feedback INTEGER NOT NULL,
    hold_until INTEGER NOT NULL,
    referral_state INTEGER NOT NULL,
    content_key BLOB,
    content BLOB
) STRICT;
CREATE INDEX custody_record ON custody (record_id);
CREATE INDEX custody_lease ON custody (hold_until) WHERE content IS NOT NULL;

-- Batches that arrived, with the receipt that was signed for each.
CREATE TABLE received_batch (
    batch_id BLOB PRIMARY KEY,
    peer TEXT NOT NULL,
    root BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    receipt BLOB NOT NULL
) STRICT;

-- Inbox: what the agency's systems should know, one row per batch. `items` lists record ids.
CREATE TABLE inbox_event (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    peer TEXT NOT NULL,
    items BLOB NOT NULL
) STRICT;
CREATE TABLE inbox_cursor (
    system TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL
) STRICT;
-- Each fetch has a token, committed before the content is handed out.
CREATE TABLE import_token (
    token BLOB PRIMARY KEY,
    record_id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    system TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    confirmed_at INTEGER
) STRICT;
CREATE INDEX import_token_record ON import_token (record_id);

-- Exchange log. The columns beside `entry` repeat what its bytes say, for filters; verification compares them.
CREATE TABLE log_entry (
    generation INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    at INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    peer TEXT NOT NULL,
    decision INTEGER NOT NULL,
    record_id BLOB,
    entry BLOB NOT NULL,
    PRIMARY KEY (generation, leaf_index)
) STRICT, WITHOUT ROWID;
CREATE TABLE log_tile (
    generation INTEGER NOT NULL,
    level INTEGER NOT NULL,
    tile_index INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (generation, level, tile_index)
) STRICT;
CREATE TABLE checkpoint (
    generation INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    signed_at INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (generation, size)
) STRICT;
CREATE INDEX outbox_answers ON outbox (thread_id) WHERE kind = 2;
CREATE INDEX custody_answers ON custody (thread_id) WHERE kind = 2;
