//! Two nodes, the network between them, and what can be done to all of it.

use std::sync::Arc;
use std::time::Duration;

use lotse_core::agency::AgencyKind;
use lotse_core::category::{Categories, Category};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::Id;
use lotse_core::referral::ReferralEvent;
use lotse_core::time::DAY;
use lotse_proto::agency::v1::{ReferralHandover, Uncovered};
use lotse_proto::exchange::v1::{Receipt, ReceiptStatement};
use lotse_proto::record::v1 as proto;
use lotse_store::{batch, custody};
use prost::Message;
use tokio::task::JoinHandle;

use super::levels::with_feedback_levels;
use super::oracle::{Given, LIFE, Oracle};
use super::people::{consent, mark, referral, withdraw};
use super::{Bond, Op, Side};
use crate::action::answer_referral::{AnswerSubmission, answer_referral};
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::record_consent::record_consents;
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::action::submit_referrals::{Submission, Timing, submit_referrals};
use crate::action::take_batch::take_batch;
use crate::action::withdraw_consent::{self, finish_pending};
use crate::action::{
    empty_log, expire_consents, expire_items, purge_ended, purge_sent, suspend_agreement, suspend_peer,
};
use crate::entry::EntryKind;
use crate::failure::Failure;
use crate::shipment::Shipment;
use crate::testing::{ManualClock, TestNode, admin, agree_on, agreement_text, introduce};
use crate::wire::batch::parse_item;
use crate::wire::referral::{parse_answer, parse_handover};

/// Batches that the courier keeps on their way.
const IN_FLIGHT: usize = 4;

/// Two agencies and everything between them.
pub(super) struct World {
    owner: Option<TestNode>,
    holder: Option<TestNode>,
    clock: Arc<ManualClock>,
    agreement: Id,
    versions: u32,
    flights: Vec<Flight>,
    receipts: Vec<(Side, Receipt)>,
    withdrawal: Option<Withdrawal>,
    suspensions: Vec<Suspension>,
    answers: u32,
    pub(super) oracle: Oracle,
}

/// A batch that was claimed.
struct Flight {
    from: Side,
    shipment: Shipment,
    /// Its lease runs: neither answered nor lapsed.
    is_open: bool,
    /// It was written to the stream: the network may bring it at any time.
    is_written: bool,
}

/// A withdrawal that is not answered.
struct Withdrawal {
    consent: usize,
    task: JoinHandle<Result<withdraw_consent::Outcome, Failure>>,
}

/// A suspension that is written and not answered yet.
struct Suspension {
    side: Side,
    /// How many batches were claimed before it.
    claimed_before: usize,
    task: JoinHandle<Result<(), Failure>>,
}

impl Side {
    pub(super) const BOTH: [Side; 2] = [Side::Owner, Side::Holder];

    pub(super) fn other(self) -> Side {
        if self == Side::Owner { Side::Holder } else { Side::Owner }
    }
}

impl World {
    /// Two agencies with an agreement whose clauses have these feedback levels.
    pub(super) async fn with_levels(levels: u8) -> World {
        let clock = ManualClock::new();
        let owner = TestNode::with("jc.example", AgencyKind::JobcenterGe, clock.clone()).await;
        let holder = TestNode::with("aa.example", AgencyKind::EmploymentAgency, clock.clone()).await;
        introduce(&[&owner, &holder]).await;
        let agreement = Id::new(owner.now(), &*owner.random);
        let text = agreement_text(agreement, 0, &[&owner, &holder]);
        agree_on(&[&owner, &holder], &with_feedback_levels(&text, levels)).await;
        let world = World {
            owner: Some(owner),
            holder: Some(holder),
            clock,
            agreement,
            versions: 1,
            flights: Vec::new(),
            receipts: Vec::new(),
            withdrawal: None,
            suspensions: Vec::new(),
            answers: 0,
            oracle: Oracle::with_levels(levels),
        };
        world.hellos().await;
        world
    }

    pub(super) fn node(&self, side: Side) -> &TestNode {
        match side {
            Side::Owner => self.owner.as_ref().unwrap(),
            Side::Holder => self.holder.as_ref().unwrap(),
        }
    }

