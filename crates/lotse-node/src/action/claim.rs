//! Claims what waits for a peer: decides again and releases. The claim transaction *is* the release: it reads agreement and
//! consent, freezes the envelope's exact bytes, and writes log and register; no byte leaves before it.

mod item;
mod numbers;
mod settled;

use std::sync::Arc;
use std::time::Duration;

use lotse_core::agreement::{self, Agreement};
use lotse_core::answer;
use lotse_core::category::Categories;
use lotse_core::consent::Consent;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::{AgencyId, Id};
use lotse_core::purpose::RecordKind;
use lotse_core::reason::Reason;
use lotse_core::release::{self, Moment, NoNotes, Permit, Refusal, Release};
use lotse_core::time::Timestamp;
use lotse_store::consent::Towards;
use lotse_store::counter::{self, Counter};
use lotse_store::inbox::{self, Event, EventKind};
use lotse_store::outbox::{Claimable, Rest};
use lotse_store::vault::{Sealed, SubjectKey};
use lotse_store::{Readable, StoreError, Tx, log, outbox};
use tokio::time::Instant;

use crate::action::covering::{self, Consents};
use crate::action::cut::{self, Candidate, Frame, Ground};
use crate::action::expire_consents::expire;
use crate::action::guard;
use crate::action::outgoing::Outgoing;
use crate::action::thread_state;
use crate::federation::Federation;
use crate::link::WaitCause;
use crate::node::Node;
use crate::pause::{Pacer, Pause, PauseScope, PeerPauses, Probe};
use crate::shipment::{LEASE, Shipment};
use crate::wire::envelope::parse_own_head;
use crate::wire::request::{AnswerAsk, Ask, ReferralAsk, Request};
use numbers::Numbers;

/// Longest pause between two attempts.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Returns the pause before another attempt: a random part of a time that doubles with each one.
pub fn pause(random: &dyn lotse_core::random::Random, attempts: u32) -> Duration {
    let longest = Duration::from_secs(1).saturating_mul(1 << attempts.min(12)).min(LONGEST_PAUSE);
    let drawn = u64::from_be_bytes(lotse_core::random::bytes(random));
    Duration::from_micros(drawn % (longest.as_micros() as u64).max(1))
}

/// Tells whether a fault of an item is logged at an attempt: ever more rarely, as the attempts go on for weeks, but every day.
pub fn is_told(attempt: u32) -> bool {
    attempt.is_power_of_two() || attempt.is_multiple_of(96)
}

/// What a claim brought.
#[derive(Default)]
pub struct Claimed {
    /// What may be sent while its lease runs.
    pub shipment: Option<Shipment>,
    /// Whether there was anything to look at.
    pub looked: bool,
    /// Why nothing may be released to this peer now, if so.
    pub objection: Option<Reason>,
    /// Why something that is due waits, if it does.
    pub waits_for: Option<WaitCause>,
    /// Items that go to see whether the reason for a pause is gone.
    pub probes: Vec<Probe>,
    /// The federation by which it was decided.
    pub federation: Option<Arc<Federation>>,
    /// Number of the inbox event about items that ended, if any did.
    pub event: Option<u64>,
    /// The most important reason of each item that ended.
    pub ended: Vec<Reason>,
}

impl Claimed {
    /// Makes the answer to a claim while the whole peer is paused.
    fn paused(reason: Reason) -> Claimed {
        Claimed { objection: Some(reason), waits_for: Some(WaitCause::There(reason)), ..Claimed::default() }
    }
}

/// Claims items to a peer that are due. While the whole peer is paused, nothing is read or written.
pub async fn claim_due(node: &Arc<Node>, peer: &AgencyId) -> Result<Claimed, StoreError> {
    let begun = node.telemetry.begin();
    let pauses = node.pauses.of(peer);
    if let Some(pause) = pauses.stops_all(node.now()) {
        node.links.set_wait(peer, Some(WaitCause::There(pause.reason)));
        return Ok(Claimed::paused(pause.reason));
    }
    let lease_until = Instant::now() + LEASE;
    let claim = Arc::new(Claim { node: node.clone(), peer: peer.clone(), pauses, lease_until });
    let shared = claim.clone();
    let work = node.store.transact("claim", move |tx| {
        let claim = claim.clone();
        Box::pin(async move { claim.due(tx).await })
    });
    let claimed = work.await?;
    node.pauses.looked(peer, &shared.pauses);
    announce(node, peer, &claimed);
    if let Some(begun) = begun {
        claimed.shipment.iter().for_each(|shipment| node.telemetry.released(begun, shipment));
        node.telemetry.release_refused(&claimed.ended);
    }
    Ok(claimed)
}

