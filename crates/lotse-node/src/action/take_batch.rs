//! Takes a batch from a peer: verifies the seal, decides on each envelope, holds what may be held, and signs a receipt for all
//! of it. The receipt is stored in the same transaction and sent after its commit; the same batch gets the same receipt.

mod envelope;
mod judge;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use lotse_core::delivery::Outcome;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::log::tree;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_store::consent::{self, Towards};
use lotse_store::counter::{self, Counter, seen};
use lotse_store::custody::{Arrival, Copy, Remembered};
use lotse_store::inbox::{self, Event, EventKind};
use lotse_store::vault::Sealed;
use lotse_store::{Readable, StoreError, Tx, custody as held, log, outbox, receipt, vault};
use prost::Message;

use crate::action::log_refusal::{PeerRefusal, log_refusal};
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Added, Federation};
use crate::node::Node;
use crate::telemetry::trace::within;
use crate::wire::batch::{
    BatchStatement, ReceiptItem, ReceiptStatement, SealFault, encode_item, fits, items_root, open_batch_with_card,
    seal_receipt,
};
use crate::wire::envelope::{Body, Head};
use envelope::{Envelope, encrypt, read};
use judge::{Admission, AnsweredThread, EnvelopeVerdict, Taking};

/// Takes a batch from a peer, whose identity TLS has proven. Refuses it as a whole only if its seal or its form is wrong, or if it is more than the peer may add today.
/// While the clock has jumped ahead nothing is taken: a receipt would be signed with the wrong time.
pub async fn take_batch(node: &Arc<Node>, peer: &AgencyId, batch: proto::Batch) -> Result<proto::Receipt, Failure> {
    if node.clock_jumped_ahead() {
        return Err(Failure { kind: ErrorKind::Unavailable, causes: vec![Reason::ClockJumpedAhead.into()] });
    }
    let seal = batch.seal.clone();
    let is_stopped = node.federation.get().peers.get(peer).is_some_and(|known| known.stopped);
    if is_stopped || node.instances.run_twice(peer) {
        return Err(refuse(node, peer, seal.as_ref(), Reason::NodeStateInDoubt).await);
    }
    let job = match Job::open(node, peer, batch) {
        Ok(job) => job,
        Err(reason) => return Err(refuse(node, peer, seal.as_ref(), reason).await),
    };
    let begun = node.telemetry.begin();
    let job = Arc::new(job);
    let shared = job.clone();
    let work = node.store.transact("take", move |tx| {
        let job = shared.clone();
        Box::pin(async move { job.run(tx).await })
    });
    let taken = within(begun.and_then(|_| job.place()), work).await?;
    node.signals.log.notify_one();
    if let (Some(begun), Taken::New { receipt, .. }) = (begun, &taken) {
        job.tell(begun, receipt);
    }
    match taken {
        Taken::New { receipt, event, added } => {
            node.federation.budgets.spend(peer, node.config.peer.daily_limits(), added, node.now());
            event.into_iter().for_each(|seq| node.signals.inbox_changed(seq));
            Ok(receipt)
        }
        Taken::Before(bytes) => proto::Receipt::decode(bytes.as_slice())
            .map_err(|_| Failure::new(ErrorKind::Fault, Reason::Unavailable, "the stored receipt cannot be read")),
        Taken::Reused => Err(refuse(node, peer, seal.as_ref(), Reason::BatchReused).await),
        Taken::Overloaded => Err(refuse(node, peer, seal.as_ref(), Reason::Overloaded).await),
    }
}

/// Refuses a batch as a whole, and logs it with what its seal says. What is this node's own fault is no refusal.
async fn refuse(node: &Arc<Node>, peer: &AgencyId, seal: Option<&proto::Seal>, reason: Reason) -> Failure {
    let kind = match reason {
        Reason::Unavailable => return Failure::new(ErrorKind::Unavailable, reason, "the batch could not be encrypted"),
        Reason::Overloaded => ErrorKind::Overloaded,
        _ => ErrorKind::Refused,
    };
    let digest = seal.map(|seal| Digest::of(&seal.payload));
    let remark = seal.and_then(|seal| named_agency(seal, reason)).unwrap_or_default();
    log_refusal(node, peer, PeerRefusal { kind: EntryKind::BatchRefused, reason, digest, remark }).await;
    if reason == Reason::Overloaded {
        return Failure::new(kind, reason, DAILY_LIMIT);
    }
    Failure { kind, causes: vec![reason.into()] }
}

