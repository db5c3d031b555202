//! Finds when something that waits for a peer is to be looked at next, without writing.

use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use lotse_store::outbox::{self, NextAttempts};
use lotse_store::{StoreError, batch};

use crate::action::claim::LONGEST_PAUSE;
use crate::node::Node;

/// The kinds of items to look at, and when the next look is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextAttempt {
    /// Whether something in doubt may be claimed again now.
    pub in_doubt: bool,
    /// Whether something that is due may be claimed now.
    pub due: bool,
    /// How long nothing more becomes due by itself; none if nothing waits.
    pub after: Option<Duration>,
}

/// Finds the next attempt towards a peer. Where a clock that was ahead has written a time that no pause reaches, what waits is looked
/// at again at once: a clock that was set right must not leave it waiting.
pub async fn find_next_attempt(node: &Arc<Node>, peer: &AgencyId) -> Result<NextAttempt, StoreError> {
    let asked = peer.clone();
    let read =
        node.store.read("next_attempt", move |tx| Box::pin(async move { outbox::next_attempts(tx, &asked).await }));
    let (found, at) = (read.await?, node.now());
    let latest = at.plus(LONGEST_PAUSE);
    let is_ahead = [found.due, found.in_doubt].into_iter().flatten().any(|next| next > latest);
    if is_ahead {
        tracing::warn!(%peer, "what waits was to be looked at later than any pause lasts: the clock was ahead; it is looked at now");
        let peer = peer.clone();
        let retry = node.store.transact("retry_now", move |tx| {
            let peer = peer.clone();
            Box::pin(async move {
                outbox::retry_now(tx, &peer, at).await?;
                batch::retry_now(tx, &peer).await
            })
        });
        retry.await?;
        return Ok(NextAttempt {
            in_doubt: found.in_doubt.is_some(),
            due: found.due.is_some(),
            after: Some(Duration::ZERO),
        });
    }
    Ok(next_attempt(node, peer, found, at))
}

fn next_attempt(node: &Node, peer: &AgencyId, found: NextAttempts, at: Timestamp) -> NextAttempt {
    // While the whole peer is paused, nothing that is due goes before the pause is over.
    let pauses = node.pauses.of(peer);
    let due = found.due.map(|due| match pauses.stops_all(at) {
        Some(pause) => due.max(pause.until),
        None if pauses.are_shortened() => due.min(at),
        None => due,
    });
    let is_now = |next: Option<Timestamp>| next.is_some_and(|next| next <= at);
    let after = [found.in_doubt, due].into_iter().flatten().min().map(|next| next.since(at));
    NextAttempt { in_doubt: is_now(found.in_doubt), due: is_now(due), after }
}

#[cfg(test)]
mod tests {
    use lotse_core::reason::Reason;
    use lotse_core::time::DAY;

    use super::*;
    use crate::action::claim::claim_due;
    use crate::action::delivery_tests::pair::Pair;
    use crate::action::submit_referrals::Timing;
    use crate::action::suspend_peer::suspend_peer;
    use crate::pause::PauseScope;
    use crate::testing::admin;

    async fn next(pair: &Pair) -> NextAttempt {
        find_next_attempt(&pair.owner, &pair.holder.agency).await.unwrap()
    }

    #[tokio::test]
    async fn the_next_attempt_is_found_without_a_write() {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        assert_eq!(next(&pair).await, NextAttempt { in_doubt: false, due: false, after: None });
        pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
        let shipment = pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.shipment.unwrap();
        pair.lapse(shipment.batch_id).await;
        let commits = pair.owner.store.counters().commits;
        assert_eq!(next(&pair).await, NextAttempt { in_doubt: true, due: true, after: Some(Duration::ZERO) });
        assert_eq!(pair.owner.store.counters().commits, commits);
    }

    #[tokio::test]
    async fn what_is_due_while_the_peer_is_paused_is_looked_at_when_the_pause_ends() {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
        let (owner, peer) = (&pair.owner, &pair.holder.agency);
        owner.pauses.begin(peer, PauseScope::Peer, Reason::PeerSuspended, owner.now(), &*owner.random);
        let paused = next(&pair).await;
        assert!(!paused.due && paused.after.is_some_and(|after| after > Duration::from_secs(1)), "{paused:?}");
        pair.clock.turn(paused.after.unwrap());
        assert!(next(&pair).await.due);
    }

    #[tokio::test]
    async fn what_a_clock_that_was_ahead_put_off_goes_when_it_is_set_right() {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
        suspend_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
        pair.clock.turn(DAY);
        claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
        pair.clock.turn_back(DAY);
        assert!(next(&pair).await.due, "a day is no pause");
        assert!(claim_due(&pair.owner, &pair.holder.agency).await.unwrap().looked);
    }
}
