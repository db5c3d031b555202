//! What is decided about each envelope of a batch, with what is known and what the batch has brought so far.

use std::collections::{HashMap, HashSet};

use lotse_core::answer::{self, AnswerBasis};
use lotse_core::category::Category;
use lotse_core::custody::{self, Arrival as Arriving, Content};
use lotse_core::delivery::Outcome;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::RecordKind;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::custody::Remembered;
use lotse_store::outbox;

use super::Job;
use super::envelope::Envelope;
use crate::federation::Federation;
use crate::wire::envelope::{Body, Head, parse_own_head};
use crate::wire::referral::Answer;

/// What is decided about one envelope.
pub(super) enum Verdict {
    Take(ReferralState),
    Refuse(Outcome),
    Repeat { outcome: Outcome, at: Timestamp, leaf_hash: Digest },
    Reused,
}

/// What is known while a batch is judged: earlier envelopes, and what this batch has brought so far.
pub(super) struct Taking<'a> {
    pub(super) memory: &'a [Remembered],
    pub(super) revisions: HashMap<Id, Sequence>,
    pub(super) threads: HashMap<Id, outbox::Item>,
    pub(super) states: HashMap<Id, ReferralState>,
    pub(super) seen: HashSet<Id>,
}

impl<'a> Taking<'a> {
    pub(super) fn new(owner: &AgencyId, memory: &'a [Remembered], threads: HashMap<Id, outbox::Item>) -> Taking<'a> {
        let taken = memory.iter().filter(|known| known.outcome == Outcome::Taken && known.owner == *owner);
        let mut revisions = HashMap::new();
        for known in taken {
            let Some(record_id) = known.record_id else { continue };
            let highest = revisions.entry(record_id).or_insert(known.revision);
            *highest = (*highest).max(known.revision);
        }
        Taking { memory, revisions, threads, states: HashMap::new(), seen: HashSet::new() }
    }

    fn known(&self, envelope_id: Id) -> Option<&'a Remembered> {
        self.memory.iter().find(|known| known.envelope_id == envelope_id)
    }

    fn has_revision(&self, head: &Head) -> bool {
        self.revisions.get(&head.record_id).is_some_and(|&known| known >= head.revision)
    }

    fn take(&mut self, head: &Head, state: ReferralState) {
        self.revisions.insert(head.record_id, head.revision);
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
        envelope: &Envelope,
        at: Timestamp,
    ) -> Verdict {
        if let Some(known) = taking.known(envelope.id) {
            if known.digest == envelope.digest && known.owner == self.peer {
                return Verdict::Repeat { outcome: known.outcome, at: known.at, leaf_hash: known.leaf_hash };
            }
            return Verdict::Reused;
        }
        if !taking.seen.insert(envelope.id) {
            return Verdict::Reused;
        }
        let (head, body) = match &envelope.parsed {
            Ok(parsed) => parsed,
            Err(outcome) => return Verdict::Refuse(*outcome),
        };
        match self.admit(federation, taking, head, body, at) {
            Ok(state) => {
                taking.take(head, state);
                Verdict::Take(state)
            }
            Err(outcome) => Verdict::Refuse(outcome),
        }
    }

    fn admit(
        &self,
        federation: &Federation,
        taking: &Taking<'_>,
        head: &Head,
        body: &Body,
        at: Timestamp,
    ) -> Result<ReferralState, Outcome> {
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
        if taking.has_revision(head) {
            return Err(Outcome::Refused(Reason::RevisionStale));
        }
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
                Ok(ReferralState::Received)
            }
            Body::Answer(answer) => self.admit_answer(federation, taking, head, answer, at),
        }
    }

    /// An answer belongs to a referral that was sent to this peer, under the same consent, and carries no more than that
    /// consent's feedback level.
    fn admit_answer(
        &self,
        federation: &Federation,
        taking: &Taking<'_>,
        head: &Head,
        answer: &Answer,
        at: Timestamp,
    ) -> Result<ReferralState, Outcome> {
        let unknown = Outcome::Refused(Reason::ThreadUnknown);
        let referral = taking.threads.get(&head.thread_id).filter(|item| item.recipient == self.peer).ok_or(unknown)?;
        let sent = referral.head.as_deref().and_then(parse_own_head).ok_or(unknown)?;
        if sent.basis.consent_ref != head.basis.consent_ref || sent.basis.agreement_id != head.basis.agreement_id {
            return Err(Outcome::Refused(Reason::BasisMismatch));
        }
        let excerpt = sent.basis.excerpt.as_ref().ok_or(unknown)?;
        let basis = AnswerBasis {
            owner: &self.node.agency,
            holder: &self.peer,
            agreement: head.basis.agreement_id,
            clause_id: &sent.basis.clause_id,
            feedback: excerpt.feedback,
            covers_note: excerpt.categories.contains(Category::Note),
        };
        answer::decide(&basis, answer.content, &federation.agreements, at).map_err(|reason| match reason {
            Reason::AgreementSuspended => Outcome::Again(reason),
            Reason::NoAgreement => Outcome::Refused(Reason::BasisMismatch),
            reason => Outcome::Refused(reason),
        })?;
        let state = taking.states.get(&head.thread_id).copied().unwrap_or(referral.referral_state);
        state.after(answer.event).map_err(|_| Outcome::Refused(Reason::TransitionNotAllowed))
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
