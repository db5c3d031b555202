//! A second referral of a person while another one is open: both sides are told.

use lotse_core::id::Id;
use lotse_core::purpose::{Purpose, Purposes};
use lotse_core::referral::ReferralEvent;

use super::pair::Pair;
use crate::action::cancel_referral::cancel_referral;
use crate::action::fetch_records::fetch_records;
use crate::action::learn_latest::learn_latest;
use crate::action::submit_referrals::{Submitted, Timing};

async fn submitted(pair: &Pair, keys: &[&str], timing: Timing) -> Vec<Submitted> {
    let handovers: Vec<_> = keys.iter().map(|key| pair.handover(key, "person-1")).collect();
    pair.submit(&handovers, timing).await.results.into_iter().map(Result::unwrap).collect()
}

async fn same_person(pair: &Pair, purposes: Purposes, record_id: Id) -> Vec<Id> {
    fetch_records(&pair.holder, "akte", purposes, vec![record_id]).await.unwrap().records[0].same_person.clone()
}

#[tokio::test]
async fn the_owner_is_told_of_an_open_referral_of_the_person_and_of_none_that_ended() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.consent("person-2").await;
    let first = submitted(&pair, &["key-1"], Timing::Later).await.remove(0);
    assert_eq!(first.open_referral, None);
    let [second, third] = &submitted(&pair, &["key-2", "key-3"], Timing::Later).await[..] else { panic!("two") };
    assert_eq!(second.open_referral, Some(first.record_id));
    assert_eq!(third.open_referral, Some(second.record_id), "of the same batch");
    assert_eq!(
        submitted(&pair, &["key-3"], Timing::Later).await[0].open_referral,
        Some(second.record_id),
        "a repeated key names the one before its own"
    );
    assert_eq!(submitted(&pair, &["key-1"], Timing::Later).await[0].open_referral, None, "never a later one");
    let [_, fourth] = &submitted(&pair, &["key-3", "key-3b"], Timing::Later).await[..] else { panic!("two") };
    assert_eq!(fourth.open_referral, Some(third.record_id), "a corrected line beside the one that it corrects");
    let other = pair.submit(&[pair.handover("key-4", "person-2")], Timing::Later).await.results.remove(0).unwrap();
    assert_eq!(other.open_referral, None, "another person");
    for ended in [second.record_id, third.record_id, fourth.record_id] {
        cancel_referral(&pair.owner, "akte", "spiffe://jc.example/system/akte", ended).await.unwrap();
    }
    assert_eq!(submitted(&pair, &["key-5"], Timing::Later).await[0].open_referral, None, "the newest has ended");
}

#[tokio::test]
async fn whoever_was_interrupted_before_cancelling_finds_the_older_referral_until_it_is_cancelled() {
    let mut pair = Pair::new().await;
    pair.consent("person-1").await;
    let [first, wrong, right] = ["key-1", "key-2", "key-3"];
    let wrong_one = submitted(&pair, &[first, wrong], Timing::Later).await.remove(1).record_id;
    assert_eq!(submitted(&pair, &[right], Timing::Later).await[0].open_referral, Some(wrong_one));
    pair.owner = pair.owner.restart().await;
    learn_latest(&pair.owner).await.unwrap();
    let again = submitted(&pair, &[right], Timing::Later).await.remove(0);
    assert_eq!((again.repeated, again.open_referral), (true, Some(wrong_one)));
    let system = "spiffe://jc.example/system/akte";
    cancel_referral(&pair.owner, "akte", system, wrong_one).await.unwrap();
    assert_eq!(submitted(&pair, &[right], Timing::Later).await[0].open_referral, None, "it is cancelled");
    cancel_referral(&pair.owner, "akte", system, again.record_id).await.unwrap();
    assert_eq!(submitted(&pair, &[right], Timing::Later).await[0].open_referral, None, "itself has ended");
}

#[tokio::test]
async fn the_holder_is_told_of_open_referrals_of_the_person_and_of_none_that_ended() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.consent("person-2").await;
    let orientation = Purposes::from(Purpose::Orientation);
    let first = pair.delivered("key-1", "person-1").await;
    let second = pair.delivered("key-2", "person-1").await;
    let other = pair.delivered("key-3", "person-2").await;
    assert_eq!(same_person(&pair, orientation, first).await, [], "the second was not fetched yet");
    assert_eq!(same_person(&pair, orientation, second).await, [first]);
    assert_eq!(same_person(&pair, orientation, first).await, [second]);
    assert_eq!(same_person(&pair, orientation, other).await, []);
    pair.answer("answer-1", first, ReferralEvent::Declined, false).await.unwrap();
    assert_eq!(same_person(&pair, orientation, second).await, []);
}

#[tokio::test]
async fn a_start_learns_again_what_memory_knew() {
    let mut pair = Pair::new().await;
    pair.consent("person-1").await;
    let first = pair.delivered("key-1", "person-1").await;
    let second = pair.delivered("key-2", "person-1").await;
    pair.owner = pair.owner.restart().await;
    pair.holder = pair.holder.restart().await;
    learn_latest(&pair.owner).await.unwrap();
    learn_latest(&pair.holder).await.unwrap();
    assert_eq!(submitted(&pair, &["key-3"], Timing::Later).await[0].open_referral, Some(second));
    assert_eq!(same_person(&pair, Purpose::Orientation.into(), second).await, [first]);
}
