//! Answers that no honest holder sends, under good seals: the owner asks everything again.

use lotse_core::agency::AgencyKind::EmploymentAgency;
use lotse_core::delivery::Outcome;
use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_proto::exchange::v1::envelope::{Basis, Body};
use lotse_proto::exchange::v1::{Batch, Envelope};
use lotse_proto::record::v1::{Completed, Note, ReferralAnswer, referral_answer};
use lotse_store::batch::BatchItem;
use prost::Message;

use super::pair::Pair;
use crate::action::cut;
use crate::action::take_batch::take_batch;
use crate::testing::{TestNode, agree, introduce};
use crate::wire::batch::parse_item;

/// A pair whose holder has accepted a referral, and the envelope of its answer, not delivered yet.
async fn answered() -> (Pair, Envelope) {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let shipment = pair.claimed_answers().await;
    let envelope = Envelope::decode(shipment.envelopes[0].clone()).unwrap();
    (pair, envelope)
}

/// Hands the owner an envelope under a good seal.
async fn taken(owner: &TestNode, from: &TestNode, envelope: &Envelope) -> Outcome {
    let bytes = envelope.encode_to_vec();
    let item = BatchItem { record_id: Id::from_bytes([1; 16]), digest: Digest::of_leaf(&bytes) };
    let batch_id = Id::new(from.now(), &*from.random);
    let (seal, _) = cut::seal(from, &owner.agency, batch_id, from.now(), vec![item], 0);
    let batch = Batch { seal: Some(seal), envelopes: vec![bytes.into()] };
    let receipt = take_batch(owner, &from.agency, batch).await.unwrap();
    parse_item(&receipt.items[0]).unwrap().outcome
}

#[tokio::test]
async fn an_answer_that_says_more_than_its_feedback_level_is_refused_by_the_owner_too() {
    let with_note = |answer: &mut ReferralAnswer| answer.note = Some(Note { text: "more".into() });
    let with_outcome = |answer: &mut ReferralAnswer| {
        answer.kind = Some(referral_answer::Kind::Completed(Completed { outcome: 13 }));
    };
    for change in [&with_note as &dyn Fn(&mut ReferralAnswer), &with_outcome] {
        let (pair, mut envelope) = answered().await;
        let Some(Body::Answer(answer)) = &mut envelope.body else { panic!("no answer") };
        change(answer);
        let outcome = taken(&pair.owner, &pair.holder, &envelope).await;
        assert_eq!(outcome, Outcome::Refused(Reason::FeedbackNotAllowed));
    }
}

#[tokio::test]
async fn an_answer_under_another_consent_than_its_referral_is_refused() {
    let (pair, mut envelope) = answered().await;
    let Some(Basis::Consent(basis)) = &mut envelope.basis else { panic!("no basis") };
    basis.excerpt.as_mut().unwrap().consent_ref = vec![9; 16];
    assert_eq!(taken(&pair.owner, &pair.holder, &envelope).await, Outcome::Refused(Reason::BasisMismatch));
}

#[tokio::test]
async fn an_answer_of_an_agency_that_never_got_the_referral_is_refused() {
    let (pair, mut envelope) = answered().await;
    let third = TestNode::with("cc.example", EmploymentAgency, pair.clock.clone()).await;
    introduce(&[&pair.owner, &third]).await;
    agree(&[&pair.owner, &third]).await;
    envelope.sender = third.agency.to_string();
    assert_eq!(taken(&pair.owner, &third, &envelope).await, Outcome::Refused(Reason::ThreadUnknown));
}
