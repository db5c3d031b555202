//! Suspends a peer: no release to it from this moment on. Duties go on. And the way back, because the two are one rule.
//!
//! The commit stops claims; what was claimed before is waited for. Only then is it answered: nothing to the peer starts after that.

use std::sync::Arc;

use lotse_core::agreement::words::Language;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_store::peer::Suspension;

use crate::action::wait_for_leases::wait_for_peers;
use crate::entry::{Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Act, Change, Federation, Write, change};
use crate::node::Node;

/// Suspends a peer at this node; returns when nothing is on its way to it. Each act is logged, also one
/// that changes nothing.
///
/// # Errors
/// `PEER_UNKNOWN`.
pub async fn suspend_peer(node: &Arc<Node>, peer: AgencyId, act: Act) -> Result<(), Failure> {
    set(node, peer.clone(), Suspension::Suspended, act).await?;
    Ok(wait_for_peers(node, vec![peer]).await?)
}

/// Lets releases to a peer start again, also of what would still pause before its next attempt.
///
/// # Errors
/// `PEER_UNKNOWN`.
pub async fn resume_peer(node: &Arc<Node>, peer: AgencyId, act: Act) -> Result<(), Failure> {
    set(node, peer, Suspension::Lifted, act).await
}

async fn set(node: &Arc<Node>, peer: AgencyId, suspension: Suspension, act: Act) -> Result<(), Failure> {
    let at = node.now();
    let decide = move |federation: &Federation| {
        let Some(known) = federation.peers.get(&peer) else {
            return Change::none(Err(unknown(federation, &peer)));
        };
        let (kind, wanted) = match suspension {
            Suspension::Suspended => (EntryKind::PeerSuspended, true),
            Suspension::Lifted => (EntryKind::PeerResumed, false),
        };
        let changes = known.suspended != wanted;
        let mut writes = Vec::new();
        if changes {
            writes.push(Write::PeerSuspension(peer.clone(), suspension));
            writes.extend((suspension == Suspension::Lifted).then(|| Write::RetryNow(peer.clone(), at)));
        }
        Change::done((), writes, vec![(kind, Draft { peer: Some(peer.clone()), ..act.draft() })])
    };
    change(node, "suspend_peer", decide).await
}

/// Refuses an act on an agency of which no card is accepted here.
pub(super) fn unknown(federation: &Federation, peer: &AgencyId) -> Failure {
    let explained = federation.explain_unknown(peer);
    Failure::new(ErrorKind::NotFound, Reason::PeerUnknown, explained.text(Language::English))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestNode, admin};

    #[tokio::test]
    async fn a_peer_is_suspended_and_resumed_at_once_with_an_entry_each() {
        let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
        let unknown = suspend_peer(&one, two.agency.clone(), admin()).await.unwrap_err();
        assert_eq!(unknown.reason(), Reason::PeerUnknown);
        one.accept(&two).await;
        let part = suspend_peer(&one, "two".parse().unwrap(), admin()).await.unwrap_err().to_string();
        assert_eq!(part, "no card of two is accepted here: did you mean two.example?");
        let version = one.federation.get().version;
        suspend_peer(&one, two.agency.clone(), admin()).await.unwrap();
        assert!(one.federation.get().peers[&two.agency].suspended);
        suspend_peer(&one, two.agency.clone(), admin()).await.unwrap();
        assert_eq!(one.federation.get().version, version + 1);
        resume_peer(&one, two.agency.clone(), admin()).await.unwrap();
        assert!(!one.federation.get().peers[&two.agency].suspended);
        let kinds = [EntryKind::PeerSuspended, EntryKind::PeerSuspended, EntryKind::PeerResumed];
        assert_eq!(one.log().await[2..], kinds);
    }
}
