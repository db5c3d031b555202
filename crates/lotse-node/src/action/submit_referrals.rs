//! Hands referrals over for delivery: decides, stores, and, where the courier has room, releases in the same commit.
//!
//! Works on a batch to one recipient with a handful of statements, whatever its size. A refusal is an answer to its item and a
//! log entry; it takes no other item with it.

mod keys;
mod open;
mod told;

use std::sync::Arc;

use bytes::Bytes;
use lotse_core::category::Categories;
use lotse_core::consent::Consent;
use lotse_core::custody::{MAX_LIFE, USUAL_LIFE};
use lotse_core::delivery::DeliveryState;
use lotse_core::id::{AgencyId, Id};
use lotse_core::purpose::RecordKind;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::release::{self, Moment, NoNotes, Permit, Refusal, Release};
use lotse_core::time::Timestamp;
use lotse_store::consent::Towards;
use lotse_store::counter::{self, Counter};
use lotse_store::outbox::{Delivered, ItemKind, NewItem};
use lotse_store::vault::{Sealed, SubjectKey};
use lotse_store::{Readable, StoreError, Tx, log, outbox};
use tokio::time::Instant;

use crate::action::content_digest::ContentDigest;
use crate::action::covering::{self, Consents};
use crate::action::cut::{self, Candidate, Frame, Ground};
use crate::action::expire_consents::expire;
use crate::action::guard;
use crate::action::outgoing::{Outgoing, place};
use crate::action::subject::SubjectIds;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::Federation;
use crate::node::Node;
use crate::shipment::{LEASE, Shipment};
use crate::telemetry::trace::{Place, within};
use crate::wire::referral::Handover;
use crate::wire::request::{Ask, ReferralAsk, Request};

/// One referral that a system hands over.
#[derive(Clone)]
pub struct Submission {
    /// Name of the system, as in its certificate.
    pub system: String,
    /// Identity of the system, for the log.
    pub actor: String,
    /// Trace towards the recipient, 16 bytes; empty: it gets one of its own.
    pub trace_id: Vec<u8>,
    /// The call in which it was handed over, in its caller's trace: nothing of it crosses.
    pub caller: Option<Place>,
    /// The referral.
    pub handover: Handover,
}

/// What was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Record id of the referral.
    pub record_id: Id,
    /// Where the delivery stands.
    pub delivery: DeliveryState,
    /// Where the referral stands.
    pub state: ReferralState,
    /// Why it was refused or ended, where the key was accepted before.
    pub reasons: Vec<Reason>,
    /// Categories that were left out.
    pub left_out: Categories,
    /// Whether the key was accepted before.
    pub repeated: bool,
    /// Another open referral of the same person to the same recipient, if this one is new.
    pub open_referral: Option<Id>,
}

/// When what is permitted is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// At once, in the same commit: the courier has room.
    AtOnce,
    /// Later, by a claim: until then it waits in the outbox.
    Later,
}

/// What became of a batch.
pub struct Outcome {
    /// One result for each submission, in order.
    pub results: Vec<Result<Submitted, Failure>>,
    /// What was released.
    pub shipment: Option<Shipment>,
}

/// Submits referrals to one recipient.
pub async fn submit_referrals(
    node: &Arc<Node>,
    peer: &AgencyId,
    submissions: Vec<Submission>,
    timing: Timing,
) -> Result<Outcome, StoreError> {
    let begun = node.telemetry.begin();
    // What a pause keeps back is not released at once either: the next claim decides how much goes.
    let timing = if node.pauses.of(peer).any() { Timing::Later } else { timing };
    let job = Arc::new(Job::prepare(node, peer, submissions, timing)?);
    let shared = job.clone();
    let work = node.store.transact("submit", move |tx| {
        let job = shared.clone();
        Box::pin(async move { job.run(tx).await })
    });
    let (outcome, federation) = within(begun.and_then(|_| job.place()), work).await?;
    node.federation.keep(&federation);
    node.signals.log.notify_one();
    job.remember(&outcome);
    if let Some(shipment) = &outcome.shipment {
        node.recent.released(shipment.batch_id, job.deliveries(shipment));
    }
    if let Some(begun) = begun {
        job.tell(begun, &outcome);
    }
    Ok(outcome)
}

/// A batch with everything that does not depend on the database.
struct Job {
    node: Arc<Node>,
    peer: AgencyId,
    timing: Timing,
    lease_until: Instant,
    items: Vec<Item>,
}

struct Item {
    submission: Submission,
    record_id: Id,
    subject: SubjectIds,
    digest: ContentDigest,
    /// That of the content with its texts as they were given, where composing them changed one.
    digest_as_given: Option<ContentDigest>,
    content: Outgoing,
    request: Bytes,
}

