//! Items as they are shown, and what waits.

use lotse_core::category::Categories;
use lotse_core::delivery::DeliveryState;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use super::settle::reasons_from_text;
use super::{ItemKind, RECORDS, effective_referral_state, effective_state, kind, purpose, sealed};
use crate::engine::{Readable, Row, StoreError, Tx, readable};
use crate::vault::Sealed;

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
    /// How often it was tried.
    pub attempts: u32,
    /// Digest of the envelope in which it was last released.
    pub envelope_digest: Option<Digest>,
    /// Consent reference and agreement are in the frozen head.
    pub head: Option<Vec<u8>>,
    /// Consent under which it was last released; none for answers.
    pub consent_id: Option<Id>,
}

/// An answer that this agency sent or is to send.
pub struct SentAnswer {
    /// The item.
    pub item: Item,
    /// Its content, if it is still there.
    pub content: Option<Sealed>,
    /// What the claim needs to decide again, encoded by the node.
    pub request: Vec<u8>,
}

fn item(row: &Row) -> Result<Item, StoreError> {
    let delivery = effective_state(row, 8)?;
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
        referral_state: effective_referral_state(delivery, row.get(10)?)?,
        submitted_at: row.get(11)?,
        categories: Categories::from_bits(categories),
        left_out: Categories::from_bits(row.get(14)?),
        hold_until: row.get(15)?,
        feedback: FeedbackLevel::from_number(row.get(16)?),
        reasons: reasons_from_text(&row.get::<String>(17)?),
        envelope_digest: row.get(18)?,
        head: row.get(19)?,
        attempts: row.get(20)?,
        consent_id: row.get(21)?,
    })
}

/// Finds items by record id, in the order of submission. Items that cannot be read are left out.
pub async fn find(tx: &mut Tx, record_ids: &[Id]) -> Result<Vec<Item>, StoreError> {
    find_readable(tx, record_ids).await.map(|found| found.rows)
}

/// Finds items by record id, in the order of submission, and names those that cannot be read.
pub async fn find_readable(tx: &mut Tx, record_ids: &[Id]) -> Result<Readable<Item>, StoreError> {
    let rows = tx
        .fetch_by(
            &RECORDS,
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head, o.attempts, o.consent_id
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id",
            record_ids,
            "",
            [],
        )
        .await?;
    Ok(readable(&rows, 1, item))
}

/// Finds the answers of a thread that this agency sent, in the order of submission, with their content if it is still there.
pub async fn answers(tx: &mut Tx, thread_id: Id) -> Result<Readable<SentAnswer>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head, o.attempts, o.consent_id, o.content_key, o.content,
                    o.request
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id
             WHERE o.kind = 2 AND o.thread_id = $1 ORDER BY o.seq",
            [thread_id.into()],
        )
        .await?;
    let answer = |row: &Row| Ok(SentAnswer { item: item(row)?, content: sealed(row, 22)?, request: row.get(24)? });
    Ok(readable(&rows, 1, answer))
}

/// One page of a list of referrals.
pub struct ReferralPage<T> {
    /// The referrals. Rows that cannot be read fill the page, too.
    pub found: Readable<T>,
    /// Number of the last row, readable or not, if the page has one. The next page begins before it.
    pub last_seq: Option<u64>,
}

impl<T> ReferralPage<T> {
    /// Reads rows that begin with their number. `id` is the column by which a broken one is named.
    pub(crate) fn read(rows: &[Row], id: usize, read: impl Fn(&Row) -> Result<T, StoreError>) -> ReferralPage<T> {
        let last_seq = rows.last().and_then(|row| row.get(0).ok());
        ReferralPage { found: readable(rows, id, read), last_seq }
    }
}

/// Lists referrals that this agency sent, newest first, before a place in the order.
pub async fn list_referrals(tx: &mut Tx, before: u64, limit: u32) -> Result<ReferralPage<Item>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    b.state, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head, o.attempts, o.consent_id
             FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id
             WHERE o.kind = 1 AND o.seq < $1 ORDER BY o.seq DESC LIMIT $2",
            [(before.min(i64::MAX as u64) as i64).into(), limit.into()],
        )
        .await?;
    Ok(ReferralPage::read(&rows, 1, item))
}

/// A referral, whom it is about, and the other agency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latest {
    /// Record id.
    pub record_id: Id,
    /// Whom it is about, as this node knows the person: the subject, or the owner's reference of it.
    pub person: Id,
    /// The other agency.
    pub agency: AgencyId,
}

/// Finds the referrals among the newest items of the outbox, newest first. A row that cannot be read is left out.
pub async fn newest(tx: &mut Tx, limit: u32) -> Result<Vec<Latest>, StoreError> {
    let sql = "SELECT o.record_id, o.subject_id, o.recipient FROM outbox o
               WHERE o.seq > (SELECT COALESCE(MAX(seq), 0) FROM outbox) - $1 AND o.kind = 1 AND o.subject_id IS NOT NULL
               ORDER BY o.seq DESC";
    let rows = tx.fetch(sql, [limit.into()]).await?;
    let latest = |row: &Row| Ok(Latest { record_id: row.get(0)?, person: row.get(1)?, agency: row.get(2)? });
    Ok(readable(&rows, 0, latest).rows)
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
            "SELECT peer, CAST(SUM(due) AS BIGINT), CAST(SUM(doubt) AS BIGINT) FROM (
                 SELECT recipient AS peer, 1 AS due, 0 AS doubt FROM outbox WHERE state = 1
                 UNION ALL
                 SELECT peer, 0, in_doubt FROM batch WHERE state < 3) AS waiting
             GROUP BY peer ORDER BY peer",
            [],
        )
        .await?;
    rows.iter().map(|row| Ok(Waiting { peer: row.get(0)?, due: row.get(1)?, in_doubt: row.get(2)? })).collect()
}

