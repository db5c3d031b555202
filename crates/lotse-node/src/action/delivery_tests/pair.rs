//! Two agencies that have an agreement, and short words for what happens between them.

use std::sync::Arc;

use lotse_core::agency::AgencyKind;
use lotse_core::answer::AnswerContent;
use lotse_core::category::Category;
use lotse_core::id::Id;
use lotse_core::referral::ReferralEvent;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_proto::record::v1 as proto;
use lotse_store::custody::Held;
use lotse_store::outbox::Item;

use crate::action::answer_referral::{AnswerSubmission, Answered, answer_referral};
use crate::action::claim::claim_due;
use crate::action::record_consent::{Recorded, record_consents};
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::{Outcome, Submission, Timing, submit_referrals};
use crate::action::take_batch::{self, take_batch};
use crate::action::withdraw_consent::{self, WithdrawConsent, withdraw_consent};
use crate::entry::EntryKind;
use crate::failure::Failure;
use crate::node::Node;
use crate::shipment::Shipment;
use crate::testing::{ManualClock, TestNode, agree_on, agreement_text, introduce};
use crate::wire::consent::RecordableConsent;
use crate::wire::field::Findings;
use crate::wire::referral::{Answer, Handover, parse_handover};
use crate::wire::time;

/// An owner and a holder.
pub(crate) struct Pair {
    pub(crate) owner: TestNode,
    pub(crate) holder: TestNode,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) agreement: Id,
}

impl TestNode {
    /// Counts the log's entries of a kind.
    pub(crate) async fn entries(&self, kind: EntryKind) -> usize {
        self.log().await.into_iter().filter(|&k| k == kind).count()
    }
}

impl Pair {
    /// A Jobcenter and an Agentur für Arbeit with an agreement in force.
    pub(crate) async fn new() -> Pair {
        Pair::between(AgencyKind::JobcenterGe, AgencyKind::EmploymentAgency).await
    }

    /// Agencies of two kinds with an agreement in force.
    pub(crate) async fn between(owner: AgencyKind, holder: AgencyKind) -> Pair {
        let pair = Pair::without_agreement(owner, holder).await;
        agree_on(&[&pair.owner, &pair.holder], &pair.agreement_text()).await;
        pair
    }

    /// Agencies that have accepted each other's cards and agreed on nothing.
    pub(crate) async fn without_agreement(owner: AgencyKind, holder: AgencyKind) -> Pair {
        let clock = ManualClock::new();
        let owner = TestNode::with("jc.example", owner, clock.clone()).await;
        let holder = TestNode::with("aa.example", holder, clock.clone()).await;
        introduce(&[&owner, &holder]).await;
        let agreement = Id::new(owner.now(), &*owner.random);
        Pair { owner, holder, clock, agreement }
    }

    /// The text of the agreement between them, in force from today.
    pub(crate) fn agreement_text(&self) -> String {
        agreement_text(self.agreement, 0, &[&self.owner, &self.holder])
    }

    pub(crate) async fn next_agreement_version(&self, version: u32) {
        let text = agreement_text(self.agreement, 2, &[&self.owner, &self.holder]);
        let text = text.replacen("version = 1", &format!("version = {version}"), 1);
        agree_on(&[&self.owner, &self.holder], &text).await;
    }

    /// Records a consent for orientation that covers identity, contact, languages and skills for half a year.
    pub(crate) async fn consent(&self, subject: &str) -> Id {
        self.consent_with(subject, |_| {}).await
    }

    /// Records such a consent with a change.
    pub(crate) async fn consent_with(&self, subject: &str, change: impl FnOnce(&mut proto::Consent)) -> Id {
        let id = Id::new(self.owner.now(), &*self.owner.random);
        self.record(self.form(id, subject, change)).await.unwrap();
        id
    }

    /// Records a consent as the system `akte` hands it over.
    pub(crate) async fn record(&self, consent: RecordableConsent) -> Result<Recorded, Failure> {
        record_consents(&self.owner, "spiffe://jc.example/system/akte", vec![consent], None).await?.remove(0)
    }

