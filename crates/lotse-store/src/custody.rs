//! Custody: what peers sent, what was done with it, and the copies that this agency holds on a lease.
//!
//! One row per envelope, also for those that were refused or answered with `again`: the outcome is remembered and repeated.

use lotse_core::category::Categories;
use lotse_core::delivery::Outcome;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::Purpose;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use crate::engine::{Column, Columns, Directory, Readable, Row, StoreError, Table, Tx, Value, readable};
use crate::outbox::{ItemKind, Latest, ReferralPage, kind, purpose};
use crate::vault::Sealed;

/// What an envelope brought, as it is written when it is taken.
#[derive(Clone)]
pub struct Copy {
    /// Record.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Record id of the referral that opened the thread.
    pub thread_id: Id,
    /// Place in the thread.
    pub thread_sequence: u64,
    /// Revision of the record.
    pub revision: Sequence,
    /// Reference of the consent.
    pub consent_ref: Id,
    /// Reference of the subject; none in answers.
    pub subject_ref: Option<Id>,
    /// Epoch of the consent.
    pub epoch: Sequence,
    /// Agreement.
    pub agreement_id: Id,
    /// Clause.
    pub clause_id: String,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Categories that it contains.
    pub present: Categories,
    /// Categories that the excerpt covers.
    pub covered: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// Until when it may be held.
    pub hold_until: Timestamp,
    /// Where the referral stands after it.
    pub referral_state: ReferralState,
    /// Body of the envelope, encrypted.
    pub content: Sealed,
}

/// One envelope and what was done with it.
#[derive(Clone)]
pub struct Arrival {
    /// Envelope.
    pub envelope_id: Id,
    /// Digest of the envelope.
    pub digest: Digest,
    /// Agency that owns it.
    pub owner: AgencyId,
    /// Generation of the sender that the envelope names.
    pub sender_generation: u32,
    /// Generation of the recipient that the envelope names.
    pub recipient_generation: u32,
    /// What was done.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// Leaf hash of the log entry about it.
    pub leaf_hash: Digest,
    /// When the envelope expires.
    pub expires_at: Timestamp,
    /// What it brought, if it was taken.
    pub copy: Option<Copy>,
}

/// How rows are found by the record ids of what envelopes brought.
pub(crate) static RECORDS: Directory =
    Directory { table: "custody", alias: "c", id: "record_id", places: "custody_place", young: 8_192 };

static INSERT: Table<28> = Table {
    name: "custody",
    columns: [
        Column::blob("envelope_id"),
        Column::blob("digest"),
        Column::text("owner"),
        Column::blob("record_id"),
        Column::int("kind"),
        Column::blob("thread_id"),
        Column::int("thread_sequence"),
        Column::int("revision"),
        Column::int("sender_generation"),
        Column::int("recipient_generation"),
        Column::int("outcome"),
        Column::int("reason"),
        Column::int("taken_at"),
        Column::blob("leaf_hash"),
        Column::int("expires_at"),
        Column::blob("consent_ref"),
        Column::blob("subject_ref"),
        Column::int("epoch"),
        Column::blob("agreement_id"),
        Column::text("clause_id"),
        Column::int("purpose"),
        Column::int("present"),
        Column::int("covered"),
        Column::int("feedback"),
        Column::int("hold_until"),
        Column::int("referral_state"),
        Column::blob("content_key"),
        Column::blob("content"),
    ],
};

/// Writes what was done with envelopes. None of them may be known.
pub async fn insert(tx: &mut Tx, arrivals: &[Arrival]) -> Result<(), StoreError> {
    tx.insert_into(&RECORDS, &INSERT, arrivals.iter().map(insert_row).collect()).await
}

fn insert_row(arrival: &Arrival) -> [Value; 28] {
    let copy = arrival.copy.as_ref();
    [
        arrival.envelope_id.into(),
        arrival.digest.into(),
        (&arrival.owner).into(),
        copy.map_or(Id::NIL, |c| c.record_id).into(),
        copy.map_or(0, |c| c.kind as i64).into(),
        copy.map_or(Id::NIL, |c| c.thread_id).into(),
        copy.map_or(0, |c| c.thread_sequence as i64).into(),
        copy.map_or(Sequence::default(), |c| c.revision).into(),
        arrival.sender_generation.into(),
        arrival.recipient_generation.into(),
        arrival.outcome.number().into(),
        arrival.outcome.reason().map_or(0, |reason| reason.number()).into(),
        arrival.at.into(),
        arrival.leaf_hash.into(),
        arrival.expires_at.into(),
        copy.map(|c| c.consent_ref).into(),
        copy.and_then(|c| c.subject_ref).into(),
        copy.map_or(Sequence::default(), |c| c.epoch).into(),
        copy.map(|c| c.agreement_id).into(),
        copy.map_or("", |c| c.clause_id.as_str()).into(),
        copy.map_or(0, |c| c.purpose.number()).into(),
        copy.map_or(0, |c| c.present.bits()).into(),
        copy.map_or(0, |c| c.covered.bits()).into(),
        copy.map_or(0, |c| c.feedback.number()).into(),
        copy.map_or(0, |c| c.hold_until.micros()).into(),
        copy.map_or(0, |c| c.referral_state.number()).into(),
        copy.map(|c| c.content.key.clone()).into(),
        copy.map(|c| c.content.ciphertext.clone()).into(),
    ]
}