    /// Returns a batch that was claimed.
    pub(super) fn shipment(&self, place: usize) -> &Shipment {
        &self.flights[place].shipment
    }

    /// Lets something happen.
    pub(super) async fn happen(&mut self, op: &Op) {
        match *op {
            Op::Consent { person, categories, days, feedback } => {
                self.consent(person, categories, days, feedback).await;
            }
            Op::Submit { key, person, categories, at_once, leave_out } => {
                self.submit(key, person, categories, at_once, leave_out).await;
            }
            Op::Claim(side) => self.claim(side).await,
            Op::ClaimAgain(side) => drop(self.claim_again(side).await),
            Op::Deliver(place) => self.deliver(usize::from(place)).await,
            Op::Receipt(place) => self.receipt(usize::from(place)).await,
            Op::Lapse(place) => self.lapse(usize::from(place)).await,
            Op::Withdraw { consent, categories } => self.withdraw(usize::from(consent), categories).await,
            Op::Suspend(side, bond) => self.suspend(side, bond).await,
            Op::Resume(side, bond) => self.resume(side, bond).await,
            Op::Restart(side) => self.restart(side).await,
            Op::Turn(minutes) => self.clock.turn(Duration::from_secs(60) * u32::from(minutes)),
            Op::Jobs => self.jobs().await,
            Op::Answer { referral, completes, tells_more } => {
                self.answer(usize::from(referral), completes, tells_more).await
            }
            Op::NextVersion { levels } => self.next_version(levels).await,
        }
        self.finish_withdrawal().await;
        self.finish_suspensions().await;
    }

    async fn consent(&mut self, person: u8, categories: u16, days: u8, feedback: FeedbackLevel) {
        let owner = self.node(Side::Owner);
        let (id, now) = (Id::new(owner.now(), &*owner.random), owner.now());
        let covered = set(categories).without(set(SPECIAL));
        let covered = if covered.is_empty() { Category::Identity.into() } else { covered };
        let expires_at = now.plus(DAY * u32::from(days));
        let recipient = self.node(Side::Holder).agency.as_str();
        let consent = consent(id, person, covered, feedback, recipient, now, expires_at);
        let parsed = crate::wire::consent::parse(Some(&consent), &owner.agency, now).unwrap();
        record_consents(owner, "spiffe://jc.example/system/akte", vec![parsed], None).await.unwrap().remove(0).unwrap();
        let find = owner
            .store
            .read("find", move |tx| Box::pin(async move { lotse_store::consent::recipients(tx, &[id]).await }));
        let consent_ref = find.await.unwrap().remove(0).consent_ref;
        self.oracle.consents.push(Given::new(id, consent_ref, person, covered, feedback, expires_at));
    }

    async fn submit(&mut self, key: u8, person: u8, categories: u16, at_once: bool, leave_out: bool) {
        let owner = self.node(Side::Owner);
        let present = set(categories).or(Category::Identity.into()).or(Category::Languages.into());
        let handover = ReferralHandover {
            idempotency_key: format!("key-{key}"),
            recipient: self.node(Side::Holder).agency.to_string(),
            subject_reference: format!("person-{person}"),
            referral: Some(referral(present)),
            uncovered: if leave_out { Uncovered::LeaveOut as i32 } else { 0 },
            ..ReferralHandover::default()
        };
        let handover = parse_handover(handover, owner.now());
        let submission = Submission {
            system: "akte".into(),
            actor: "spiffe://jc.example/system/akte".into(),
            trace_id: vec![],
            caller: None,
            handover: handover.unwrap(),
        };
        let timing = if at_once && self.has_room(Side::Owner) { Timing::AtOnce } else { Timing::Later };
        let outcome = submit_referrals(owner, &self.node(Side::Holder).agency, vec![submission], timing).await.unwrap();
        if let Ok(submitted) = &outcome.results[0]
            && !submitted.repeated
        {
            let until = owner.now().plus(LIFE);
            self.oracle.handed_over(Side::Owner, submitted.record_id, Some(person), until);
        }
        self.take_off(Side::Owner, outcome.shipment).await;
    }

    fn has_room(&self, side: Side) -> bool {
        self.flights.iter().filter(|flight| flight.is_open && flight.from == side).count() < IN_FLIGHT
    }

