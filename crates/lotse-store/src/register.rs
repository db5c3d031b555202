//! The disclosure register (Übermittlungsverzeichnis): one row per release, written once in the transaction that releases, and
//! read with the batch that carried it. It lives as long as the clause says and dies with the subject's key.

use std::collections::HashSet;

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Column, Directory, EngineKind, Row, StoreError, Table, Tx};
use crate::outbox;

/// One release.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// Subject.
    pub subject: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// Record.
    pub record_id: Id,
    /// Digest of the envelope.
    pub envelope_digest: Digest,
    /// Batch in which it was released.
    pub batch_id: Id,
    /// Reference of the consent at the recipient.
    pub consent_ref: Id,
    /// When it was released.
    pub released_at: Timestamp,
    /// Until when the entry is kept.
    pub keep_until: Timestamp,
    /// Purpose, basis and categories, encrypted under the subject's key.
    pub content: Vec<u8>,
}

/// How releases are found by their subject.
pub(crate) static SUBJECTS: Directory =
    Directory { table: "register", alias: "r", id: "subject_id", places: "register_place", young: 8_192 };

static INSERT: Table<9> = Table {
    name: "register",
    columns: [
        Column::blob("subject_id"),
        Column::text("recipient"),
        Column::blob("record_id"),
        Column::blob("envelope_digest"),
        Column::blob("batch_id"),
        Column::blob("consent_ref"),
        Column::int("released_at"),
        Column::int("keep_until"),
        Column::blob("content"),
    ],
};

/// Writes releases.
pub async fn insert(tx: &mut Tx, disclosures: Vec<Disclosure>) -> Result<(), StoreError> {
    let row = |d: Disclosure| {
        [
            d.subject.into(),
            (&d.recipient).into(),
            d.record_id.into(),
            d.envelope_digest.into(),
            d.batch_id.into(),
            d.consent_ref.into(),
            d.released_at.into(),
            d.keep_until.into(),
            d.content.into(),
        ]
    };
    tx.insert_into(&SUBJECTS, &INSERT, disclosures.into_iter().map(row).collect()).await
}

/// Deletes the releases whose time is over, of so many at most, the oldest first. Returns how many. The newest release of all stays:
/// the database may give the number of a newest row again, and the directory knows rows by their numbers.
pub async fn delete_ended(tx: &mut Tx, at: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let places = "DELETE FROM register_place WHERE (id, seq) IN (
                      SELECT subject_id, seq FROM register
                      WHERE keep_until <= $1 AND seq < (SELECT MAX(seq) FROM register) ORDER BY keep_until, seq LIMIT $2)";
    if tx.engine() == EngineKind::Sqlite {
        tx.execute(places, [at.into(), limit.into()]).await?;
    }
    let rows = "DELETE FROM register WHERE seq IN (
                    SELECT seq FROM register
                    WHERE keep_until <= $1 AND seq < (SELECT MAX(seq) FROM register) ORDER BY keep_until, seq LIMIT $2)";
    tx.execute(rows, [at.into(), limit.into()]).await
}

const SUBJECT: &str = "SELECT subject_id FROM consent WHERE consent_id = $1";

/// Finds the releases under a consent: record and envelope.
pub async fn under_consent(tx: &mut Tx, consent_id: Id) -> Result<Vec<(Id, Digest)>, StoreError> {
    let Some(subject) = tx.fetch_optional(SUBJECT, [consent_id.into()]).await? else { return Ok(Vec::new()) };
    let sql = "SELECT r.record_id, r.envelope_digest FROM register r";
    let under_consent = " AND r.consent_ref IN (SELECT consent_ref FROM consent_recipient WHERE consent_id = $2)";
    let rows = tx.fetch_by(&SUBJECTS, sql, &[subject.get(0)?], under_consent, [consent_id.into()]).await?;
    rows.iter().map(release).collect()
}

fn release(row: &Row) -> Result<(Id, Digest), StoreError> {
    Ok((row.get(0)?, row.get(1)?))
}

/// Counts the releases under a consent that its recipients hold or may hold: all but those they refused.
pub async fn out_under_consent(tx: &mut Tx, consent_id: Id) -> Result<u64, StoreError> {
    let releases = under_consent(tx, consent_id).await?;
    let mut out = 0;
    for releases in releases.chunks(outbox::AT_ONCE) {
        let records: Vec<Id> = releases.iter().map(|&(record_id, _)| record_id).collect();
        let sql = "SELECT o.record_id, o.envelope_digest FROM outbox o";
        let rows = tx.fetch_by(&outbox::RECORDS, sql, &records, " AND o.state = 2", []).await?;
        let sent = rows.iter().map(release).collect::<Result<HashSet<_>, StoreError>>()?;
        out += releases.iter().filter(|release| sent.contains(release)).count() as u64;
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