/// What is remembered of an envelope.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Envelope.
    pub envelope_id: Id,
    /// Digest of the envelope.
    pub digest: Digest,
    /// Agency that owns it.
    pub owner: AgencyId,
    /// Record; none if it was not taken.
    pub record_id: Option<Id>,
    /// Kind of the record; none if it was not taken.
    pub kind: Option<ItemKind>,
    /// Revision of the record.
    pub revision: Sequence,
    /// What was done.
    pub outcome: Outcome,
    /// When.
    pub at: Timestamp,
    /// Leaf hash of the log entry about it.
    pub leaf_hash: Digest,
}

/// Finds what is remembered of these envelopes, and of earlier ones of these records. A row that cannot be read is named by the envelope
/// or the record for which it was looked up.
pub async fn remembered(
    tx: &mut Tx,
    envelope_ids: &[Id],
    record_ids: &[Id],
) -> Result<Readable<Remembered>, StoreError> {
    let keys = envelope_ids.iter().map(|id| id.into()).collect();
    let by_envelope =
        "SELECT envelope_id, digest, owner, record_id, revision, outcome, reason, taken_at, leaf_hash, kind
                       FROM custody WHERE envelope_id";
    let by_record = "SELECT c.envelope_id, c.digest, c.owner, c.record_id, c.revision, c.outcome, c.reason, c.taken_at,
                            c.leaf_hash, c.kind
                     FROM custody c";
    let mut found = readable(&tx.fetch_in(by_envelope, keys, "", []).await?, 0, remembered_row);
    let of_records = readable(&tx.fetch_by(&RECORDS, by_record, record_ids, "", []).await?, 3, remembered_row);
    found.rows.extend(of_records.rows);
    found.broken.extend(of_records.broken);
    found.rows.sort_unstable_by_key(|known| known.envelope_id);
    found.rows.dedup_by_key(|known| known.envelope_id);
    Ok(found)
}

fn remembered_row(row: &Row) -> Result<Remembered, StoreError> {
    let record_id: Id = row.get(3)?;
    let outcome = Outcome::from_numbers(row.get(5)?, row.get(6)?).ok_or(StoreError::Value("outcome"))?;
    Ok(Remembered {
        envelope_id: row.get(0)?,
        digest: row.get(1)?,
        owner: row.get(2)?,
        record_id: (record_id != Id::NIL).then_some(record_id),
        kind: ItemKind::from_number(row.get(9)?),
        revision: row.get(4)?,
        outcome,
        at: row.get(7)?,
        leaf_hash: row.get(8)?,
    })
}

/// A held copy as it is shown.
#[derive(Clone)]
pub struct Held {
    /// Place in the order of arrival.
    pub seq: u64,
    /// Envelope that brought it.
    pub envelope_id: Id,
    /// Record.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Agency that owns it.
    pub owner: AgencyId,
    /// Thread.
    pub thread_id: Id,
    /// Place in the thread.
    pub thread_sequence: u64,
    /// Revision.
    pub revision: Sequence,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Reference of the consent.
    pub consent_ref: Id,
    /// Reference of the subject.
    pub subject_ref: Option<Id>,
    /// Epoch of the consent.
    pub epoch: Sequence,
    /// Agreement.
    pub agreement_id: Id,
    /// Clause.
    pub clause_id: String,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Categories that it contains.
    pub present: Categories,
    /// Categories that the excerpt covers.
    pub covered: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// Until when it may be held.
    pub hold_until: Timestamp,
    /// Where the referral stands.
    pub referral_state: ReferralState,
    /// Content, encrypted; none once it has gone.
    pub content: Option<Sealed>,
}