fn announce(node: &Node, peer: &AgencyId, claimed: &Claimed) {
    node.signals.log.notify_one();
    node.pauses.probed(peer, &claimed.probes);
    node.links.set_wait(peer, claimed.waits_for);
    claimed.federation.iter().for_each(|federation| node.federation.keep(federation));
    claimed.event.into_iter().for_each(|seq| node.signals.inbox_changed(seq));
}

struct Claim {
    node: Arc<Node>,
    peer: AgencyId,
    pauses: PeerPauses,
    lease_until: Instant,
}

/// What was decided about one item.
enum ItemVerdict {
    /// Now: on which ground, and what of its content.
    Go(Granted, Outgoing),
    /// Not now: it stays due.
    Wait(Vec<Reason>),
    /// Not before its recipient has taken another item, which may be in the same batch.
    Pause(PauseScope, Pause),
    /// Never: it ends.
    End(Vec<Reason>),
}

impl ItemVerdict {
    /// Lets an item wait that would end, as long as the time by which it ends is in doubt.
    fn postpone_end(&mut self) {
        if let ItemVerdict::End(_) = self {
            *self = ItemVerdict::Wait(vec![Reason::ClockJumpedAhead]);
        }
    }
}

/// On what ground an item may go.
enum Granted {
    Referral(Box<(Permit, Towards, SubjectKey)>),
    Answer(Arc<Agreement>),
}

impl Claim {
    async fn due(&self, tx: &mut Tx) -> Result<Claimed, StoreError> {
        if self.node.clock_jumped_ahead() {
            // The next attempt would be written with a time that may be weeks away.
            let reason = Reason::ClockJumpedAhead;
            let waits_for = Some(WaitCause::Here(reason));
            return Ok(Claimed { looked: true, objection: Some(reason), waits_for, ..Claimed::default() });
        }
        let (at, proven) = (self.node.now(), self.node.proven_now());
        if self.pauses.are_shortened() {
            outbox::retry_now(tx, &self.peer, at).await?;
        }
        let limit = self.node.links.batch_limit(&self.peer);
        let Readable { rows: found, mut broken } = outbox::due(tx, &self.peer, at, limit as u32).await?;
        let items = self.within_limit(found, &mut broken);
        // Nothing can be written into a row without an id: it is left where it is, and is no reason to look again at once.
        broken.retain(|&record_id| record_id != Id::NIL);
        let looked = !items.is_empty() || !broken.is_empty();
        self.put_off(tx, &broken, at).await?;
        if items.is_empty() {
            return Ok(Claimed { looked, ..Claimed::default() });
        }
        let consents = self.consents(tx, &items).await?;
        let mut federation = self.node.federation.get();
        let mut before = Numbers::default();
        let (verdicts, probes, counters, numbers) = loop {
            let mut verdicts: Vec<ItemVerdict> = match guard::releasable(&self.node, &federation, &self.peer, at) {
                Ok(_) => items.iter().map(|item| self.decide(&federation, &consents, item, at)).collect(),
                Err(reason) => {
                    items.iter().map(|item| overdue(item, at).unwrap_or(ItemVerdict::Wait(vec![reason]))).collect()
                }
            };
            if proven.is_none() {
                verdicts.iter_mut().for_each(ItemVerdict::postpone_end);
            }
            let probes = self.pace(&items, &mut verdicts, at);
            let numbers = Numbers::of(&verdicts);
            let counters = counter::take(tx, &numbers.less(&before).wanted(&self.peer)).await?;
            if counters.after(&Counter::Federation) == federation.version {
                break (verdicts, probes, counters, numbers);
            }
            before = numbers;
            federation = Arc::new(Federation::load(tx, &self.node.agency).await?);
        };
        expire(tx, &self.node, &consents.overdue(proven)).await?;
        let claimed = self.write(tx, &federation, items, verdicts, &counters, &numbers, at).await?;
        Ok(Claimed { probes, federation: Some(federation), ..claimed })
    }

