//! What an agreement's authors should look at before they sign: hints with the norm they come from.
//!
//! Nothing here stops an agreement. The norms are read as research has them (domain notes); a lawyer decides.

use std::collections::HashSet;

use super::words::Language;
use super::{Agreement, Clause, Party};
use crate::agency::AgencyKind::{self, *};
use crate::category::{Categories, Category};
use crate::feedback::FeedbackLevel;
use crate::id::AgencyId;
use crate::purpose::{Purpose, RecordKind};

mod concern;

pub use concern::Concern;

/// A recipient that may hold a record longer than this should have a reason, days.
pub const LONG_RETENTION_DAYS: u32 = 365;

/// How much a warning matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Worth a look.
    Advice,
    /// Hardly meant so: should be changed, or explained by a lawyer.
    Serious,
}

/// What a warning is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The clause with this id.
    Clause(String),
    /// The party with this id.
    Party(AgencyId),
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Place::Clause(id) => id,
            Place::Party(agency) => agency.as_str(),
        }
    }
}

/// One warning: each concern is told once, with all its places, so that the list stays short enough to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is about, at least one; all of them parties, or all of them clauses.
    pub places: Vec<Place>,
    /// What is the matter.
    pub concern: Concern,
}

impl Warning {
    /// Returns how much it matters.
    pub fn weight(&self) -> Weight {
        self.concern.weight()
    }

    /// Returns the warning as a sentence with its norm.
    pub fn sentence(&self, language: Language) -> String {
        let names: Vec<&str> = self.places.iter().map(Place::name).collect();
        let heading = match (self.places.first(), names.len()) {
            (Some(Place::Party(_)), 1) => language.choose(("Partei", "Party")),
            (Some(Place::Party(_)), _) => language.choose(("Parteien", "Parties")),
            (_, 1) => language.choose(("Klausel", "Clause")),
            _ => language.choose(("Klauseln", "Clauses")),
        };
        format!("{heading} {}: {}", names.join(", "), self.concern.sentence(language))
    }
}

/// Returns what belongs under every list of warnings.
pub fn caveat(language: Language) -> &'static str {
    language.choose((
        "Lotse berät nicht in Rechtsfragen: Die Parteien prüfen selbst, ob das Vereinbarte rechtmäßig ist.",
        "Lotse gives no legal advice: the parties examine for themselves whether what they agree is lawful.",
    ))
}

/// Checks an agreement and returns the warnings in the order of the first party or clause that each is about.
pub fn check(agreement: &Agreement) -> Vec<Warning> {
    let of_parties = agreement.parties.iter().flat_map(|party| {
        let place = Place::Party(party.agency.clone());
        of_party(agreement, party).into_iter().map(move |concern| (place.clone(), concern))
    });
    let of_clauses = agreement.clauses.iter().flat_map(|clause| {
        let place = Place::Clause(clause.id.clone());
        of_clause(agreement, clause).into_iter().map(move |concern| (place.clone(), concern))
    });
    let mut warnings: Vec<Warning> = Vec::new();
    for (place, concern) in of_parties.chain(of_clauses) {
        match warnings.iter_mut().find(|warning| warning.concern == concern) {
            Some(warning) => warning.places.push(place),
            None => warnings.push(Warning { places: vec![place], concern }),
        }
    }
    warnings
}

fn of_party(agreement: &Agreement, party: &Party) -> Vec<Concern> {
    let mut concerns = Vec::new();
    if party.supervisory_authority.trim().is_empty() {
        concerns.push(Concern::NoSupervisoryAuthority);
    }
    if party.ended_on.is_some_and(|day| day < agreement.first_day()) {
        concerns.push(Concern::PartyEnded);
    }
    if party.succeeded_by.as_ref().is_some_and(|successor| agreement.party(successor).is_none()) {
        concerns.push(Concern::SuccessorNoParty);
    }
    concerns
}

fn of_clause(agreement: &Agreement, clause: &Clause) -> Vec<Concern> {
    let mut concerns = Vec::new();
    usability(agreement, clause, &mut concerns);
    if clause.record_kind == RecordKind::Referral {
        statutory_ways(agreement, clause, &mut concerns);
        sensitive_ways(agreement, clause, &mut concerns);
    }
    feedback(agreement, clause, &mut concerns);
    times(agreement, clause, &mut concerns);
    concerns
}

/// A kind without a party makes a clause say more than it can do; without any pair nobody can use it.
fn usability(agreement: &Agreement, clause: &Clause, concerns: &mut Vec<Concern>) {
    let of = |kind: AgencyKind| agreement.parties.iter().filter(move |party| party.kind == kind);
    let mut named = HashSet::new();
    let missing = clause.from_kinds.iter().chain(&clause.to_kinds).copied();
    let missing: Vec<_> = missing.filter(|&kind| named.insert(kind) && of(kind).next().is_none()).collect();
    let recipients = || clause.to_kinds.iter().flat_map(|&kind| of(kind));
    let senders = clause.from_kinds.iter().flat_map(|&kind| of(kind));
    let usable = senders.into_iter().any(|from| recipients().any(|to| to.agency != from.agency));
    if usable {
        concerns.extend(missing.into_iter().map(Concern::NobodyOfKind));
    } else {
        concerns.push(Concern::Unusable);
    }
}