fn held(row: &Row) -> Result<Held, StoreError> {
    let content = match (row.get(19)?, row.get(20)?) {
        (Some(key), Some(ciphertext)) => Some(Sealed { key, ciphertext }),
        _ => None,
    };
    Ok(Held {
        seq: row.get(0)?,
        envelope_id: row.get(21)?,
        record_id: row.get(1)?,
        kind: kind(row, 2)?,
        owner: row.get(3)?,
        thread_id: row.get(4)?,
        // A row from before this was bounded may have a higher one than a column holds.
        thread_sequence: row.get::<i64>(5)?.cast_unsigned(),
        revision: row.get(6)?,
        taken_at: row.get(7)?,
        consent_ref: row.get(8)?,
        subject_ref: row.get(9)?,
        epoch: row.get(10)?,
        agreement_id: row.get(11)?,
        clause_id: row.get(12)?,
        purpose: purpose(row, 13)?,
        present: Categories::from_bits(row.get(14)?),
        covered: Categories::from_bits(row.get(15)?),
        feedback: FeedbackLevel::from_number(row.get(16)?).ok_or(StoreError::Value("feedback level"))?,
        hold_until: row.get(17)?,
        referral_state: ReferralState::from_number(row.get(18)?).ok_or(StoreError::Value("referral state"))?,
        content,
    })
}

/// Finds the highest taken revision of each of these records. Records that cannot be read are left out.
pub async fn find(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Held>, StoreError> {
    find_readable(tx, record_ids).await.map(|found| found.rows)
}

/// Finds the highest taken revision of each of these records, and names those of which a revision cannot be read.
pub async fn find_readable(tx: &mut Tx, record_ids: &[Id]) -> Result<Readable<Held>, StoreError> {
    let rows = tx
        .fetch_by(
            &RECORDS,
            "SELECT c.seq, c.record_id, c.kind, c.owner, c.thread_id, c.thread_sequence, c.revision, c.taken_at,
                    c.consent_ref, c.subject_ref, c.epoch, c.agreement_id, c.clause_id, c.purpose, c.present, c.covered,
                    c.feedback, c.hold_until, c.referral_state, c.content_key, c.content, c.envelope_id
             FROM custody c",
            record_ids,
            " AND c.outcome = 1",
            [],
        )
        .await?;
    let Readable { rows: mut copies, broken } = readable(&rows, 1, held);
    // An older revision must not pass for the one that cannot be read.
    copies.retain(|copy| !broken.contains(&copy.record_id));
    copies.sort_by_key(|copy| (copy.record_id, std::cmp::Reverse(copy.revision)));
    copies.dedup_by_key(|copy| copy.record_id);
    copies.sort_by_key(|copy| copy.revision);
    Ok(Readable { rows: copies, broken })
}

/// Permitted use of a received copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsableCopy {
    /// Record id.
    pub record_id: Id,
    /// Purpose.
    pub purpose: Purpose,
    /// Until when it may be held.
    pub hold_until: Timestamp,
}

/// Finds the permitted use of each taken copy of these records, also where its other columns are broken.
pub async fn usable(tx: &mut Tx, record_ids: &[Id]) -> Result<Readable<UsableCopy>, StoreError> {
    let sql = "SELECT c.record_id, c.purpose, c.hold_until FROM custody c";
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, " AND c.outcome = 1", []).await?;
    let usable =
        |row: &Row| Ok(UsableCopy { record_id: row.get(0)?, purpose: purpose(row, 1)?, hold_until: row.get(2)? });
    Ok(readable(&rows, 0, usable))
}

/// Finds the answers of a thread that this agency received, in thread order.
pub async fn answers(tx: &mut Tx, thread_id: Id) -> Result<Vec<Held>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT seq, record_id, kind, owner, thread_id, thread_sequence, revision, taken_at, consent_ref, subject_ref,
                    epoch, agreement_id, clause_id, purpose, present, covered, feedback, hold_until, referral_state,
                    content_key, content, envelope_id
             FROM custody WHERE kind = 2 AND thread_id = $1 AND outcome = 1 ORDER BY thread_sequence",
            [thread_id.into()],
        )
        .await?;
    Ok(readable(&rows, 1, held).rows)
}

/// Lists received referrals, newest first, before a place in the order.
pub async fn list_referrals(tx: &mut Tx, before: u64, limit: u32) -> Result<ReferralPage<Held>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT seq, record_id, kind, owner, thread_id, thread_sequence, revision, taken_at, consent_ref, subject_ref,
                    epoch, agreement_id, clause_id, purpose, present, covered, feedback, hold_until, referral_state,
                    content_key, content, envelope_id
             FROM custody WHERE kind = 1 AND outcome = 1 AND seq < $1 ORDER BY seq DESC LIMIT $2",
            [(before.min(i64::MAX as u64) as i64).into(), limit.into()],
        )
        .await?;
    Ok(ReferralPage::read(&rows, 1, held))
}