/// The answer to a peer that is over a limit of a day.
const DAILY_LIMIT: &str = "this node takes no more from this agency today: try again later, or ask its administrator for a higher \
                           limit (`[peer]` in lotse.toml)";

/// Returns the agency that a batch names falsely, as its sender or recipient.
fn named_agency(seal: &proto::Seal, reason: Reason) -> Option<String> {
    let statement = proto::BatchStatement::decode(seal.payload.clone()).ok()?;
    let (role, name) = match reason {
        Reason::SenderMismatch => ("sender", statement.sender),
        Reason::RecipientMismatch => ("recipient", statement.recipient),
        _ => return None,
    };
    name.parse::<AgencyId>().ok().map(|agency| format!("{role} {agency}"))
}

enum Taken {
    New {
        receipt: proto::Receipt,
        event: Option<u64>,
        added: Added,
    },
    Before(Vec<u8>),
    Reused,
    /// It would add more than the peer may add today.
    Overloaded,
}

/// Bytes that an envelope adds around its own: columns, indexes, its entry in the log and its item of the receipt.
const AROUND_BYTES: u64 = 768;

/// The receipt's item for one envelope.
#[derive(Clone, Copy)]
struct Answered {
    outcome: Outcome,
    at: Timestamp,
    leaf_hash: Digest,
}

impl Answered {
    fn item(&self, envelope: &Envelope) -> Bytes {
        let first_taken_at = (self.outcome == Outcome::Taken).then_some(self.at);
        let Answered { outcome, leaf_hash: log_leaf_hash, .. } = *self;
        encode_item(&ReceiptItem { digest: envelope.digest, outcome, first_taken_at, log_leaf_hash })
    }
}

struct Job {
    node: Arc<Node>,
    peer: AgencyId,
    statement: BatchStatement,
    envelopes: Vec<Envelope>,
}

impl Job {
    /// Verifies the seal first and parses after.
    fn open(node: &Arc<Node>, peer: &AgencyId, batch: proto::Batch) -> Result<Job, Reason> {
        let federation = node.federation.get();
        let card = &federation.peers.get(peer).ok_or(Reason::PeerUnknown)?.card.card;
        if !fits(&batch) {
            return Err(Reason::BatchInvalid);
        }
        let seal = batch.seal.as_ref().ok_or(Reason::SealInvalid)?;
        let statement = open_batch_with_card(card, seal, node.now()).map_err(|fault| match fault {
            SealFault::NotSealed => Reason::SealInvalid,
            SealFault::TooNew => Reason::SchemaTooNew,
            SealFault::Malformed => Reason::BatchInvalid,
        })?;
        if statement.sender != *peer {
            return Err(Reason::SenderMismatch);
        }
        if statement.recipient != node.agency {
            return Err(Reason::RecipientMismatch);
        }
        let digests: Vec<Digest> = batch.envelopes.iter().map(|bytes| Digest::of_leaf(bytes)).collect();
        let count_fits = digests.len() == statement.count as usize;
        if !count_fits || tree::root(&digests) != statement.root {
            return Err(Reason::BatchInvalid);
        }
        let mut envelopes: Vec<Envelope> =
            batch.envelopes.into_iter().zip(digests).map(|(bytes, digest)| read(bytes, digest)).collect();
        encrypt(node, &mut envelopes).map_err(|_| Reason::Unavailable)?;
        Ok(Job { node: node.clone(), peer: peer.clone(), statement, envelopes })
    }

    async fn run(&self, tx: &mut Tx) -> Result<Taken, StoreError> {
        if let Some(before) = receipt::find(tx, self.statement.batch_id).await? {
            let same = before.root == self.statement.root && before.peer == self.peer;
            return Ok(if same { Taken::Before(before.receipt) } else { Taken::Reused });
        }
        let at = self.node.now();
        let (federation, counters) = self.numbers(tx).await?;
        let memory = self.remembered(tx).await?;
        let threads = self.threads(tx).await?;
        let mut verdicts = Vec::with_capacity(self.envelopes.len());
        let mut taking = Taking::new(&self.peer, &memory, threads);
        for index in 0..self.envelopes.len() {
            verdicts.push(self.judge(&federation, &mut taking, index, at));
        }
        let added = self.added(&verdicts);
        let limits = self.node.config.peer.daily_limits();
        if !self.node.federation.budgets.has_room(&self.peer, limits, added, at) {
            self.give_all_back(tx).await?;
            return Ok(Taken::Overloaded);
        }
        self.write(tx, verdicts, taking, counters, added, at).await
    }

