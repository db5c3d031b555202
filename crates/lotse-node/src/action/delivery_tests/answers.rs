//! Answers that no honest holder sends, under good seals: the owner asks everything again.

use lotse_core::agency::AgencyKind::EmploymentAgency;
use lotse_core::custody::USUAL_LIFE;
use lotse_core::delivery::Outcome;
use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::envelope::{Basis, Body};
use lotse_proto::exchange::v1::{Batch, Envelope};
use lotse_proto::record::v1 as proto;
use lotse_proto::record::v1::{Completed, Note, ReferralAnswer, referral_answer};
use lotse_store::batch::BatchItem;
use lotse_store::outbox::SentAnswer;
use prost::Message;

use super::pair::Pair;
use crate::action::claim::claim_due;
use crate::action::cut;
use crate::action::expire_items::expire_items;
use crate::action::take_batch::take_batch;
use crate::testing::{TestNode, agree, introduce};
use crate::wire::batch::parse_item;
use crate::wire::time;

impl Pair {
    async fn answers_of(&self, referral: Id) -> Vec<SentAnswer> {
        let read = self.holder.store.read("answers", move |tx| Box::pin(lotse_store::outbox::answers(tx, referral)));
        read.await.unwrap().rows
    }
}

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

/// A pair whose consent allows outcomes, and a referral that is taken.
async fn with_outcomes() -> (Pair, Id, Id) {
    let pair = Pair::new().await;
    let level = proto::FeedbackLevel::Outcome as i32;
    let consent = pair.consent_with("person-1", |consent| consent.feedback_level = level).await;
    let referral = pair.delivered("key-1", "person-1").await;
    (pair, consent, referral)
}

#[tokio::test]
async fn after_a_withdrawal_the_owner_takes_the_state_and_no_outcome() {
    let (pair, consent, referral) = with_outcomes().await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    pair.withdraw(consent, &[]).await;
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Accepted, "a state is taken all the same");
    pair.answer("answer-2", referral, ReferralEvent::Completed, true).await.unwrap();
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Accepted);
    let answers = pair.answers_of(referral).await;
    assert_eq!(answers[1].item.reasons, [Reason::ConsentWithdrawn], "the holder learns why");
    assert_eq!(pair.held(referral).await.unwrap().referral_state, ReferralState::Accepted, "and can say it otherwise");
    pair.answer("answer-3", referral, ReferralEvent::Completed, false).await.unwrap();
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Completed);
}

#[tokio::test]
async fn an_outcome_under_a_consent_that_was_replaced_is_taken() {
    let (pair, consent, referral) = with_outcomes().await;
    pair.consent_with("person-1", |next| next.supersedes = consent.to_string()).await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    pair.deliver_answers().await;
    pair.answer("answer-2", referral, ReferralEvent::Completed, true).await.unwrap();
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Completed);
}

#[tokio::test]
async fn the_owner_holds_an_answer_no_longer_than_its_own_rules_allow() {
    let (pair, mut envelope) = answered().await;
    envelope.hold_until_us = pair.owner.now().plus(DAY * 3_000).micros();
    assert_eq!(taken(&pair.owner, &pair.holder, &envelope).await, Outcome::Taken);
    let referral = Id::from_slice(&envelope.thread_id).unwrap();
    let held = pair.owner.store.read("held", move |tx| Box::pin(lotse_store::custody::answers(tx, referral)));
    let held = held.await.unwrap();
    assert_eq!(held[0].hold_until, pair.owner.now().plus(DAY * 90), "the clause's retention, from its arrival");
}

#[tokio::test]
async fn an_answer_that_would_be_deleted_at_once_is_refused() {
    let (pair, mut envelope) = answered().await;
    envelope.hold_until_us = pair.owner.now().micros();
    assert_eq!(taken(&pair.owner, &pair.holder, &envelope).await, Outcome::Refused(Reason::ConsentExpired));
}

#[tokio::test]
async fn an_answer_does_not_go_when_the_lease_of_its_referral_is_over() {
    let pair = Pair::new().await;
    let expires_at = time::message(pair.owner.now().plus(DAY * 10));
    pair.consent_with("person-1", |consent| consent.expires_at = Some(expires_at)).await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    pair.clock.turn(DAY * 10);
    let claimed = claim_due(&pair.holder, &pair.owner.agency).await.unwrap();
    assert!(claimed.shipment.is_none());
    assert_eq!(pair.answers_of(referral).await[0].item.reasons, [Reason::ConsentExpired]);
}

#[tokio::test]
async fn an_answer_that_ended_frees_its_transition_and_both_ends_agree_again() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    assert_eq!(pair.held(referral).await.unwrap().referral_state, ReferralState::Accepted);
    pair.clock.turn(USUAL_LIFE);
    assert_eq!(expire_items(&pair.holder).await.unwrap(), 1);
    assert_eq!(
        pair.held(referral).await.unwrap().referral_state,
        ReferralState::Received,
        "the owner never heard of it"
    );
    let again = pair.answer("answer-2", referral, ReferralEvent::Accepted, false).await.unwrap();
    assert_eq!(again.state, ReferralState::Accepted);
    pair.deliver_answers().await;
    pair.answer("answer-3", referral, ReferralEvent::Completed, false).await.unwrap();
    pair.deliver_answers().await;
    let ends = [pair.sent(referral).await.referral_state, pair.held(referral).await.unwrap().referral_state];
    assert_eq!(ends, [ReferralState::Completed; 2]);
}

#[tokio::test]
async fn the_owner_takes_a_later_state_though_the_one_before_it_was_lost() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    pair.clock.turn(DAY);
    pair.answer("answer-2", referral, ReferralEvent::InProgress, false).await.unwrap();
    pair.clock.turn(USUAL_LIFE - DAY);
    assert_eq!(expire_items(&pair.holder).await.unwrap(), 1, "the first answer ends, the second still waits");
    assert_eq!(pair.held(referral).await.unwrap().referral_state, ReferralState::InProgress);
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::InProgress);
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