/// Finds the referrals among the newest rows of custody, newest first. A row that cannot be read is left out.
pub async fn newest(tx: &mut Tx, limit: u32) -> Result<Vec<Latest>, StoreError> {
    let sql = "SELECT record_id, subject_ref, owner FROM custody
               WHERE seq > (SELECT COALESCE(MAX(seq), 0) FROM custody) - $1 AND kind = 1 AND outcome = 1
                   AND subject_ref IS NOT NULL ORDER BY seq DESC";
    let rows = tx.fetch(sql, [limit.into()]).await?;
    let latest = |row: &Row| Ok(Latest { record_id: row.get(0)?, person: row.get(1)?, agency: row.get(2)? });
    Ok(readable(&rows, 0, latest).rows)
}

/// State and person of a held referral, without content.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Record id.
    pub record_id: Id,
    /// Owner.
    pub owner: AgencyId,
    /// The owner's reference of the subject.
    pub subject_ref: Option<Id>,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Until when it may be held.
    pub hold_until: Timestamp,
    /// Where it stands.
    pub state: ReferralState,
}

/// Finds where these referrals stand, of each revision that was taken. A row that cannot be read is left out.
pub async fn standing(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Standing>, StoreError> {
    let sql = "SELECT c.record_id, c.owner, c.subject_ref, c.purpose, c.hold_until, c.referral_state FROM custody c";
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, " AND c.outcome = 1 AND c.kind = 1", []).await?;
    let standing = |row: &Row| {
        Ok(Standing {
            record_id: row.get(0)?,
            owner: row.get(1)?,
            subject_ref: row.get(2)?,
            purpose: purpose(row, 3)?,
            hold_until: row.get(4)?,
            state: ReferralState::from_number(row.get(5)?).ok_or(StoreError::Value("referral state"))?,
        })
    };
    Ok(readable(&rows, 0, standing).rows)
}

/// Sets where a received referral stands.
pub async fn set_referral_state(tx: &mut Tx, record_id: Id, state: ReferralState) -> Result<(), StoreError> {
    const STATE: Columns<2> = [Column::blob("record_id"), Column::int("referral_state")];
    let sql = "UPDATE custody SET referral_state = v.referral_state
               FROM v WHERE custody.record_id = v.record_id AND custody.outcome = 1 AND custody.kind = 1";
    tx.update_by(&RECORDS, &STATE, vec![[record_id.into(), state.number().into()]], sql).await.map(|_| ())
}

/// Destroys the content of copies whose lease has ended, and of those taken up to a time, of so many at most; row and digest stay.
/// Returns how many.
pub async fn purge_ended(tx: &mut Tx, at: Timestamp, taken_until: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let ended = "UPDATE custody SET content_key = NULL, content = NULL WHERE seq IN (
                     SELECT seq FROM custody WHERE content IS NOT NULL AND hold_until <= $1 LIMIT $2)";
    let old = "UPDATE custody SET content_key = NULL, content = NULL WHERE seq IN (
                   SELECT seq FROM custody WHERE content IS NOT NULL AND taken_at <= $1 LIMIT $2)";
    let limit = i64::from(limit);
    let purged = tx.execute(ended, [at.into(), limit.into()]).await?;
    Ok(purged + tx.execute(old, [taken_until.into(), (limit - purged as i64).into()]).await?)
}

/// Destroys the content of what these envelopes brought; row and digest stay. Returns how many had any.
pub async fn purge(tx: &mut Tx, envelope_ids: &[Id]) -> Result<u64, StoreError> {
    const KEYS: Columns<1> = [Column::blob("id")];
    let rows = envelope_ids.iter().map(|&id| [id.into()]).collect();
    let sql = "UPDATE custody SET content_key = NULL, content = NULL FROM v
               WHERE custody.envelope_id = v.id AND custody.content IS NOT NULL";
    tx.execute_with(&KEYS, rows, sql).await
}

/// What the inbox tells of a record that was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Record.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Thread.
    pub thread_id: Id,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Where the referral stood after it.
    pub referral_state: ReferralState,
}

/// Reads what the inbox tells of received records, without content.
pub async fn received(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Received>, StoreError> {
    let sql = "SELECT c.record_id, c.kind, c.thread_id, c.purpose, c.referral_state FROM custody c";
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, " AND c.outcome = 1", []).await?;
    let received = |row: &Row| {
        Ok(Received {
            record_id: row.get(0)?,
            kind: kind(row, 1)?,
            thread_id: row.get(2)?,
            purpose: purpose(row, 3)?,
            referral_state: ReferralState::from_number(row.get(4)?).ok_or(StoreError::Value("referral state"))?,
        })
    };
    Ok(readable(&rows, 0, received).rows)
}

#[cfg(test)]
pub(crate) mod tests;