    /// Counts what the batch adds to the disk.
    fn added(&self, verdicts: &[EnvelopeVerdict]) -> Added {
        let mut added = Added { bytes: AROUND_BYTES, refused: 0 };
        for (envelope, verdict) in self.envelopes.iter().zip(verdicts) {
            added.bytes += AROUND_BYTES;
            match verdict {
                EnvelopeVerdict::Repeat { .. } | EnvelopeVerdict::Same(_) => {}
                EnvelopeVerdict::Take(_) => added.bytes += envelope.bytes.len() as u64,
                EnvelopeVerdict::Malformed(_)
                | EnvelopeVerdict::Refuse(_)
                | EnvelopeVerdict::Reused
                | EnvelopeVerdict::Unreadable => added.refused += 1,
            }
        }
        added
    }

    /// Gives back every number that was taken.
    async fn give_all_back(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let leaves = -(self.envelopes.len() as i64);
        let numbers = [(Counter::Leaf, leaves), (Counter::Event, -1), (Counter::Receipt(self.peer.clone()), -1)];
        counter::take(tx, &numbers).await.map(|_| ())
    }

    /// Takes the numbers that this batch needs at most, with the federation that belongs to them. What is not needed is given
    /// back before the commit.
    async fn numbers(&self, tx: &mut Tx) -> Result<(Arc<Federation>, counter::Taken), StoreError> {
        // The epoch that an answer names is one of this node.
        let epoch = self.referrals().map(|head| head.basis.epoch).max().unwrap_or_default();
        let revision = self.heads().map(|head| head.revision).max().unwrap_or_default();
        let wanted = [
            (Counter::Federation, 0),
            (Counter::Leaf, self.envelopes.len() as i64),
            (Counter::Event, 1),
            (Counter::Receipt(self.peer.clone()), 1),
            (Counter::SeenEpoch(self.peer.clone()), seen(epoch)),
            (Counter::SeenRevision(self.peer.clone()), seen(revision)),
        ];
        let counters = counter::take(tx, &wanted).await?;
        let federation = self.node.federation.get();
        if counters.after(&Counter::Federation) == federation.version {
            return Ok((federation, counters));
        }
        Ok((Arc::new(Federation::load(tx, &self.node.agency).await?), counters))
    }

    async fn remembered(&self, tx: &mut Tx) -> Result<Readable<Remembered>, StoreError> {
        let envelope_ids: Vec<Id> = self.envelopes.iter().map(|envelope| envelope.id).collect();
        let record_ids: Vec<Id> = self.heads().map(|head| head.record_id).collect();
        held::remembered(tx, &envelope_ids, &record_ids).await
    }

    fn referrals(&self) -> impl Iterator<Item = &Head> {
        let parsed = self.envelopes.iter().filter_map(|envelope| envelope.parsed.as_ref().ok());
        parsed.filter(|(_, body)| matches!(body, Body::Referral(_))).map(|(head, _)| head)
    }

    fn heads(&self) -> impl Iterator<Item = &Head> {
        self.envelopes.iter().filter_map(|envelope| envelope.parsed.as_ref().ok().map(|(head, _)| head))
    }

    /// Reads the referrals of this agency that answers in the batch belong to, and how their consents stand.
    async fn threads(&self, tx: &mut Tx) -> Result<Readable<AnsweredThread>, StoreError> {
        let is_answer = |envelope: &&Envelope| matches!(envelope.parsed, Ok((_, Body::Answer(_))));
        let ids: Vec<Id> = self
            .envelopes
            .iter()
            .filter(is_answer)
            .filter_map(|envelope| envelope.parsed.as_ref().ok().map(|(head, _)| head.thread_id))
            .collect();
        if ids.is_empty() {
            return Ok(Readable::default());
        }
        let Readable { rows: mut referrals, mut broken } = outbox::find_readable(tx, &ids).await?;
        let consents: Vec<Id> = referrals.iter().filter_map(|referral| referral.consent_id).collect();
        let consents = consent::towards(tx, &self.peer, &[], &consents).await?;
        let is_read = |id: Id| consents.rows.iter().any(|towards| towards.consent.id == id);
        let is_broken =
            |referral: &outbox::Item| !consents.broken.is_empty() && referral.consent_id.is_some_and(|id| !is_read(id));
        broken.extend(referrals.extract_if(.., |referral| is_broken(referral)).map(|referral| referral.record_id));
        let thread = |referral: outbox::Item| {
            let rests_on = |towards: &&Towards| Some(towards.consent.id) == referral.consent_id;
            let consent = consents.rows.iter().find(rests_on).map(|towards| towards.consent.clone());
            AnsweredThread { referral, consent }
        };
        Ok(Readable { rows: referrals.into_iter().map(thread).collect(), broken })
    }

