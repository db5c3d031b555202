//! A repeat is the same bytes, or none.

use lotse_core::category::Category;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::Digest;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_core::release::Uncovered;
use lotse_proto::exchange::v1::Envelope;
use lotse_proto::record::v1::{Mobility, Referral};
use lotse_store::testing::tamper;
use prost::Message;

use super::pair::{Pair, lapse};
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::submit_referrals::Timing;

/// What is left out is encrypted anew, and the nonce comes from the key of that.
#[tokio::test]
async fn a_repeat_is_the_same_bytes_whatever_was_left_out_and_when() {
    for timing in [Timing::AtOnce, Timing::Later] {
        let pair = Pair::new().await;
        let consent = pair.consent("person-1").await;
        let with_mobility = |referral: &mut Referral| referral.mobility = Some(Mobility::default());
        let mut handover = pair.handover_with("key-1", "person-1", with_mobility);
        handover.uncovered = Uncovered::LeaveOut;
        let shipment = match pair.submit(&[handover], timing).await.shipment {
            Some(shipment) => shipment,
            None => {
                pair.withdraw(consent, &[Category::Contact]).await;
                claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap()
            }
        };
        pair.lapse(shipment.batch_id).await;
        let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap().shipment.unwrap();
        assert_eq!(again.envelopes, shipment.envelopes);
        pair.deliver(&again).await;
    }
}

#[tokio::test]
async fn a_repeated_answer_is_the_same_bytes() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let shipment = pair.claimed_answers().await;
    lapse(&pair.holder, shipment.batch_id).await;
    let again = claim_again(&pair.holder, &pair.owner.agency).await.unwrap().unwrap().shipment.unwrap();
    assert_eq!(again.envelopes, shipment.envelopes);
}

#[tokio::test]
async fn what_was_frozen_with_its_nonce_in_the_head_is_repeated_as_it_was() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let (record_id, shipment) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    let envelope = Envelope { nonce: vec![9; 32], ..Envelope::decode(shipment.envelopes[0].clone()).unwrap() };
    let (frozen, head) = (envelope.encode_to_vec(), Envelope { body: None, ..envelope }.encode_to_vec());
    tamper::replace_envelope(pair.owner.database.url(), &record_id, &head, &Digest::of_leaf(&frozen));
    pair.lapse(shipment.batch_id).await;
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap().shipment.unwrap();
    assert_eq!(again.envelopes, [frozen]);
}

#[tokio::test]
async fn what_cannot_be_repeated_as_it_was_stays_in_doubt_and_holds_up_no_other() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&["key-1", "key-2"].map(|key| pair.handover(key, "person-1")), Timing::AtOnce).await;
    let (broken, shipment) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    let head = pair.sent(broken).await.head.unwrap();
    tamper::replace_envelope(pair.owner.database.url(), &broken, &head, &Digest::of(b"other bytes"));
    pair.lapse(shipment.batch_id).await;
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert_eq!(again.staying, 1);
    assert_eq!(again.shipment.unwrap().envelopes, shipment.envelopes[1..]);
}

#[tokio::test]
async fn what_is_due_and_cannot_be_read_waits_and_holds_up_no_other() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&["key-1", "key-2"].map(|key| pair.handover(key, "person-1")), Timing::Later).await;
    let [broken, whole] = [0, 1].map(|place| outcome.results[place].clone().unwrap().record_id);
    tamper::break_content(pair.owner.database.url(), &broken);
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_eq!(shipment.items.iter().map(|item| item.record_id).collect::<Vec<_>>(), [whole]);
    let waiting = pair.sent(broken).await;
    assert_eq!((waiting.delivery, waiting.reasons), (DeliveryState::Due, vec![Reason::Unavailable]));
}
