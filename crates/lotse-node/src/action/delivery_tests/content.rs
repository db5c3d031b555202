//! When the owner's content of what it handed over goes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_core::category::Category;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::time::DAY;
use lotse_store::{outbox, register};

use super::pair::Pair;
use crate::action::cancel_referral::cancel_referral;
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::empty_log::empty_log;
use crate::action::expire_items::expire_items;
use crate::action::get_status::get_status;
use crate::action::outgoing::place;
use crate::action::purge_register::purge_register;
use crate::action::purge_sent::purge_sent;
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::Timing;
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::action::take_batch::take_batch;
use crate::testing::admin;

impl Pair {
    /// Returns what the owner still has of the content of a referral that it released under a consent.
    async fn kept(&self, consent: Id, record_id: Id) -> Option<Vec<u8>> {
        let look = self.owner.store.read("kept", move |tx| {
            Box::pin(async move { outbox::kept(tx, consent, &[record_id]).await.map(|found| found.rows) })
        });
        let kept = look.await.unwrap().pop()?;
        Some(self.owner.vault.open(place(&record_id), &kept.content).unwrap())
    }

    async fn due(&self, key: &str) -> Id {
        self.submit(&[self.handover(key, "person-1")], Timing::Later).await.results[0].clone().unwrap().record_id
    }
}

#[tokio::test]
async fn content_of_what_was_cancelled_expired_or_refused_goes_and_its_row_stays() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let (cancelled, expired) = (pair.due("key-1").await, pair.due("key-2").await);
    let outcome = pair.submit(&[pair.handover("key-3", "person-1")], Timing::AtOnce).await;
    let (refused, shipment) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    assert_eq!(purge_sent(&pair.owner).await, Ok(0), "what is due or on its way is needed");
    cancel_referral(&pair.owner, "akte", "spiffe://x/system/akte", cancelled).await.unwrap();
    assert_eq!(purge_sent(&pair.owner).await, Ok(1));
    pair.clock.turn(DAY * 29);
    expire_items(&pair.owner).await.unwrap();
    pair.deliver(&shipment).await;
    assert_eq!(purge_sent(&pair.owner).await, Ok(2));
    empty_log(&pair.owner).await.unwrap();
    assert!(!pair.owner.signals.content_gone.load(Ordering::Acquire), "gone from the write-ahead log too");
    let states =
        [(cancelled, DeliveryState::Ended), (expired, DeliveryState::Ended), (refused, DeliveryState::Refused)];
    for (record_id, state) in states {
        assert_eq!(pair.sent(record_id).await.delivery, state);
    }
    assert_eq!(purge_sent(&pair.owner).await, Ok(0));
}

#[tokio::test]
async fn content_goes_when_its_holder_may_hold_it_no_longer_taken_or_in_doubt() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let taken = pair.delivered("key-1", "person-1").await;
    let outcome = pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await;
    let doubtful = outcome.results[0].clone().unwrap().record_id;
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    pair.clock.turn(DAY * 90 - Duration::from_secs(1));
    assert_eq!(purge_sent(&pair.owner).await, Ok(0));
    assert!(pair.kept(consent, taken).await.is_some());
    pair.clock.turn(Duration::from_secs(1));
    assert_eq!(purge_sent(&pair.owner).await, Ok(2));
    assert_eq!((pair.kept(consent, taken).await, pair.kept(consent, doubtful).await), (None, None));
    assert_eq!(pair.sent(taken).await.delivery, DeliveryState::Taken);
    assert_eq!(pair.sent(doubtful).await.delivery, DeliveryState::InDoubt);
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none() && again.staying == 1);
}

#[tokio::test]
async fn a_release_stays_in_the_register_as_long_as_its_clause_says_and_no_longer() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    pair.delivered("key-1", "person-1").await;
    pair.delivered("key-2", "person-1").await;
    let registered = async || {
        let read = pair.owner.store.read("registered", move |tx| Box::pin(register::under_consent(tx, consent)));
        read.await.unwrap().len()
    };
    pair.clock.turn(DAY * 1095 - Duration::from_secs(1));
    assert_eq!((purge_register(&pair.owner).await, registered().await), (Ok(0), 2));
    pair.clock.jump(DAY);
    pair.owner.observe_clock();
    assert_eq!((purge_register(&pair.owner).await, registered().await), (Ok(0), 2), "the clock may run ahead");
    pair.clock.turn_back(DAY);
    pair.clock.turn(Duration::from_secs(1));
    pair.owner.observe_clock();
    assert_eq!((purge_register(&pair.owner).await, registered().await), (Ok(1), 1), "the newest row stays");
    assert!(pair.owner.signals.content_gone.load(Ordering::Acquire));
}

