//! The release: may this record go to this recipient now, on which basis, and with which categories?
//!
//! `decide` is asked three times for every record: by a preview, when a system submits it, and in the transaction that
//! releases it. It knows nothing of storage or wire, and what is unknown to it means no.

use std::borrow::Borrow;
use std::sync::Arc;

use crate::agency::AgencyKind;
use crate::agreement::{self, Agreement, Clause, ConsentRequirement, KnownAgreement, OnEnd};
use crate::category::{Categories, Category};
use crate::consent::{Consent, ConsentForm, GivenBy};
use crate::feedback::FeedbackLevel;
use crate::id::{AgencyId, Id};
use crate::purpose::{Purpose, RecordKind};
use crate::reason::Reason;
use crate::time::Timestamp;

/// What to do with ordinary categories of a record that clause or consent do not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// Refuse the record.
    Refuse,
    /// Leave them out and say so. Special categories are refused all the same.
    LeaveOut,
}

/// When the decision is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A system hands the record over, or asks what would happen if it did.
    Submit,
    /// The record was accepted earlier and is to be released now. Categories that a withdrawal has removed since are left out,
    /// special ones included; everything else is judged as at submission.
    Claim,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Release<'a> {
    /// Agency that wants to send.
    pub sender: &'a AgencyId,
    /// Agency that is to receive.
    pub recipient: &'a AgencyId,
    /// What the recipient may use it for.
    pub purpose: Purpose,
    /// What kind of record it is.
    pub record_kind: RecordKind,
    /// Subject of the record at this node, if it is known.
    pub subject: Option<Id>,
    /// Categories that the record contains.
    pub present: Categories,
    /// Categories without which the record makes no sense.
    pub required: Categories,
    /// Whether its health data are under professional secrecy (StGB § 203).
    pub professional_secrecy: bool,
    /// Whether its youth help data were entrusted (SGB VIII § 65).
    pub entrusted: bool,
    /// Consent that the caller names.
    pub consent: Option<Id>,
    /// Agreement that the caller names.
    pub agreement: Option<Id>,
    /// What to do with uncovered ordinary categories.
    pub uncovered: Uncovered,
    /// When the decision is made.
    pub moment: Moment,
}

/// The basis on which a record may go, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Agreement.
    pub agreement: Arc<Agreement>,
    /// Clause of that agreement.
    pub clause_id: String,
    /// Consent.
    pub consent: Id,
    /// Categories of the record that may go.
    pub categories: Categories,
    /// Categories of the record that must stay.
    pub left_out: Categories,
    /// Categories that clause and consent both name: what the recipient's excerpt lists.
    pub covered: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// Until when the recipient may hold it.
    pub hold_until: Timestamp,
}

/// One reason for a refusal, and the category that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The reason.
    pub reason: Reason,
    /// The category, if it is about one.
    pub category: Option<Category>,
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Refusal { reason, category: None }
    }
}

/// Takes down why a decision came out as it did. Two kinds: one that writes sentences and one that costs nothing.
pub trait Notes {
    /// Takes down one sentence.
    fn note(&mut self, sentence: impl FnOnce() -> String);
}

/// Takes nothing down.
pub struct NoNotes;

impl Notes for NoNotes {
    fn note(&mut self, _: impl FnOnce() -> String) {}
}

impl Notes for Vec<String> {
    fn note(&mut self, sentence: impl FnOnce() -> String) {
        self.push(sentence());
    }
}

/// Decides whether a record may be released.
///
/// `consents` are those of the record's subject as they stand towards this recipient, or the one that the caller named.
/// Refusals carry every reason, sorted, without repetition.
pub fn decide<C: Borrow<Consent>>(
    release: &Release<'_>,
    known: &[KnownAgreement],
    consents: &[C],
    at: Timestamp,
    notes: &mut impl Notes,
) -> Result<Permit, Vec<Refusal>> {
    let clauses = find_clauses(release, known, at, notes).map_err(|reason| vec![reason.into()])?;
    let consent = find_consent(release, consents, at, notes).map_err(|reason| vec![reason.into()])?;
    let mut permits = Vec::new();
    let mut refusals = Vec::new();
    for (agreement, clause) in clauses {
        match judge(release, agreement, clause, consent, at) {
            Ok(permit) => permits.push(permit),
            Err(reasons) => {
                notes.note(|| format!("clause {} does not allow it: {}", clause.id, list(&reasons)));
                refusals.extend(reasons);
            }
        }
    }
    permits.sort_by(|a, b| rank(a).cmp(&rank(b)));
    match permits.into_iter().next() {
        Some(permit) => {
            notes.note(|| allowed(&permit));
            Ok(permit)
        }
        None => {
            refusals.sort_unstable();
            refusals.dedup();
            Err(refusals)
        }
    }
}

/// Of several permits the one that lets the recipient hold the record for the shortest time counts; ties go by id.
fn rank(permit: &Permit) -> (Timestamp, Id, &str) {
    (permit.hold_until, permit.agreement.id, &permit.clause_id)
}

