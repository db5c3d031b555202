-- Where rows with random ids stand: those of records in the outbox and in custody, those of subjects in the register. An index over such
-- ids was written on a page of its own for nearly each new row. The newest ids are kept in memory instead, and handed on here in the
-- order of the ids. Each row up to `swept` has its place here.
CREATE TABLE directory (
    name TEXT PRIMARY KEY,
    laps INTEGER NOT NULL,
    swept INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox_place (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE custody_place (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE register_place (
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (id, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_place SELECT record_id, seq FROM outbox ORDER BY record_id, seq;
INSERT INTO custody_place SELECT record_id, seq FROM custody ORDER BY record_id, seq;
INSERT INTO register_place SELECT subject_id, seq FROM register ORDER BY subject_id, seq;
INSERT INTO directory SELECT 'outbox', 0, COALESCE(MAX(seq), 0) FROM outbox;
INSERT INTO directory SELECT 'custody', 0, COALESCE(MAX(seq), 0) FROM custody;
INSERT INTO directory SELECT 'register', 0, COALESCE(MAX(seq), 0) FROM register;
DROP INDEX custody_record;
DROP INDEX register_part_subject;

-- The table as it was, without the index that its UNIQUE made.
CREATE TABLE outbox_new (
    seq INTEGER PRIMARY KEY,
    record_id BLOB NOT NULL,
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
INSERT INTO outbox_new SELECT * FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_new RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (recipient, next_attempt_at) WHERE state = 1;
CREATE INDEX outbox_answers ON outbox (thread_id) WHERE kind = 2;
CREATE INDEX outbox_expiry ON outbox (expires_at) WHERE state = 1;