    async fn claim(&mut self, side: Side) {
        if self.has_room(side) {
            let claimed = claim_due(self.node(side), &self.node(side.other()).agency).await.unwrap();
            self.take_off(side, claimed.shipment).await;
        }
    }

    /// Returns whether there was anything to look at.
    async fn claim_again(&mut self, side: Side) -> bool {
        if !self.has_room(side) {
            return false;
        }
        let again = claim_again(self.node(side), &self.node(side.other()).agency).await.unwrap();
        let looked = again.is_some();
        self.take_off(side, again.and_then(|again| again.shipment)).await;
        looked
    }

    async fn take_off(&mut self, from: Side, shipment: Option<Shipment>) {
        let Some(shipment) = shipment else { return };
        let log = self.node(from).entries_of(EntryKind::Released).await;
        let now = self.node(from).now();
        self.oracle.leaves(from, &shipment, &log, now);
        self.flights.push(Flight { from, shipment, is_open: true, is_written: false });
    }

    async fn deliver(&mut self, place: usize) {
        let Some(place) = round(place, self.flights.len()) else { return };
        let flight = &mut self.flights[place];
        if !flight.is_written {
            if !flight.is_open || tokio::time::Instant::now() >= flight.shipment.lease_until {
                return;
            }
            flight.is_written = true;
            self.oracle.is_written(flight.from, &flight.shipment);
        }
        let (from, message) = (flight.from, flight.shipment.message());
        let receipt = take_batch(self.node(from.other()), &self.node(from).agency, message).await.unwrap();
        self.receipts.push((from, receipt));
    }

    async fn receipt(&mut self, place: usize) {
        let Some(place) = round(place, self.receipts.len()) else { return };
        let (to, receipt) = self.receipts[place].clone();
        let recorded = record_receipt(self.node(to), &self.node(to.other()).agency, receipt.clone()).await.unwrap();
        assert!(!matches!(recorded, Recorded::Rejected(_)), "{recorded:?}");
        let statement = ReceiptStatement::decode(receipt.seal.unwrap().payload).unwrap();
        let is_of = |flight: &&mut Flight| flight.shipment.batch_id.as_bytes().as_slice() == statement.batch_id;
        self.flights.iter_mut().filter(is_of).for_each(|flight| flight.is_open = false);
        let answered: Vec<_> = receipt.items.iter().map(|item| parse_item(item).unwrap()).collect();
        self.oracle.answered(to, &answered);
    }

    async fn lapse(&mut self, place: usize) {
        let open: Vec<usize> = (0..self.flights.len()).filter(|&place| self.flights[place].is_open).collect();
        let Some(place) = round(place, open.len()) else { return };
        let flight = &mut self.flights[open[place]];
        flight.is_open = false;
        let (from, batch_id) = (flight.from, flight.shipment.batch_id);
        let at = self.node(from).now();
        let lapse = self.node(from).store.transact("lapse", move |tx| Box::pin(batch::lapse(tx, batch_id, at)));
        lapse.await.unwrap();
    }

    /// Begins a withdrawal and waits until it has arrived; it is answered when nothing under the consent is on its way.
    async fn withdraw(&mut self, consent: usize, categories: u16) {
        let Some(place) = round(consent, self.oracle.consents.len()) else { return };
        let given = &self.oracle.consents[place];
        let scope = set(categories).and(given.categories);
        let newly = if categories == 0 { !given.is_withdrawn() } else { !given.arrived.contains_all(scope) };
        if self.withdrawal.is_some() || !newly || (categories != 0 && scope.is_empty()) {
            return;
        }
        let before = self.node(Side::Owner).entries_of(EntryKind::WithdrawalArrived).await.len();
        let task = tokio::spawn(withdraw(self.node(Side::Owner).node.clone(), given.id, scope, categories == 0));
        loop {
            // Asked first: what was written before the end is then seen.
            let is_finished = task.is_finished();
            if self.node(Side::Owner).entries_of(EntryKind::WithdrawalArrived).await.len() > before {
                break;
            }
            assert!(!is_finished, "a withdrawal that changes something leaves an entry");
            tokio::task::yield_now().await;
        }
        self.oracle.consents[place].arrive(if categories == 0 { None } else { Some(scope) });
        self.withdrawal = Some(Withdrawal { consent: place, task });
    }

