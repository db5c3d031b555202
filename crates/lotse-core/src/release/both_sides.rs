//! A property over agreements, clauses, consents and records: the recipient takes everything that the sender permits.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::agreement::tests::{agency, agreement, at, known};
use crate::consent::{ConsentState, Withdrawn};
use crate::custody::{self, Arrival, Basis, Content};
use crate::feedback::FeedbackLevels;
use crate::id::Digest;
use crate::purpose::Purposes;
use crate::time::Date;

/// Cases that are tried.
const CASES: u32 = 4_000;

/// Cases of them that must at least be permitted, so that the property says something.
const PERMITTED: u32 = 400;

#[derive(Clone, Debug)]
struct ClauseTerms {
    categories: u16,
    consent_required: ConsentRequirement,
    feedback_levels: FeedbackLevels,
    retention_days: u32,
    on_end: OnEnd,
    ends: i16,
    party_ends: Option<(usize, i8)>,
    has_successor: bool,
}

#[derive(Clone, Debug)]
struct GivenConsent {
    categories: u16,
    explicit: u16,
    withdrawn: u16,
    form: ConsentForm,
    feedback: FeedbackLevel,
    ends: i16,
}

#[derive(Clone, Debug)]
struct Case {
    terms: ClauseTerms,
    given: GivenConsent,
    present: u16,
    required: u16,
    uncovered: Uncovered,
    moment: Moment,
    /// Hour near the decision, in the agreement's first 40 days: agreements, parties and consents end at such hours.
    hour: u16,
    /// Time from the decision to that hour.
    before: Duration,
    /// Time between sending and arrival; a lease is five seconds.
    travels: Duration,
}

fn likely() -> impl Strategy<Value = u16> {
    any::<(u16, u16, u16)>().prop_map(|(a, b, c)| a | b | c)
}

fn levels() -> impl Strategy<Value = FeedbackLevels> {
    prop::sample::subsequence(FeedbackLevel::ALL.to_vec(), 1..=4).prop_map(|levels| levels.into_iter().collect())
}

fn terms() -> impl Strategy<Value = ClauseTerms> {
    let required = prop_oneof![Just(ConsentRequirement::Consent), Just(ConsentRequirement::ExplicitConsent)];
    let on_end = prop_oneof![Just(OnEnd::KeepUntilLease), Just(OnEnd::Purge)];
    let party_ends = prop::option::of((0..2usize, 10..31i8));
    (likely(), required, levels(), 1..400u32, on_end, 20..400i16, party_ends, any::<bool>()).prop_map(
        |(categories, consent_required, feedback_levels, retention_days, on_end, ends, party_ends, has_successor)| {
            ClauseTerms {
                categories,
                consent_required,
                feedback_levels,
                retention_days,
                on_end,
                ends,
                party_ends,
                has_successor,
            }
        },
    )
}