    /// Of what may go, keeps back what is paused, but for one item each to see whether the reason is gone.
    fn pace(&self, items: &[Item], verdicts: &mut [ItemVerdict], at: Timestamp) -> Vec<Probe> {
        let mut pacer = Pacer::new(&self.pauses, at, &*self.node.random);
        for (item, verdict) in items.iter().zip(verdicts) {
            let agreement = match verdict {
                ItemVerdict::Go(Granted::Referral(ground), _) => ground.0.agreement.id,
                ItemVerdict::Go(Granted::Answer(agreement), _) => agreement.id,
                _ => continue,
            };
            if let Err((scope, pause)) = pacer.admit(agreement, item.claimable.reasons.first().copied()) {
                *verdict = ItemVerdict::Pause(scope, pause);
            }
        }
        pacer.probes
    }

    async fn consents(&self, tx: &mut Tx, items: &[Item]) -> Result<Consents, StoreError> {
        let subjects = items.iter().filter_map(|item| item.claimable.subject).collect();
        let named = items.iter().filter_map(|item| item.referral().and_then(|ask| ask.consent)).collect();
        Consents::read(tx, &self.peer, subjects, named).await
    }

    fn decide(&self, federation: &Federation, consents: &Consents, item: &Item, at: Timestamp) -> ItemVerdict {
        if let Some(ended) = overdue(item, at) {
            return ended;
        }
        let decided = match &item.request.ask {
            Ask::Referral(ask) => self.decide_referral(federation, consents, item, ask, at),
            Ask::Answer(ask) => decide_answer(&self.node.agency, &self.peer, federation, ask, at),
        };
        match (decided, &item.claimable.content) {
            (Ok(granted), Some(content)) => self.with_content(item, granted, content),
            (Ok(_), None) => ItemVerdict::End(vec![why_gone(item, at)]),
            (Err(refusals), _) => {
                let mut reasons: Vec<Reason> = refusals.iter().map(|refusal| refusal.reason).collect();
                reasons.dedup();
                match reasons.iter().all(|reason| reason.is_retryable()) {
                    true => ItemVerdict::Wait(reasons),
                    false => ItemVerdict::End(reasons),
                }
            }
        }
    }

    /// Opens the content of an item that may go, without what is left out. An item that cannot be opened waits, and holds up none but
    /// later answers of its thread.
    fn with_content(&self, item: &Item, granted: Granted, content: &Sealed) -> ItemVerdict {
        let (node, record_id) = (&self.node, &item.claimable.record_id);
        let left_out = match &granted {
            Granted::Referral(ground) => ground.0.left_out.and(item.claimable.present),
            Granted::Answer(_) => Categories::NONE,
        };
        match Outgoing::open(node, record_id, content).and_then(|whole| whole.without(node, record_id, left_out)) {
            Ok(content) => ItemVerdict::Go(granted, content),
            Err(error) => {
                if is_told(item.claimable.attempts + 1) {
                    tracing::error!(%error, %record_id, "what is due cannot be read, and waits");
                }
                ItemVerdict::Wait(vec![Reason::Unavailable])
            }
        }
    }

