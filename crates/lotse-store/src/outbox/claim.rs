//! What a claim reads and freezes.

use lotse_core::category::Categories;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

use super::settle::reasons_from_text;
use super::{ItemKind, RECORDS, Release, kind, purpose, sealed};
use crate::engine::{Column, Columns, Readable, Row, StoreError, Tx, readable};
use crate::vault::Sealed;

/// An item that a claim may release: due, or in doubt in a batch whose lease has ended.
pub struct Claimable {
    /// Record id.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Thread.
    pub thread_id: Id,
    /// System that handed it over.
    pub system: String,
    /// Subject, for referrals.
    pub subject: Option<Id>,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Categories of the content.
    pub present: Categories,
    /// Categories that were left out of it so far.
    pub left_out: Categories,
    /// What else the claim needs to decide again.
    pub request: Vec<u8>,
    /// When it was handed over.
    pub submitted_at: Timestamp,
    /// When to give up.
    pub expires_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// Why it waited before, if it did.
    pub reasons: Vec<Reason>,
    /// Content, encrypted; none when it went with its lease or its consent.
    pub content: Option<Sealed>,
    /// What was frozen, if the item is in doubt.
    pub frozen: Option<Frozen>,
}

/// The frozen envelope of an item in doubt.
#[derive(Clone)]
pub struct Frozen {
    /// Envelope.
    pub envelope_id: Id,
    /// Digest of the envelope.
    pub envelope_digest: Digest,
    /// Head of the envelope.
    pub head: Vec<u8>,
    /// Consent on which it rests.
    pub consent_id: Option<Id>,
    /// Categories that were sent.
    pub sent: Categories,
    /// Batch in which it was last sent.
    pub batch_id: Id,
}

/// Finds items to a peer that are due now, in the order in which they were handed over. Inside a thread an item waits for the
/// one before it.
pub async fn due(tx: &mut Tx, peer: &AgencyId, at: Timestamp, limit: u32) -> Result<Readable<Claimable>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.record_id, o.kind, o.thread_id, o.system, o.subject_id, o.purpose, o.present, o.request, o.submitted_at,
                    o.expires_at, o.attempts, o.content_key, o.content, o.envelope_id, o.envelope_digest, o.head,
                    o.consent_id, o.sent, o.batch_id, o.left_out, o.reasons
             FROM outbox o
             WHERE o.state = 1 AND o.recipient = $1 AND o.next_attempt_at <= $2 AND (o.kind = 1 OR NOT EXISTS (
                 SELECT 1 FROM outbox e LEFT JOIN batch b ON b.batch_id = e.batch_id
                 WHERE e.kind = 2 AND e.thread_id = o.thread_id AND e.seq < o.seq
                   AND (e.state = 1 OR (e.state = 2 AND b.state <> 3))))
             ORDER BY o.next_attempt_at, o.seq LIMIT $3",
            [peer.into(), at.into(), limit.into()],
        )
        .await?;
    Ok(readable(&rows, 0, claimable))
}

/// Finds items in doubt among these records: what was frozen is sent again under the same envelope id.
pub async fn in_doubt(tx: &mut Tx, record_ids: &[Id], batch_id: Id) -> Result<Readable<Claimable>, StoreError> {
    let rows = tx
        .fetch_by(
            &RECORDS,
            "SELECT o.record_id, o.kind, o.thread_id, o.system, o.subject_id, o.purpose, o.present, o.request, o.submitted_at,
                    o.expires_at, o.attempts, o.content_key, o.content, o.envelope_id, o.envelope_digest, o.head,
                    o.consent_id, o.sent, o.batch_id, o.left_out, o.reasons
             FROM outbox o",
            record_ids,
            " AND o.state = 2 AND o.batch_id = $2",
            [batch_id.into()],
        )
        .await?;
    Ok(readable(&rows, 0, claimable))
}

