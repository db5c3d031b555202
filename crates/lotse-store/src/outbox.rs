//! The outbox: what this agency's systems handed over, until the recipient has said what became of it.
//!
//! One row lives from submission to the end. A claim freezes the envelope: its head is written beside the content, and the two
//! together are its exact bytes. An item in doubt whose batch is answered is taken; only exceptions are written into the row, so
//! that a receipt that takes everything writes no row per item.

use lotse_core::category::Categories;
use lotse_core::delivery::DeliveryState;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use crate::engine::{Column, OnConflict, Row, StoreError, Table, Tx, Value};
use crate::vault::Sealed;

/// What an outgoing item carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ItemKind {
    /// A referral.
    Referral = 1,
    /// An answer to a referral.
    Answer = 2,
}

impl ItemKind {
    /// Finds the kind with this number.
    pub fn from_number(number: i32) -> Option<ItemKind> {
        [ItemKind::Referral, ItemKind::Answer].into_iter().find(|kind| *kind as i32 == number)
    }
}

/// An item as it is written at submission.
#[derive(Clone)]
pub struct NewItem {
    /// Record id.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Recipient.
    pub recipient: AgencyId,
    /// Record id of the referral that opened the thread.
    pub thread_id: Id,
    /// System that handed it over.
    pub system: String,
    /// Key under which it was handed over.
    pub idempotency_key: String,
    /// Digest of what was handed over: the same key with another digest is an error.
    pub content_digest: Digest,
    /// Subject, for referrals.
    pub subject: Option<Id>,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Categories of the content as handed over.
    pub present: Categories,
    /// Categories that were left out when it was handed over.
    pub left_out: Categories,
    /// What else the claim needs to decide again, encoded by the node.
    pub request: Vec<u8>,
    /// When it was handed over.
    pub submitted_at: Timestamp,
    /// When to give up.
    pub expires_at: Timestamp,
    /// Content: the body of the envelope, encrypted.
    pub content: Sealed,
    /// Release, where submission and claim are one commit.
    pub release: Option<Release>,
}

/// What a claim writes into an item.
#[derive(Clone)]
pub struct Release {
    /// Batch in which it is sent.
    pub batch_id: Id,
    /// Envelope.
    pub envelope_id: Id,
    /// Digest of the envelope.
    pub envelope_digest: Digest,
    /// Consent on which it rests; none for answers.
    pub consent_id: Option<Id>,
    /// Categories that are sent.
    pub sent: Categories,
    /// Categories that were left out.
    pub left_out: Categories,
    /// Until when the recipient may hold it.
    pub hold_until: Timestamp,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// Head of the envelope: its bytes without the body.
    pub head: Vec<u8>,
}

static INSERT: Table<29> = Table {
    name: "outbox",
    columns: [
        Column::blob("record_id"),
        Column::int("kind"),
        Column::text("recipient"),
        Column::blob("thread_id"),
        Column::text("system"),
        Column::text("idempotency_key"),
        Column::blob("content_digest"),
        Column::blob("subject_id"),
        Column::int("purpose"),
        Column::int("present"),
        Column::blob("request"),
        Column::int("state"),
        Column::int("referral_state"),
        Column::int("submitted_at"),
        Column::int("expires_at"),
        Column::int("next_attempt_at"),
        Column::int("attempts"),
        Column::text("reasons"),
        Column::blob("batch_id"),
        Column::blob("envelope_id"),
        Column::blob("envelope_digest"),
        Column::blob("consent_id"),
        Column::int("sent"),
        Column::int("left_out"),
        Column::int("hold_until"),
        Column::int("feedback"),
        Column::blob("head"),
        Column::blob("content_key"),
        Column::blob("content"),
    ],
};

/// Writes new items, due or already released. Record ids must not be known.
pub async fn insert(tx: &mut Tx, items: &[NewItem]) -> Result<(), StoreError> {
    let rows = items.iter().map(insert_row).collect();
    tx.insert_many(&INSERT, rows, OnConflict::Fail).await.map(|_| ())
}

fn insert_row(item: &NewItem) -> [Value; 29] {
    let release = item.release.as_ref();
    let state = if release.is_some() { DeliveryState::InDoubt } else { DeliveryState::Due };
    [
        item.record_id.into(),
        (item.kind as i64).into(),
        (&item.recipient).into(),
        item.thread_id.into(),
        item.system.as_str().into(),
        item.idempotency_key.as_str().into(),
        item.content_digest.into(),
        item.subject.into(),
        item.purpose.number().into(),
        item.present.bits().into(),
        item.request.clone().into(),
        state.number().into(),
        ReferralState::Offered.number().into(),
        item.submitted_at.into(),
        item.expires_at.into(),
        item.submitted_at.into(),
        0.into(),
        "".into(),
        release.map(|r| r.batch_id).into(),
        release.map(|r| r.envelope_id).into(),
        release.map(|r| r.envelope_digest).into(),
        release.and_then(|r| r.consent_id).into(),
        release.map_or(0, |r| r.sent.bits()).into(),
        release.map_or(item.left_out, |r| r.left_out.or(item.left_out)).bits().into(),
        release.map(|r| r.hold_until).into(),
        release.map_or(0, |r| r.feedback.number()).into(),
        release.map(|r| r.head.clone()).into(),
        item.content.key.clone().into(),
        item.content.ciphertext.clone().into(),
    ]
}

