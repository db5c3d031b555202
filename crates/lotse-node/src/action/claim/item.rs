//! The facts about items that are read before anything is decided about them.

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::outbox::{self, Claimable, Settled};
use lotse_store::{StoreError, Tx};

use super::{Claim, Item, LONGEST_PAUSE};
use crate::wire::batch::MAX_BATCH_BYTES;
use crate::wire::request::Request;

impl Claim {
    /// Reads requests, and leaves items that would make the batch too large for the next claim. Adds those whose request cannot be
    /// read to the broken ones.
    pub(super) fn within_limit(&self, found: Vec<Claimable>, broken: &mut Vec<Id>) -> Vec<Item> {
        let mut bytes = 0;
        let mut items = Vec::with_capacity(found.len());
        for claimable in found {
            bytes += claimable.content.as_ref().map_or(0, |content| content.ciphertext.len()) + 1024;
            if bytes > MAX_BATCH_BYTES && !items.is_empty() {
                break;
            }
            match Request::decode(&claimable.request) {
                Some(request) => items.push(Item { claimable, request }),
                None => broken.push(claimable.record_id),
            }
        }
        items
    }

    /// Lets items that cannot be read wait: they hold up no other.
    pub(super) async fn put_off(&self, tx: &mut Tx, broken: &[Id], at: Timestamp) -> Result<(), StoreError> {
        if broken.is_empty() {
            return Ok(());
        }
        tracing::error!(peer = %self.peer, ?broken, "items that are due cannot be read, and wait: restore them from a backup");
        let wait = |&record_id: &Id| Settled {
            record_id,
            state: DeliveryState::Due,
            referral_state: ReferralState::Offered,
            next_attempt_at: at.plus(LONGEST_PAUSE),
            attempts: 0,
            reasons: vec![Reason::Unavailable],
        };
        let settled: Vec<Settled> = broken.iter().map(wait).collect();
        outbox::settle(tx, DeliveryState::Due, &settled).await.map(|_| ())
    }
}
