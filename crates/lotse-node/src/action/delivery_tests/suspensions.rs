//! When a suspension is answered: nothing that it stops is on its way then.

use std::sync::Arc;

use lotse_core::agreement::in_force;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::pair::Pair;
use crate::action::claim_again::claim_again;
use crate::action::submit_referrals::Timing;
use crate::action::suspend_agreement::{resume_agreement, suspend_agreement};
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::entry::EntryKind;
use crate::failure::Failure;
use crate::node::Node;
use crate::shipment::{LEASE, Shipment};
use crate::testing::{TestNode, admin, agree, introduce};

type Task = JoinHandle<Result<(), Failure>>;

impl Pair {
    async fn released(&self, key: &str) -> Shipment {
        self.submit(&[self.handover(key, "person-1")], Timing::AtOnce).await.shipment.unwrap()
    }

    /// Begins to suspend the holder at the owner, and returns once releases have stopped.
    async fn suspending_peer(&self) -> Task {
        let (owner, holder) = (self.owner.node.clone(), self.holder.agency.clone());
        let task = tokio::spawn(async move { suspend_peer(&owner, holder, admin()).await });
        self.until(|owner, pair| owner.federation.get().peers[&pair.holder.agency].suspended).await;
        task
    }

    /// Begins to suspend the agreement at the owner, and returns once releases have stopped.
    async fn suspending_agreement(&self) -> Task {
        let (owner, agreement) = (self.owner.node.clone(), self.agreement);
        let task = tokio::spawn(async move { suspend_agreement(&owner, agreement, admin()).await });
        self.until(|owner, _| in_force(&owner.federation.get().agreements, owner.now()).is_empty()).await;
        task
    }

    async fn until(&self, stopped: impl Fn(&Arc<Node>, &Pair) -> bool) {
        while !stopped(&self.owner.node, self) {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_suspended_peer_is_answered_for_when_its_batches_are_answered_or_lapsed() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let (first, second) = (pair.released("key-1").await, pair.released("key-2").await);
    let task = pair.suspending_peer().await;
    assert!(!pair.owner.is_answered_after_looks(&task).await, "two batches are on their way");
    pair.deliver(&first).await;
    assert!(!pair.owner.is_answered_after_looks(&task).await, "one batch is on its way");
    pair.lapse(second.batch_id).await;
    assert_eq!(task.await.unwrap(), Ok(()));
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none(), "nothing of it is sent again");
}

#[tokio::test]
async fn a_suspended_agreement_is_answered_for_when_the_batches_to_its_parties_are_answered() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.released("key-1").await;
    let task = pair.suspending_agreement().await;
    assert!(!pair.owner.is_answered_after_looks(&task).await);
    let second_call = tokio::spawn({
        let (owner, agreement) = (pair.owner.node.clone(), pair.agreement);
        async move { suspend_agreement(&owner, agreement, admin()).await }
    });
    while pair.owner.entries(EntryKind::AgreementSuspended).await < 2 {
        tokio::task::yield_now().await;
    }
    assert!(!pair.owner.is_answered_after_looks(&second_call).await, "the same call again is not answered sooner");
    pair.deliver(&shipment).await;
    assert_eq!((task.await.unwrap(), second_call.await.unwrap()), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_suspension_does_not_wait_for_batches_to_others_and_its_end_for_none() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let third = TestNode::with("cc.example", pair.holder.kind, pair.clock.clone()).await;
    introduce(&[&pair.owner, &third]).await;
    let other = agree(&[&pair.owner, &third]).await;
    pair.released("key-1").await;
    let began = Instant::now();
    suspend_peer(&pair.owner, third.agency.clone(), admin()).await.unwrap();
    suspend_agreement(&pair.owner, other, admin()).await.unwrap();
    resume_agreement(&pair.owner, pair.agreement, admin()).await.unwrap();
    resume_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    assert!(began.elapsed() < LEASE);
}
