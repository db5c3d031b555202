//! What is decided about each envelope of a batch, with what is known and what the batch has brought so far.

use std::collections::HashMap;

use lotse_core::answer::{self, AnswerBasis};
use lotse_core::category::Category;
use lotse_core::consent::Consent;
use lotse_core::custody::{self, Arrival as Arriving, Content};
use lotse_core::delivery::Outcome;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::RecordKind;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::Readable;
use lotse_store::custody::Remembered;
use lotse_store::outbox::{self, ItemKind};

use super::Job;
use crate::federation::Federation;
use crate::wire::envelope::{Body, Head, parse_own_head};
use crate::wire::referral::Answer;

/// What is decided about one envelope.
pub(super) enum EnvelopeVerdict {
    Take(Admission),
    Refuse(Outcome),
    /// It cannot be read: one entry of the log stands for all of the batch that cannot.
    Malformed(Outcome),
    Repeat {
        outcome: Outcome,
        at: Timestamp,
        leaf_hash: Digest,
    },
    /// The same bytes as an earlier one of the batch, by its index.
    Same(usize),
    Reused,
    /// What was done with it cannot be read.
    Unreadable,
}

impl EnvelopeVerdict {
    /// Returns what is said of an envelope that cannot be read.
    pub(super) fn malformed(&self) -> Option<Outcome> {
        match self {
            EnvelopeVerdict::Malformed(outcome) => Some(*outcome),
            _ => None,
        }
    }
}

/// An envelope that may be held, as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Admission {
    /// Where the referral stands with it.
    pub(super) state: ReferralState,
    /// Until when it is held.
    pub(super) hold_until: Timestamp,
}

/// A referral of this agency to which answers in the batch belong.
pub(super) struct AnsweredThread {
    /// The referral.
    pub(super) referral: outbox::Item,
    /// The consent under which it was released, as it stands now towards the holder.
    pub(super) consent: Option<Consent>,
}

/// Facts about a record that was taken.
struct KnownRecord {
    owner: AgencyId,
    kind: ItemKind,
    /// The highest one.
    revision: Sequence,
}

/// What is known while a batch is judged: earlier envelopes, and what this batch has brought so far.
pub(super) struct Taking<'a> {
    memory: &'a Readable<Remembered>,
    records: HashMap<Id, KnownRecord>,
    threads: HashMap<Id, AnsweredThread>,
    /// Own referrals that cannot be read.
    broken_threads: Vec<Id>,
    pub(super) states: HashMap<Id, ReferralState>,
    /// Index and digest of the first envelope with an id.
    seen: HashMap<Id, (usize, Digest)>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(
        owner: &AgencyId,
        memory: &'a Readable<Remembered>,
        threads: Readable<AnsweredThread>,
    ) -> Taking<'a> {
        let mut records: HashMap<Id, KnownRecord> = HashMap::new();
        for known in memory.rows.iter().filter(|known| known.outcome == Outcome::Taken) {
            let Some((record_id, kind)) = known.record_id.zip(known.kind) else { continue };
            let revision = known.revision;
            let found = KnownRecord { owner: known.owner.clone(), kind, revision };
            let record = records.entry(record_id).or_insert(found);
            record.revision = record.revision.max(revision);
            if known.owner == *owner {
                record.owner = owner.clone();
            }
        }
        let Readable { rows: threads, broken: broken_threads } = threads;
        let threads = threads.into_iter().map(|thread| (thread.referral.record_id, thread)).collect();
        Taking { memory, records, threads, broken_threads, states: HashMap::new(), seen: HashMap::new() }
    }

    fn known(&self, envelope_id: Id) -> Option<&'a Remembered> {
        self.memory.rows.iter().find(|known| known.envelope_id == envelope_id)
    }

    /// Checks what comes under the id of a known record: a higher revision of it. Another agency's record, or a record of another kind,
    /// would hide the one that is here.
    fn check_record(&self, owner: &AgencyId, head: &Head, kind: ItemKind) -> Result<(), Outcome> {
        // A revision that cannot be read may be higher than this one, or another agency's.
        if self.memory.broken.contains(&head.record_id) {
            return Err(Outcome::Again(Reason::Unavailable));
        }
        match self.records.get(&head.record_id) {
            Some(known) if known.owner != *owner || known.kind != kind => {
                Err(Outcome::Refused(Reason::EnvelopeInvalid))
            }
            Some(known) if known.revision >= head.revision => Err(Outcome::Refused(Reason::RevisionStale)),
            _ => Ok(()),
        }
    }

    fn take(&mut self, owner: &AgencyId, head: &Head, kind: ItemKind, state: ReferralState) {
        let revision = head.revision;
        self.records.insert(head.record_id, KnownRecord { owner: owner.clone(), kind, revision });
        if head.thread_id != head.record_id {
            self.states.insert(head.thread_id, state);
        }
    }
}

