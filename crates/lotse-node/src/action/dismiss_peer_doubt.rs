//! Lets the exchange with a peer go on that was stopped by what its hello named, or because two nodes spoke under its identity.

use std::sync::Arc;

use lotse_core::id::AgencyId;

use super::suspend_peer::unknown;
use crate::entry::{Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::{Act, Change, Federation, Write, change};
use crate::node::Node;

/// Lifts the stop of an exchange. An administrator has answered for the numbers that the peer had named: they do not stop it again, higher ones do.
/// Each act is logged, also one that changes nothing.
///
/// # Errors
/// `PEER_UNKNOWN`.
pub async fn dismiss_peer_doubt(node: &Arc<Node>, peer: AgencyId, act: Act) -> Result<(), Failure> {
    let (at, agency) = (node.now(), peer.clone());
    let decide = move |federation: &Federation| {
        let Some(known) = federation.peers.get(&agency) else {
            return Change::none(Err(unknown(federation, &agency)));
        };
        let lift = || vec![Write::PeerStopLifted(agency.clone()), Write::RetryNow(agency.clone(), at)];
        let writes = if known.stopped { lift() } else { Vec::new() };
        Change::done((), writes, vec![(EntryKind::PeerResumed, Draft { peer: Some(agency.clone()), ..act.draft() })])
    };
    change(node, "dismiss_peer_doubt", decide).await?;
    node.instances.forget(&peer);
    Ok(())
}
