//! Commits that fail, and commits that are stored and reported failed: whoever asked asks again as they really do, and in the end
//! everything has happened once.

use std::time::Duration;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_store::Fault;
use lotse_store::inbox::{self, EventKind};
use lotse_store::withdrawal::Scope;
use tokio::time::Instant;

use super::pair::{Pair, submissions};
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::end_leases::{Leases, end_lost_leases};
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::{Outcome, Timing, submit_referrals};
use crate::action::take_batch::take_batch;
use crate::action::withdraw_consent::{WithdrawConsent, withdraw_consent};
use crate::entry::EntryKind;
use crate::shipment::{LEASE, Shipment};
use crate::testing::TestNode;

/// What meets the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    RecordConsent,
    Submit,
    Claim,
    ClaimAgain,
    Take,
    RecordReceipt,
    SubmitAtOnce,
    Answer,
    WithdrawalArrives,
    WithdrawalTakesEffect,
}

const STEPS: [Step; 10] = [
    Step::RecordConsent,
    Step::Submit,
    Step::Claim,
    Step::ClaimAgain,
    Step::Take,
    Step::RecordReceipt,
    Step::SubmitAtOnce,
    Step::Answer,
    Step::WithdrawalArrives,
    Step::WithdrawalTakesEffect,
];

#[tokio::test]
async fn whatever_commit_fails_everything_happens_once_when_it_is_asked_again() {
    all_end_like_an_undisturbed_one(Fault::FailBeforeCommit).await;
}

#[tokio::test]
async fn whatever_commit_is_stored_and_reported_failed_everything_happens_once_when_it_is_asked_again() {
    all_end_like_an_undisturbed_one(Fault::StoreButReportFailure).await;
}

async fn all_end_like_an_undisturbed_one(fault: Fault) {
    let undisturbed = Story::tell(None).await;
    let kinds = |node: usize, kind: EntryKind| undisturbed.logs[node].iter().filter(|&&k| k == kind).count();
    let of_owner = [EntryKind::ConsentRecorded, EntryKind::WithdrawalArrived, EntryKind::ConsentWithdrawn];
    assert_eq!(of_owner.map(|kind| kinds(0, kind)), [1, 1, 1]);
    let both = |kind| (kinds(0, kind), kinds(1, kind));
    assert_eq!(both(EntryKind::Released), (2, 1), "two referrals and an answer");
    assert_eq!(both(EntryKind::ReceiptRecorded), (2, 1));
    assert_eq!(both(EntryKind::Taken), (1, 2));
    for step in STEPS {
        assert_eq!(Story::tell(Some((step, fault))).await, undisturbed, "{step:?}");
    }
}

/// What can be seen at both nodes in the end: owner and holder.
#[derive(Debug, PartialEq)]
struct Ending {
    logs: [Vec<EntryKind>; 2],
    events: [Vec<(EventKind, Vec<Id>)>; 2],
    sent: Vec<(DeliveryState, ReferralState)>,
}

struct Story {
    pair: Pair,
    broken: Option<(Step, Fault)>,
}

impl Story {
    /// Two referrals under one consent, of which the first is lost once on its way and then answered, and the withdrawal.
    async fn tell(broken: Option<(Step, Fault)>) -> Ending {
        let story = Story { pair: Pair::new().await, broken };
        let pair = &story.pair;
        let consent = Id::from_bytes([1; 16]);
        let form = || pair.form(consent, "person-1", |_| {});
        story.insist(Step::RecordConsent, &pair.owner, 1, async || pair.record(form()).await).await;

        let first = story.submitted(Step::Submit, "key-1", Timing::Later).await;
        let lost = story.claimed().await;
        pair.lapse(lost.batch_id).await;
        let shipment = story.claimed_again().await;
        assert_eq!(shipment.envelopes, lost.envelopes, "the same bytes");
        story.delivered(shipment).await;

        let second = story.submitted(Step::SubmitAtOnce, "key-2", Timing::AtOnce).await;
        let shipment = match second.shipment {
            Some(shipment) => shipment,
            None => story.next_in_doubt().await,
        };
        pair.deliver(&shipment).await;

        let records = [first.results, second.results].concat().into_iter().map(|result| result.unwrap().record_id);
        let records: Vec<Id> = records.collect();
        let answer = async || pair.answer("answer-1", records[0], ReferralEvent::Accepted, false).await;
        story.insist(Step::Answer, &pair.holder, 1, answer).await;
        assert_eq!(pair.deliver_answers().await, 1);

        let request = || WithdrawConsent {
            consent_id: consent,
            scope: Scope::default(),
            on_behalf_of: String::new(),
            actor: "spiffe://jc.example/system/akte".into(),
            trace: None,
        };
        let withdraw = async || withdraw_consent(&pair.owner, request()).await;
        let (step, nth) = match broken {
            Some((Step::WithdrawalTakesEffect, _)) => (Step::WithdrawalTakesEffect, 2),
            _ => (Step::WithdrawalArrives, 1),
        };
        assert_eq!(story.insist(step, &pair.owner, nth, withdraw).await.envelopes_out, 2);
        story.ending(&records).await
    }

