//! The cooperation agreement: what its parties allow each other to send, and when it is in force.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agency::AgencyKind;
use crate::category::Categories;
use crate::feedback::{FeedbackLevel, FeedbackLevels};
use crate::id::{AgencyId, Digest, Id};
use crate::purpose::{Purpose, RecordKind};
use crate::time::{Calendar, DAY, Date, Timestamp};

pub mod check;
pub mod show;
pub mod successor;
pub mod text;
pub mod words;

/// A new version begins at least so long after it is completed, and the version before it counts so long for releases that
/// were decided under it.
pub const CHANGE_NOTICE: Duration = DAY;

/// One version of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The same for all versions.
    pub id: Id,
    /// Monotonic, starts at 1.
    pub version: u32,
    /// SHA-256 of the sealed bytes.
    pub digest: Digest,
    /// Title.
    pub title: String,
    /// From when it is in force.
    pub valid_from: Timestamp,
    /// Until when.
    pub valid_until: Timestamp,
    /// Schema level that every party's node must understand.
    pub minimum_schema_level: u32,
    /// What becomes of copies at its end.
    pub on_end: OnEnd,
    /// Parties, 2 to 200.
    pub parties: Vec<Party>,
    /// Clauses, 1 to 200.
    pub clauses: Vec<Clause>,
    /// The text that was compiled.
    pub source: String,
}

/// What becomes of copies when an agreement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum OnEnd {
    /// They stay until their hold_until.
    KeepUntilLease = 1,
    /// They go with the agreement.
    Purge = 2,
}

/// One agency of an agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Agency id.
    pub agency: AgencyId,
    /// SHA-256 of the agency's raw root public key.
    pub root_fingerprint: Digest,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: AgencyKind,
    /// Municipality keys (AGS) for which the agency works.
    pub regions: Vec<String>,
    /// Supervisory authority for data protection.
    pub supervisory_authority: String,
    /// Last day on which the agency sends and receives under the agreement, if it ends before it.
    pub ended_on: Option<Date>,
    /// Its successor.
    pub succeeded_by: Option<AgencyId>,
}

/// What kind of consent a clause needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ConsentRequirement {
    /// A consent.
    Consent = 1,
    /// A consent in writing or electronic form that names special categories explicitly.
    ExplicitConsent = 2,
    /// The employer's release, for vacancies.
    EmployerRelease = 3,
}

/// One permission of an agreement: one purpose and record kind between kinds of agencies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// Identifier within the agreement.
    pub id: String,
    /// What it is for, in a sentence.
    pub title: String,
    /// Purpose.
    pub purpose: Purpose,
    /// Record kind.
    pub record_kind: RecordKind,
    /// Who may send.
    pub from_kinds: Vec<AgencyKind>,
    /// Who may receive.
    pub to_kinds: Vec<AgencyKind>,
    /// Categories that may be sent.
    pub categories: Categories,
    /// Consent that is needed.
    pub consent_required: ConsentRequirement,
    /// Feedback levels that a release may carry.
    pub feedback_levels: FeedbackLevels,
    /// The norm under which such a transfer happens.
    pub legal_reference: String,
    /// The usual legal basis, as dated text.
    pub usual_basis: Vec<DatedText>,
    /// How long a recipient may hold a record, days.
    pub retention_days: u32,
    /// How long the owner keeps the register entry, days.
    pub register_retention_days: u32,
}

impl Clause {
    /// Longest id, characters.
    pub const ID_CHARACTERS: usize = 64;

    /// Returns whether a text may be the id of a clause: 1 to 64 of a-z 0-9 -.
    pub fn is_id(text: &str) -> bool {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=Clause::ID_CHARACTERS).contains(&text.len()) && text.bytes().all(allowed)
    }
}

/// A text that holds from a day until a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatedText {
    /// The text.
    pub text: String,
    /// First day.
    pub valid_from: Date,
    /// Last day, if known.
    pub valid_until: Option<Date>,
}

impl Agreement {
    /// Returns the calendar of its days: the one that its text names, which its sealed first moment shows.
    pub fn calendar(&self) -> Calendar {
        Calendar::beginning_at(self.valid_from)
    }

    /// Returns the first day on which it is in force.
    pub fn first_day(&self) -> Date {
        self.calendar().day_of(self.valid_from)
    }