    async fn write(
        &self,
        tx: &mut Tx,
        verdicts: Vec<EnvelopeVerdict>,
        taking: Taking<'_>,
        counters: counter::Taken,
        added: Added,
        at: Timestamp,
    ) -> Result<Taken, StoreError> {
        let mut shared: Vec<(Outcome, Digest)> = Vec::new();
        let malformed: Vec<Outcome> = verdicts.iter().filter_map(EnvelopeVerdict::malformed).collect();
        let mut arrivals = Vec::new();
        let mut entries = Vec::new();
        let mut answers: Vec<Answered> = Vec::with_capacity(verdicts.len());
        for (envelope, verdict) in self.envelopes.iter().zip(verdicts) {
            // The id has a row: of another envelope, or one that cannot be read.
            let has_row = matches!(verdict, EnvelopeVerdict::Reused | EnvelopeVerdict::Unreadable);
            let (outcome, admission) = match verdict {
                EnvelopeVerdict::Repeat { outcome, at, leaf_hash } => {
                    answers.push(Answered { outcome, at, leaf_hash });
                    continue;
                }
                EnvelopeVerdict::Same(index) => {
                    answers.push(answers[index]);
                    continue;
                }
                EnvelopeVerdict::Reused => (Outcome::Refused(Reason::IdReused), None),
                EnvelopeVerdict::Unreadable => (Outcome::Again(Reason::Unavailable), None),
                EnvelopeVerdict::Take(admission) => (Outcome::Taken, Some(admission)),
                EnvelopeVerdict::Refuse(outcome) | EnvelopeVerdict::Malformed(outcome) => (outcome, None),
            };
            let is_malformed = verdict.malformed().is_some();
            let known = shared.iter().find(|(alike, _)| is_malformed && *alike == outcome);
            let leaf_hash = match known {
                Some(&(_, leaf_hash)) => leaf_hash,
                None => {
                    let alike = malformed.iter().filter(|&&alike| is_malformed && alike == outcome).count();
                    let entry = self.entry(envelope, outcome, alike as u32, at);
                    let leaf_hash = entry.leaf_hash();
                    entries.push(entry);
                    shared.extend(is_malformed.then_some((outcome, leaf_hash)));
                    leaf_hash
                }
            };
            if !has_row {
                arrivals.push(self.arrival(envelope, outcome, admission, leaf_hash, at));
            }
            answers.push(Answered { outcome, at, leaf_hash });
        }
        let items = self.envelopes.iter().zip(&answers).map(|(envelope, answered)| answered.item(envelope)).collect();
        let taken: Vec<Id> =
            arrivals.iter().filter_map(|arrival| arrival.copy.as_ref().map(|copy| copy.record_id)).collect();
        let event = (!taken.is_empty()).then(|| counters.after(&Counter::Event));
        self.give_back(tx, entries.len(), event).await?;
        let first = counters.first(&Counter::Leaf, self.envelopes.len());
        if !entries.is_empty() {
            log::append(tx, self.node.generation, first, entries).await?;
        }
        if !arrivals.is_empty() {
            held::insert(tx, &arrivals).await?;
        }
        for (thread_id, state) in taking.states {
            outbox::set_referral_state(tx, thread_id, state).await?;
        }
        if let Some(seq) = event {
            let event = Event { seq, at, kind: EventKind::Received, peer: self.peer.clone(), items: taken };
            inbox::append(tx, &event).await?;
        }
        let receipt = self.receipt(items, counters.after(&Counter::Receipt(self.peer.clone())), at);
        let bytes = receipt.encode_to_vec();
        receipt::insert(tx, self.statement.batch_id, &self.peer, self.statement.root, bytes, at).await?;
        Ok(Taken::New { receipt, event, added })
    }

    /// Gives back the numbers that were taken and not needed, so that none is missing.
    async fn give_back(&self, tx: &mut Tx, entries: usize, event: Option<u64>) -> Result<(), StoreError> {
        let leaves = entries as i64 - self.envelopes.len() as i64;
        let events = if event.is_some() { 0 } else { -1 };
        if leaves == 0 && events == 0 {
            return Ok(());
        }
        counter::take(tx, &[(Counter::Leaf, leaves), (Counter::Event, events)]).await.map(|_| ())
    }