    /// Waits for the withdrawal's answer, once nothing that it touches is on its way.
    async fn finish_withdrawal(&mut self) {
        let Some(withdrawal) = &self.withdrawal else { return };
        let consent = &self.oracle.consents[withdrawal.consent];
        let carries = |flight: &&Flight| flight.is_open && self.oracle.carries(&flight.shipment, consent.consent_ref);
        if let Some(flight) = self.flights.iter().find(carries) {
            let lease_runs = tokio::time::Instant::now() < flight.shipment.lease_until;
            assert!(
                !lease_runs || !withdrawal.task.is_finished(),
                "a withdrawal is answered while its bytes may leave"
            );
            return;
        }
        let Some(withdrawal) = self.withdrawal.take() else { return };
        withdrawal.task.await.unwrap().unwrap();
        self.oracle.consents[withdrawal.consent].answer();
    }

    /// Begins a suspension and waits until releases have stopped; it is answered when nothing to the other side is on its way.
    async fn suspend(&mut self, side: Side, bond: Bond) {
        let (peer, agreement) = (self.node(side.other()).agency.clone(), self.agreement);
        let node = self.node(side).node.clone();
        let kind = match bond {
            Bond::Peer => EntryKind::PeerSuspended,
            Bond::Agreement => EntryKind::AgreementSuspended,
        };
        let before = self.node(side).entries_of(kind).await.len();
        let task = tokio::spawn(async move {
            match bond {
                Bond::Peer => suspend_peer::suspend_peer(&node, peer, admin()).await,
                Bond::Agreement => suspend_agreement::suspend_agreement(&node, agreement, admin()).await,
            }
        });
        while self.node(side).entries_of(kind).await.len() == before {
            tokio::task::yield_now().await;
        }
        let claimed_before = self.flights.len();
        self.suspensions.push(Suspension { side, claimed_before, task });
        self.oracle.suspended.insert((side as u8, bond as u8));
    }

    /// Waits for the answers to suspensions, once nothing that they stop is on its way.
    async fn finish_suspensions(&mut self) {
        for suspension in std::mem::take(&mut self.suspensions) {
            let before = &self.flights[..suspension.claimed_before];
            if let Some(flight) = before.iter().find(|flight| flight.is_open && flight.from == suspension.side) {
                let lease_runs = tokio::time::Instant::now() < flight.shipment.lease_until;
                assert!(
                    !lease_runs || !suspension.task.is_finished(),
                    "a suspension is answered while bytes may leave"
                );
                self.suspensions.push(suspension);
            } else {
                suspension.task.await.unwrap().unwrap();
            }
        }
    }

    async fn resume(&mut self, side: Side, bond: Bond) {
        let (node, peer) = (self.node(side), self.node(side.other()).agency.clone());
        match bond {
            Bond::Peer => suspend_peer::resume_peer(node, peer, admin()).await.unwrap(),
            Bond::Agreement => suspend_agreement::resume_agreement(node, self.agreement, admin()).await.unwrap(),
        }
        self.oracle.suspended.remove(&(side as u8, bond as u8));
    }

    /// Crashes a node and does what it does when it starts, before the first claim.
    async fn restart(&mut self, side: Side) {
        // A start takes time; and what it draws depends on when it is.
        self.clock.turn(Duration::from_secs(1));
        let place = if side == Side::Owner { &mut self.owner } else { &mut self.holder };
        let node = place.take().unwrap().restart().await;
        node.store.transact("lapse all", |tx| Box::pin(batch::lapse_all(tx, u32::MAX))).await.unwrap();
        finish_pending(&node).await.unwrap();
        *place = Some(node);
        self.flights.iter_mut().filter(|flight| flight.from == side).for_each(|flight| flight.is_open = false);
        for suspension in self.suspensions.extract_if(.., |suspension| suspension.side == side) {
            let _ = suspension.task.await;
        }
        if let Some(withdrawal) = self.withdrawal.take_if(|_| side == Side::Owner) {
            // Its caller has no answer; the start has finished it all the same.
            let _ = withdrawal.task.await;
            self.oracle.consents[withdrawal.consent].answer();
        }
        self.hellos().await;
    }