    /// Returns the last day on which it is in force.
    pub fn last_day(&self) -> Date {
        self.calendar().day_of(self.valid_until.minus(Duration::from_micros(1)))
    }

    /// Finds a party, ended or not. A decision asks [`Agreement::active_party`].
    pub fn party(&self, agency: &AgencyId) -> Option<&Party> {
        self.parties.iter().find(|party| party.agency == *agency)
    }

    /// Finds a party that has not ended at a time: only such a party sends and receives.
    pub fn active_party(&self, agency: &AgencyId, at: Timestamp) -> Option<&Party> {
        self.party(agency).filter(|party| party.ended_on.is_none_or(|day| at < self.calendar().end_of(day)))
    }

    /// Finds a clause.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// Tells whether a time lies in its term.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.valid_from <= at && at < self.valid_until
    }
}

impl Clause {
    /// Tells whether the clause speaks of this purpose and record kind between these kinds of agencies.
    pub fn allows(&self, purpose: Purpose, kind: RecordKind, from: AgencyKind, to: AgencyKind) -> bool {
        self.purpose == purpose
            && self.record_kind == kind
            && self.from_kinds.contains(&from)
            && self.to_kinds.contains(&to)
    }

    /// Returns the feedback level of a release under a consent: the highest that the clause lists and the consent does not
    /// exceed. Reporting nothing is always allowed, listed or not.
    pub fn feedback_within(&self, consented: FeedbackLevel) -> FeedbackLevel {
        self.feedback_levels.iter().filter(|&level| level <= consented).max().unwrap_or(FeedbackLevel::None)
    }

    /// Tells whether a release under the clause may have this feedback level.
    pub fn permits_feedback(&self, level: FeedbackLevel) -> bool {
        level == FeedbackLevel::None || self.feedback_levels.contains(level)
    }

    /// Returns how long a recipient may hold a record.
    pub fn retention(&self) -> Duration {
        DAY * self.retention_days
    }
}

/// An agreement version as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAgreement {
    /// The version.
    pub agreement: Arc<Agreement>,
    /// When the last missing seal arrived; none while one is missing.
    pub completed_at: Option<Timestamp>,
    /// Whether it is suspended at this node.
    pub suspended: bool,
}

/// Returns the version of an agreement that counts at a time: the highest complete one whose term has begun. It may have ended
/// or be suspended; the caller asks for that.
pub fn current(known: &[KnownAgreement], id: Id, at: Timestamp) -> Option<&KnownAgreement> {
    known
        .iter()
        .filter(|k| k.agreement.id == id && k.completed_at.is_some() && k.agreement.valid_from <= at)
        .max_by_key(|k| k.agreement.version)
}

