//! What must hold before anything is released to a peer, whatever the record: the peer and its card, the own card, the clocks,
//! the log.

use lotse_core::card::{Card, KeyUse};
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

use crate::federation::{Federation, Peer};
use crate::node::Node;

/// Finds the peer, or says why nothing may be released to it now.
pub fn releasable<'a>(
    node: &Node,
    federation: &'a Federation,
    peer: &AgencyId,
    at: Timestamp,
) -> Result<&'a Peer, Reason> {
    let known = federation.peers.get(peer).ok_or(Reason::PeerUnknown)?;
    if known.suspended {
        return Err(Reason::PeerSuspended);
    }
    if known.stopped || node.instances.run_twice(peer) {
        return Err(Reason::NodeStateInDoubt);
    }
    if !known.card.card.is_valid_at(at) {
        return Err(Reason::PeerCardExpired);
    }
    if !federation.own.as_ref().is_some_and(|own| counts(node, &own.card, at)) {
        return Err(Reason::OwnCardExpired);
    }
    if let Some(reason) = node.holds.objection(node.clock.reading()) {
        return Err(reason);
    }
    if node.links.skewed(peer) { Err(Reason::ClockSkew) } else { Ok(known) }
}

/// Returns whether the own card is valid and names the key that seals batches: a recipient refuses what another key seals, as a whole,
/// and what was released would stay in doubt for ever.
fn counts(node: &Node, own: &Card, at: Timestamp) -> bool {
    own.is_valid_at(at) && own.keys_at(KeyUse::Sealing, at).contains(&node.keys.sealing.public())
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;

    use super::*;
    use crate::testing::{TestNode, introduce};

    #[tokio::test]
    async fn nothing_is_released_under_a_sealing_key_that_the_own_card_does_not_name_now() {
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        let releasable = || releasable(&one, &one.federation.get(), &two.agency, one.now()).map(drop);
        assert_eq!(releasable(), Ok(()));
        let mut card = one.card(2);
        card.keys[0].not_after = one.now().plus(DAY);
        one.install(&card).await;
        assert_eq!(releasable(), Ok(()));
        one.clock.turn(DAY * 2);
        assert_eq!(releasable(), Err(Reason::OwnCardExpired));
    }
}
