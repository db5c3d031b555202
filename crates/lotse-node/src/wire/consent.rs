//! Consents as systems record and withdraw them, and as they read them back.

use std::borrow::Cow;

use lotse_core::agreement::words::{Language, Term};
use lotse_core::category::{Categories, Category};
use lotse_core::consent::{ConsentForm, ConsentState, GivenBy};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::{Purpose, Purposes, RecordKind, RecordKinds};
use lotse_core::set::{Member, Set};
use lotse_core::time::Timestamp;
use lotse_proto::record::v1 as proto;
use lotse_store::withdrawal::Scope;
use prost::Message;

use crate::failure::Failure;
use crate::wire::field::{Findings, MAX_ITEMS, MAX_TEXT};
use crate::wire::plausible::check_reference;
use crate::wire::referral::MAX_KEY;
use crate::wire::text::composed;
use crate::wire::time;
use crate::wording::Wording;

mod capacity;
#[cfg(test)]
pub(crate) mod tests;

/// How far a system's clock may be ahead of this node's.
const MAX_AHEAD: std::time::Duration = std::time::Duration::from_secs(120);

/// The year that stands for "no end".
pub const NO_END_YEAR: i16 = 9999;

/// Returns the advice about a consent that has no end.
pub fn no_end() -> Wording {
    let german = format!(
        "31.12.9999 heißt: kein Ende. Eine Einwilligung braucht eines: den letzten Tag angeben, in der Regel höchstens {LONG_TERM_YEARS} Jahre nach ihrem Beginn"
    );
    let english = format!(
        "the year 9999 means that there is no end, and a consent needs one: give its last day, usually at most {LONG_TERM_YEARS} years after its begin"
    );
    (german, english).into()
}

/// Years after which the term of a consent looks like a slip.
pub const LONG_TERM_YEARS: u8 = 10;

const NO_NOTICE: &str = "must be true: without this notice there is no consent";
const NO_NOTICE_GERMAN: &str = "muss ja sein: ohne diesen Hinweis gibt es keine Einwilligung";
const NAMED_TWICE: (&str, &str) = ("ist doppelt genannt", "is named twice");

/// A consent as a system records it, well formed. Has no `Debug`: it names the subject.
#[derive(Clone)]
pub struct RecordableConsent {
    /// Identifier given by the system.
    pub id: Id,
    /// The agency's own reference of the subject.
    pub subject_reference: String,
    /// Given or refused.
    pub state: ConsentState,
    /// Who gave it.
    pub given_by: GivenBy,
    /// How it was given.
    pub form: ConsentForm,
    /// Recipients, each once.
    pub recipients: Vec<AgencyId>,
    /// Purposes.
    pub purposes: Purposes,
    /// Record kinds.
    pub record_kinds: RecordKinds,
    /// Categories.
    pub categories: Categories,
    /// Special categories that are named explicitly.
    pub explicit: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends: as given, or where the capacity changes before.
    pub expires_at: Timestamp,
    /// Whether somebody is released from professional secrecy.
    pub releases_from_secrecy: bool,
    /// Hash of the signed form; none if it was given orally or refused.
    pub form_digest: Option<Digest>,
    /// Opaque staff reference.
    pub recorded_by: String,
    /// Consent that this one replaces.
    pub supersedes: Option<Id>,
    /// Encoded `lotse.record.v1.Consent`, its texts composed: personal data.
    pub bytes: Vec<u8>,
    /// The same with its texts as they were given, where that differs: so it was stored before texts were composed.
    pub bytes_as_given: Option<Vec<u8>>,
}

/// Parses a consent that a system of the agency `own` records now. All that is wrong is told at once.
pub fn parse(consent: Option<&proto::Consent>, own: &AgencyId, now: Timestamp) -> Result<RecordableConsent, Failure> {
    let mut f = Findings::default();
    let parsed = match consent.map(|given| (given, composed(given))) {
        Some((given, consent)) => {
            let bytes_as_given = matches!(consent, Cow::Owned(_)).then(|| given.encode_to_vec());
            check(&consent, own, now, &mut f).map(|parsed| RecordableConsent { bytes_as_given, ..parsed })
        }
        None => {
            f.missing("consent");
            None
        }
    };
    f.finish(parsed)
}

fn check(consent: &proto::Consent, own: &AgencyId, now: Timestamp, f: &mut Findings) -> Option<RecordableConsent> {
    let id = required_id("consent.id", &consent.id, f);
    let form = ConsentForm::from_number(consent.form);
    f.required_code("consent.form", consent.form, form.is_some());
    let given_by = GivenBy::from_number(consent.given_by);
    f.required_code("consent.given_by", consent.given_by, given_by.is_some());
    texts(consent, f);
    notices(consent.notices.as_ref(), f);
    let coverage = coverage(consent, own, f);
    let explicit = explicit(consent, coverage.categories, form, f);
    let feedback = feedback(consent.feedback_level, f);
    let given_at = given_at(consent, now, f);
    let changes_at = capacity::check(consent, given_by, given_at, f);
    let expires_at = expires_at(consent, given_at, f);
    let form_digest = form_digest(consent, form, f);
    let supersedes = supersedes(consent, f);
    let expires_at = expires_at?;
    Some(RecordableConsent {
        id: id?,
        subject_reference: consent.subject_reference.clone(),
        state: if consent.refused { ConsentState::Refused } else { ConsentState::Given },
        given_by: given_by?,
        form: form?,
        recipients: coverage.recipients,
        purposes: coverage.purposes,
        record_kinds: coverage.record_kinds,
        categories: coverage.categories,
        explicit,
        feedback,
        given_at: given_at?,
        expires_at: changes_at.map_or(expires_at, |changes_at| changes_at.min(expires_at)),
        releases_from_secrecy: !consent.released_from_secrecy.is_empty(),
        form_digest,
        recorded_by: consent.recorded_by.clone(),
        supersedes,
        bytes: consent.encode_to_vec(),
        bytes_as_given: None,
    })
}