fn claimable(row: &Row) -> Result<Claimable, StoreError> {
    let envelope: (Option<Id>, Option<Digest>, Option<Vec<u8>>, Option<Id>) =
        (row.get(13)?, row.get(14)?, row.get(15)?, row.get(18)?);
    let frozen = match envelope {
        (Some(envelope_id), Some(envelope_digest), Some(head), Some(batch_id)) => Some(Frozen {
            envelope_id,
            envelope_digest,
            head,
            consent_id: row.get(16)?,
            sent: Categories::from_bits(row.get(17)?),
            batch_id,
        }),
        _ => None,
    };
    Ok(Claimable {
        record_id: row.get(0)?,
        kind: kind(row, 1)?,
        thread_id: row.get(2)?,
        system: row.get(3)?,
        subject: row.get(4)?,
        purpose: purpose(row, 5)?,
        present: Categories::from_bits(row.get(6)?),
        left_out: Categories::from_bits(row.get(19)?),
        request: row.get(7)?,
        submitted_at: row.get(8)?,
        expires_at: row.get(9)?,
        attempts: row.get(10)?,
        reasons: reasons_from_text(&row.get::<String>(20)?),
        content: sealed(row, 11)?,
        frozen,
    })
}

const RELEASE: Columns<12> = [
    Column::blob("record_id"),
    Column::int("state"),
    Column::blob("batch_id"),
    Column::blob("envelope_id"),
    Column::blob("envelope_digest"),
    Column::blob("consent_id"),
    Column::int("sent"),
    Column::int("left_out"),
    Column::int("hold_until"),
    Column::int("feedback"),
    Column::blob("head"),
    Column::text("reasons"),
];

/// Writes what a claim froze into items that were due.
pub async fn release(tx: &mut Tx, releases: &[(Id, Release)]) -> Result<(), StoreError> {
    let row = |(record_id, release): &(Id, Release)| {
        [
            record_id.into(),
            DeliveryState::InDoubt.number().into(),
            release.batch_id.into(),
            release.envelope_id.into(),
            release.envelope_digest.into(),
            release.consent_id.into(),
            release.sent.bits().into(),
            release.left_out.bits().into(),
            release.hold_until.into(),
            release.feedback.number().into(),
            release.head.clone().into(),
            "".into(),
        ]
    };
    tx.set_by(&RECORDS, &RELEASE, releases.iter().map(row).collect()).await.map(|_| ())
}

const CONTENT: Columns<4> =
    [Column::blob("record_id"), Column::blob("content_key"), Column::blob("content"), Column::int("removed")];

/// What is left of an item's content.
pub struct Rest {
    /// Record.
    pub record_id: Id,
    /// What went out of it.
    pub removed: Categories,
    /// The content without that, encrypted.
    pub content: Sealed,
}

/// Replaces the content of items out of which something went. It is no longer present in them and stays named as left out: whatever
/// allows it later, it cannot go any more.
pub async fn replace_content(tx: &mut Tx, rests: Vec<Rest>) -> Result<(), StoreError> {
    let row = |rest: Rest| {
        let Rest { record_id, removed, content } = rest;
        [record_id.into(), content.key.into(), content.ciphertext.into(), removed.bits().into()]
    };
    let sql = "UPDATE outbox SET content_key = v.content_key, content = v.content,
                   present = outbox.present & ~v.removed, left_out = outbox.left_out | v.removed
               FROM v WHERE outbox.record_id = v.record_id";
    tx.update_by(&RECORDS, &CONTENT, rests.into_iter().map(row).collect(), sql).await.map(|_| ())
}

const REBATCH: Columns<2> = [Column::blob("record_id"), Column::blob("batch_id")];

/// Puts items in doubt into a new batch: the same bytes are sent again.
pub async fn rebatch(tx: &mut Tx, record_ids: &[Id], batch_id: Id) -> Result<(), StoreError> {
    let rows = record_ids.iter().map(|id| [id.into(), batch_id.into()]).collect();
    tx.set_by(&RECORDS, &REBATCH, rows).await.map(|_| ())
}
