//! Whose time is over: what is handed over too late, what waited too long, and consents that have ended.

use lotse_core::delivery::DeliveryState;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1 as proto;
use prost::Message as _;

use super::pair::Pair;
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::expire_consents::expire_consents;
use crate::action::preview_referral::preview_referral;
use crate::action::submit_referrals::Timing;
use crate::entry::EntryKind;
use crate::wire;
use crate::wire::referral::Handover;

#[tokio::test]
async fn what_is_handed_over_after_its_time_never_leaves() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let until = |key: &str, at| Handover { expires_at: Some(at), ..pair.handover(key, "person-1") };
    let (late, last) = (until("key-1", pair.owner.now()), until("key-2", pair.owner.now().plus(DAY)));
    for timing in [Timing::AtOnce, Timing::Later] {
        let outcome = pair.submit(std::slice::from_ref(&late), timing).await;
        assert_eq!(outcome.results[0].clone().unwrap_err().reason(), Reason::ItemExpired);
        assert!(outcome.shipment.is_none());
    }
    let preview = preview_referral(&pair.owner, late).await.unwrap();
    assert_eq!(preview.decision.unwrap_err().reason(), Reason::ItemExpired);
    assert_eq!(pair.owner.entries(EntryKind::SubmitRefused).await, 2);
    assert!(pair.submit(std::slice::from_ref(&last), Timing::AtOnce).await.shipment.is_some());
    pair.clock.turn(DAY);
    let again = pair.submit(&[last], Timing::AtOnce).await;
    assert!(again.results[0].clone().unwrap().repeated, "what was accepted in time is told as it stands");
}

#[tokio::test]
async fn the_day_of_a_consent_that_reaches_the_recipient_is_the_german_one() {
    let pair = Pair::new().await;
    for (given_at, day) in [("2026-06-30T22:00:00Z", "2026-07-01"), ("2026-01-14T22:59:59Z", "2026-01-14")] {
        let given = wire::time::message(given_at.parse().unwrap());
        pair.consent_with(day, |consent| consent.given_at = Some(given)).await;
        let outcome = pair.submit(&[pair.handover(day, day)], Timing::AtOnce).await;
        let envelope = &outcome.shipment.unwrap().envelopes[0];
        let envelope = proto::Envelope::decode(envelope.clone()).unwrap();
        let Some(proto::envelope::Basis::Consent(basis)) = envelope.basis else { panic!("no consent") };
        assert_eq!(basis.excerpt.unwrap().given_on, day, "given at {given_at}");
    }
}

#[tokio::test]
async fn an_expired_consent_releases_nothing_and_stays_expired() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    pair.clock.turn(DAY * 181);
    expire_consents(&pair.owner).await.unwrap();
    pair.owner.observe_clock();
    pair.clock.turn_back(DAY * 180);
    let refused =
        pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::ClockSteppedBack);
    pair.owner.holds.confirm_clock(pair.owner.node.clock.reading());
    let refused =
        pair.submit(&[pair.handover("key-3", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::ConsentExpired);
}

#[tokio::test]
async fn an_expired_item_that_was_in_flight_is_asked_for_before_it_is_dead() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let in_flight = outcome.results[0].clone().unwrap().record_id;
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    let due =
        pair.submit(&[pair.handover("key-2", "person-1")], Timing::Later).await.results[0].clone().unwrap().record_id;
    pair.clock.turn(DAY * 29);
    claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none());
    assert_eq!(pair.sent(in_flight).await.delivery, DeliveryState::InDoubt);
    let ended = pair.sent(due).await;
    assert_eq!((ended.delivery, ended.referral_state), (DeliveryState::Ended, ReferralState::Expired));
    assert_eq!(ended.reasons, [Reason::ItemExpired]);
}
