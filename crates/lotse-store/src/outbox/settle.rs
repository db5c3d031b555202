//! Items that did not go the usual way.

use lotse_core::delivery::DeliveryState;
use lotse_core::id::{AgencyId, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use super::RECORDS;
use crate::engine::{Column, Columns, StoreError, Tx};

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

const SETTLE: Columns<7> = [
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
    tx.update_by(
        &RECORDS,
        &SETTLE,
        items.iter().map(row).collect(),
        "UPDATE outbox SET state = v.state, referral_state = v.referral_state, next_attempt_at = v.next_attempt_at,
             attempts = v.attempts, reasons = v.reasons
         FROM v WHERE outbox.record_id = v.record_id AND outbox.state = v.from_state",
    )
    .await
}

/// Items that are looked at again at once; the others when their own pause is over.
const AT_ONCE: i64 = 10_000;

/// Lets items to a peer that are due after a pause be looked at again at once: something changed that may let them go.
pub async fn retry_now(tx: &mut Tx, peer: &AgencyId, at: Timestamp) -> Result<u64, StoreError> {
    let sql = "UPDATE outbox SET next_attempt_at = $2 WHERE seq IN (
                   SELECT seq FROM outbox WHERE state = 1 AND recipient = $1 AND next_attempt_at > $2
                   ORDER BY next_attempt_at LIMIT $3)";
    tx.execute(sql, [peer.into(), at.into(), AT_ONCE.into()]).await
}

fn reasons_to_text(reasons: &[Reason]) -> String {
    reasons.iter().map(|reason| reason.number().to_string()).collect::<Vec<_>>().join(",")
}

pub(super) fn reasons_from_text(text: &str) -> Vec<Reason> {
    text.split(',').filter_map(|number| Reason::from_number(number.parse().ok()?)).collect()
}

/// Sets where a referral of this agency stands.
pub async fn set_referral_state(tx: &mut Tx, record_id: Id, state: ReferralState) -> Result<(), StoreError> {
    const STATE: Columns<2> = [Column::blob("record_id"), Column::int("referral_state")];
    tx.set_by(&RECORDS, &STATE, vec![[record_id.into(), state.number().into()]]).await.map(|_| ())
}