    fn entry(&self, envelope: &Envelope, outcome: Outcome, alike: u32, at: Timestamp) -> log::Entry {
        let head = envelope.parsed.as_ref().ok().map(|(head, _)| head);
        let present = match &envelope.parsed {
            Ok((_, Body::Referral(content))) => content.present,
            _ => Default::default(),
        };
        let taken = outcome == Outcome::Taken;
        let draft = Draft {
            direction: Direction::In,
            peer: Some(self.peer.clone()),
            agreement_id: head.map(|head| head.basis.agreement_id),
            version: head.map_or(0, |head| u64::from(head.basis.agreement_version)),
            clause_id: head.map(|head| head.basis.clause_id.clone()).unwrap_or_default(),
            consent_ref: head.map(|head| head.basis.consent_ref),
            purpose: head.map(|head| head.basis.purpose),
            categories: present,
            record_id: head.map(|head| head.record_id),
            digest: Some(envelope.digest),
            decision: if taken { Decision::Permit } else { Decision::Refuse },
            reasons: outcome.reason().into_iter().collect(),
            trace_id: head.map(|head| head.trace_id.clone()).unwrap_or_default(),
            alike,
            ..Draft::default()
        };
        let kind = if taken { EntryKind::Taken } else { EntryKind::EnvelopeRefused };
        draft.entry(kind, at, &*self.node.random)
    }

    fn arrival(
        &self,
        envelope: &Envelope,
        outcome: Outcome,
        admission: Option<Admission>,
        leaf_hash: Digest,
        at: Timestamp,
    ) -> Arrival {
        let parsed = envelope.parsed.as_ref().ok();
        let head = parsed.map(|(head, _)| head);
        let copy = admission.zip(parsed).zip(envelope.sealed.as_ref());
        Arrival {
            envelope_id: envelope.id,
            digest: envelope.digest,
            owner: self.peer.clone(),
            sender_generation: head.map_or(0, |head| head.sender_generation),
            recipient_generation: head.map_or(0, |head| head.recipient_generation),
            outcome,
            at,
            leaf_hash,
            expires_at: head.map_or(at, |head| head.expires_at),
            copy: copy.map(|((admission, (head, body)), sealed)| copy_of(head, body, admission, sealed.clone())),
        }
    }

    fn receipt(&self, items: Vec<Bytes>, number: u64, at: Timestamp) -> proto::Receipt {
        let federation = self.node.federation.get();
        let statement = ReceiptStatement {
            receiver: self.node.agency.clone(),
            sender: self.peer.clone(),
            batch_id: self.statement.batch_id,
            batch_root: self.statement.root,
            taken_at: at,
            count: items.len() as u32,
            items_root: items_root(&items),
            number: Sequence::new(self.node.generation, number as u32),
            receiver_generation: self.node.generation,
            sender_generation: federation.peers.get(&self.peer).map_or(0, |peer| peer.generation),
        };
        proto::Receipt { seal: Some(seal_receipt(&statement, &self.node.keys.sealing)), items }
    }
}

/// Where the bytes of an envelope are stored.
pub fn place(envelope_id: &Id) -> vault::Place<'_> {
    vault::Place { table: "custody", id: envelope_id.as_bytes() }
}

fn copy_of(head: &Head, body: &Body, admission: Admission, content: Sealed) -> Copy {
    let excerpt = head.basis.excerpt.as_ref();
    let present = match body {
        Body::Referral(content) => content.present,
        Body::Answer(_) => Default::default(),
    };
    Copy {
        record_id: head.record_id,
        kind: body.kind(),
        thread_id: head.thread_id,
        thread_sequence: head.thread_sequence,
        revision: head.revision,
        consent_ref: head.basis.consent_ref,
        subject_ref: excerpt.map(|excerpt| excerpt.subject_ref),
        epoch: head.basis.epoch,
        agreement_id: head.basis.agreement_id,
        clause_id: head.basis.clause_id.clone(),
        purpose: head.basis.purpose,
        present,
        covered: excerpt.map(|excerpt| excerpt.categories).unwrap_or_default(),
        feedback: excerpt.map_or(FeedbackLevel::None, |excerpt| excerpt.feedback),
        hold_until: admission.hold_until,
        referral_state: admission.state,
        content,
    }
}

#[cfg(test)]
mod tests;
