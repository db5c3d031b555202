//! Referrals and answers as systems hand them over and as envelopes carry them.

use std::borrow::Cow;

use bytes::Bytes;
use lotse_core::answer::AnswerContent;
use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::referral::{ReferralEvent, ReferralType};
use lotse_core::release::Uncovered;
use lotse_core::time::{Calendar, Timestamp};
use lotse_proto::agency::v1 as agency;
use lotse_proto::record::v1 as proto;
use prost::Message;

use crate::failure::Failure;
use crate::wire::field::Findings;
use crate::wire::text::{composed, is_composed};
use crate::wire::{person, plausible, time};

/// Longest idempotency key, subject reference, staff reference and sender reference, in characters.
pub const MAX_KEY: usize = 64;

/// A referral as a system hands it over, well formed.
#[derive(Clone)]
pub struct Handover {
    /// Key chosen by the system.
    pub idempotency_key: String,
    /// Recipient.
    pub recipient: AgencyId,
    /// The agency's own reference of the person.
    pub subject_reference: String,
    /// The referral, encoded as `lotse.record.v1.Referral`: personal data.
    pub content: Bytes,
    /// What the rules need to know of it.
    pub referral: ReferralFacts,
    /// Consent that the system names.
    pub consent: Option<Id>,
    /// Agreement that the system names.
    pub agreement: Option<Id>,
    /// What to do with uncovered ordinary categories.
    pub uncovered: Uncovered,
    /// When to give up.
    pub expires_at: Option<Timestamp>,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// Digest with texts as they were given, where composing them changed one: so it was stored before texts were composed.
    pub digest_as_given: Option<Digest>,
}

/// What the rules need to know of a well-formed referral.
#[derive(Clone, Copy)]
pub struct ReferralFacts {
    /// Purpose.
    pub purpose: Purpose,
    /// Categories that it contains.
    pub present: Categories,
    /// Categories without which it makes no sense.
    pub required: Categories,
    /// Whether its health data are under professional secrecy.
    pub professional_secrecy: bool,
    /// Whether its youth help data were entrusted.
    pub entrusted: bool,
}

impl Handover {
    /// Returns the digest of everything that must be the same when its key is given again.
    pub fn digest(&self) -> Digest {
        self.digest_of(&self.subject_reference, &self.content)
    }

    fn digest_of(&self, subject_reference: &str, content: &[u8]) -> Digest {
        let id = |id: Option<Id>| id.map_or([0; 16], |id| *id.as_bytes());
        Digest::concat(&[
            &(subject_reference.len() as u32).to_be_bytes(),
            subject_reference.as_bytes(),
            &id(self.consent),
            &id(self.agreement),
            &[u8::from(self.uncovered == Uncovered::LeaveOut)],
            content,
        ])
    }
}

/// Parses what a system hands over now. Its texts are composed (Unicode NFC).
pub fn parse_handover(handover: agency::ReferralHandover, now: Timestamp) -> Result<Handover, Failure> {
    let content = encode_content(&handover);
    let names = [&handover.idempotency_key, &handover.subject_reference, &handover.on_behalf_of];
    if is_composed(&content) && names.into_iter().all(|name| is_composed(name.as_bytes())) {
        return check_handover(handover, content, now);
    }
    let rewritten = match composed(&handover) {
        Cow::Borrowed(_) => None,
        Cow::Owned(rewritten) => Some(rewritten),
    };
    let Some(rewritten) = rewritten else { return check_handover(handover, content, now) };
    let rewritten_content = encode_content(&rewritten);
    let mut parsed = check_handover(rewritten, rewritten_content, now)?;
    parsed.digest_as_given = Some(parsed.digest_of(&handover.subject_reference, &content));
    Ok(parsed)
}

fn encode_content(handover: &agency::ReferralHandover) -> Bytes {
    handover.referral.as_ref().map(Message::encode_to_vec).unwrap_or_default().into()
}

fn check_handover(handover: agency::ReferralHandover, content: Bytes, now: Timestamp) -> Result<Handover, Failure> {
    let mut f = Findings::default();
    key("idempotency_key", &handover.idempotency_key, &mut f);
    plausible::check_reference("idempotency_key", &handover.idempotency_key, &mut f);
    f.required_text("subject_reference", &handover.subject_reference, MAX_KEY);
    plausible::check_reference("subject_reference", &handover.subject_reference, &mut f);
    f.key("on_behalf_of", &handover.on_behalf_of, MAX_KEY);
    let recipient = f.agency("recipient", &handover.recipient);
    let consent = f.id("consent_id", &handover.consent_id);
    let agreement = f.id("agreement_id", &handover.agreement_id);
    let uncovered = uncovered(handover.uncovered, &mut f);
    let expires_at = handover.expires_at.as_ref().map(time::parse);
    if expires_at == Some(None) {
        f.invalid("expires_at", ("ist keine Zeit", "is not a time"));
    }
    let facts = match &handover.referral {
        Some(referral) => {
            plausible::check_referral(referral, Calendar::Germany.day_of(now), &mut f);
            check_referral(referral, &mut f)
        }
        None => {
            f.missing("referral");
            None
        }
    };
    let parsed = recipient.zip(facts).map(|(recipient, referral)| Handover {
        idempotency_key: handover.idempotency_key,
        recipient,
        subject_reference: handover.subject_reference,
        content,
        referral,
        consent,
        agreement,
        uncovered,
        expires_at: expires_at.flatten(),
        on_behalf_of: handover.on_behalf_of,
        digest_as_given: None,
    });
    f.finish(parsed)
}

