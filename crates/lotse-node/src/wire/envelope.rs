//! Envelopes: made once as exact bytes, and parsed after they were scanned.

use lotse_core::category::Categories;
use lotse_core::consent::ConsentForm;
use lotse_core::delivery::Outcome;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::time::{Calendar, Timestamp};
use lotse_proto::exchange::v1 as proto;
use lotse_proto::exchange::v1::envelope::Body as ProtoBody;
use lotse_proto::schema::{self, MessageType};
use lotse_store::outbox::ItemKind;
use prost::Message;

use crate::wire::category;
use crate::wire::referral::{Answer, ReferralFacts, parse_answer, parse_referral};

pub mod bounds;

/// Highest schema level that this program understands.
pub const SCHEMA_LEVEL: u32 = 1;

/// Largest envelope, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = 256 * 1024;

/// Length of an envelope's nonce.
const NONCE_BYTES: usize = 32;

/// Number of the nonce's field.
const NONCE_FIELD: u64 = 4;

/// What an envelope says beside its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// Envelope.
    pub envelope_id: Id,
    /// Agency that sends.
    pub sender: AgencyId,
    /// Agency that is to receive.
    pub recipient: AgencyId,
    /// Generation of the sender.
    pub sender_generation: u32,
    /// Generation of the recipient.
    pub recipient_generation: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Until when the record may be held.
    pub hold_until: Timestamp,
    /// Record.
    pub record_id: Id,
    /// Revision of the record.
    pub revision: Sequence,
    /// Thread.
    pub thread_id: Id,
    /// Place in the thread.
    pub thread_sequence: u64,
    /// Trace.
    pub trace_id: Vec<u8>,
    /// Basis.
    pub basis: Basis,
}

/// The basis of a release.
#[derive(Clone, Debug)]
pub struct Basis {
    /// Agreement.
    pub agreement_id: Id,
    /// Version of the agreement.
    pub agreement_version: u32,
    /// Digest of that version.
    pub agreement_digest: Digest,
    /// Clause.
    pub clause_id: String,
    /// Purpose.
    pub purpose: Purpose,
    /// Reference of the consent.
    pub consent_ref: Id,
    /// Epoch of the consent.
    pub epoch: Sequence,
    /// The rest of the excerpt; answers carry none.
    pub excerpt: Option<Excerpt>,
}

/// What a holder sees of a consent.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// Reference of the subject.
    pub subject_ref: Id,
    /// Categories.
    pub categories: Categories,
    /// When it was given; the day in Germany travels.
    pub given_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How it was given.
    pub form: ConsentForm,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// Commitment to the signed form.
    pub form_commitment: Vec<u8>,
}

/// What an envelope carries.
#[derive(Clone)]
pub enum Body {
    /// A referral.
    Referral(ReferralFacts),
    /// An answer.
    Answer(Answer),
}

impl Body {
    /// Returns the kind of record that it is.
    pub fn kind(&self) -> ItemKind {
        match self {
            Body::Referral(_) => ItemKind::Referral,
            Body::Answer(_) => ItemKind::Answer,
        }
    }
}

/// Which body an envelope carries, for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// A referral.
    Referral,
    /// An answer.
    Answer,
}

/// Encodes everything but the nonce and the body: what is stored of an envelope, beside the sealed body.
pub fn encode_head(head: &Head) -> Vec<u8> {
    proto::Envelope {
        id: head.envelope_id.to_vec(),
        sender: head.sender.to_string(),
        recipient: head.recipient.to_string(),
        nonce: Vec::new(),
        sender_generation: head.sender_generation,
        recipient_generation: head.recipient_generation,
        created_at_us: head.created_at.micros(),
        expires_at_us: head.expires_at.micros(),
        hold_until_us: head.hold_until.micros(),
        record_id: head.record_id.to_vec(),
        revision: head.revision.as_u64(),
        thread_id: head.thread_id.to_vec(),
        thread_sequence: head.thread_sequence,
        trace_id: head.trace_id.clone(),
        basis: Some(proto::envelope::Basis::Consent(encode_basis(&head.basis))),
        body: None,
    }
    .encode_to_vec()
}