impl Job {
    fn prepare(
        node: &Arc<Node>,
        peer: &AgencyId,
        mut submissions: Vec<Submission>,
        timing: Timing,
    ) -> Result<Job, StoreError> {
        told::trace_each(node, &mut submissions);
        let id_key = node.vault.id_key();
        let ids: Vec<Id> =
            submissions.iter().map(|s| Id::of_record(id_key, &s.system, &s.handover.idempotency_key, peer)).collect();
        let plain: Vec<_> = ids.iter().zip(&submissions).map(|(id, s)| (place(id), &s.handover.content[..])).collect();
        let sealed = node.vault.seal_many(&*node.random, &plain)?;
        let as_given = |submission: &Submission, record_id: &Id| {
            submission.handover.digest_as_given.map(|plain| ContentDigest::new(id_key, record_id, plain))
        };
        let items = submissions.into_iter().zip(ids).zip(sealed).map(|((submission, record_id), (sealed, key))| Item {
            subject: SubjectIds::new(&node.vault, &submission.handover.subject_reference),
            digest: ContentDigest::new(id_key, &record_id, submission.handover.digest()),
            digest_as_given: as_given(&submission, &record_id),
            request: request(&submission).encode().into(),
            content: Outgoing { bytes: submission.handover.content.clone(), sealed, key },
            submission,
            record_id,
        });
        let items = items.collect();
        Ok(Job { node: node.clone(), peer: peer.clone(), timing, lease_until: Instant::now() + LEASE, items })
    }

    /// Returns what the inbox tells of the items of a batch once it is taken.
    fn deliveries(&self, shipment: &Shipment) -> Vec<Delivered> {
        // What is released keeps the order in which it was handed over: `fresh` ascends, and a batch is cut in its order.
        let mut items = self.items.iter();
        let released = shipment.items.iter().filter_map(|sent| items.find(|item| item.record_id == sent.record_id));
        let taken = released.map(|item| Delivered {
            record_id: item.record_id,
            thread_id: item.record_id,
            system: item.submission.system.clone(),
            idempotency_key: item.submission.handover.idempotency_key.clone(),
            delivery: DeliveryState::Taken,
            reasons: Vec::new(),
        });
        let taken: Vec<Delivered> = taken.collect();
        debug_assert_eq!(taken.len(), shipment.items.len(), "what is released was handed over");
        taken
    }

    async fn run(&self, tx: &mut Tx) -> Result<(Outcome, Arc<Federation>), StoreError> {
        let at = self.node.now();
        let mut ids: Vec<Id> = self.items.iter().map(|item| item.record_id).collect();
        let found = outbox::known(tx, &[&ids[..], &self.latest()].concat()).await?;
        ids.sort_unstable();
        let is_own = |(id, _): &(Id, outbox::Known)| ids.binary_search(id).is_ok();
        let (rows, latest): (Vec<_>, Vec<_>) = found.rows.into_iter().partition(is_own);
        let known = Readable { rows, broken: found.broken };
        let fresh = self.fresh(&known);
        let towards = self.consents(tx, &fresh).await?;
        let mut federation = self.node.federation.get();
        let mut taken_before = (0, 0);
        let (verdicts, counters) = loop {
            let verdicts: Vec<_> = fresh.iter().map(|&place| self.decide(&federation, &towards, place, at)).collect();
            let wanted = self.numbers(&verdicts);
            let step = [
                (Counter::Federation, 0),
                (Counter::Leaf, wanted.0 - taken_before.0),
                (Counter::Revision(self.peer.clone()), wanted.1 - taken_before.1),
            ];
            let counters = counter::take(tx, &step).await?;
            if counters.after(&Counter::Federation) == federation.version {
                break (verdicts, counters);
            }
            taken_before = wanted;
            federation = Arc::new(Federation::load(tx, &self.node.agency).await?);
        };
        expire(tx, &self.node, &towards.overdue(self.node.proven_now())).await?;
        let (shipment, fresh_results) = self.write(tx, &federation, &fresh, verdicts, counters, at).await?;
        let mut results = self.answers(&known, &fresh, fresh_results);
        self.point_out(known.rows.iter().chain(&latest), &mut results);
        Ok((Outcome { results, shipment }, federation))
    }

    /// Reads the consents that the decisions need, by subject.
    async fn consents(&self, tx: &mut Tx, fresh: &[usize]) -> Result<Consents, StoreError> {
        let subjects = fresh.iter().flat_map(|&place| self.items[place].subject.all()).collect();
        let named = fresh.iter().filter_map(|&place| self.items[place].submission.handover.consent).collect();
        Consents::read(tx, &self.peer, subjects, named).await
    }