/// What is known of a record id that is handed over again.
#[derive(Clone, Debug)]
pub struct Known {
    /// Digest of what was handed over first.
    pub content_digest: Digest,
    /// Where it stands.
    pub state: DeliveryState,
    /// Categories that were left out.
    pub left_out: Categories,
}

/// Finds which of these record ids are known.
pub async fn known(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<(Id, Known)>, StoreError> {
    let keys = record_ids.iter().map(|&id| id.into()).collect();
    let rows = tx
        .fetch_in(
            "SELECT o.record_id, o.content_digest, o.left_out, o.state, b.state FROM outbox o
             LEFT JOIN batch b ON b.batch_id = o.batch_id WHERE o.record_id",
            keys,
            "",
            [],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let left_out = Categories::from_bits(row.get(2)?);
            Ok((row.get(0)?, Known { content_digest: row.get(1)?, left_out, state: effective_state(row, 3)? }))
        })
        .collect()
}

/// Reads the item's state and its batch's from two columns: in doubt in an answered batch is taken.
fn effective_state(row: &Row, column: usize) -> Result<DeliveryState, StoreError> {
    let state = DeliveryState::from_number(row.get(column)?).ok_or(StoreError::Value("delivery state"))?;
    let answered = row.get::<Option<i32>>(column + 1)? == Some(crate::batch::ANSWERED);
    Ok(if state == DeliveryState::InDoubt && answered { DeliveryState::Taken } else { state })
}

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
    /// What else the claim needs to decide again.
    pub request: Vec<u8>,
    /// When it was handed over.
    pub submitted_at: Timestamp,
    /// When to give up.
    pub expires_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// Content, encrypted.
    pub content: Sealed,
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
pub async fn due(tx: &mut Tx, peer: &AgencyId, at: Timestamp, limit: u32) -> Result<Vec<Claimable>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.record_id, o.kind, o.thread_id, o.system, o.subject_id, o.purpose, o.present, o.request, o.submitted_at,
                    o.expires_at, o.attempts, o.content_key, o.content, o.envelope_id, o.envelope_digest, o.head,
                    o.consent_id, o.sent, o.batch_id
             FROM outbox o
             WHERE o.state = 1 AND o.recipient = $1 AND o.next_attempt_at <= $2 AND (o.kind = 1 OR NOT EXISTS (
                 SELECT 1 FROM outbox e LEFT JOIN batch b ON b.batch_id = e.batch_id
                 WHERE e.kind = 2 AND e.thread_id = o.thread_id AND e.seq < o.seq
                   AND (e.state = 1 OR (e.state = 2 AND b.state <> 3))))
             ORDER BY o.next_attempt_at, o.seq LIMIT $3",
            [peer.into(), at.into(), limit.into()],
        )
        .await?;
    rows.iter().map(claimable).collect()
}

/// Finds items in doubt among these records: what was frozen is sent again under the same envelope id.
pub async fn in_doubt(tx: &mut Tx, record_ids: &[Id], batch_id: Id) -> Result<Vec<Claimable>, StoreError> {
    let keys = record_ids.iter().map(|&id| id.into()).collect();
    let rows = tx
        .fetch_in(
            "SELECT o.record_id, o.kind, o.thread_id, o.system, o.subject_id, o.purpose, o.present, o.request, o.submitted_at,
                    o.expires_at, o.attempts, o.content_key, o.content, o.envelope_id, o.envelope_digest, o.head,
                    o.consent_id, o.sent, o.batch_id
             FROM outbox o WHERE o.record_id",
            keys,
            " AND o.state = 2 AND o.batch_id = $2 ORDER BY o.seq",
            [batch_id.into()],
        )
        .await?;
    rows.iter().map(claimable).collect()
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
        request: row.get(7)?,
        submitted_at: row.get(8)?,
        expires_at: row.get(9)?,
        attempts: row.get(10)?,
        content: Sealed { key: row.get(11)?, ciphertext: row.get(12)? },
        frozen,
    })
}

pub(crate) fn kind(row: &Row, column: usize) -> Result<ItemKind, StoreError> {
    ItemKind::from_number(row.get(column)?).ok_or(StoreError::Value("item kind"))
}