/// Ways on which the law already permits what is necessary. What a youth office sends follows SGB VIII and is told
/// apart.
fn statutory_ways(agreement: &Agreement, clause: &Clause, concerns: &mut Vec<Concern>) {
    let both_place = |from, to| PLACEMENT.contains(&from) && PLACEMENT.contains(&to);
    if runs(agreement, clause, both_place) {
        concerns.push(Concern::StatutoryBetweenPlacementAgencies);
    }
    let general_rule = |from, to| from != YouthOffice && SOCIAL.contains(&from) && SOCIAL.contains(&to);
    if runs(agreement, clause, |from, to| general_rule(from, to) && !both_place(from, to)) {
        concerns.push(Concern::StatutoryBetweenSocialAgencies);
    }
    if runs(agreement, clause, |from, to| SOCIAL.contains(&from) && to == AsylblgAuthority) {
        concerns.push(Concern::StatutoryToAsylblgAuthority);
    }
}

/// Ways on which some data should not go, or only under conditions.
fn sensitive_ways(agreement: &Agreement, clause: &Clause, concerns: &mut Vec<Concern>) {
    let sends = |category: Category| clause.categories.contains(category);
    let health: Categories = [Category::Health, Category::DisabilityStatus].into_iter().collect();
    if clause.to_kinds.contains(&ImmigrationOffice) {
        if !clause.categories.and(health).is_empty() {
            concerns.push(Concern::HealthToImmigrationOffice);
        }
        if sends(Category::Note) {
            concerns.push(Concern::FreeTextToImmigrationOffice);
        }
    }
    if runs(agreement, clause, |from, _| from == YouthOffice) {
        concerns.push(if sends(Category::YouthHelp) { Concern::YouthHelp } else { Concern::YouthOfficeSends });
    }
    if sends(Category::ResidenceTitle) && !title_is_needed(clause) {
        concerns.push(Concern::ResidenceTitle);
    }
    if runs(agreement, clause, |from, to| SOCIAL.contains(&from) && OUTSIDE.contains(&to)) {
        concerns.push(Concern::OutsideSocialSecrecy);
    }
}

/// The title decides which office is competent; a placement or a course needs to know only whether the person may work.
fn title_is_needed(clause: &Clause) -> bool {
    let places = matches!(clause.purpose, Purpose::TrainingPlacement | Purpose::JobPlacement);
    !places && !clause.to_kinds.contains(&TrainingProvider)
}

fn feedback(agreement: &Agreement, clause: &Clause, concerns: &mut Vec<Concern>) {
    let reports = clause.feedback_levels.iter().any(|level| level > FeedbackLevel::None);
    if reports && clause.feedback_within(FeedbackLevel::USUAL) == FeedbackLevel::None {
        concerns.push(Concern::NoFeedbackUnderUsualConsent);
    }
    if !clause.feedback_levels.contains(FeedbackLevel::Full) {
        return;
    }
    let leads_back = |from: AgencyKind, to: AgencyKind| {
        agreement.clauses.iter().any(|other| other.allows(clause.purpose, clause.record_kind, to, from))
    };
    let covered = clause.from_kinds.iter().all(|&from| clause.to_kinds.iter().all(|&to| leads_back(from, to)));
    if !covered {
        concerns.push(Concern::FullFeedbackWithoutWayBack);
    }
}

fn times(agreement: &Agreement, clause: &Clause, concerns: &mut Vec<Concern>) {
    if clause.retention_days > LONG_RETENTION_DAYS {
        concerns.push(Concern::LongRetention { days: clause.retention_days });
    }
    if clause.register_retention_days < clause.retention_days {
        concerns.push(Concern::RegisterEndsBeforeLease);
    }
    let begins = agreement.first_day();
    if clause.usual_basis.is_empty() {
        concerns.push(Concern::NoUsualBasis);
    } else if clause.usual_basis.iter().all(|basis| basis.valid_until.is_some_and(|last| last < begins)) {
        concerns.push(Concern::UsualBasisEnded);
    }
}

/// Agencies of basic income support and employment promotion.
const PLACEMENT: &[AgencyKind] = &[JobcenterGe, JobcenterZkt, EmploymentAgency];

/// Bodies named in SGB I § 35.
const SOCIAL: &[AgencyKind] =
    &[JobcenterGe, JobcenterZkt, EmploymentAgency, YouthOffice, RehabilitationCarrier, SocialOffice, IntegrationOffice];

/// Bodies that are not, and are bound by SGB X § 78 instead.
const OUTSIDE: &[AgencyKind] = &[ImmigrationOffice, AsylblgAuthority, TrainingProvider];

/// Tells whether two of the parties can use a clause between whose kinds something is true.
fn runs(agreement: &Agreement, clause: &Clause, is_such: impl Fn(AgencyKind, AgencyKind) -> bool) -> bool {
    let parties = || agreement.parties.iter();
    parties().filter(|from| clause.from_kinds.contains(&from.kind)).any(|from| {
        let recipients = parties().filter(|to| clause.to_kinds.contains(&to.kind) && to.agency != from.agency);
        recipients.into_iter().any(|to| is_such(from.kind, to.kind))
    })
}

#[cfg(test)]
mod tests;