fn given() -> impl Strategy<Value = GivenConsent> {
    let form = prop::sample::select(vec![ConsentForm::Written, ConsentForm::Electronic, ConsentForm::Oral]);
    let withdrawn = prop_oneof![3 => Just(0), 1 => any::<(u16, u16)>().prop_map(|(a, b)| a & b)];
    (likely(), likely(), withdrawn, form, prop::sample::select(FeedbackLevel::ALL.to_vec()), 1..500i16).prop_map(
        |(categories, explicit, withdrawn, form, feedback, ends)| GivenConsent {
            categories,
            explicit,
            withdrawn,
            form,
            feedback,
            ends,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let present = prop_oneof![2 => Just(0), 2 => any::<(u16, u16)>().prop_map(|(a, b)| a & b), 1 => any::<u16>()];
    let uncovered = prop_oneof![Just(Uncovered::Refuse), Just(Uncovered::LeaveOut)];
    let moment = prop_oneof![Just(Moment::Submit), Just(Moment::Claim)];
    let required = prop_oneof![Just(0), Just(1u16 << 6)];
    let hour = prop_oneof![0..40 * 24u16, (0..40u16).prop_map(|day| day * 24)];
    let times = (hour, prop_oneof![Just(0u64), Just(2_000)], 0..5_000u64);
    (terms(), given(), present, required, uncovered, moment, times).prop_map(
        |(terms, given, present, required, uncovered, moment, (hour, before, travels))| {
            let [before, travels] = [before, travels].map(Duration::from_millis);
            Case { terms, given, present, required, uncovered, moment, hour, before, travels }
        },
    )
}

/// Categories by bits, the first one by the lowest; identity is always among them.
fn set(bits: u16) -> Categories {
    Categories::from_bits(i64::from(bits | 1) << 1)
}

impl ClauseTerms {
    fn known(&self) -> Vec<KnownAgreement> {
        let mut first = agreement(1, 1);
        (first.valid_until, first.on_end) = (at(self.ends), self.on_end);
        let clause = &mut first.clauses[0];
        clause.categories = set(self.categories);
        clause.consent_required = self.consent_required;
        clause.feedback_levels = self.feedback_levels;
        clause.retention_days = self.retention_days;
        if let Some((party, day)) = self.party_ends {
            first.parties[party].ended_on = Some(Date::constant(2026, 1, day));
        }
        let next = Agreement { version: 2, digest: Digest::of(b"next"), valid_from: at(15), ..first.clone() };
        [first].into_iter().chain(self.has_successor.then_some(next)).map(known).collect()
    }
}

impl GivenConsent {
    fn consent(&self) -> Consent {
        let withdrawn = Categories::from_bits(i64::from(self.withdrawn & !1) << 1);
        Consent {
            categories: set(self.categories),
            explicit: set(self.explicit).special(),
            withdrawn: Withdrawn { whole: false, purposes: Purposes::NONE, categories: withdrawn },
            form: self.form,
            feedback: self.feedback,
            state: ConsentState::Given,
            expires_at: at(self.ends),
            ..super::tests::consent(1)
        }
    }
}

/// Asks the sender, cuts what it permits as an envelope does, and asks the recipient; none if the sender refuses, or the lease
/// ends on the way.
fn taken(case: &Case) -> Option<Result<(), crate::delivery::Outcome>> {
    let (sender, recipient) = (agency("jc.example"), agency("aa.example"));
    let (known, consent) = (case.terms.known(), case.given.consent());
    let decided_at = at(0).plus(Duration::from_secs(3600) * u32::from(case.hour)).minus(case.before);
    let arrives_at = decided_at.plus(case.travels);
    let release = Release {
        sender: &sender,
        recipient: &recipient,
        purpose: Purpose::Orientation,
        record_kind: RecordKind::Referral,
        subject: Some(consent.subject),
        present: set(case.present),
        required: set(case.required),
        professional_secrecy: false,
        entrusted: false,
        consent: None,
        agreement: None,
        uncovered: case.uncovered,
        moment: case.moment,
    };
    let permit = decide(&release, &known, std::slice::from_ref(&consent), decided_at, &mut NoNotes).ok()?;
    if permit.hold_until <= arrives_at {
        return None;
    }
    let arrival = Arrival {
        peer: &sender,
        own: &recipient,
        sender: &sender,
        recipient: &recipient,
        recipient_generation: 1,
        own_generation: 1,
        created_at: decided_at,
        expires_at: decided_at.plus(custody::USUAL_LIFE),
    };
    let basis = Basis {
        agreement: permit.agreement.id,
        version: permit.agreement.version,
        digest: permit.agreement.digest,
        clause_id: &permit.clause_id,
        purpose: release.purpose,
        excerpt: permit.covered,
        form: consent.form,
        consent_expires_at: consent.expires_at,
        feedback: permit.feedback,
    };
    let content = Content {
        record_kind: release.record_kind,
        purpose: release.purpose,
        present: permit.categories,
        required: release.required,
        hold_until: permit.hold_until,
        created_at: decided_at,
    };
    let checked = custody::check_arrival(&arrival, arrives_at);
    Some(checked.and_then(|()| custody::admit(&arrival, &basis, &content, &known, arrives_at)))
}

#[test]
fn what_the_sender_permits_the_recipient_takes() {
    let permitted = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(CASES));
    let all_is_taken = runner.run(&case(), |case| {
        let Some(taken) = taken(&case) else { return Ok(()) };
        permitted.set(permitted.get() + 1);
        prop_assert_eq!(taken, Ok(()));
        Ok(())
    });
    all_is_taken.unwrap();
    assert!(permitted.get() >= PERMITTED, "only {} cases were permitted", permitted.get());
}

/// Every set of levels of a clause with every level of a consent.
#[test]
fn no_pair_of_feedback_levels_is_permitted_and_refused() {
    for bits in 1..16 {
        for feedback in FeedbackLevel::ALL {
            let feedback_levels: FeedbackLevels = FeedbackLevels::from_bits(bits << 1);
            let terms = ClauseTerms {
                categories: 1,
                consent_required: ConsentRequirement::Consent,
                feedback_levels,
                retention_days: 30,
                on_end: OnEnd::Purge,
                ends: 365,
                party_ends: None,
                has_successor: false,
            };
            let given = GivenConsent {
                categories: 1,
                explicit: 0,
                withdrawn: 0,
                form: ConsentForm::Written,
                feedback,
                ends: 200,
            };
            let case = Case {
                terms,
                given,
                present: 0,
                required: 0,
                uncovered: Uncovered::Refuse,
                moment: Moment::Claim,
                hour: 24,
                before: Duration::ZERO,
                travels: Duration::ZERO,
            };
            assert_eq!(taken(&case), Some(Ok(())), "{feedback_levels} with {feedback:?}");
        }
    }
}
