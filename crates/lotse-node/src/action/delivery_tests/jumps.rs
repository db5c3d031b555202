//! A clock that runs ahead for a while, and a node that was stopped for long: nothing is destroyed by a time that is in doubt.

use std::time::Duration;

use lotse_core::consent::ConsentState;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::time::DAY;

use super::pair::Pair;
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::confirm_clock::confirm_clock;
use crate::action::exchange_hellos::{hello, observe_hello};
use crate::action::expire_consents::expire_consents;
use crate::action::expire_items::expire_items;
use crate::action::get_status::get_status;
use crate::action::purge_ended::purge_ended;
use crate::action::purge_sent::purge_sent;
use crate::action::submit_referrals::Timing;
use crate::action::take_batch::take_batch;
use crate::entry::EntryKind;
use crate::hold::ClockDoubt;
use crate::node::Node;
use crate::testing::admin;

async fn state(pair: &Pair, consent: Id) -> ConsentState {
    let found = crate::action::get_consent::get_consent(&pair.owner, consent).await.unwrap();
    found.state
}

/// Everything that time destroys or ends, at one node.
async fn keep_house(node: &std::sync::Arc<Node>) -> u64 {
    let consents = expire_consents(node).await.unwrap() as u64;
    let items = expire_items(node).await.unwrap() as u64;
    consents + items + purge_ended(node).await.unwrap() + purge_sent(node).await.unwrap()
}

#[tokio::test]
async fn a_receiver_whose_clock_runs_ahead_keeps_what_it_has_taken() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.clock.jump(DAY * 40);
    for _ in 0..80 {
        pair.clock.turn(Duration::from_secs(1));
        assert_eq!(keep_house(&pair.holder).await, 0);
    }
    let status = get_status(&pair.holder).await.unwrap();
    assert_eq!(status.clock_doubt, Some(ClockDoubt::JumpedAhead));
    assert!(status.alarms[0].contains("jumped ahead"), "{:?}", status.alarms);
    assert!(pair.held(referral).await.unwrap().content.is_some());
    pair.clock.turn_back(DAY * 40);
    assert_eq!(keep_house(&pair.holder).await, 0);
    assert_eq!(get_status(&pair.holder).await.unwrap().alarms, [] as [String; 0]);
    assert!(!pair.held_bytes(referral).await.is_empty());
    pair.clock.turn(DAY * 30);
    assert_eq!(keep_house(&pair.holder).await, 1, "what is really old goes");
}

#[tokio::test]
async fn a_sender_whose_clock_runs_ahead_ends_no_item_and_delivers_when_it_is_right() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let submitted = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    let record = submitted.results[0].clone().unwrap().record_id;
    pair.clock.jump(DAY * 60);
    assert_eq!(keep_house(&pair.owner).await, 0);
    let claimed = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    assert_eq!((claimed.objection, claimed.event), (Some(Reason::ClockJumpedAhead), None));
    let due = pair.sent(record).await;
    assert_eq!((due.delivery, due.reasons.as_slice()), (DeliveryState::Due, [].as_slice()));
    pair.clock.turn_back(DAY * 60);
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.deliver(&shipment).await;
    assert_eq!(pair.sent(record).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn a_sender_whose_clock_runs_ahead_commits_no_consent_as_expired() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    pair.clock.jump(DAY * 400);
    assert_eq!(keep_house(&pair.owner).await, 0);
    for timing in [Timing::AtOnce, Timing::Later] {
        let refused = pair.submit(&[pair.handover("key-2", "person-1")], timing).await.results.remove(0).unwrap_err();
        assert!(refused.is_retryable() && refused.kind == crate::failure::ErrorKind::Refused, "{refused:?}");
    }
    claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    assert_eq!(state(&pair, consent).await, ConsentState::Given);
    pair.clock.turn_back(DAY * 400);
    assert!(pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.shipment.is_some());
}

#[tokio::test]
async fn nothing_is_taken_with_a_wrong_time_and_all_of_it_later() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let shipment = outcome.shipment.unwrap();
    pair.clock.jump(DAY * 40);
    let refused = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::ClockJumpedAhead);
    assert_eq!(pair.holder.entries(EntryKind::EnvelopeRefused).await, 0);
    pair.clock.turn_back(DAY * 40);
    pair.deliver(&shipment).await;
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
}

/// A lease that ends under a wrong clock names a time for the next attempt that lies weeks ahead of the right one.
#[tokio::test]
async fn what_waits_for_a_time_of_the_wrong_clock_is_tried_when_the_clock_is_confirmed() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    pair.clock.jump(DAY * 40);
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    assert!(claim_again(&pair.owner, &pair.holder.agency).await.unwrap().is_none(), "nothing goes meanwhile");
    pair.clock.turn_back(DAY * 40);
    assert!(claim_again(&pair.owner, &pair.holder.agency).await.unwrap().is_none(), "it waits for weeks");
    confirm_clock(&pair.owner, admin()).await.unwrap();
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_some());
}

#[tokio::test]
async fn after_a_long_stop_releases_go_on_and_only_ends_wait_for_a_peer() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let submit = |key: &str| pair.handover(key, "person-1");
    let ending = crate::wire::referral::Handover {
        expires_at: Some(pair.owner.now().plus(DAY)),
        ..pair.handover("key-1", "person-1")
    };
    let old = pair.submit(&[ending], Timing::Later).await.results[0].clone().unwrap().record_id;
    let stopped_at = pair.owner.now();
    pair.clock.turn(DAY * 3);
    pair.owner.holds.begin(Some(stopped_at), Some(stopped_at), pair.owner.node.clock.reading());
    assert_eq!(keep_house(&pair.owner).await, 0);
    let claimed = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    assert!(claimed.shipment.is_none() && claimed.ended.is_empty());
    assert_eq!(pair.sent(old).await.reasons, [Reason::ClockJumpedAhead]);
    let fresh = pair.submit(&[submit("key-2")], Timing::AtOnce).await;
    pair.deliver(&fresh.shipment.unwrap()).await;
    let hello = hello(&pair.holder, &pair.owner.agency).await.unwrap();
    assert!(observe_hello(&pair.owner, &pair.holder.agency, &hello));
    assert_eq!(keep_house(&pair.owner).await, 2, "the item ends, its content goes");
    assert_eq!(pair.sent(old).await.reasons, [Reason::ItemExpired]);
    assert_eq!(state(&pair, consent).await, ConsentState::Given);
}

#[tokio::test]
async fn hellos_of_peers_whose_clocks_agree_end_the_doubt_and_of_those_in_doubt_do_not() {
    let pair = Pair::new().await;
    let (owner, holder) = (&pair.owner, &pair.holder);
    let heard = async |change: fn(&mut lotse_proto::exchange::v1::Hello)| {
        let mut hello = hello(holder, &owner.agency).await.unwrap();
        hello.clock_in_doubt = false;
        change(&mut hello);
        assert!(observe_hello(owner, &holder.agency, &hello));
        owner.holds.clock_doubt()
    };
    pair.clock.jump(DAY);
    assert_eq!(heard(|hello| hello.clock_in_doubt = true).await, Some(ClockDoubt::JumpedAhead));
    assert_eq!(heard(|hello| hello.time_us -= 86_400_000_000).await, Some(ClockDoubt::JumpedAhead));
    assert!(hello(owner, &holder.agency).await.unwrap().clock_in_doubt);
    assert_eq!(heard(|_| {}).await, None);
    assert!(!hello(owner, &holder.agency).await.unwrap().clock_in_doubt);
}