#[tokio::test]
async fn content_of_an_answer_goes_with_the_lease_of_its_referral() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    pair.deliver_answers().await;
    let has_content = async || {
        let answers = pair.holder.store.read("answers", move |tx| Box::pin(outbox::answers(tx, referral)));
        answers.await.unwrap().rows.iter().map(|answer| answer.content.is_some()).collect::<Vec<_>>()
    };
    pair.clock.turn(DAY * 89);
    assert_eq!(purge_sent(&pair.holder).await, Ok(0));
    assert_eq!(has_content().await, [true]);
    pair.clock.turn(DAY);
    assert_eq!(purge_sent(&pair.holder).await, Ok(1));
    assert_eq!(has_content().await, [false], "and the answer is still told");
}

#[tokio::test]
async fn a_withdrawal_destroys_the_owners_content_and_what_is_in_doubt_stays_visible() {
    let pair = Pair::new().await;
    let (consent, other) = (pair.consent("person-1").await, pair.consent("person-2").await);
    let taken = pair.delivered("key-1", "person-1").await;
    let of_another = pair.delivered("key-2", "person-2").await;
    let outcome = pair.submit(&[pair.handover("key-3", "person-1")], Timing::AtOnce).await;
    let doubtful = outcome.results[0].clone().unwrap().record_id;
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    pair.owner.signals.content_gone.store(false, Ordering::Release);
    pair.withdraw(consent, &[]).await;
    assert_eq!((pair.kept(consent, taken).await, pair.kept(consent, doubtful).await), (None, None));
    assert!(pair.kept(other, of_another).await.is_some());
    assert!(pair.owner.signals.content_gone.load(Ordering::Acquire), "the write-ahead log is to be emptied");
    assert_eq!(pair.sent(doubtful).await.delivery, DeliveryState::InDoubt);
    assert_eq!(get_status(&pair.owner).await.unwrap().waiting[&pair.holder.agency].in_doubt, 1);
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none() && again.staying == 1);
}

#[tokio::test]
async fn a_withdrawn_category_goes_out_of_the_owners_content_too() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let taken = pair.delivered("key-1", "person-1").await;
    let names = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    let before = pair.kept(consent, taken).await.unwrap();
    assert!(names(&before, "Am Freiheitsplatz"));
    pair.withdraw(consent, &[Category::Skills]).await;
    assert_eq!(pair.kept(consent, taken).await, Some(before), "nothing of it was sent");
    pair.withdraw(consent, &[Category::Contact]).await;
    let after = pair.kept(consent, taken).await.unwrap();
    assert!(!names(&after, "Am Freiheitsplatz") && names(&after, "Özdemir"));
}

/// The holder takes nothing for a moment and asks for everything again; meanwhile something of the consent is withdrawn.
async fn asked_again_after_a_withdrawal(categories: &[Category]) -> (Pair, Id) {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let (record_id, shipment) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    suspend_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    let again = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    resume_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    pair.lapse(shipment.batch_id).await;
    pair.withdraw(consent, categories).await;
    record_receipt(&pair.owner, &pair.holder.agency, again).await.unwrap();
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Due);
    pair.clock.turn(DAY);
    (pair, record_id)
}

#[tokio::test]
async fn what_is_asked_for_again_after_its_content_went_ends() {
    let (pair, record_id) = asked_again_after_a_withdrawal(&[]).await;
    pair.consent("person-1").await;
    assert!(claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.is_none());
    let item = pair.sent(record_id).await;
    assert_eq!((item.delivery, item.referral_state), (DeliveryState::Ended, ReferralState::Cancelled));
    assert_eq!(item.reasons, [Reason::ConsentWithdrawn], "a new consent does not bring back what went");
}

#[tokio::test]
async fn what_is_asked_for_again_after_a_category_went_is_sent_without_it() {
    let (pair, record_id) = asked_again_after_a_withdrawal(&[Category::Contact]).await;
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.deliver(&shipment).await;
    let item = pair.sent(record_id).await;
    assert_eq!((item.delivery, item.left_out), (DeliveryState::Taken, Category::Contact.into()));
    assert!(!pair.held(record_id).await.unwrap().present.contains(Category::Contact));
}