impl Job {
    /// Judges one envelope. What is known is repeated, not judged again.
    pub(super) fn judge(
        &self,
        federation: &Federation,
        taking: &mut Taking<'_>,
        index: usize,
        at: Timestamp,
    ) -> EnvelopeVerdict {
        let envelope = &self.envelopes[index];
        if let Some(known) = taking.known(envelope.id) {
            if known.digest == envelope.digest && known.owner == self.peer {
                return EnvelopeVerdict::Repeat { outcome: known.outcome, at: known.at, leaf_hash: known.leaf_hash };
            }
            return EnvelopeVerdict::Reused;
        }
        if taking.memory.broken.contains(&envelope.id) {
            return EnvelopeVerdict::Unreadable;
        }
        match *taking.seen.entry(envelope.id).or_insert((index, envelope.digest)) {
            (first, _) if first == index => {}
            (first, digest) if digest == envelope.digest => return EnvelopeVerdict::Same(first),
            _ => return EnvelopeVerdict::Reused,
        }
        let (head, body) = match &envelope.parsed {
            Ok(parsed) => parsed,
            Err(outcome) => return EnvelopeVerdict::Malformed(*outcome),
        };
        match self.admit(federation, taking, head, body, at) {
            Ok(admission) => {
                taking.take(&self.peer, head, body.kind(), admission.state);
                EnvelopeVerdict::Take(admission)
            }
            Err(outcome) => EnvelopeVerdict::Refuse(outcome),
        }
    }

    fn admit(
        &self,
        federation: &Federation,
        taking: &Taking<'_>,
        head: &Head,
        body: &Body,
        at: Timestamp,
    ) -> Result<Admission, Outcome> {
        let arriving = Arriving {
            peer: &self.peer,
            own: &self.node.agency,
            sender: &head.sender,
            recipient: &head.recipient,
            recipient_generation: head.recipient_generation,
            own_generation: self.node.generation,
            created_at: head.created_at,
            expires_at: head.expires_at,
        };
        custody::check_arrival(&arriving, at)?;
        if federation.peers.get(&self.peer).is_some_and(|peer| peer.suspended) {
            return Err(Outcome::Again(Reason::PeerSuspended));
        }
        taking.check_record(&self.peer, head, body.kind())?;
        match body {
            Body::Referral(content) => {
                let content = Content {
                    record_kind: RecordKind::Referral,
                    purpose: content.purpose,
                    present: content.present,
                    required: content.required,
                    hold_until: head.hold_until,
                    created_at: head.created_at,
                };
                let opens_thread = head.thread_id == head.record_id && head.thread_sequence == 1;
                let basis = referral_basis(head).filter(|_| opens_thread);
                let basis = basis.ok_or(Outcome::Refused(Reason::EnvelopeInvalid))?;
                custody::admit(&arriving, &basis, &content, &federation.agreements, at)?;
                Ok(Admission { state: ReferralState::Received, hold_until: head.hold_until })
            }
            Body::Answer(answer) => self.admit_answer(federation, taking, head, answer, at),
        }
    }

    /// An answer belongs to a referral that was sent to this peer, under the same consent, and carries no more than that
    /// consent's feedback level; after a withdrawal no more than a state. What would be deleted at once is refused, so that the holder
    /// learns that it is not read.
    fn admit_answer(
        &self,
        federation: &Federation,
        taking: &Taking<'_>,
        head: &Head,
        answer: &Answer,
        at: Timestamp,
    ) -> Result<Admission, Outcome> {
        if taking.broken_threads.contains(&head.thread_id) {
            return Err(Outcome::Again(Reason::Unavailable));
        }
        let unknown = Outcome::Refused(Reason::ThreadUnknown);
        let of_peer = |thread: &&AnsweredThread| thread.referral.recipient == self.peer;
        let AnsweredThread { referral, consent } =
            taking.threads.get(&head.thread_id).filter(of_peer).ok_or(unknown)?;
        let sent = referral.head.as_deref().and_then(parse_own_head).ok_or(unknown)?;
        if sent.basis.consent_ref != head.basis.consent_ref || sent.basis.agreement_id != head.basis.agreement_id {
            return Err(Outcome::Refused(Reason::BasisMismatch));
        }
        let excerpt = sent.basis.excerpt.as_ref().ok_or(unknown)?;
        let mut basis = AnswerBasis {
            owner: &self.node.agency,
            holder: &self.peer,
            agreement: head.basis.agreement_id,
            clause_id: &sent.basis.clause_id,
            feedback: excerpt.feedback,
            covers_note: excerpt.categories.contains(Category::Note),
            hold_until: head.hold_until,
        };
        basis.hold_until = answer::hold_until(&basis, excerpt.expires_at, &federation.agreements, at);
        answer::decide(&basis, answer.content, &federation.agreements, at).map_err(|reason| match reason {
            Reason::AgreementSuspended => Outcome::Again(reason),
            Reason::NoAgreement => Outcome::Refused(Reason::BasisMismatch),
            reason => Outcome::Refused(reason),
        })?;
        if let Some(reason) = answer::objection(answer.content, referral.purpose, consent.as_ref()) {
            return Err(Outcome::Refused(reason));
        }
        let state = taking.states.get(&head.thread_id).copied().unwrap_or(referral.referral_state);
        let state = state.after_answer(answer.event).map_err(|_| Outcome::Refused(Reason::TransitionNotAllowed))?;
        Ok(Admission { state, hold_until: basis.hold_until })
    }
}

fn referral_basis(head: &Head) -> Option<custody::Basis<'_>> {
    let excerpt = head.basis.excerpt.as_ref()?;
    Some(custody::Basis {
        agreement: head.basis.agreement_id,
        version: head.basis.agreement_version,
        digest: head.basis.agreement_digest,
        clause_id: &head.basis.clause_id,
        purpose: head.basis.purpose,
        excerpt: excerpt.categories,
        form: excerpt.form,
        consent_expires_at: excerpt.expires_at,
        feedback: excerpt.feedback,
    })
}