fn uncovered(number: i32, f: &mut Findings) -> Uncovered {
    match agency::Uncovered::try_from(number) {
        Ok(agency::Uncovered::LeaveOut) => Uncovered::LeaveOut,
        Ok(_) => Uncovered::Refuse,
        Err(_) => {
            f.code("uncovered", false);
            Uncovered::Refuse
        }
    }
}

fn key(field: &str, key: &str, f: &mut Findings) {
    if key.is_empty() { f.missing(field) } else { f.key(field, key, MAX_KEY) }
}

/// Parses a referral that an envelope carries.
pub fn parse_referral(referral: &proto::Referral) -> Result<ReferralFacts, Failure> {
    let mut f = Findings::default();
    let facts = check_referral(referral, &mut f);
    f.finish(facts)
}

fn check_referral(referral: &proto::Referral, f: &mut Findings) -> Option<ReferralFacts> {
    let referral_type = ReferralType::from_number(referral.r#type);
    f.required_code("referral.type", referral.r#type, referral_type.is_some());
    let purpose = Purpose::from_number(referral.purpose);
    f.required_code("referral.purpose", referral.purpose, purpose.is_some());
    f.code("referral.urgency", proto::Urgency::try_from(referral.urgency).is_ok());
    services(&referral.requested_services, f);
    f.date("referral.application_received_on", &referral.application_received_on);
    f.text("referral.sender_reference", &referral.sender_reference, MAX_KEY);
    person::check(referral, f);
    Some(ReferralFacts {
        purpose: purpose?,
        present: person::present(referral),
        required: referral_type?.required(),
        professional_secrecy: referral.health.as_ref().is_some_and(|health| health.professional_secrecy),
        entrusted: referral.youth_help.as_ref().is_some_and(|help| help.entrusted),
    })
}

fn services(services: &[i32], f: &mut Findings) {
    if services.is_empty() {
        f.missing("referral.requested_services");
    } else if services.len() > 12 {
        f.too_large("referral.requested_services", ("höchstens 12 Leistungen", "at most 12 services"));
    }
    f.each("referral.requested_services", services, |f, &number| {
        let known = proto::RequestedService::try_from(number).is_ok();
        f.required_code("referral.requested_services", number, known);
    });
}

/// Leaves categories out of an encoded referral.
pub fn leave_out(bytes: &[u8], categories: Categories) -> Result<Vec<u8>, prost::DecodeError> {
    let mut referral = proto::Referral::decode(bytes)?;
    person::leave_out(&mut referral, categories);
    Ok(referral.encode_to_vec())
}

/// An answer, well formed.
#[derive(Clone)]
pub struct Answer {
    /// Encoded `lotse.record.v1.ReferralAnswer`: its note is personal data.
    pub bytes: Vec<u8>,
    /// What it carries beyond a state.
    pub content: AnswerContent,
    /// What it does to the referral.
    pub event: ReferralEvent,
}

/// Parses an answer.
pub fn parse_answer(answer: &proto::ReferralAnswer) -> Result<Answer, Failure> {
    use proto::referral_answer::Kind;
    let mut f = Findings::default();
    f.required_date("answer.on", &answer.on);
    answer.note.iter().for_each(|note| person::note("answer.note", note, &mut f));
    let (event, outcome) = match &answer.kind {
        Some(Kind::Accepted(_)) => (Some(ReferralEvent::Accepted), false),
        Some(Kind::Declined(declined)) => {
            let known = proto::DeclineReason::try_from(declined.reason).is_ok();
            f.required_code("answer.declined.reason", declined.reason, known);
            if !declined.suggested_agency.is_empty() {
                f.agency("answer.declined.suggested_agency", &declined.suggested_agency);
            }
            (Some(ReferralEvent::Declined), false)
        }
        Some(Kind::InProgress(_)) => (Some(ReferralEvent::InProgress), false),
        Some(Kind::Completed(completed)) => {
            f.code("answer.completed.outcome", proto::Outcome::try_from(completed.outcome).is_ok());
            (Some(ReferralEvent::Completed), completed.outcome != 0)
        }
        None => {
            f.missing("answer.kind");
            (None, false)
        }
    };
    let content = AnswerContent { outcome, note: answer.note.is_some() };
    f.finish(event.map(|event| Answer { bytes: answer.encode_to_vec(), content, event }))
}
