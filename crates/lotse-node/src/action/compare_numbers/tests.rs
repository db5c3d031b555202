//! Peers tell a node that it was put back or that a second one runs.

use lotse_core::referral::ReferralEvent;
use tempfile::TempDir;

use super::*;
use crate::action::claim::claim_due;
use crate::action::delivery_tests::pair::Pair;
use crate::action::dismiss_peer_doubt::dismiss_peer_doubt;
use crate::action::exchange_hellos::{compare_hello, hello};
use crate::action::get_status::get_status;
use crate::action::submit_referrals::Timing;
use crate::action::take_batch::take_batch;
use crate::testing::{TestNode, admin};

/// Says hello from one node to another and returns what comes of it there.
async fn greet(from: &TestNode, to: &TestNode) -> Result<(), Failure> {
    let said = hello(from, &to.agency).await.unwrap();
    compare_hello(&to.node, &from.agency, &said).await
}

async fn greet_both(pair: &Pair) -> Result<(), Failure> {
    greet(&pair.owner, &pair.holder).await?;
    greet(&pair.holder, &pair.owner).await
}

/// Puts a snapshot of a node back.
async fn put_back(pair: Pair, snapshot: TempDir, is_owner: bool) -> Pair {
    let Pair { owner, holder, clock, agreement } = pair;
    clock.turn(std::time::Duration::from_secs(1));
    if is_owner {
        Pair { owner: owner.put_back(snapshot).await, holder, clock, agreement }
    } else {
        Pair { owner, holder: holder.put_back(snapshot).await, clock, agreement }
    }
}

/// A pair that has exchanged something before the snapshot, and something after it.
async fn exchanged(snapshot_of_owner: bool) -> (Pair, TempDir) {
    let pair = Pair::new().await;
    greet_both(&pair).await.unwrap();
    pair.consent("person-1").await;
    pair.delivered("key-1", "person-1").await;
    let node = if snapshot_of_owner { &pair.owner } else { &pair.holder };
    let snapshot = node.snapshot();
    greet_both(&pair).await.unwrap();
    for key in ["key-2", "key-3"] {
        pair.delivered(key, "person-1").await;
    }
    greet_both(&pair).await.unwrap();
    (pair, snapshot)
}

#[tokio::test]
async fn an_owner_whose_snapshot_was_put_back_stops_until_an_administrator_acts() {
    let (pair, snapshot) = exchanged(true).await;
    let mut pair = put_back(pair, snapshot, true).await;
    // What is drawn before the first hello does not make up for what is lost.
    for number in 0..9 {
        let consent = pair.consent(&format!("person-{number}")).await;
        pair.withdraw(consent, &[]).await;
    }
    pair.consent("person-1").await;
    let stopped = greet(&pair.holder, &pair.owner).await.unwrap_err();
    assert_eq!((stopped.reason(), stopped.is_retryable()), (Reason::NodeStateInDoubt, true));
    assert_eq!(pair.owner.entries(EntryKind::PeerStopped).await, 1);
    let alarms = get_status(&pair.owner).await.unwrap().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("later numbers")), "{alarms:?}");

    pair.owner = pair.owner.restart().await;
    let refused = pair.submit(&[pair.handover("key-4", "person-1")], Timing::AtOnce).await;
    assert_eq!(refused.results[0].clone().unwrap_err().reason(), Reason::NodeStateInDoubt, "a restart forgets nothing");
    assert_eq!(claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.map(drop), None);
    assert!(greet(&pair.holder, &pair.owner).await.is_err());
    assert_eq!(pair.owner.entries(EntryKind::PeerStopped).await, 1, "it is logged once");

    dismiss_peer_doubt(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    assert_eq!(pair.owner.log().await.last(), Some(&EntryKind::PeerResumed));
    greet_both(&pair).await.unwrap();
    pair.delivered("key-5", "person-1").await;
    greet_both(&pair).await.unwrap();
}