/// Finds the clauses that speak of this purpose and record kind between the two agencies.
fn find_clauses<'a>(
    release: &Release<'_>,
    known: &'a [KnownAgreement],
    at: Timestamp,
    notes: &mut impl Notes,
) -> Result<Vec<(&'a Arc<Agreement>, &'a Clause)>, Reason> {
    let named = |id: Id| release.agreement.is_none_or(|wanted| wanted == id);
    let in_force: Vec<_> = agreement::in_force(known, at)
        .into_iter()
        .map(|known| &known.agreement)
        .filter(|agreement| named(agreement.id))
        .filter(|agreement| kinds(release, agreement, at).is_some())
        .collect();
    if in_force.is_empty() {
        return Err(no_agreement(release, known, at, notes));
    }
    for agreement in &in_force {
        notes.note(|| {
            format!("agreement \"{}\" version {} is in force between both", agreement.title, agreement.version)
        });
    }
    let clauses: Vec<_> = in_force
        .into_iter()
        .flat_map(|agreement| matching(release, agreement, at).map(move |clause| (agreement, clause)))
        .collect();
    if clauses.is_empty() {
        notes.note(|| format!("no clause allows a {} for {}", release.record_kind.name(), release.purpose.name()));
        return Err(Reason::NoClause);
    }
    for (_, clause) in &clauses {
        notes.note(|| {
            format!("clause {} allows a {} for {}", clause.id, release.record_kind.name(), clause.purpose.name())
        });
    }
    Ok(clauses)
}

/// Returns the kinds of sender and recipient, if both are parties that have not ended.
fn kinds(release: &Release<'_>, agreement: &Agreement, at: Timestamp) -> Option<(AgencyKind, AgencyKind)> {
    let kind = |agency| agreement.active_party(agency, at).map(|party| party.kind);
    kind(release.sender).zip(kind(release.recipient))
}

fn matching<'a>(
    release: &Release<'_>,
    agreement: &'a Agreement,
    at: Timestamp,
) -> impl Iterator<Item = &'a Clause> + use<'a> {
    let kinds = kinds(release, agreement, at);
    let (purpose, record_kind) = (release.purpose, release.record_kind);
    agreement
        .clauses
        .iter()
        .filter(move |clause| kinds.is_some_and(|(from, to)| clause.allows(purpose, record_kind, from, to)))
}

/// Says why no agreement is in force: the caller can do something about a suspended one.
fn no_agreement(release: &Release<'_>, known: &[KnownAgreement], at: Timestamp, notes: &mut impl Notes) -> Reason {
    let concerns_both = |known: &&KnownAgreement| {
        known.agreement.party(release.sender).is_some()
            && known.agreement.party(release.recipient).is_some()
            && release.agreement.is_none_or(|id| id == known.agreement.id)
    };
    let would_count = |known: &KnownAgreement| known.completed_at.is_some() && known.agreement.covers(at);
    let counting: Vec<_> = known.iter().filter(concerns_both).filter(|known| would_count(known)).collect();
    let are_active = |known: &&&KnownAgreement| kinds(release, &known.agreement, at).is_some();
    let reason = if counting.iter().filter(are_active).any(|known| known.suspended) {
        Reason::AgreementSuspended
    } else if counting.iter().any(|known| !are_active(&known)) {
        Reason::PartyEnded
    } else if release.agreement.is_some() && known.iter().any(|known| concerns_both(&known)) {
        Reason::AgreementNotInForce
    } else {
        Reason::NoAgreement
    };
    notes.note(|| reason.sentence().to_string());
    reason
}

/// Finds the one consent on which the release rests: the one the caller names, else the one that ends last.
fn find_consent<'a, C: Borrow<Consent>>(
    release: &Release<'_>,
    consents: &'a [C],
    at: Timestamp,
    notes: &mut impl Notes,
) -> Result<&'a Consent, Reason> {
    let objection = |consent: &Consent| consent.objection(release.purpose.into(), release.record_kind.into(), at);
    let mut consents = consents.iter().map(Borrow::borrow);
    let found = match release.consent {
        Some(id) => {
            let named = consents.find(|consent| consent.id == id).ok_or(Reason::ConsentUnknown);
            named.and_then(|consent| match objection(consent) {
                _ if release.subject.is_some_and(|subject| subject != consent.subject) => {
                    Err(Reason::ConsentOtherSubject)
                }
                Some(reason) => Err(reason),
                None => Ok(consent),
            })
        }
        None => consents
            .clone()
            .filter(|consent| release.subject == Some(consent.subject) && objection(consent).is_none())
            .max_by_key(|consent| (consent.expires_at, std::cmp::Reverse(consent.id)))
            .ok_or_else(|| nearest_objection(consents.filter_map(objection))),
    };
    match &found {
        Ok(consent) => notes.note(|| format!("consent {} is in force until {}", consent.id, consent.expires_at)),
        Err(reason) => notes.note(|| reason.sentence().to_string()),
    }
    found
}