fn required_id(field: &str, text: &str, f: &mut Findings) -> Option<Id> {
    if text.is_empty() {
        f.missing(field);
    }
    f.id(field, text)
}

fn texts(consent: &proto::Consent, f: &mut Findings) {
    f.required_text("consent.subject_reference", &consent.subject_reference, MAX_KEY);
    check_reference("consent.subject_reference", &consent.subject_reference, f);
    if consent.text_language.is_empty() {
        f.missing("consent.text_language");
    }
    f.language("consent.text_language", &consent.text_language);
    f.required_text("consent.text_version", &consent.text_version, MAX_KEY);
    if consent.recorded_by.is_empty() {
        f.missing("consent.recorded_by");
    }
    f.key("consent.recorded_by", &consent.recorded_by, MAX_KEY);
    f.items("consent.released_from_secrecy", consent.released_from_secrecy.len());
    for (place, person) in consent.released_from_secrecy.iter().take(MAX_ITEMS).enumerate() {
        f.required_text(&format!("consent.released_from_secrecy[{place}]"), person, MAX_TEXT);
    }
}

/// Without the three notices there is no consent (SGB X § 67b para. 2, GDPR Art. 7).
fn notices(notices: Option<&proto::Notices>, f: &mut Findings) {
    let Some(notices) = notices else { return f.missing("consent.notices") };
    for (field, told) in [
        ("consent.notices.purpose", notices.purpose),
        ("consent.notices.consequences_of_refusal", notices.consequences_of_refusal),
        ("consent.notices.right_to_withdraw", notices.right_to_withdraw),
    ] {
        if !told {
            f.invalid(field, (NO_NOTICE_GERMAN, NO_NOTICE));
        }
    }
}

/// To whom, for what, and what.
struct Coverage {
    recipients: Vec<AgencyId>,
    purposes: Purposes,
    record_kinds: RecordKinds,
    categories: Categories,
}

fn coverage(consent: &proto::Consent, own: &AgencyId, f: &mut Findings) -> Coverage {
    for (field, count) in [
        ("consent.recipients", consent.recipients.len()),
        ("consent.purposes", consent.purposes.len()),
        ("consent.record_kinds", consent.record_kinds.len()),
        ("consent.categories", consent.categories.len()),
    ] {
        if count == 0 && !consent.refused {
            f.missing(field);
        }
    }
    Coverage {
        recipients: recipients("consent.recipients", &consent.recipients, Some(own), f),
        purposes: set("consent.purposes", &consent.purposes, Purpose::from_number, f),
        record_kinds: set("consent.record_kinds", &consent.record_kinds, RecordKind::from_number, f),
        categories: set("consent.categories", &consent.categories, Category::from_number, f),
    }
}

fn recipients(field: &str, texts: &[String], own: Option<&AgencyId>, f: &mut Findings) -> Vec<AgencyId> {
    f.items(field, texts.len());
    let mut found: Vec<AgencyId> = Vec::new();
    for (place, text) in texts.iter().take(MAX_ITEMS).enumerate() {
        let field = format!("{field}[{place}]");
        let Some(agency) = f.agency(&field, text) else { continue };
        if Some(&agency) == own {
            let german = "ist die eigene Stelle: eine Einwilligung nennt die empfangenden";
            f.invalid(&field, (german, "is the own agency: a consent names those who receive"));
        } else if found.contains(&agency) {
            f.invalid(&field, NAMED_TWICE);
        } else {
            found.push(agency);
        }
    }
    found
}

fn set<T: Member>(field: &str, numbers: &[i32], from: impl Fn(i32) -> Option<T>, f: &mut Findings) -> Set<T> {
    f.items(field, numbers.len());
    let mut found = Set::NONE;
    for (place, &number) in numbers.iter().take(MAX_ITEMS).enumerate() {
        match from(number) {
            None => f.code(&format!("{field}[{place}]"), false),
            Some(value) if found.contains(value) => f.invalid(&format!("{field}[{place}]"), NAMED_TWICE),
            Some(value) => found = found.or(value.into()),
        }
    }
    found
}