    /// Does a step, and again if its commit failed.
    async fn insist<T, E: std::fmt::Debug>(
        &self,
        step: Step,
        node: &TestNode,
        nth: u64,
        ask: impl AsyncFn() -> Result<T, E>,
    ) -> T {
        if self.breaks(step, node, nth) {
            assert!(ask().await.is_err(), "{step:?} meets its fault");
        }
        ask().await.unwrap()
    }

    /// Plans the fault if it is for this step.
    fn breaks(&self, step: Step, node: &TestNode, nth: u64) -> bool {
        let fault = self.broken.and_then(|(broken, fault)| (broken == step).then_some(fault));
        fault.into_iter().for_each(|fault| node.faults.plan(nth, fault));
        fault.is_some()
    }

    async fn submitted(&self, step: Step, key: &str, room: Timing) -> Outcome {
        let (owner, peer) = (&self.pair.owner, &self.pair.holder.agency);
        let handed_over = || submissions(&[self.pair.handover(key, "person-1")]);
        self.insist(step, owner, 1, async || submit_referrals(owner, peer, handed_over(), room).await).await
    }

    /// What the courier has after it claimed what is due: after a failure it looks again, also at what is in doubt.
    async fn claimed(&self) -> Shipment {
        let (owner, peer) = (&self.pair.owner, &self.pair.holder.agency);
        if self.breaks(Step::Claim, owner, 1) {
            assert!(claim_due(owner, peer).await.is_err());
        }
        match claim_due(owner, peer).await.unwrap().shipment {
            Some(shipment) => shipment,
            None => self.next_in_doubt().await,
        }
    }

    async fn claimed_again(&self) -> Shipment {
        let (owner, peer) = (&self.pair.owner, &self.pair.holder.agency);
        if self.breaks(Step::ClaimAgain, owner, 1) {
            assert!(claim_again(owner, peer).await.is_err());
        }
        match claim_again(owner, peer).await.unwrap() {
            Some(again) => again.shipment.unwrap(),
            None => self.next_in_doubt().await,
        }
    }

    /// What goes again after housekeeping ended the lease of the one batch that nobody holds.
    async fn next_in_doubt(&self) -> Shipment {
        let (owner, peer) = (&self.pair.owner, &self.pair.holder.agency);
        assert!(claim_again(owner, peer).await.unwrap().is_none(), "its lease still runs");
        let (mut leases, begun) = (Leases::default(), Instant::now());
        for (elapsed, ended) in [(Duration::ZERO, 0), (LEASE, 0), (LEASE * 2, 1), (LEASE * 4, 0)] {
            assert_eq!(end_lost_leases(owner, &mut leases, || begun + elapsed).await.unwrap(), ended);
        }
        claim_again(owner, peer).await.unwrap().unwrap().shipment.unwrap()
    }

    /// Takes a batch and records its receipt. Where one of that fails the stream ends, and what is not answered goes again.
    async fn delivered(&self, mut shipment: Shipment) {
        let Pair { owner, holder, .. } = &self.pair;
        if self.breaks(Step::Take, holder, 1) {
            assert!(take_batch(holder, &owner.agency, shipment.message()).await.is_err());
            self.pair.lapse(shipment.batch_id).await;
            shipment = claim_again(owner, &holder.agency).await.unwrap().unwrap().shipment.unwrap();
        }
        let receipt = take_batch(holder, &owner.agency, shipment.message()).await.unwrap();
        if !self.breaks(Step::RecordReceipt, owner, 1) {
            record_receipt(owner, &holder.agency, receipt).await.unwrap();
            return;
        }
        assert!(record_receipt(owner, &holder.agency, receipt).await.is_err());
        self.pair.lapse(shipment.batch_id).await;
        if let Some(again) = claim_again(owner, &holder.agency).await.unwrap() {
            self.pair.deliver(&again.shipment.unwrap()).await;
        }
    }

    async fn ending(&self, records: &[Id]) -> Ending {
        let Pair { owner, holder, .. } = &self.pair;
        let events = async |node: &TestNode| {
            let events = node.store.read("events", |tx| Box::pin(inbox::after(tx, 0, 100))).await.unwrap();
            events.into_iter().map(|event| (event.kind, event.items)).collect::<Vec<_>>()
        };
        let mut sent = Vec::new();
        for record in records {
            let item = self.pair.sent(*record).await;
            sent.push((item.delivery, item.referral_state));
        }
        Ending {
            logs: [owner.log().await, holder.log().await],
            events: [events(owner).await, events(holder).await],
            sent,
        }
    }
}