    fn decide_referral(
        &self,
        federation: &Federation,
        consents: &Consents,
        item: &Item,
        ask: &ReferralAsk,
        at: Timestamp,
    ) -> Result<Granted, Vec<Refusal>> {
        let subject = item.claimable.subject.ok_or_else(|| vec![Refusal::from(Reason::NoConsent)])?;
        let question = question(&self.node.agency, &self.peer, &item.claimable, ask, subject);
        let (of_subject, is_broken) = (consents.of(subject, ask.consent), consents.is_broken(subject));
        let consents: Vec<&Consent> = of_subject.iter().map(|towards| &towards.consent).collect();
        let decided = release::decide(&question, &federation.agreements, &consents, at, &mut NoNotes);
        let mut permit = match decided {
            Err(_) if is_broken => return Err(vec![Reason::Unavailable.into()]),
            decided => decided?,
        };
        // What was left out at submission stays named: in the thread, the log and the register.
        permit.left_out = permit.left_out.or(item.claimable.left_out);
        let chosen = of_subject.into_iter().find(|towards| towards.consent.id == permit.consent).cloned();
        let towards = chosen.ok_or_else(|| vec![Refusal::from(Reason::ConsentUnknown)])?;
        let key = covering::subject_key(&self.node, &towards, item.claimable.attempts + 1)?;
        Ok(Granted::Referral(Box::new((permit, towards, key))))
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one decision, used once")]
    async fn write(
        &self,
        tx: &mut Tx,
        federation: &Federation,
        items: Vec<Item>,
        verdicts: Vec<ItemVerdict>,
        counters: &counter::Taken,
        numbers: &Numbers,
        at: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let mut unsent = Vec::new();
        let (mut ended, mut reasons_of_ended, mut ended_answers) = (Vec::new(), Vec::new(), Vec::new());
        let mut entries = Vec::with_capacity(numbers.leaves as usize);
        let mut permitted = Vec::with_capacity(items.len());
        let mut held_back = None;
        for (item, verdict) in items.iter().zip(&verdicts) {
            match verdict {
                ItemVerdict::Wait(reasons) => unsent.push(settled::waiting(
                    item,
                    reasons,
                    pause(&*self.node.random, item.claimable.attempts + 1),
                    at,
                )),
                // Nothing is written into what waits for a whole peer, however much that is.
                ItemVerdict::Pause(PauseScope::Peer, pause) => held_back = Some(pause.reason),
                ItemVerdict::Pause(PauseScope::Agreement(_), pause) => unsent.push(settled::paused(item, pause)),
                ItemVerdict::End(reasons) => {
                    unsent.push(settled::end(item, reasons, at));
                    ended.push(item.claimable.record_id);
                    ended_answers.extend(item.referral().is_none().then_some(item.claimable.thread_id));
                    reasons_of_ended.extend(reasons.first());
                    entries.push(settled::ended_entry(&self.node, &self.peer, item, reasons, at));
                }
                ItemVerdict::Go(granted, content) => permitted.push(Permitted { item, granted, content }),
            }
        }
        let objection = match verdicts.first() {
            Some(ItemVerdict::Wait(reasons)) if permitted.is_empty() => reasons.first().copied(),
            _ => None,
        };
        // An item that cannot be read says nothing about the others.
        let objection = held_back.or(objection.filter(|&reason| reason != Reason::Unavailable));
        let waits_for = verdicts.iter().find_map(|verdict| match verdict {
            ItemVerdict::Wait(reasons) => reasons.first().copied().map(WaitCause::Here),
            ItemVerdict::Pause(_, pause) => Some(WaitCause::There(pause.reason)),
            ItemVerdict::Go(..) | ItemVerdict::End(_) => None,
        });
        let shipment = if permitted.is_empty() {
            None
        } else {
            Some(self.release(tx, federation, &permitted, counters, numbers, &mut entries, at).await?)
        };
        if !unsent.is_empty() {
            outbox::settle(tx, DeliveryState::Due, &unsent).await?;
            thread_state::derive(tx, &ended_answers).await?;
        }
        if !entries.is_empty() {
            let first = counters.first(&Counter::Leaf, numbers.leaves as usize);
            log::append(tx, self.node.generation, first, entries).await?;
        }
        let event = if ended.is_empty() { None } else { Some(counters.after(&Counter::Event)) };
        if let Some(seq) = event {
            let event = Event { seq, at, kind: EventKind::Delivered, peer: self.peer.clone(), items: ended };
            inbox::append(tx, &event).await?;
        }
        let ended = reasons_of_ended;
        Ok(Claimed { shipment, looked: true, objection, waits_for, event, ended, ..Claimed::default() })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one release, used once")]
    async fn release(
        &self,
        tx: &mut Tx,
        federation: &Federation,
        permitted: &[Permitted<'_>],
        counters: &counter::Taken,
        numbers: &Numbers,
        entries: &mut Vec<log::Entry>,
        at: Timestamp,
    ) -> Result<Shipment, StoreError> {
        let candidates: Vec<Candidate<'_>> = permitted.iter().filter_map(candidate).collect();
        let frame = Frame {
            peer: &self.peer,
            peer_generation: federation.peers.get(&self.peer).map_or(1, |peer| peer.generation),
            batch_id: Id::new(at, &*self.node.random),
            first_revision: counters.first(&Counter::Revision(self.peer.clone()), numbers.revisions as usize) + 1,
            at,
        };
        let cut = cut::cut(&self.node, &frame, &candidates)?;
        outbox::release(tx, &cut.releases).await?;
        let rests: Vec<Rest> = permitted.iter().filter_map(rest).collect();
        if !rests.is_empty() {
            outbox::replace_content(tx, rests).await?;
        }
        cut.ship(tx, &self.node, &frame, self.lease_until, entries).await.map(|(shipment, _)| shipment)
    }
}

/// An item that may go: on which ground, and what of its content.
struct Permitted<'a> {
    item: &'a Item,
    granted: &'a Granted,
    content: &'a Outgoing,
}

/// An item with what its system asked for.
struct Item {
    claimable: Claimable,
    request: Request,
}

impl Item {
    fn referral(&self) -> Option<&ReferralAsk> {
        match &self.request.ask {
            Ask::Referral(ask) => Some(ask),
            Ask::Answer(_) => None,
        }
    }
}

/// Puts the question about a referral that was accepted earlier.
pub fn question<'a>(
    sender: &'a AgencyId,
    recipient: &'a AgencyId,
    item: &Claimable,
    ask: &ReferralAsk,
    subject: Id,
) -> Release<'a> {
    Release {
        sender,
        recipient,
        purpose: item.purpose,
        record_kind: RecordKind::Referral,
        subject: Some(subject),
        present: item.present,
        required: ask.required,
        professional_secrecy: ask.professional_secrecy,
        entrusted: ask.entrusted,
        consent: ask.consent,
        agreement: ask.agreement,
        uncovered: ask.uncovered,
        moment: Moment::Claim,
    }
}

