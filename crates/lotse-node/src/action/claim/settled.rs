//! Changes to the rows of items that a claim does not release: they wait, are paused or end.

use std::time::Duration;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::log;
use lotse_store::outbox::Settled;

use super::Item;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::node::Node;
use crate::pause::Pause;

/// Lets an item wait that was decided about: for a time of its own, which grows with its attempts.
pub(super) fn waiting(item: &Item, reasons: &[Reason], pause: Duration, at: Timestamp) -> Settled {
    Settled {
        record_id: item.claimable.record_id,
        state: DeliveryState::Due,
        referral_state: ReferralState::Offered,
        next_attempt_at: at.plus(pause),
        attempts: item.claimable.attempts + 1,
        reasons: reasons.to_vec(),
    }
}

/// Lets an item wait until a pause ends. It was not tried, and its own pause does not grow.
pub(super) fn paused(item: &Item, pause: &Pause) -> Settled {
    Settled {
        record_id: item.claimable.record_id,
        state: DeliveryState::Due,
        referral_state: ReferralState::Offered,
        next_attempt_at: pause.until,
        attempts: item.claimable.attempts,
        reasons: vec![pause.reason],
    }
}

/// Ends an item.
pub(super) fn end(item: &Item, reasons: &[Reason], at: Timestamp) -> Settled {
    let expired = reasons == [Reason::ItemExpired];
    Settled {
        record_id: item.claimable.record_id,
        state: DeliveryState::Ended,
        referral_state: if expired { ReferralState::Expired } else { ReferralState::Cancelled },
        next_attempt_at: at,
        attempts: item.claimable.attempts,
        reasons: reasons.to_vec(),
    }
}

/// Makes the entry about an item that ends.
pub(super) fn ended_entry(node: &Node, peer: &AgencyId, item: &Item, reasons: &[Reason], at: Timestamp) -> log::Entry {
    Draft {
        direction: Direction::Out,
        peer: Some(peer.clone()),
        purpose: Some(item.claimable.purpose),
        record_id: Some(item.claimable.record_id),
        actor: item.request.actor.clone(),
        on_behalf_of: item.request.on_behalf_of.clone(),
        decision: Decision::Refuse,
        reasons: reasons.to_vec(),
        trace_id: item.request.trace_id.clone(),
        ..Draft::default()
    }
    .entry(EntryKind::ItemEnded, at, &*node.random)
}
