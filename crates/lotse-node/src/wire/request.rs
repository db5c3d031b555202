//! What a claim needs to decide an outgoing item again, as it lies in the outbox. Not sent anywhere; names nobody.

use lotse_core::answer::{AnswerBasis, AnswerContent};
use lotse_core::category::Categories;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Id, Sequence};
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::release::Uncovered;
use lotse_core::time::Timestamp;
use prost::Message;

/// What a system asked for when it handed an item over.
#[derive(Clone, Debug)]
pub struct Request {
    /// Identity of the system that handed it over.
    pub actor: String,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// Trace.
    pub trace_id: Vec<u8>,
    /// Place in the thread.
    pub thread_sequence: u64,
    /// What it is.
    pub ask: Ask,
}

/// What is to be decided.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A referral.
    Referral(ReferralAsk),
    /// An answer.
    Answer(AnswerAsk),
}

/// What a referral's decision needs beside its row.
#[derive(Clone, Debug)]
pub struct ReferralAsk {
    /// Consent that the system named.
    pub consent: Option<Id>,
    /// Agreement that the system named.
    pub agreement: Option<Id>,
    /// What to do with uncovered ordinary categories.
    pub uncovered: Uncovered,
    /// Categories without which it makes no sense.
    pub required: Categories,
    /// Whether its health data are under professional secrecy.
    pub professional_secrecy: bool,
    /// Whether its youth help data were entrusted.
    pub entrusted: bool,
}

/// What an answer's decision needs: the basis of the referral that it answers.
#[derive(Clone, Debug)]
pub struct AnswerAsk {
    /// Agreement of the referral.
    pub agreement_id: Id,
    /// Clause of the referral.
    pub clause_id: String,
    /// Reference of the consent.
    pub consent_ref: Id,
    /// Epoch of the consent in the referral.
    pub epoch: Sequence,
    /// Until when the referral may be held.
    pub hold_until: Timestamp,
    /// Feedback level of the excerpt.
    pub feedback: FeedbackLevel,
    /// Whether the excerpt covers notes.
    pub covers_note: bool,
    /// What the answer carries.
    pub content: AnswerContent,
    /// What it reports; none in items that were handed over before this was stored.
    pub event: Option<ReferralEvent>,
}

impl AnswerAsk {
    /// Returns what the decision asks.
    pub fn basis<'a>(&'a self, owner: &'a AgencyId, holder: &'a AgencyId) -> AnswerBasis<'a> {
        AnswerBasis {
            owner,
            holder,
            agreement: self.agreement_id,
            clause_id: &self.clause_id,
            feedback: self.feedback,
            covers_note: self.covers_note,
            hold_until: self.hold_until,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    actor: String,
    #[prost(string, tag = "2")]
    on_behalf_of: String,
    #[prost(bytes = "vec", tag = "3")]
    trace_id: Vec<u8>,
    #[prost(uint64, tag = "4")]
    thread_sequence: u64,
    #[prost(message, tag = "5")]
    referral: Option<StoredReferral>,
    #[prost(message, tag = "6")]
    answer: Option<StoredAnswer>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredReferral {
    #[prost(bytes = "vec", tag = "1")]
    consent: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    agreement: Vec<u8>,
    #[prost(bool, tag = "3")]
    leave_out: bool,
    #[prost(int64, tag = "4")]
    required: i64,
    #[prost(bool, tag = "5")]
    professional_secrecy: bool,
    #[prost(bool, tag = "6")]
    entrusted: bool,
}

#[derive(Clone, PartialEq, Message)]
struct StoredAnswer {
    #[prost(bytes = "vec", tag = "1")]
    agreement_id: Vec<u8>,
    #[prost(string, tag = "2")]
    clause_id: String,
    #[prost(bytes = "vec", tag = "3")]
    consent_ref: Vec<u8>,
    #[prost(uint64, tag = "4")]
    epoch: u64,
    #[prost(int64, tag = "5")]
    hold_until: i64,
    #[prost(int32, tag = "6")]
    feedback: i32,
    #[prost(bool, tag = "7")]
    covers_note: bool,
    #[prost(bool, tag = "8")]
    outcome: bool,
    #[prost(bool, tag = "9")]
    note: bool,
    #[prost(int32, tag = "10")]
    reported_state: i32,
}

impl Request {
    /// Encodes the request for the outbox.
    pub fn encode(&self) -> Vec<u8> {
        let (referral, answer) = match &self.ask {
            Ask::Referral(ask) => (Some(stored_referral(ask)), None),
            Ask::Answer(ask) => (None, Some(stored_answer(ask))),
        };
        Stored {
            actor: self.actor.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            trace_id: self.trace_id.clone(),
            thread_sequence: self.thread_sequence,
            referral,
            answer,
        }
        .encode_to_vec()
    }

    /// Decodes what [`Request::encode`] made; none if it is anything else.
    pub fn decode(bytes: &[u8]) -> Option<Request> {
        let stored = Stored::decode(bytes).ok()?;
        let ask = match (stored.referral, stored.answer) {
            (Some(ask), None) => Ask::Referral(referral_ask(&ask)),
            (None, Some(ask)) => Ask::Answer(answer_ask(ask)?),
            _ => return None,
        };
        Some(Request {
            actor: stored.actor,
            on_behalf_of: stored.on_behalf_of,
            trace_id: stored.trace_id,
            thread_sequence: stored.thread_sequence,
            ask,
        })
    }
}

fn stored_referral(ask: &ReferralAsk) -> StoredReferral {
    StoredReferral {
        consent: ask.consent.map(Id::to_vec).unwrap_or_default(),
        agreement: ask.agreement.map(Id::to_vec).unwrap_or_default(),
        leave_out: ask.uncovered == Uncovered::LeaveOut,
        required: ask.required.bits(),
        professional_secrecy: ask.professional_secrecy,
        entrusted: ask.entrusted,
    }
}

fn referral_ask(stored: &StoredReferral) -> ReferralAsk {
    ReferralAsk {
        consent: Id::from_slice(&stored.consent).ok(),
        agreement: Id::from_slice(&stored.agreement).ok(),
        uncovered: if stored.leave_out { Uncovered::LeaveOut } else { Uncovered::Refuse },
        required: Categories::from_bits(stored.required),
        professional_secrecy: stored.professional_secrecy,
        entrusted: stored.entrusted,
    }
}

fn stored_answer(ask: &AnswerAsk) -> StoredAnswer {
    StoredAnswer {
        agreement_id: ask.agreement_id.to_vec(),
        clause_id: ask.clause_id.clone(),
        consent_ref: ask.consent_ref.to_vec(),
        epoch: ask.epoch.as_u64(),
        hold_until: ask.hold_until.micros(),
        feedback: ask.feedback.number(),
        covers_note: ask.covers_note,
        outcome: ask.content.outcome,
        note: ask.content.note,
        reported_state: ask.event.and_then(ReferralEvent::reported_state).map_or(0, ReferralState::number),
    }
}

fn answer_ask(stored: StoredAnswer) -> Option<AnswerAsk> {
    Some(AnswerAsk {
        agreement_id: Id::from_slice(&stored.agreement_id).ok()?,
        clause_id: stored.clause_id,
        consent_ref: Id::from_slice(&stored.consent_ref).ok()?,
        epoch: Sequence::from_u64(stored.epoch),
        hold_until: Timestamp::from_micros(stored.hold_until),
        feedback: FeedbackLevel::from_number(stored.feedback)?,
        covers_note: stored.covers_note,
        content: AnswerContent { outcome: stored.outcome, note: stored.note },
        event: ReferralEvent::from_reported_number(stored.reported_state),
    })
}