/// Returns the agreements that are in force at a time, one version each, in the order of their ids.
pub fn in_force(known: &[KnownAgreement], at: Timestamp) -> Vec<&KnownAgreement> {
    let mut ids: Vec<Id> = known.iter().map(|k| k.agreement.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().filter_map(|id| current(known, id, at)).filter(|k| !k.suspended && k.agreement.covers(at)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::category::Category;

    pub(crate) fn agency(name: &str) -> AgencyId {
        name.parse().unwrap()
    }

    pub(crate) fn at(day: i16) -> Timestamp {
        let first = Timestamp::from_date("2026-01-01".parse().unwrap());
        Timestamp::from_micros(first.micros() + i64::from(day) * DAY.as_micros() as i64)
    }

    pub(crate) fn party(name: &str, kind: AgencyKind) -> Party {
        Party {
            agency: agency(name),
            root_fingerprint: Digest::of(name.as_bytes()),
            name: name.into(),
            kind,
            regions: vec![],
            supervisory_authority: String::new(),
            ended_on: None,
            succeeded_by: None,
        }
    }

    pub(crate) fn clause(id: &str) -> Clause {
        Clause {
            id: id.into(),
            title: String::new(),
            purpose: Purpose::Orientation,
            record_kind: RecordKind::Referral,
            from_kinds: vec![AgencyKind::JobcenterGe],
            to_kinds: vec![AgencyKind::EmploymentAgency],
            categories: [Category::Identity, Category::Contact, Category::Languages, Category::Health]
                .into_iter()
                .collect(),
            consent_required: ConsentRequirement::Consent,
            feedback_levels: FeedbackLevel::ALL.into_iter().collect(),
            legal_reference: "SGB X § 67b".into(),
            usual_basis: vec![],
            retention_days: 90,
            register_retention_days: 365,
        }
    }

    pub(crate) fn agreement(id: u8, version: u32) -> Agreement {
        Agreement {
            id: Id::from_bytes([id; 16]),
            version,
            digest: Digest::of(&[id, version as u8]),
            title: "Test".into(),
            valid_from: at(0),
            valid_until: at(365),
            minimum_schema_level: 1,
            on_end: OnEnd::KeepUntilLease,
            parties: vec![
                party("jc.example", AgencyKind::JobcenterGe),
                party("aa.example", AgencyKind::EmploymentAgency),
            ],
            clauses: vec![clause("orientation")],
            source: String::new(),
        }
    }

    pub(crate) fn known(agreement: Agreement) -> KnownAgreement {
        KnownAgreement { agreement: Arc::new(agreement), completed_at: Some(at(-2)), suspended: false }
    }

    #[test]
    fn the_highest_complete_version_whose_time_has_come_is_in_force() {
        let later = Agreement { valid_from: at(10), ..agreement(1, 2) };
        let incomplete = KnownAgreement { completed_at: None, ..known(agreement(1, 3)) };
        let all = [known(agreement(1, 1)), known(later), incomplete];
        assert_eq!(in_force(&all, at(5))[0].agreement.version, 1);
        assert_eq!(in_force(&all, at(10))[0].agreement.version, 2);
    }

    #[test]
    fn a_suspended_version_does_not_bring_back_the_one_before() {
        let suspended = KnownAgreement { suspended: true, ..known(agreement(1, 2)) };
        assert!(in_force(&[known(agreement(1, 1)), suspended], at(5)).is_empty());
    }

    #[test]
    fn an_agreement_is_in_force_from_its_first_to_before_its_last_moment() {
        assert_eq!([-1, 0, 365].map(|day| agreement(1, 1).covers(at(day))), [false, true, false]);
        let all = [known(agreement(1, 1))];
        assert!(in_force(&all, at(-1)).is_empty());
        assert_eq!(in_force(&all, at(0)).len(), 1);
        assert!(in_force(&all, at(365)).is_empty());
    }

    #[test]
    fn a_day_before_another_lies_before_it() {
        assert_eq!(at(-2).to_string(), "2025-12-30T00:00:00Z");
        assert_eq!(at(1).since(at(-1)), DAY * 2);
    }

    #[test]
    fn a_party_is_active_until_the_end_of_its_last_day_in_the_calendar_of_the_agreement() {
        let last_day = Some("2026-06-30".parse().unwrap());
        let jobcenter = agency("jc.example");
        let german = Agreement { valid_from: "2025-12-31T23:00:00Z".parse().unwrap(), ..agreement(1, 1) };
        for (mut agreement, last, after) in [
            (agreement(1, 1), "2026-06-30T23:59:59Z", "2026-07-01T00:00:00Z"),
            (german, "2026-06-30T21:59:59Z", "2026-06-30T22:00:00Z"),
        ] {
            agreement.parties[0].ended_on = last_day;
            let is_active = |at: &str| agreement.active_party(&jobcenter, at.parse().unwrap()).is_some();
            assert_eq!((is_active(last), is_active(after)), (true, false));
            assert!(
                agreement.party(&jobcenter).is_some()
                    && agreement.active_party(&agency("aa.example"), at(300)).is_some()
            );
        }
    }

    #[test]
    fn the_days_of_an_agreement_are_those_of_the_zone_in_which_it_begins() {
        let of = |from: &str, until: &str| {
            let (valid_from, valid_until) = (from.parse().unwrap(), until.parse().unwrap());
            let agreement = Agreement { valid_from, valid_until, ..agreement(1, 1) };
            (agreement.calendar(), agreement.first_day().to_string(), agreement.last_day().to_string())
        };
        let days = ("2026-07-01".to_string(), "2026-12-31".to_string());
        let utc = of("2026-07-01T00:00:00Z", "2027-01-01T00:00:00Z");
        let german = of("2026-06-30T22:00:00Z", "2026-12-31T23:00:00Z");
        assert_eq!(utc, (Calendar::Utc, days.0.clone(), days.1.clone()));
        assert_eq!(german, (Calendar::Germany, days.0, days.1));
    }
}
