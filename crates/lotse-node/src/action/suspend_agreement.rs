//! Suspends an agreement at this node: no release under any version of it from this moment on. And the way back.
//!
//! The commit stops claims; what was claimed before is waited for. Only then is it answered. Whatever is on its way to the other
//! parties is waited for, under this agreement or not: telling them apart is not worth the few seconds of a lease.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;
use lotse_store::peer::Suspension;

use crate::action::wait_for_leases::wait_for_peers;
use crate::entry::{Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::{Act, Change, Federation, Write, change};
use crate::node::Node;

/// Suspends an agreement at this node; returns when nothing is on its way to its other parties. Each act is logged,
/// also one that changes nothing.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn suspend_agreement(node: &Arc<Node>, id: Id, act: Act) -> Result<(), Failure> {
    let parties = set(node, id, Suspension::Suspended, act).await?;
    Ok(wait_for_peers(node, parties).await?)
}

/// Lets releases under an agreement start again, also of what would still pause before its next attempt.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn resume_agreement(node: &Arc<Node>, id: Id, act: Act) -> Result<(), Failure> {
    set(node, id, Suspension::Lifted, act).await.map(drop)
}

/// Writes it and returns the other parties of the agreement, of all its versions.
async fn set(node: &Arc<Node>, id: Id, suspension: Suspension, act: Act) -> Result<Vec<AgencyId>, Failure> {
    let at = node.now();
    change(node, "suspend_agreement", move |federation| decide(federation, id, suspension, at, &act)).await
}

fn decide(federation: &Federation, id: Id, suspension: Suspension, at: Timestamp, act: &Act) -> Change<Vec<AgencyId>> {
    let Some(known) = federation.agreements.iter().find(|known| known.agreement.id == id) else {
        return Change::none(Err(Failure::not_found()));
    };
    let (kind, wanted) = match suspension {
        Suspension::Suspended => (EntryKind::AgreementSuspended, true),
        Suspension::Lifted => (EntryKind::AgreementResumed, false),
    };
    let changes = known.suspended != wanted;
    let parties = parties(federation, id);
    let mut writes = Vec::new();
    if changes {
        writes.push(Write::AgreementSuspension(id, suspension, at));
        if suspension == Suspension::Lifted {
            writes.extend(parties.iter().map(|peer| Write::RetryNow(peer.clone(), at)));
        }
    }
    Change::done(parties, writes, vec![(kind, Draft { agreement_id: Some(id), ..act.draft() })])
}

/// Returns the peers that any version of an agreement names.
fn parties(federation: &Federation, id: Id) -> Vec<AgencyId> {
    let versions = || federation.agreements.iter().filter(|known| known.agreement.id == id);
    let is_party = |peer: &&AgencyId| versions().any(|known| known.agreement.party(peer).is_some());
    federation.peers.keys().filter(is_party).cloned().collect()
}

#[cfg(test)]
mod tests {
    use lotse_core::agreement::in_force;
    use lotse_core::reason::Reason;

    use super::*;
    use crate::testing::{TestNode, admin, agree, introduce};

    #[tokio::test]
    async fn a_suspended_agreement_is_not_in_force_here_until_it_is_resumed() {
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        let id = agree(&[&one, &two]).await;
        let counts = |node: &TestNode| in_force(&node.federation.get().agreements, node.now()).len();
        assert_eq!(counts(&one), 1);
        suspend_agreement(&one, id, admin()).await.unwrap();
        assert_eq!((counts(&one), counts(&two)), (0, 1), "one party's own act");
        let one = one.restart().await;
        assert_eq!(counts(&one), 0, "also after a restart");
        resume_agreement(&one, id, admin()).await.unwrap();
        assert_eq!(counts(&one), 1);
        assert!(one.log().await.ends_with(&[EntryKind::AgreementSuspended, EntryKind::AgreementResumed]));
        let unknown = suspend_agreement(&one, Id::from_bytes([1; 16]), admin()).await.unwrap_err();
        assert_eq!(unknown.reason(), Reason::NotFound);
    }
}
