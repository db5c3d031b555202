//! Cancels a referral that is still due. Once released it cannot be cancelled: its consent can be withdrawn.

use std::sync::Arc;

use lotse_core::delivery::{DeliveryEvent, DeliveryState};
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_store::counter::{self, Counter};
use lotse_store::inbox::{self, Event, EventKind};
use lotse_store::outbox::{self, ItemKind, Settled};
use lotse_store::{StoreError, Tx, log};

use crate::entry::{Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::node::Node;

/// Cancels a referral that the system handed over. Twice has one effect.
///
/// # Errors
/// `NOT_FOUND` (also if another system handed it over), `TRANSITION_NOT_ALLOWED` once it is released.
pub async fn cancel_referral(
    node: &Arc<Node>,
    system: &str,
    actor: &str,
    referral: Id,
) -> Result<ReferralState, Failure> {
    let job = Arc::new((node.clone(), system.to_string(), actor.to_string()));
    let (result, event) = node
        .store
        .transact("cancel", move |tx| {
            let job = job.clone();
            Box::pin(async move { run(tx, &job.0, &job.1, &job.2, referral).await })
        })
        .await?;
    node.signals.log.notify_one();
    event.into_iter().for_each(|seq| node.signals.inbox_changed(seq));
    result
}

type Outcome = (Result<ReferralState, Failure>, Option<u64>);

async fn run(tx: &mut Tx, node: &Node, system: &str, actor: &str, referral: Id) -> Result<Outcome, StoreError> {
    let found = outbox::find(tx, &[referral]).await?.pop();
    let Some(item) = found.filter(|item| item.system == system && item.kind == ItemKind::Referral) else {
        return Ok((Err(Failure::not_found()), None));
    };
    if item.referral_state == ReferralState::Cancelled {
        return Ok((Ok(ReferralState::Cancelled), None));
    }
    if item.delivery.after(DeliveryEvent::Cancelled).is_err() {
        let message = "only what is still due can be cancelled: withdraw the consent instead";
        return Ok((Err(Failure::new(ErrorKind::Refused, Reason::TransitionNotAllowed, message)), None));
    }
    let at = node.now();
    let settled = Settled {
        record_id: referral,
        state: DeliveryState::Ended,
        referral_state: ReferralState::Cancelled,
        next_attempt_at: at,
        attempts: 0,
        reasons: vec![Reason::ItemCancelled],
    };
    outbox::settle(tx, DeliveryState::Due, &[settled]).await?;
    let counters = counter::take(tx, &[(Counter::Leaf, 1), (Counter::Event, 1)]).await?;
    let draft = Draft {
        direction: Direction::Out,
        peer: Some(item.recipient.clone()),
        purpose: Some(item.purpose),
        record_id: Some(referral),
        actor: actor.to_string(),
        reasons: vec![Reason::ItemCancelled],
        ..Draft::default()
    };
    let entry = draft.entry(EntryKind::ItemEnded, at, &*node.random);
    log::append(tx, node.generation, counters.first(&Counter::Leaf, 1), vec![entry]).await?;
    let seq = counters.after(&Counter::Event);
    let event = Event { seq, at, kind: EventKind::Delivered, peer: item.recipient, items: vec![referral] };
    inbox::append(tx, &event).await?;
    Ok((Ok(ReferralState::Cancelled), Some(seq)))
}