pub(crate) fn purpose(row: &Row, column: usize) -> Result<Purpose, StoreError> {
    Purpose::from_number(row.get(column)?).ok_or(StoreError::Value("purpose"))
}

static RELEASE: Table<12> = Table {
    name: "outbox",
    columns: [
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
    ],
};

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
    tx.update_many(&RELEASE, releases.iter().map(row).collect()).await.map(|_| ())
}

static CONTENT: Table<3> = Table {
    name: "outbox",
    columns: [Column::blob("record_id"), Column::blob("content_key"), Column::blob("content")],
};

/// Replaces the content of items from which a claim left something out.
pub async fn replace_content(tx: &mut Tx, contents: Vec<(Id, Sealed)>) -> Result<(), StoreError> {
    let rows =
        contents.into_iter().map(|(id, sealed)| [id.into(), sealed.key.into(), sealed.ciphertext.into()]).collect();
    tx.update_many(&CONTENT, rows).await.map(|_| ())
}

static REBATCH: Table<2> = Table { name: "outbox", columns: [Column::blob("record_id"), Column::blob("batch_id")] };

/// Puts items in doubt into a new batch: the same bytes are sent again.
pub async fn rebatch(tx: &mut Tx, record_ids: &[Id], batch_id: Id) -> Result<(), StoreError> {
    let rows = record_ids.iter().map(|id| [id.into(), batch_id.into()]).collect();
    tx.update_many(&REBATCH, rows).await.map(|_| ())
}

/// How an item is written when it did not go the usual way.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Record id.
    pub record_id: Id,
    /// Where the delivery stands now.
    pub state: DeliveryState,
    /// Where the referral stands now.
    pub referral_state: ReferralState,
    /// When it is tried again, if it is due.
    pub next_attempt_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why.
    pub reasons: Vec<Reason>,
}

const SETTLE: crate::engine::Columns<7> = [
    Column::blob("record_id"),
    Column::int("from_state"),
    Column::int("state"),
    Column::int("referral_state"),
    Column::int("next_attempt_at"),
    Column::int("attempts"),
    Column::text("reasons"),
];

/// Writes items that were refused, have to be sent again, or ended. Items that are no longer in the state `from` stay as they
/// are: what a recipient has said is never unsaid.
pub async fn settle(tx: &mut Tx, from: DeliveryState, items: &[Settled]) -> Result<u64, StoreError> {
    let row = |item: &Settled| {
        [
            item.record_id.into(),
            from.number().into(),
            item.state.number().into(),
            item.referral_state.number().into(),
            item.next_attempt_at.into(),
            item.attempts.into(),
            reasons_to_text(&item.reasons).into(),
        ]
    };
    tx.execute_with(
        &SETTLE,
        items.iter().map(row).collect(),
        "UPDATE outbox SET state = v.state, referral_state = v.referral_state, next_attempt_at = v.next_attempt_at,
             attempts = v.attempts, reasons = v.reasons
         FROM v WHERE outbox.record_id = v.record_id AND outbox.state = v.from_state",
    )
    .await
}

fn reasons_to_text(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.number().to_string()).collect::<Vec<_>>().join(",")
}

fn reasons_from_text(text: &str) -> Vec<Reason> {
    text.split(',').filter_map(|number| Reason::from_number(number.parse().ok()?)).collect()
}

/// Sets where a referral of this agency stands.
pub async fn set_referral_state(tx: &mut Tx, record_id: Id, state: ReferralState) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET referral_state = $2 WHERE record_id = $1";
    tx.execute(sql, [record_id.into(), state.number().into()]).await.map(|_| ())
}

/// An item as it is shown.
#[derive(Clone, Debug)]
pub struct Item {
    /// Place in the order of submission.
    pub seq: u64,
    /// Record id.
    pub record_id: Id,
    /// What it carries.
    pub kind: ItemKind,
    /// Recipient.
    pub recipient: AgencyId,
    /// Thread.
    pub thread_id: Id,
    /// System that handed it over.
    pub system: String,
    /// Key under which it was handed over.
    pub idempotency_key: String,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Where the delivery stands.
    pub delivery: DeliveryState,
    /// Where the referral stands.
    pub referral_state: ReferralState,
    /// When it was handed over.
    pub submitted_at: Timestamp,
    /// Categories that were sent; those handed over while it is due.
    pub categories: Categories,
    /// Categories that were left out.
    pub left_out: Categories,
    /// Until when the recipient may hold it.
    pub hold_until: Option<Timestamp>,
    /// What may be reported back.
    pub feedback: Option<FeedbackLevel>,
    /// Why it was refused or ended.
    pub reasons: Vec<Reason>,
    /// Digest of the envelope in which it was last released.
    pub envelope_digest: Option<Digest>,
    /// Consent reference and agreement are in the frozen head.
    pub head: Option<Vec<u8>>,
}