fn decide_answer(
    holder: &AgencyId,
    owner: &AgencyId,
    federation: &Federation,
    ask: &AnswerAsk,
    at: Timestamp,
) -> Result<Granted, Vec<Refusal>> {
    answer::decide(&ask.basis(owner, holder), ask.content, &federation.agreements, at)
        .map_err(|reason| vec![reason.into()])?;
    let current = agreement::current(&federation.agreements, ask.agreement_id, at);
    let known = current.ok_or_else(|| vec![Refusal::from(Reason::NoAgreement)])?;
    Ok(Granted::Answer(known.agreement.clone()))
}

fn overdue(item: &Item, at: Timestamp) -> Option<ItemVerdict> {
    (item.claimable.expires_at <= at).then(|| ItemVerdict::End(vec![Reason::ItemExpired]))
}

/// Returns what is left of an item's content, if anything goes out of it.
fn rest(Permitted { item, granted, content }: &Permitted<'_>) -> Option<Rest> {
    let Granted::Referral(ground) = granted else { return None };
    let removed = ground.0.left_out.and(item.claimable.present);
    let rest = Rest { record_id: item.claimable.record_id, removed, content: content.sealed.clone() };
    (!removed.is_empty()).then_some(rest)
}

/// Says why an item that is due again has no content: nothing can be cut anew of it. It went with its consent, or with its lease.
fn why_gone(item: &Item, at: Timestamp) -> Reason {
    let head = item.claimable.frozen.as_ref().and_then(|frozen| parse_own_head(&frozen.head));
    let withdrawn = item.claimable.subject.is_some() && head.is_some_and(|head| at < head.hold_until);
    if withdrawn { Reason::ConsentWithdrawn } else { Reason::ItemExpired }
}

fn candidate<'a>(&Permitted { item, granted, content }: &Permitted<'a>) -> Option<Candidate<'a>> {
    let ground = match (granted, &item.request.ask) {
        (Granted::Referral(ground), _) => Ground::Referral(&ground.0, &ground.1, &ground.2),
        (Granted::Answer(agreement), Ask::Answer(ask)) => Ground::Answer(agreement, ask),
        _ => return None,
    };
    Some(Candidate {
        record_id: item.claimable.record_id,
        thread_id: item.claimable.thread_id,
        thread_sequence: item.request.thread_sequence,
        purpose: item.claimable.purpose,
        expires_at: item.claimable.expires_at,
        content,
        ground,
        actor: &item.request.actor,
        on_behalf_of: &item.request.on_behalf_of,
        trace_id: &item.request.trace_id,
    })
}
