//! A key that is given once more after its referral ended: what became of that is said, and nothing goes out.

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::time::DAY;

use super::pair::Pair;
use crate::action::cancel_referral::cancel_referral;
use crate::action::claim::claim_due;
use crate::action::expire_items::expire_items;
use crate::action::submit_referrals::{Submitted, Timing};

/// A pair with a referral of `person-1` under the key `key-1` that waits, and the consent on which it rests.
async fn waiting() -> (Pair, Id, Id) {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    (pair, consent, outcome.results[0].clone().unwrap().record_id)
}

/// Hands over the same key with the same content once more.
async fn again(pair: &Pair) -> Submitted {
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    assert!(outcome.shipment.is_none(), "nothing goes out");
    let submitted = outcome.results[0].clone().unwrap();
    assert!(submitted.repeated);
    submitted
}

#[tokio::test]
async fn a_key_whose_consent_was_withdrawn_says_so_also_under_a_new_consent() {
    let (pair, consent, _) = waiting().await;
    pair.withdraw(consent, &[]).await;
    claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    pair.consent("person-1").await;
    let told = again(&pair).await;
    assert_eq!((told.state, told.delivery), (ReferralState::Cancelled, DeliveryState::Ended));
    assert_eq!(told.reasons, [Reason::ConsentWithdrawn]);
    assert!(told.state.is_failed());
}

#[tokio::test]
async fn a_key_that_was_cancelled_or_has_expired_says_which() {
    let (pair, _, referral) = waiting().await;
    let actor = "spiffe://jc.example/system/akte";
    cancel_referral(&pair.owner, "akte", actor, referral).await.unwrap();
    let told = again(&pair).await;
    assert_eq!((told.state, &told.reasons[..]), (ReferralState::Cancelled, &[Reason::ItemCancelled][..]));

    let (pair, ..) = waiting().await;
    pair.clock.turn(DAY * 29);
    expire_items(&pair.owner).await.unwrap();
    let told = again(&pair).await;
    assert_eq!((told.state, &told.reasons[..]), (ReferralState::Expired, &[Reason::ItemExpired][..]));
}

#[tokio::test]
async fn a_key_that_the_recipient_declined_or_its_node_refused_says_which() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    assert_eq!(again(&pair).await.state, ReferralState::Received);
    pair.answer("answer-1", referral, ReferralEvent::Declined, false).await.unwrap();
    pair.deliver_answers().await;
    let told = again(&pair).await;
    assert_eq!((told.state, told.delivery), (ReferralState::Declined, DeliveryState::Taken));
    assert!(told.state.is_failed());

    let (pair, ..) = waiting().await;
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.clock.turn(DAY * 29);
    pair.deliver(&shipment).await;
    let told = again(&pair).await;
    assert_eq!((told.state, told.delivery), (ReferralState::Refused, DeliveryState::Refused));
    assert_eq!(told.reasons, [Reason::EnvelopeExpired]);
}

#[tokio::test]
async fn a_key_of_a_referral_that_goes_on_or_was_completed_is_well() {
    let (pair, ..) = waiting().await;
    assert_eq!(again(&pair).await.state, ReferralState::Offered);
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_eq!(again(&pair).await.state, ReferralState::Offered);
    pair.deliver(&shipment).await;
    assert_eq!(again(&pair).await.state, ReferralState::Received);
    assert!(!again(&pair).await.state.is_failed());
}
