//! Items as systems hand them over.

use bytes::Bytes;
use lotse_core::category::Categories;
use lotse_core::delivery::DeliveryState;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use super::settle::reasons_from_text;
use super::{ItemKind, RECORDS, effective_referral_state, effective_state, kind};
use crate::engine::{Column, Readable, Row, StoreError, Table, Tx, Value, readable};
use crate::vault::Sealed;

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
    pub request: Bytes,
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
    pub head: Bytes,
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
pub async fn insert(tx: &mut Tx, items: Vec<NewItem>) -> Result<(), StoreError> {
    let rows = items.into_iter().map(insert_row).collect();
    tx.insert_into(&RECORDS, &INSERT, rows).await
}

fn insert_row(item: NewItem) -> [Value; 29] {
    let release = item.release.as_ref();
    let state = if release.is_some() { DeliveryState::InDoubt } else { DeliveryState::Due };
    [
        item.record_id.into(),
        (item.kind as i64).into(),
        (&item.recipient).into(),
        item.thread_id.into(),
        item.system.into(),
        item.idempotency_key.into(),
        item.content_digest.into(),
        item.subject.into(),
        item.purpose.number().into(),
        item.present.bits().into(),
        item.request.into(),
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
        item.content.key.into(),
        item.content.ciphertext.into(),
    ]
}

/// What is known of a record id that is handed over again.
#[derive(Clone, Debug)]
pub struct Known {
    /// What it carries.
    pub kind: ItemKind,
    /// Digest of what was handed over first.
    pub content_digest: Digest,
    /// Where its delivery stands.
    pub state: DeliveryState,
    /// Where the referral stands.
    pub referral_state: ReferralState,
    /// Why it was refused or ended.
    pub reasons: Vec<Reason>,
    /// Categories that were left out.
    pub left_out: Categories,
}

/// Finds which of these record ids are known.
pub async fn known(tx: &mut Tx, record_ids: &[Id]) -> Result<Readable<(Id, Known)>, StoreError> {
    let sql = "SELECT o.record_id, o.content_digest, o.left_out, o.state, b.state, o.referral_state, o.reasons, o.kind
               FROM outbox o
               LEFT JOIN batch b ON b.batch_id = o.batch_id";
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, "", []).await?;
    let known = |row: &Row| {
        let state = effective_state(row, 3)?;
        let known = Known {
            kind: kind(row, 7)?,
            content_digest: row.get(1)?,
            left_out: Categories::from_bits(row.get(2)?),
            state,
            referral_state: effective_referral_state(state, row.get(5)?)?,
            reasons: reasons_from_text(&row.get::<String>(6)?),
        };
        Ok((row.get(0)?, known))
    };
    Ok(readable(&rows, 0, known))
}