/// Since when something waits for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Peer.
    pub peer: AgencyId,
    /// When the oldest item that waits was handed over, or the oldest batch in doubt was released.
    pub since: Timestamp,
}

/// Finds since when something is due or in doubt, for each peer that anything waits for.
pub async fn oldest(tx: &mut Tx) -> Result<Vec<Oldest>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT peer, MIN(since) FROM (
                 SELECT recipient AS peer, submitted_at AS since FROM outbox WHERE state = 1
                 UNION ALL
                 SELECT peer, created_at FROM batch WHERE state < 3 AND in_doubt > 0) AS waiting
             GROUP BY peer ORDER BY peer",
            [],
        )
        .await?;
    rows.iter().map(|row| Ok(Oldest { peer: row.get(0)?, since: row.get(1)? })).collect()
}

/// The times at which items that wait for a peer are to be looked at next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextAttempts {
    /// Earliest time of an item that is due.
    pub due: Option<Timestamp>,
    /// Earliest time of a batch whose lease ended without a receipt.
    pub in_doubt: Option<Timestamp>,
}

/// Finds when something that waits for a peer is to be looked at next. Costs the same however much waits.
pub async fn next_attempts(tx: &mut Tx, peer: &AgencyId) -> Result<NextAttempts, StoreError> {
    let sql = "SELECT (SELECT MIN(next_attempt_at) FROM outbox WHERE state = 1 AND recipient = $1),
                      (SELECT MIN(next_attempt_at) FROM batch WHERE peer = $1 AND state < 3 AND state = $2)";
    let row = tx.fetch_optional(sql, [peer.into(), crate::batch::LAPSED.into()]).await?;
    let read = |row: Row| Ok(NextAttempts { due: row.get(0)?, in_doubt: row.get(1)? });
    row.map_or(Ok(NextAttempts::default()), read)
}

/// A reason why items to a peer that were tried wait, and their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitReason {
    /// Peer.
    pub peer: AgencyId,
    /// The most important reason.
    pub reason: Reason,
    /// Items that wait for it.
    pub items: u64,
}

/// Counts why items that are due wait, for each peer, the most frequent reason first. What was never tried has none.
pub async fn wait_reasons(tx: &mut Tx) -> Result<Vec<WaitReason>, StoreError> {
    let sql = "SELECT recipient, reasons, COUNT(*) FROM outbox WHERE state = 1 AND reasons <> ''
               GROUP BY recipient, reasons ORDER BY recipient, COUNT(*) DESC, reasons";
    let mut found = Vec::new();
    for row in tx.fetch(sql, []).await? {
        let reasons = reasons_from_text(&row.get::<String>(1)?);
        if let Some(&reason) = reasons.first() {
            found.push(WaitReason { peer: row.get(0)?, reason, items: row.get(2)? });
        }
    }
    Ok(found)
}

/// Counts the record ids that more than one item has. PostgreSQL allows none; on SQLite, whose table has no index over them, this reads
/// all of it and tells whether the directory of ids ever failed.
pub async fn repeated(tx: &mut Tx) -> Result<u64, StoreError> {
    let sql = "SELECT COUNT(*) FROM (SELECT record_id FROM outbox GROUP BY record_id HAVING COUNT(*) > 1) AS repeated";
    tx.fetch_one(sql, []).await?.get(0)
}

/// Finds due items whose time is over, the longest over first.
pub async fn expired(tx: &mut Tx, at: Timestamp, limit: u32) -> Result<Vec<Item>, StoreError> {
    let rows = tx
        .fetch(
            "SELECT o.seq, o.record_id, o.kind, o.recipient, o.thread_id, o.system, o.idempotency_key, o.purpose, o.state,
                    NULL, o.referral_state, o.submitted_at, o.sent, o.present, o.left_out, o.hold_until, o.feedback,
                    o.reasons, o.envelope_digest, o.head, o.attempts, o.consent_id
             FROM outbox o WHERE o.state = 1 AND o.expires_at <= $1 ORDER BY o.expires_at LIMIT $2",
            [at.into(), limit.into()],
        )
        .await?;
    Ok(readable(&rows, 1, item).rows)
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
    let sql = "SELECT o.record_id, o.thread_id, o.system, o.idempotency_key, o.state, b.state, o.reasons
               FROM outbox o LEFT JOIN batch b ON b.batch_id = o.batch_id";
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, "", []).await?;
    let delivered = |row: &Row| {
        Ok(Delivered {
            record_id: row.get(0)?,
            thread_id: row.get(1)?,
            system: row.get(2)?,
            idempotency_key: row.get(3)?,
            delivery: effective_state(row, 4)?,
            reasons: reasons_from_text(&row.get::<String>(6)?),
        })
    };
    Ok(readable(&rows, 0, delivered).rows)
}