    /// Such a consent with a change, not recorded.
    pub(crate) fn form(&self, id: Id, subject: &str, change: impl FnOnce(&mut proto::Consent)) -> RecordableConsent {
        let mut consent = proto::Consent {
            id: id.to_string(),
            subject_reference: subject.into(),
            subject_kind: proto::SubjectKind::Person as i32,
            given_by: proto::GivenBy::Self_ as i32,
            capacity: Some(proto::Capacity {
                age_band: proto::AgeBand::Adult as i32,
                assessed_by_role: "Fachkraft".into(),
                changes_on: String::new(),
            }),
            recipients: vec![self.holder.agency.to_string()],
            purposes: vec![proto::Purpose::Orientation as i32],
            record_kinds: vec![proto::RecordKind::Referral as i32],
            categories: vec![1, 2, 8, 9],
            feedback_level: proto::FeedbackLevel::Status as i32,
            given_at: Some(time::message(self.owner.now())),
            expires_at: Some(time::message(self.owner.now().plus(lotse_core::time::DAY * 180))),
            form: proto::ConsentForm::Written as i32,
            text_language: "de".into(),
            text_version: "1".into(),
            notices: Some(proto::Notices { purpose: true, consequences_of_refusal: true, right_to_withdraw: true }),
            form_sha256: "ab".repeat(32),
            recorded_by: "mb-17".into(),
            ..proto::Consent::default()
        };
        change(&mut consent);
        crate::wire::consent::parse(Some(&consent), &self.owner.agency, self.owner.now()).unwrap()
    }

    pub(crate) fn handover(&self, key: &str, subject: &str) -> Handover {
        self.handover_with(key, subject, |_| {})
    }

    pub(crate) fn handover_with(
        &self,
        key: &str,
        subject: &str,
        change: impl FnOnce(&mut proto::Referral),
    ) -> Handover {
        let mut referral = proto::Referral {
            r#type: proto::ReferralType::OrientationRefugee as i32,
            purpose: proto::Purpose::Orientation as i32,
            requested_services: vec![proto::RequestedService::Orientation as i32],
            identity: Some(proto::Identity {
                family_name: "Özdemir".into(),
                given_names: "Jürgen".into(),
                birth_date: "1990-04-01".into(),
                ..proto::Identity::default()
            }),
            contact: Some(proto::Contact { street: "Am Freiheitsplatz 1".into(), ..proto::Contact::default() }),
            languages: Some(proto::Languages {
                items: vec![proto::Language { tag: "uk".into(), level: proto::LanguageLevel::Native as i32 }],
                interpreter_needed: true,
            }),
            ..proto::Referral::default()
        };
        change(&mut referral);
        let handover = ReferralHandover {
            idempotency_key: key.into(),
            recipient: self.holder.agency.to_string(),
            subject_reference: subject.into(),
            referral: Some(referral),
            ..ReferralHandover::default()
        };
        parse_handover(handover, self.owner.now()).unwrap()
    }

    pub(crate) async fn submit(&self, handovers: &[Handover], timing: Timing) -> Outcome {
        submit_referrals(&self.owner, &self.holder.agency, submissions(handovers), timing).await.unwrap()
    }

    pub(crate) async fn deliver(&self, shipment: &Shipment) {
        let receipt = take_batch(&self.holder, &self.owner.agency, shipment.message()).await.unwrap();
        record_receipt(&self.owner, &self.holder.agency, receipt).await.unwrap();
    }

    pub(crate) async fn delivered(&self, key: &str, subject: &str) -> Id {
        let outcome = self.submit(&[self.handover(key, subject)], Timing::AtOnce).await;
        self.deliver(&outcome.shipment.unwrap()).await;
        outcome.results[0].clone().unwrap().record_id
    }

    /// Claims the next answers that wait at the holder.
    pub(crate) async fn claimed_answers(&self) -> Shipment {
        claim_due(&self.holder, &self.owner.agency).await.unwrap().shipment.unwrap()
    }