/// Of several consents that do not count, what stopped the one that came nearest is worth telling.
fn nearest_objection(objections: impl Iterator<Item = Reason>) -> Reason {
    let telling =
        [Reason::ConsentWithdrawn, Reason::ConsentExpired, Reason::ConsentOtherPurpose, Reason::ConsentRefused];
    objections
        .filter_map(|objection| telling.iter().position(|&reason| reason == objection))
        .min()
        .map_or(Reason::NoConsent, |place| telling[place])
}

/// Judges one clause with the consent.
fn judge(
    release: &Release<'_>,
    agreement: &Arc<Agreement>,
    clause: &Clause,
    consent: &Consent,
    at: Timestamp,
) -> Result<Permit, Vec<Refusal>> {
    let covered = clause.categories.and(consent.covered());
    let uncovered = release.present.without(covered);
    let mut reasons = conditions(release, clause, consent, covered);
    let (left_out, refused) = split_uncovered(release, clause, consent, uncovered);
    reasons.extend(refused.iter().map(|category| objection_to(category, clause, consent)));
    let categories = release.present.without(left_out);
    if reasons.is_empty() && categories.is_empty() {
        reasons.push(Reason::NothingLeft.into());
    }
    for category in release.required.without(categories).iter() {
        reasons.push(Refusal { reason: Reason::SectionRequired, category: Some(category) });
    }
    if !reasons.is_empty() {
        return Err(reasons);
    }
    Ok(Permit {
        agreement: agreement.clone(),
        clause_id: clause.id.clone(),
        consent: consent.id,
        categories,
        left_out,
        covered,
        feedback: clause.feedback_within(consent.feedback),
        hold_until: hold_until(agreement, clause, consent, at),
    })
}

/// Conditions that concern the consent as a whole.
fn conditions(release: &Release<'_>, clause: &Clause, consent: &Consent, covered: Categories) -> Vec<Refusal> {
    let sends = |category: Category| release.present.and(covered).contains(category);
    let mut reasons = Vec::new();
    if clause.consent_required == ConsentRequirement::ExplicitConsent && consent.form == ConsentForm::Oral {
        reasons.push(Reason::ConsentNotExplicit.into());
    }
    if release.professional_secrecy && sends(Category::Health) && !consent.releases_from_secrecy {
        reasons.push(Refusal { reason: Reason::SecrecyNotReleased, category: Some(Category::Health) });
    }
    if release.entrusted && sends(Category::YouthHelp) && consent.given_by != GivenBy::EntrustingPerson {
        reasons.push(Refusal { reason: Reason::EntrustedData, category: Some(Category::YouthHelp) });
    }
    reasons
}

/// Splits what is not covered into what may be left out and what must be refused.
fn split_uncovered(
    release: &Release<'_>,
    clause: &Clause,
    consent: &Consent,
    uncovered: Categories,
) -> (Categories, Categories) {
    let withdrawn_since = match release.moment {
        Moment::Submit => Categories::NONE,
        Moment::Claim => uncovered.and(consent.withdrawn.categories).and(clause.categories),
    };
    let ordinary = match release.uncovered {
        Uncovered::Refuse => Categories::NONE,
        Uncovered::LeaveOut => uncovered.without(uncovered.special()),
    };
    let left_out = withdrawn_since.or(ordinary);
    (left_out, uncovered.without(left_out))
}

/// Says why a category is not covered.
fn objection_to(category: Category, clause: &Clause, consent: &Consent) -> Refusal {
    let reason = if !clause.categories.contains(category) {
        Reason::CategoryNotInClause
    } else if consent.categories.without(consent.withdrawn.categories).contains(category) {
        Reason::CategoryNotExplicit
    } else {
        Reason::CategoryNotInConsent
    };
    Refusal { reason, category: Some(category) }
}

/// The lease ends with the clause's retention, the consent, and the agreement if copies go with it.
fn hold_until(agreement: &Agreement, clause: &Clause, consent: &Consent, at: Timestamp) -> Timestamp {
    let lease = at.plus(clause.retention()).min(consent.expires_at);
    if agreement.on_end == OnEnd::Purge { lease.min(agreement.valid_until) } else { lease }
}

fn allowed(permit: &Permit) -> String {
    let mut text = format!(
        "allowed by clause {}: {}, to be held until {}",
        permit.clause_id, permit.categories, permit.hold_until
    );
    if !permit.left_out.is_empty() {
        text += &format!("; left out: {}", permit.left_out);
    }
    text
}

fn list(refusals: &[Refusal]) -> String {
    let name = |refusal: &Refusal| match refusal.category {
        Some(category) => format!("{} ({category})", refusal.reason.sentence()),
        None => refusal.reason.sentence().to_string(),
    };
    refusals.iter().map(name).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod both_sides;
#[cfg(test)]
pub(crate) mod tests;
