//! What must hold before anything is released to a peer, whatever the record: the peer and its card, the own card, the clocks,
//! the log.

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
    if !known.card.card.is_valid_at(at) {
        return Err(Reason::PeerCardExpired);
    }
    if !federation.own.as_ref().is_some_and(|own| own.card.is_valid_at(at)) {
        return Err(Reason::OwnCardExpired);
    }
    if let Some(reason) = node.holds.objection(node.clock.reading()) {
        return Err(reason);
    }
    if node.links.skewed(peer) { Err(Reason::ClockSkew) } else { Ok(known) }
}