    /// Brings the owner the next answers that wait at the holder; returns how many.
    pub(crate) async fn deliver_answers(&self) -> usize {
        let shipment = self.claimed_answers().await;
        let receipt = take_batch(&self.owner, &self.holder.agency, shipment.message()).await.unwrap();
        record_receipt(&self.holder, &self.owner.agency, receipt).await.unwrap();
        shipment.envelopes.len()
    }

    pub(crate) async fn lapse(&self, batch_id: Id) {
        lapse(&self.owner, batch_id).await;
    }

    pub(crate) async fn withdraw(&self, consent: Id, categories: &[Category]) {
        withdraw(self.owner.node.clone(), consent, categories.to_vec()).await;
    }

    pub(crate) async fn sent(&self, record_id: Id) -> Item {
        let find = self
            .owner
            .store
            .read("find", move |tx| Box::pin(async move { lotse_store::outbox::find(tx, &[record_id]).await }));
        find.await.unwrap().remove(0)
    }

    pub(crate) async fn held(&self, record_id: Id) -> Option<Held> {
        let find = self
            .holder
            .store
            .read("find", move |tx| Box::pin(async move { lotse_store::custody::find(tx, &[record_id]).await }));
        find.await.unwrap().pop()
    }

    pub(crate) async fn held_bytes(&self, record_id: Id) -> Vec<u8> {
        let held = self.held(record_id).await.unwrap();
        self.holder.vault.open(take_batch::place(&held.envelope_id), held.content.as_ref().unwrap()).unwrap()
    }

    pub(crate) async fn answer(
        &self,
        key: &str,
        referral: Id,
        event: ReferralEvent,
        outcome: bool,
    ) -> Result<Answered, Failure> {
        use proto::referral_answer::Kind;
        let kind = match event {
            ReferralEvent::Accepted => Kind::Accepted(proto::Accepted {}),
            ReferralEvent::InProgress => Kind::InProgress(proto::InProgress {}),
            ReferralEvent::Declined => {
                let reason = proto::DeclineReason::NoCapacity as i32;
                Kind::Declined(proto::Declined { reason, suggested_agency: String::new() })
            }
            _ => Kind::Completed(proto::Completed { outcome: if outcome { 13 } else { 0 } }),
        };
        let answer = proto::ReferralAnswer { on: "2026-11-03".into(), kind: Some(kind), note: None };
        let submission = AnswerSubmission {
            system: "akte".into(),
            actor: "spiffe://aa.example/system/akte".into(),
            idempotency_key: key.into(),
            referral_id: referral,
            answer: Answer {
                bytes: prost::Message::encode_to_vec(&answer),
                content: AnswerContent { outcome, note: false },
                event,
            },
            on_behalf_of: String::new(),
            trace_id: vec![],
            caller: None,
        };
        answer_referral(&self.holder, submission).await
    }
}

/// Ends the lease of a batch.
pub(crate) async fn lapse(sender: &Node, batch_id: Id) {
    let at = sender.now();
    let lapse = sender.store.transact("lapse", move |tx| Box::pin(lotse_store::batch::lapse(tx, batch_id, at)));
    lapse.await.unwrap();
}

/// What the system `akte` hands over.
pub(crate) fn submissions(handovers: &[Handover]) -> Vec<Submission> {
    let submission = |handover: &Handover| Submission {
        system: "akte".into(),
        actor: "spiffe://jc.example/system/akte".into(),
        trace_id: vec![],
        caller: None,
        handover: handover.clone(),
    };
    handovers.iter().map(submission).collect()
}

pub(crate) async fn withdraw(node: Arc<Node>, consent: Id, categories: Vec<Category>) -> withdraw_consent::Outcome {
    let scope = proto::WithdrawalScope {
        categories: categories.iter().map(|category| category.number()).collect(),
        ..proto::WithdrawalScope::default()
    };
    let mut findings = Findings::default();
    let scope = crate::wire::consent::parse_scope(Some(&scope), &mut findings);
    let request = WithdrawConsent {
        consent_id: consent,
        scope,
        on_behalf_of: String::new(),
        actor: "spiffe://jc.example/system/akte".into(),
        trace: None,
    };
    withdraw_consent(&node, request).await.unwrap()
}
