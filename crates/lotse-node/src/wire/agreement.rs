//! Agreements on the wire. The encoding is canonical: one text has one digest.

use lotse_core::agency::AgencyKind;
use lotse_core::agreement::text::compiled_from_source;
use lotse_core::agreement::{Agreement, Clause, ConsentRequirement, DatedText, OnEnd, Party};
use lotse_core::category::Category;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::{Purpose, RecordKind};
use lotse_core::reason::Reason;
use lotse_core::time::{Date, Timestamp};
use lotse_proto::exchange::v1 as proto;
use lotse_proto::schema::MessageType;
use prost::Message;

use super::seal::scan;
use super::time::parse_date;

/// Reads the sealed bytes of an agreement that came from elsewhere: they must say what their own source text says, in the one
/// encoding that this text has.
pub fn parse(payload: &[u8]) -> Result<Agreement, Reason> {
    check_source(parse_stored(payload)?, payload)
}

/// Checks that an agreement that was read from these bytes says what its source text says. Costs more than everything else about it.
pub fn check_source(agreement: Agreement, payload: &[u8]) -> Result<Agreement, Reason> {
    let genuine = compiled_from_source(&agreement) && compile(&agreement) == payload;
    if genuine { Ok(agreement) } else { Err(Reason::AgreementInvalid) }
}

/// Reads the sealed bytes of an agreement that was checked when it came.
pub fn parse_stored(payload: &[u8]) -> Result<Agreement, Reason> {
    scan(payload, MessageType::Agreement, Reason::AgreementInvalid)?;
    let message = proto::Agreement::decode(payload).map_err(|_| Reason::AgreementInvalid)?;
    from_message(message, Digest::of(payload)).ok_or(Reason::AgreementInvalid)
}

/// Encodes an agreement: the bytes that every party seals.
pub fn compile(agreement: &Agreement) -> Vec<u8> {
    message(agreement).encode_to_vec()
}

/// Writes an agreement.
pub fn message(agreement: &Agreement) -> proto::Agreement {
    proto::Agreement {
        id: agreement.id.to_vec(),
        version: agreement.version,
        title: agreement.title.clone(),
        valid_from_us: agreement.valid_from.micros(),
        valid_until_us: agreement.valid_until.micros(),
        minimum_schema_level: agreement.minimum_schema_level,
        on_end: agreement.on_end as i32,
        parties: agreement.parties.iter().map(party_message).collect(),
        clauses: agreement.clauses.iter().map(clause_message).collect(),
        source: agreement.source.clone(),
    }
}

fn party_message(party: &Party) -> proto::Party {
    proto::Party {
        agency: party.agency.to_string(),
        root_fingerprint: party.root_fingerprint.to_vec(),
        name: party.name.clone(),
        kind: party.kind.number(),
        regions: party.regions.clone(),
        supervisory_authority: party.supervisory_authority.clone(),
        ended_on: party.ended_on.map(|day| day.to_string()).unwrap_or_default(),
        succeeded_by: party.succeeded_by.as_ref().map(AgencyId::to_string).unwrap_or_default(),
    }
}

fn clause_message(clause: &Clause) -> proto::Clause {
    proto::Clause {
        id: clause.id.clone(),
        purpose: clause.purpose.number(),
        record_kind: clause.record_kind.number(),
        from_kinds: clause.from_kinds.iter().map(|kind| kind.number()).collect(),
        to_kinds: clause.to_kinds.iter().map(|kind| kind.number()).collect(),
        categories: clause.categories.iter().map(Category::number).collect(),
        consent_required: clause.consent_required as i32,
        feedback_levels: clause.feedback_levels.iter().map(FeedbackLevel::number).collect(),
        legal_reference: clause.legal_reference.clone(),
        usual_basis: clause.usual_basis.iter().map(dated_message).collect(),
        retention_days: clause.retention_days,
        register_retention_days: clause.register_retention_days,
        title: clause.title.clone(),
    }
}

fn dated_message(text: &DatedText) -> proto::DatedText {
    proto::DatedText {
        text: text.text.clone(),
        valid_from: text.valid_from.to_string(),
        valid_until: text.valid_until.map(|day| day.to_string()).unwrap_or_default(),
    }
}

fn from_message(message: proto::Agreement, digest: Digest) -> Option<Agreement> {
    Some(Agreement {
        id: Id::from_slice(&message.id).ok()?,
        version: message.version,
        digest,
        title: message.title,
        valid_from: Timestamp::from_micros(message.valid_from_us),
        valid_until: Timestamp::from_micros(message.valid_until_us),
        minimum_schema_level: message.minimum_schema_level,
        on_end: [OnEnd::KeepUntilLease, OnEnd::Purge].into_iter().find(|end| *end as i32 == message.on_end)?,
        parties: message.parties.into_iter().map(party).collect::<Option<_>>()?,
        clauses: message.clauses.into_iter().map(clause).collect::<Option<_>>()?,
        source: message.source,
    })
}

fn party(message: proto::Party) -> Option<Party> {
    let named = !message.succeeded_by.is_empty();
    Some(Party {
        agency: message.agency.parse().ok()?,
        root_fingerprint: Digest::from_slice(&message.root_fingerprint).ok()?,
        name: message.name,
        kind: AgencyKind::from_number(message.kind)?,
        regions: message.regions,
        supervisory_authority: message.supervisory_authority,
        ended_on: optional_date(&message.ended_on)?,
        succeeded_by: named.then(|| message.succeeded_by.parse::<AgencyId>()).transpose().ok()?,
    })
}

fn clause(message: proto::Clause) -> Option<Clause> {
    let requirements =
        [ConsentRequirement::Consent, ConsentRequirement::ExplicitConsent, ConsentRequirement::EmployerRelease];
    Some(Clause {
        id: message.id,
        title: message.title,
        purpose: Purpose::from_number(message.purpose)?,
        record_kind: RecordKind::from_number(message.record_kind)?,
        from_kinds: known(&message.from_kinds, AgencyKind::from_number)?,
        to_kinds: known(&message.to_kinds, AgencyKind::from_number)?,
        categories: known(&message.categories, Category::from_number)?,
        consent_required: requirements.into_iter().find(|kind| *kind as i32 == message.consent_required)?,
        feedback_levels: known(&message.feedback_levels, FeedbackLevel::from_number)?,
        legal_reference: message.legal_reference,
        usual_basis: message.usual_basis.into_iter().map(dated).collect::<Option<_>>()?,
        retention_days: message.retention_days,
        register_retention_days: message.register_retention_days,
    })
}

fn dated(message: proto::DatedText) -> Option<DatedText> {
    Some(DatedText {
        text: message.text,
        valid_from: parse_date(&message.valid_from)?,
        valid_until: optional_date(&message.valid_until)?,
    })
}

fn known<T, C: FromIterator<T>>(numbers: &[i32], from_number: impl Fn(i32) -> Option<T>) -> Option<C> {
    numbers.iter().map(|&number| from_number(number)).collect()
}

/// Reads a day that may be left empty.
fn optional_date(text: &str) -> Option<Option<Date>> {
    if text.is_empty() { Some(None) } else { parse_date(text).map(Some) }
}