fn explicit(
    consent: &proto::Consent,
    categories: Categories,
    form: Option<ConsentForm>,
    f: &mut Findings,
) -> Categories {
    const FIELD: &str = "consent.explicit_categories";
    let explicit = set(FIELD, &consent.explicit_categories, Category::from_number, f);
    let ordinary = explicit.without(explicit.special());
    if !ordinary.is_empty() {
        let german = format!("hier stehen nur besondere Datenkategorien, nicht {}", german_names(ordinary));
        f.invalid(FIELD, (german, format!("only special categories are named here, not {ordinary}")));
    }
    let missing = explicit.without(categories);
    if !missing.is_empty() {
        let german = format!("auch bei den Datenkategorien nennen: {}", german_names(missing));
        f.invalid(FIELD, (german, format!("name these in consent.categories too: {missing}")));
    }
    if form == Some(ConsentForm::Oral) && !explicit.is_empty() {
        let german =
            "besondere Datenkategorien brauchen eine schriftliche oder elektronische Einwilligung (§ 67b Abs. 2 SGB X)";
        f.invalid(FIELD, (german, "special categories need a written or electronic consent (SGB X § 67b para. 2)"));
    }
    explicit
}

fn german_names(categories: Categories) -> String {
    categories.iter().map(|category| category.term(Language::German)).collect::<Vec<_>>().join(", ")
}

fn feedback(number: i32, f: &mut Findings) -> FeedbackLevel {
    let level = FeedbackLevel::from_number(number);
    f.code("consent.feedback_level", number == 0 || level.is_some());
    level.unwrap_or(FeedbackLevel::USUAL)
}

fn given_at(consent: &proto::Consent, now: Timestamp, f: &mut Findings) -> Option<Timestamp> {
    let given_at = required_time("consent.given_at", consent.given_at.as_ref(), f)?;
    if given_at > now.plus(MAX_AHEAD) {
        f.invalid("consent.given_at", ("liegt in der Zukunft", "lies in the future"));
    }
    Some(given_at)
}

fn expires_at(consent: &proto::Consent, given_at: Option<Timestamp>, f: &mut Findings) -> Option<Timestamp> {
    let expires_at = required_time("consent.expires_at", consent.expires_at.as_ref(), f)?;
    if expires_at.date().year() >= NO_END_YEAR {
        f.invalid("consent.expires_at", no_end());
    }
    if given_at.is_some_and(|given_at| expires_at <= given_at) {
        let german = "muss nach dem Beginn der Einwilligung liegen";
        f.invalid("consent.expires_at", (german, "must be after consent.given_at"));
    }
    Some(expires_at)
}

fn required_time(field: &str, at: Option<&pbjson_types::Timestamp>, f: &mut Findings) -> Option<Timestamp> {
    let Some(at) = at else {
        f.missing(field);
        return None;
    };
    let at = time::parse(at);
    if at.is_none() {
        f.invalid(field, ("ist keine Zeit", "is not a time"));
    }
    at
}

fn form_digest(consent: &proto::Consent, form: Option<ConsentForm>, f: &mut Findings) -> Option<Digest> {
    const FIELD: &str = "consent.form_sha256";
    if consent.form_sha256.is_empty() {
        if form != Some(ConsentForm::Oral) && !consent.refused {
            f.missing(FIELD);
        }
        return None;
    }
    let digest = consent.form_sha256.parse().ok();
    if digest.is_none() {
        let german = "eine SHA-256-Prüfsumme mit 64 Hexadezimalziffern schreiben";
        f.invalid(FIELD, (german, "write a SHA-256 as 64 hexadecimal digits"));
    }
    digest
}

fn supersedes(consent: &proto::Consent, f: &mut Findings) -> Option<Id> {
    let supersedes = f.id("consent.supersedes", &consent.supersedes);
    if consent.refused && !consent.supersedes.is_empty() {
        let german = "eine Verweigerung ersetzt keine Einwilligung: die alte widerrufen, wenn die Person sie widerruft";
        let english = "a refusal replaces no consent: withdraw the old one if the person withdraws it";
        f.invalid("consent.supersedes", (german, english));
    }
    supersedes
}

/// Parses what is withdrawn. Empty: all of it.
pub fn parse_scope(scope: Option<&proto::WithdrawalScope>, f: &mut Findings) -> Scope {
    scope.map_or_else(Scope::default, |scope| Scope {
        recipients: recipients("scope.recipients", &scope.recipients, None, f),
        purposes: set("scope.purposes", &scope.purposes, Purpose::from_number, f),
        categories: set("scope.categories", &scope.categories, Category::from_number, f),
    })
}

/// Writes what was withdrawn.
pub fn scope_message(scope: &Scope) -> proto::WithdrawalScope {
    proto::WithdrawalScope {
        recipients: scope.recipients.iter().map(AgencyId::to_string).collect(),
        purposes: scope.purposes.iter().map(Purpose::number).collect(),
        categories: scope.categories.iter().map(Category::number).collect(),
    }
}

/// Writes a consent as it was recorded, with the time at which it really ends; none if what is stored is no consent.
pub fn message(stored: &[u8], expires_at: Timestamp) -> Option<proto::Consent> {
    let consent = proto::Consent::decode(stored).ok()?;
    Some(proto::Consent { expires_at: Some(time::message(expires_at)), ..consent })
}