    fn decide<'a>(
        &self,
        federation: &Federation,
        consents: &'a Consents,
        place: usize,
        at: Timestamp,
    ) -> ReferralVerdict<'a> {
        let item = &self.items[place];
        let handover = &item.submission.handover;
        guard::releasable(&self.node, federation, &self.peer, at).map_err(|reason| vec![Refusal::from(reason)])?;
        let subject = item.subject.with_consents(consents, handover.consent);
        let asked = Asked { node: &self.node, peer: &self.peer, subject, handover };
        asked.is_in_time(at)?;
        let (of_subject, is_broken) = (consents.of(subject, handover.consent), consents.is_broken(subject));
        let consents: Vec<&Consent> = of_subject.iter().map(|towards| &towards.consent).collect();
        let decided = release::decide(&asked.release(), &federation.agreements, &consents, at, &mut NoNotes);
        let permit = match decided {
            Err(_) if is_broken => return Err(vec![Reason::Unavailable.into()]),
            decided => decided?,
        };
        let chosen = of_subject.into_iter().find(|towards| towards.consent.id == permit.consent);
        match chosen {
            Some(towards) => Ok((permit, towards, covering::subject_key(&self.node, towards, 1)?)),
            None => Err(vec![Reason::ConsentUnknown.into()]),
        }
    }

    /// Numbers that the verdicts need: leaves and revisions.
    fn numbers(&self, verdicts: &[ReferralVerdict<'_>]) -> (i64, i64) {
        let permitted = verdicts.iter().filter(|verdict| verdict.is_ok()).count() as i64;
        let refused = verdicts.len() as i64 - permitted;
        match self.timing {
            Timing::AtOnce => (permitted + refused, permitted),
            Timing::Later => (refused, 0),
        }
    }

    async fn write(
        &self,
        tx: &mut Tx,
        federation: &Federation,
        fresh: &[usize],
        verdicts: Vec<ReferralVerdict<'_>>,
        counters: counter::Taken,
        at: Timestamp,
    ) -> Result<(Option<Shipment>, Vec<Result<Submitted, Failure>>), StoreError> {
        let (leaves, revisions) = self.numbers(&verdicts);
        let mut entries = Vec::with_capacity(leaves as usize);
        let mut items = Vec::with_capacity(fresh.len());
        let mut permitted = Vec::with_capacity(fresh.len());
        for (&place, verdict) in fresh.iter().zip(&verdicts) {
            match verdict {
                Ok((permit, towards, key)) => {
                    let item = &self.items[place];
                    let content = item.content.without(&self.node, &item.record_id, permit.left_out)?;
                    items.push(self.new_item(place, permit, towards.consent.subject, content.sealed.clone(), at));
                    permitted.push(Permitted { place, ground: Ground::Referral(permit, towards, key), content });
                }
                Err(refusals) => entries.push(self.refusal_entry(place, refusals, at)),
            }
        }
        let shipment = match self.timing {
            Timing::AtOnce if !permitted.is_empty() => {
                let peer_generation = federation.peers.get(&self.peer).map_or(1, |peer| peer.generation);
                let first_revision = counters.first(&Counter::Revision(self.peer.clone()), revisions as usize) + 1;
                let random = lotse_core::random::bytes(&*self.node.random);
                let batch_id = Id::v7(at, random);
                let frame = Frame { peer: &self.peer, peer_generation, batch_id, first_revision, at };
                Some(self.release(tx, &frame, &mut items, permitted, &mut entries).await?)
            }
            _ => None,
        };
        if !items.is_empty() {
            outbox::insert(tx, items).await?;
        }
        if !entries.is_empty() {
            let first = counters.first(&Counter::Leaf, leaves as usize);
            log::append(tx, self.node.generation, first, entries).await?;
        }
        let state = if shipment.is_some() { DeliveryState::InDoubt } else { DeliveryState::Due };
        let result = |(&place, verdict): (&usize, ReferralVerdict<'_>)| match verdict {
            Ok((permit, ..)) => Ok(Submitted {
                record_id: self.items[place].record_id,
                delivery: state,
                state: ReferralState::Offered,
                reasons: Vec::new(),
                left_out: permit.left_out,
                repeated: false,
                open_referral: None,
            }),
            Err(refusals) => Err(federation.refuse_release(&self.peer, refusals)),
        };
        Ok((shipment, fresh.iter().zip(verdicts).map(result).collect()))
    }

    /// Releases what is permitted in this transaction.
    async fn release(
        &self,
        tx: &mut Tx,
        frame: &Frame<'_>,
        items: &mut [NewItem],
        permitted: Vec<Permitted<'_>>,
        entries: &mut Vec<log::Entry>,
    ) -> Result<Shipment, StoreError> {
        let candidates: Vec<Candidate<'_>> = permitted
            .iter()
            .zip(items.iter())
            .map(|(Permitted { place, ground, content }, item)| {
                let submission = &self.items[*place].submission;
                Candidate {
                    record_id: item.record_id,
                    thread_id: item.record_id,
                    thread_sequence: 1,
                    purpose: item.purpose,
                    expires_at: item.expires_at,
                    content,
                    ground: *ground,
                    actor: &submission.actor,
                    on_behalf_of: &submission.handover.on_behalf_of,
                    trace_id: &submission.trace_id,
                }
            })
            .collect();
        let cut = cut::cut(&self.node, frame, &candidates)?;
        drop(candidates);
        let (shipment, releases) = cut.ship(tx, &self.node, frame, self.lease_until, entries).await?;
        for (item, (_, release)) in items.iter_mut().zip(releases) {
            item.release = Some(release);
        }
        Ok(shipment)
    }

    fn new_item(&self, place: usize, permit: &Permit, subject: Id, content: Sealed, at: Timestamp) -> NewItem {
        let item = &self.items[place];
        let handover = &item.submission.handover;
        let latest = at.plus(MAX_LIFE);
        NewItem {
            record_id: item.record_id,
            kind: ItemKind::Referral,
            recipient: self.peer.clone(),
            thread_id: item.record_id,
            system: item.submission.system.clone(),
            idempotency_key: handover.idempotency_key.clone(),
            content_digest: item.digest.to_store(),
            subject: Some(subject),
            purpose: handover.referral.purpose,
            present: permit.categories,
            left_out: permit.left_out,
            request: item.request.clone(),
            submitted_at: at,
            expires_at: handover.expires_at.unwrap_or(at.plus(USUAL_LIFE)).min(latest),
            content,
            release: None,
        }
    }

    fn refusal_entry(&self, place: usize, refusals: &[Refusal], at: Timestamp) -> log::Entry {
        let submission = &self.items[place].submission;
        let mut reasons: Vec<Reason> = refusals.iter().map(|refusal| refusal.reason).collect();
        reasons.dedup();
        Draft {
            direction: Direction::Out,
            peer: Some(self.peer.clone()),
            purpose: Some(submission.handover.referral.purpose),
            categories: refusals.iter().filter_map(|refusal| refusal.category).collect(),
            actor: submission.actor.clone(),
            on_behalf_of: submission.handover.on_behalf_of.clone(),
            decision: Decision::Refuse,
            reasons,
            trace_id: submission.trace_id.clone(),
            ..Draft::default()
        }
        .entry(EntryKind::SubmitRefused, at, &*self.node.random)
    }
}