    async fn jobs(&mut self) {
        for side in Side::BOTH {
            expire_consents::expire_consents(self.node(side)).await.unwrap();
            expire_items::expire_items(self.node(side)).await.unwrap();
            purge_ended::purge_ended(self.node(side)).await.unwrap();
            purge_sent::purge_sent(self.node(side)).await.unwrap();
            empty_log::empty_log(self.node(side)).await.unwrap();
        }
        self.hellos().await;
    }

    async fn answer(&mut self, referral: usize, completes: bool, tells_more: bool) {
        let held = self.oracle.taken_from(Side::Owner);
        let Some(place) = round(referral, held.len()) else { return };
        let referral_id = held[place];
        let holder = self.node(Side::Holder);
        let find =
            holder.store.read("find", move |tx| Box::pin(async move { custody::find(tx, &[referral_id]).await }));
        let held = find.await.unwrap().remove(0);
        use proto::referral_answer::Kind;
        let tells_outcome = tells_more && completes;
        let kind = match held.referral_state.after(ReferralEvent::Accepted) {
            Ok(_) => Kind::Accepted(proto::Accepted {}),
            Err(_) if completes => Kind::Completed(proto::Completed { outcome: if tells_outcome { 13 } else { 0 } }),
            Err(_) => Kind::InProgress(proto::InProgress {}),
        };
        let note = (tells_more && !completes).then(|| proto::Note { text: mark(Category::Note).into() });
        let answer = proto::ReferralAnswer { on: "2026-11-03".into(), kind: Some(kind), note };
        let submission = AnswerSubmission {
            system: "akte".into(),
            actor: "spiffe://aa.example/system/akte".into(),
            idempotency_key: format!("answer-{}", self.answers + 1),
            referral_id,
            answer: parse_answer(&answer).unwrap(),
            on_behalf_of: String::new(),
            trace_id: vec![],
            caller: None,
        };
        let until = holder.now().plus(LIFE).min(held.hold_until);
        if let Ok(answered) = answer_referral(holder, submission).await {
            self.answers += 1;
            self.oracle.handed_over(Side::Holder, answered.answer_id, None, until);
        }
    }

    async fn next_version(&mut self, levels: u8) {
        if self.versions == 3 || !self.oracle.suspended.is_empty() {
            return;
        }
        self.versions += 1;
        let nodes = [self.node(Side::Owner), self.node(Side::Holder)];
        let text = with_feedback_levels(&agreement_text(self.agreement, 2, &nodes), levels);
        agree_on(&nodes, &text.replacen("version = 1", &format!("version = {}", self.versions), 1)).await;
        self.oracle.levels.push(levels);
        self.clock.turn(DAY * 2);
    }

    /// Lifts everything and lets the couriers work until nothing moves any more.
    pub(super) async fn come_to_rest(&mut self) {
        for side in Side::BOTH {
            self.resume(side, Bond::Peer).await;
            self.resume(side, Bond::Agreement).await;
        }
        while self.flights.iter().any(|flight| flight.is_open) {
            self.lapse(0).await;
        }
        self.finish_withdrawal().await;
        for _ in 0..12 {
            for side in Side::BOTH {
                while self.claim_again(side).await {
                    self.deliver_last().await;
                }
                self.claim(side).await;
                self.deliver_last().await;
            }
            self.clock.turn(Duration::from_secs(16 * 60));
        }
    }

    async fn deliver_last(&mut self) {
        if let Some(last) = self.flights.len().checked_sub(1)
            && self.flights[last].is_open
        {
            self.deliver(last).await;
            self.receipt(self.receipts.len() - 1).await;
        }
    }
}

/// Finds the thing that a number names.
fn round(place: usize, count: usize) -> Option<usize> {
    place.checked_rem(count)
}

/// The special categories. No consent of these runs covers them: they would have to be explicit.
const SPECIAL: u16 = 0xf000;

/// The categories that an op names by bits, the first one by the lowest.
fn set(bits: u16) -> Categories {
    Categories::from_bits(i64::from(bits) << 1)
}