fn encode_basis(basis: &Basis) -> proto::ConsentBasis {
    let excerpt = match &basis.excerpt {
        Some(excerpt) => proto::Excerpt {
            consent_ref: basis.consent_ref.to_vec(),
            subject_ref: excerpt.subject_ref.to_vec(),
            categories: category::numbers(excerpt.categories),
            given_on: Calendar::Germany.day_of(excerpt.given_at).to_string(),
            expires_at_us: excerpt.expires_at.micros(),
            form: excerpt.form.number(),
            feedback_level: excerpt.feedback.number(),
            form_commitment: excerpt.form_commitment.clone(),
            epoch: basis.epoch.as_u64(),
        },
        None => proto::Excerpt {
            consent_ref: basis.consent_ref.to_vec(),
            epoch: basis.epoch.as_u64(),
            ..proto::Excerpt::default()
        },
    };
    proto::ConsentBasis {
        agreement_id: basis.agreement_id.to_vec(),
        agreement_version: basis.agreement_version,
        agreement_digest: basis.agreement_digest.to_vec(),
        clause_id: basis.clause_id.clone(),
        purpose: basis.purpose.number(),
        excerpt: Some(excerpt),
    }
}

/// Joins nonce, encoded head and encoded body to the envelope's exact bytes. A message's encoding is the concatenation of its
/// fields' encodings, in any order, so the head is stored once, the body once, and the nonce nowhere.
pub fn join(nonce: &[u8; NONCE_BYTES], head: &[u8], kind: BodyKind, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(NONCE_BYTES + head.len() + body.len() + 16);
    append_field(NONCE_FIELD, nonce, &mut bytes);
    append_head_and_body(head, kind, body, &mut bytes);
    bytes
}

/// Joins what was frozen, to the same bytes. Heads that were frozen before nonces were derived have theirs in them.
pub fn join_frozen(nonce: &[u8; NONCE_BYTES], head: &[u8], kind: BodyKind, body: &[u8]) -> Vec<u8> {
    let in_head = proto::Envelope::decode(head).is_ok_and(|head| !head.nonce.is_empty());
    if !in_head {
        return join(nonce, head, kind, body);
    }
    let mut bytes = Vec::new();
    append_head_and_body(head, kind, body, &mut bytes);
    bytes
}

fn append_head_and_body(head: &[u8], kind: BodyKind, body: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(head);
    let number = match kind {
        BodyKind::Referral => 20,
        BodyKind::Answer => 21,
    };
    append_field(number, body, bytes);
}

fn append_field(number: u64, value: &[u8], bytes: &mut Vec<u8>) {
    prost::encoding::encode_varint(number << 3 | 2, bytes);
    prost::encoding::encode_varint(value.len() as u64, bytes);
    bytes.extend_from_slice(value);
}

/// Parses an envelope: scanned first, so that nothing unknown is dropped silently. All that its head says is within its bounds.
pub fn parse(bytes: &[u8]) -> Result<(Head, Body), Outcome> {
    const MALFORMED: Outcome = Outcome::Refused(Reason::EnvelopeInvalid);
    if bytes.len() > MAX_ENVELOPE_BYTES {
        return Err(Outcome::Refused(Reason::TooLarge));
    }
    schema::scan(bytes, MessageType::Envelope, SCHEMA_LEVEL)
        .map_err(|error| if error.is_too_new() { Outcome::Again(Reason::SchemaTooNew) } else { MALFORMED })?;
    let envelope = proto::Envelope::decode(bytes).map_err(|_| MALFORMED)?;
    let body = match &envelope.body {
        Some(ProtoBody::Referral(referral)) => Body::Referral(parse_referral(referral).map_err(|_| MALFORMED)?),
        Some(ProtoBody::Answer(answer)) => Body::Answer(parse_answer(answer).map_err(|_| MALFORMED)?),
        _ => return Err(MALFORMED),
    };
    let head = parse_head(&envelope).filter(|_| envelope.nonce.len() == NONCE_BYTES);
    let head = head.filter(|head| bounds::are_kept(head, &body)).ok_or(MALFORMED)?;
    Ok((head, body))
}

/// Parses the frozen head of an own envelope.
pub fn parse_own_head(bytes: &[u8]) -> Option<Head> {
    parse_head(&proto::Envelope::decode(bytes).ok()?)
}

/// Returns the body of an envelope that was taken.
pub fn body_of(bytes: &[u8]) -> Option<ProtoBody> {
    traced_body(bytes)?.1
}

/// The part of an envelope that says in whose trace it came.
#[derive(Clone, PartialEq, prost::Message)]
struct Traced {
    #[prost(bytes = "vec", tag = "14")]
    trace_id: Vec<u8>,
}