#[tokio::test]
async fn a_holder_whose_snapshot_was_put_back_takes_nothing_from_this_owner() {
    let (pair, snapshot) = exchanged(false).await;
    let pair = put_back(pair, snapshot, false).await;
    let shipment = pair.submit(&[pair.handover("key-4", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    assert!(greet(&pair.owner, &pair.holder).await.is_err());
    let refused = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::NodeStateInDoubt);
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
    dismiss_peer_doubt(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    greet_both(&pair).await.unwrap();
    pair.deliver(&shipment).await;
}

#[tokio::test]
async fn crashes_and_lost_replies_raise_no_doubt() {
    let mut pair = Pair::new().await;
    pair.consent("person-1").await;
    for round in 0..6 {
        let outcome = pair.submit(&[pair.handover(&format!("key-{round}"), "person-1")], Timing::AtOnce).await;
        let shipment = outcome.shipment.unwrap();
        if round % 3 > 0 {
            // The receipt is lost.
            take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
        }
        pair.clock.turn(std::time::Duration::from_secs(1));
        if round % 2 == 0 {
            pair.owner = pair.owner.restart().await;
        } else {
            pair.holder = pair.holder.restart().await;
        }
        greet_both(&pair).await.unwrap();
        pair.deliver(&shipment).await;
        greet_both(&pair).await.unwrap();
    }
    assert_eq!(pair.owner.entries(EntryKind::PeerStopped).await + pair.holder.entries(EntryKind::PeerStopped).await, 0);
}

#[tokio::test]
async fn the_epoch_of_an_answer_is_not_one_of_its_holder() {
    let pair = Pair::new().await;
    greet_both(&pair).await.unwrap();
    for person in ["person-1", "person-2", "person-3"] {
        pair.consent(person).await;
    }
    let referral = pair.delivered("key-1", "person-3").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    assert_eq!(pair.deliver_answers().await, 1);
    greet_both(&pair).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_names_what_was_never_given_stops_its_own_exchange_once_for_these_numbers() {
    let pair = Pair::new().await;
    let (owner, peer) = (&pair.owner, &pair.holder.agency);
    let none = HighestNumbers::default();
    let last = Sequence::from_u64(u64::MAX);
    for named in [
        HighestNumbers { generation: 2, ..none },
        HighestNumbers { epoch: Sequence::new(1, 1), ..none },
        HighestNumbers { revision: Sequence::new(1, 1), ..none },
        HighestNumbers { receipt: last, ..none },
    ] {
        assert!(compare_numbers(owner, peer, named).await.is_err(), "{named:?}");
        dismiss_peer_doubt(owner, peer.clone(), admin()).await.unwrap();
        compare_numbers(owner, peer, named).await.unwrap();
    }
    let stranger = "zz.example".parse().unwrap();
    compare_numbers(owner, &stranger, HighestNumbers { receipt: last, ..none }).await.unwrap();
    assert_eq!(owner.entries(EntryKind::PeerStopped).await, 4);
}

#[tokio::test]
async fn two_nodes_under_one_identity_are_told_apart_and_get_nothing() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let original = hello(&pair.holder, &pair.owner.agency).await.unwrap();
    let copy = lotse_proto::exchange::v1::Hello { instance: vec![9; 16], ..original.clone() };
    let mut last = Ok(());
    for said in [&original, &copy, &original, &copy, &original] {
        assert!(last.is_ok());
        last = compare_hello(&pair.owner.node, &pair.holder.agency, said).await;
    }
    assert!(last.unwrap_err().message().contains("two nodes speak"));
    assert!(compare_hello(&pair.owner.node, &pair.holder.agency, &copy).await.is_err());
    assert_eq!(pair.owner.entries(EntryKind::PeerStopped).await, 1);
    let refused = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    assert_eq!(refused.results[0].clone().unwrap_err().reason(), Reason::NodeStateInDoubt);
    let alarms = get_status(&pair.owner).await.unwrap().alarms;
    assert!(alarms.iter().any(|alarm| alarm.contains("two nodes speak")), "{alarms:?}");
    dismiss_peer_doubt(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    compare_hello(&pair.owner.node, &pair.holder.agency, &original).await.unwrap();
}

/// Two copies of one node draw numbers side by side: the one that has given fewer learns it from the peer.
#[tokio::test]
async fn a_copy_that_runs_beside_its_original_learns_it_from_its_peer() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let copied = pair.owner.snapshot();
    greet_both(&pair).await.unwrap();
    pair.delivered("key-1", "person-1").await;
    let pair = put_back(pair, copied, true).await;
    assert_eq!(greet(&pair.holder, &pair.owner).await.unwrap_err().reason(), Reason::NodeStateInDoubt);
}