fn item(row: &Row) -> Result<Item, StoreError> {
    let delivery = effective_state(row, 8)?;
    let stored = ReferralState::from_number(row.get(10)?).ok_or(StoreError::Value("referral state"))?;
    let taken = delivery == DeliveryState::Taken && stored == ReferralState::Offered;
    let categories = if delivery == DeliveryState::Due { row.get(13)? } else { row.get(12)? };
    Ok(Item {
        seq: row.get(0)?,
        record_id: row.get(1)?,
        kind: kind(row, 2)?,
        recipient: row.get(3)?,
        thread_id: row.get(4)?,
        system: row.get(5)?,
        idempotency_key: row.get(6)?,
        purpose: purpose(row, 7)?,
        delivery,
        referral_state: if taken { ReferralState::Received } else { stored },
        submitted_at: row.get(11)?,
        categories: Categories::from_bits(categories),
        left_out: Categories::from_bits(row.get(14)?),
        hold_until: row.get(15)?,
        feedback: FeedbackLevel::from_number(row.get(16)?),
        reasons: reasons_from_text(&row.get::<String>(17)?),
        envelope_digest: row.get(18)?,
        head: row.get(19)?,
    })
}

/// Finds items by record id, in the order of submission.
pub async fn find(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Item>, StoreError> {
    let keys = record_ids.iter().map(|&id| id.into()).collect();
    let rows = tx
        .fetch_in(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id WHERE o.record_id",
            keys,
            " ORDER BY o.seq",
            [],
        )
        .await?;
    rows.iter().map(item).collect()
}

/// Finds the answers of a thread that this agency sent, in the order of submission.
pub async fn answers(tx: &mut Tx, thread_id: Id) -> Result<Vec<(Item, Sealed)>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head, o.content_key, o.content
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id
             WHERE o.kind = 2 AND o.thread_id = $1 ORDER BY o.seq",
            [thread_id.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((item(row)?, Sealed { key: row.get(20)?, ciphertext: row.get(21)? }))).collect()
}

/// Lists referrals that this agency sent, newest first, before a place in the order.
pub async fn list_referrals(tx: &mut Tx, before: u64, limit: u32) -> Result<Vec<Item>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id
             WHERE o.kind = 1 AND o.seq < $1 ORDER BY o.seq DESC LIMIT $2",
            [(before.min(i64::MAX as u64) as i64).into(), limit.into()],
        )
        .await?;
    rows.iter().map(item).collect()
}

/// Items to one peer that wait, and items in doubt.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Peer.
    pub peer: AgencyId,
    /// Items that wait to be released.
    pub due: u64,
    /// Items released and not yet answered.
    pub in_doubt: u64,
}

/// Counts what waits for each peer.
pub async fn waiting(tx: &mut Tx) -> Result<Vec<Waiting>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT peer, SUM(due), SUM(doubt) FROM (
                 SELECT recipient AS peer, 1 AS due, 0 AS doubt FROM outbox WHERE state = 1
                 UNION ALL
                 SELECT peer, 0, in_doubt FROM batch WHERE state <> 3) AS waiting
             GROUP BY peer ORDER BY peer",
            [],
        )
        .await?;
    rows.iter().map(|row| Ok(Waiting { peer: row.get(0)?, due: row.get(1)?, in_doubt: row.get(2)? })).collect()
}

/// Finds due items whose time is over.
pub async fn expired(tx: &mut Tx, at: Timestamp, limit: u32) -> Result<Vec<Item>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    NULL, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head
             FROM outbox o WHERE o.state = 1 AND o.expires_at <= $1 ORDER BY o.seq LIMIT $2",
            [at.into(), limit.into()],
        )
        .await?;
    rows.iter().map(item).collect()
}

/// What the inbox tells of a delivery.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Record id.
    pub record_id: Id,
    /// Thread.
    pub thread_id: Id,
    /// System that handed it over.
    pub system: String,
    /// Key under which it was handed over.
    pub idempotency_key: String,
    /// Where the delivery stands.
    pub delivery: DeliveryState,
    /// Why it was refused or ended.
    pub reasons: Vec<Reason>,
}

/// Reads what the inbox tells of deliveries, without content.
pub async fn delivered(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Delivered>, StoreError> {
    let keys = record_ids.iter().map(|&id| id.into()).collect();
    let rows = tx
        .fetch_in(
            "SELECT o.record_id, o.thread_id, o.system, o.idempotency_key, o.state, b.state, o.reasons
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id WHERE o.record_id",
            keys,
            "",
            [],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Delivered {
                record_id: row.get(0)?,
                thread_id: row.get(1)?,
                system: row.get(2)?,
                idempotency_key: row.get(3)?,
                delivery: effective_state(row, 4)?,
                reasons: reasons_from_text(&row.get::<String>(6)?),
            })
        })
        .collect()
}
