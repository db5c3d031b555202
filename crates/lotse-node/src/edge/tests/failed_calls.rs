//! A call that failed says which side refused the other, and what to do.

use super::*;
use crate::failure::{ErrorKind, Failure};
use crate::tls::tests::kit::{Agency, TestRandom, now};
use lotse_core::reason::Reason;

const HOUR: Duration = Duration::from_secs(3600);

/// Gives an agency a certificate that has expired.
fn expire(agency: &Agency) {
    let mut leaf = agency.leaf(Role::Node, "n1");
    leaf.not_after = now().minus(HOUR);
    agency.write(&agency.authority.issue(&leaf, &TestRandom).unwrap());
}

/// Calls, and returns how the failure is explained.
async fn explained(world: &World, connector: &Connector) -> String {
    let channel = connector.channel(&world.address.to_string(), &world.own.id).unwrap();
    connector.explain(&who(&channel).await.expect_err("the call fails"))
}

#[tokio::test]
async fn a_peer_that_has_not_accepted_the_own_card_is_asked_to_accept_it() {
    let (world, _) = open(Limits::default()).await;
    world.trust.remove(&world.peer.id);
    for _ in 0..5 {
        let told = explained(&world, &connector(&world)).await;
        assert!(told.contains("it may not have accepted this agency's card yet"), "{told}");
        assert!(told.contains("`lotse peer accept`") && !told.contains("transport error"), "{told}");
    }
}

#[tokio::test]
async fn a_peers_certificate_that_has_expired_is_told_since_when_and_who_renews_it() {
    let (world, _) = open(Limits::default()).await;
    expire(&world.own);
    world.credentials.reload_if_changed(now()).unwrap();
    let told = explained(&world, &connector(&world)).await;
    let since = now().minus(HOUR).date();
    assert!(told.contains(&format!("the certificate of its node has expired on {since}")), "{told}");
    assert!(told.contains("ask that agency to renew it") && !told.contains("fingerprint"), "{told}");
}

#[tokio::test]
async fn an_own_certificate_that_has_expired_is_told_with_the_command_that_renews_it() {
    let (world, _) = open(Limits::default()).await;
    let connector = connector(&world);
    expire(&world.peer);
    connector.credentials.reload_if_changed(now()).unwrap();
    let told = explained(&world, &connector).await;
    assert!(told.contains("renew it (`lotse cert issue --role node 1`)"), "{told}");
    assert!(!told.contains("peer accept"), "{told}");
}

#[tokio::test]
async fn what_a_peer_answers_is_told_with_its_reason_and_not_at_length() {
    let (world, _) = open(Limits::default()).await;
    let connector = connector(&world);
    let failure = Failure::new(ErrorKind::NotAllowed, Reason::PeerSuspended, "x".repeat(10_000));
    let told = connector.explain(&failure.into());
    assert!(told.starts_with("it refused the call: xxx") && told.ends_with("[PEER_SUSPENDED]"), "{told}");
    assert!(told.len() < 400, "{}", told.len());
    let stopping = crate::edge::broken_stream(&Failure::stopping().into());
    assert!(stopping.contains("the node is stopping") && stopping.ends_with("[UNAVAILABLE]"), "{stopping}");
}