/// An item that may go, by its index in the batch.
struct Permitted<'a> {
    place: usize,
    ground: Ground<'a>,
    content: Outgoing,
}

/// What the claim needs to decide again.
fn request(submission: &Submission) -> Request {
    let handover = &submission.handover;
    Request {
        actor: submission.actor.clone(),
        on_behalf_of: handover.on_behalf_of.clone(),
        trace_id: submission.trace_id.clone(),
        thread_sequence: 1,
        ask: Ask::Referral(ReferralAsk {
            consent: handover.consent,
            agreement: handover.agreement,
            uncovered: handover.uncovered,
            required: handover.referral.required,
            professional_secrecy: handover.referral.professional_secrecy,
            entrusted: handover.referral.entrusted,
        }),
    }
}

/// A permit, the consent on which it rests and the key of its subject, or every reason against it.
type ReferralVerdict<'a> = Result<(Permit, &'a Towards, SubjectKey), Vec<Refusal>>;

/// What a decision is asked about.
pub struct Asked<'a> {
    /// Node.
    pub node: &'a Node,
    /// Recipient.
    pub peer: &'a AgencyId,
    /// Subject.
    pub subject: Id,
    /// The referral.
    pub handover: &'a Handover,
}

impl<'a> Asked<'a> {
    /// Refuses what is handed over after the time at which its delivery was to be given up.
    pub fn is_in_time(&self, at: Timestamp) -> Result<(), Vec<Refusal>> {
        let is_over = self.handover.expires_at.is_some_and(|until| until <= at);
        if is_over { Err(vec![Reason::ItemExpired.into()]) } else { Ok(()) }
    }

    /// Puts the question.
    pub fn release(&self) -> Release<'a> {
        let content = &self.handover.referral;
        Release {
            sender: &self.node.agency,
            recipient: self.peer,
            purpose: content.purpose,
            record_kind: RecordKind::Referral,
            subject: Some(self.subject),
            present: content.present,
            required: content.required,
            professional_secrecy: content.professional_secrecy,
            entrusted: content.entrusted,
            consent: self.handover.consent,
            agreement: self.handover.agreement,
            uncovered: self.handover.uncovered,
            moment: Moment::Submit,
        }
    }
}