/// Returns the trace id of an envelope, without reading anything else of it; empty if there is none.
pub fn trace_id(bytes: &[u8]) -> Vec<u8> {
    Traced::decode(bytes).map(|traced| traced.trace_id).unwrap_or_default()
}

/// Returns the trace id, which may be empty, and the body of an envelope that was taken.
pub fn traced_body(bytes: &[u8]) -> Option<(Vec<u8>, Option<ProtoBody>)> {
    let envelope = proto::Envelope::decode(bytes).ok()?;
    Some((envelope.trace_id, envelope.body))
}

/// Reads the envelope's id even if nothing else can be read.
pub fn peek_id(bytes: &[u8]) -> Option<Id> {
    real_id(&proto::Envelope::decode(bytes).ok()?.id)
}

/// Reads an id; sixteen zeros name nothing.
pub(super) fn real_id(bytes: &[u8]) -> Option<Id> {
    Id::from_slice(bytes).ok().filter(|&id| id != Id::NIL)
}

fn parse_head(envelope: &proto::Envelope) -> Option<Head> {
    let Some(proto::envelope::Basis::Consent(basis)) = &envelope.basis else { return None };
    let trace_fits = envelope.trace_id.is_empty() || envelope.trace_id.len() == 16;
    let numbers_fit = envelope.sender_generation > 0
        && envelope.recipient_generation > 0
        && envelope.revision > 0
        && envelope.thread_sequence > 0;
    (trace_fits && numbers_fit).then_some(())?;
    let excerpt = match (&envelope.body, basis.excerpt.as_ref()?) {
        (Some(ProtoBody::Answer(_)), _) => None,
        (_, excerpt) if excerpt.subject_ref.is_empty() => None,
        (_, excerpt) => Some(parse_excerpt(excerpt)?),
    };
    Some(Head {
        envelope_id: real_id(&envelope.id)?,
        sender: envelope.sender.parse().ok()?,
        recipient: envelope.recipient.parse().ok()?,
        sender_generation: envelope.sender_generation,
        recipient_generation: envelope.recipient_generation,
        created_at: Timestamp::from_micros(envelope.created_at_us),
        expires_at: Timestamp::from_micros(envelope.expires_at_us),
        hold_until: Timestamp::from_micros(envelope.hold_until_us),
        record_id: real_id(&envelope.record_id)?,
        revision: Sequence::from_u64(envelope.revision),
        thread_id: real_id(&envelope.thread_id)?,
        thread_sequence: envelope.thread_sequence,
        trace_id: envelope.trace_id.clone(),
        basis: parse_basis(basis, excerpt)?,
    })
}

fn parse_basis(basis: &proto::ConsentBasis, excerpt: Option<Excerpt>) -> Option<Basis> {
    let consent = basis.excerpt.as_ref()?;
    Some(Basis {
        agreement_id: Id::from_slice(&basis.agreement_id).ok()?,
        agreement_version: basis.agreement_version,
        agreement_digest: Digest::from_slice(&basis.agreement_digest).ok()?,
        clause_id: basis.clause_id.clone(),
        purpose: Purpose::from_number(basis.purpose)?,
        consent_ref: Id::from_slice(&consent.consent_ref).ok()?,
        epoch: Sequence::from_u64(consent.epoch),
        excerpt,
    })
}

fn parse_excerpt(excerpt: &proto::Excerpt) -> Option<Excerpt> {
    let form = ConsentForm::from_number(excerpt.form)?;
    let commitment_fits = matches!((form, excerpt.form_commitment.len()), (ConsentForm::Oral, 0 | 32) | (_, 32));
    commitment_fits.then_some(())?;
    Some(Excerpt {
        subject_ref: Id::from_slice(&excerpt.subject_ref).ok()?,
        categories: category::set(&excerpt.categories)?,
        given_at: Calendar::Germany.beginning_of(crate::wire::time::parse_date(&excerpt.given_on)?),
        expires_at: Timestamp::from_micros(excerpt.expires_at_us),
        form,
        feedback: FeedbackLevel::from_number(excerpt.feedback_level)?,
        form_commitment: excerpt.form_commitment.clone(),
    })
}

/// Returns the encoded answer of an envelope that was taken.
pub fn answer_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    match body_of(bytes)? {
        ProtoBody::Answer(answer) => Some(answer.encode_to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
