use super::*;
use crate::agreement::tests::{agency, agreement, at, clause, known};
use crate::consent::{ConsentState, Withdrawn};
use crate::feedback::FeedbackLevels;
use crate::purpose::{Purposes, RecordKinds};
use crate::time::DAY;
use proptest::prelude::*;

pub(crate) fn consent(id: u8) -> Consent {
    Consent {
        id: Id::from_bytes([id; 16]),
        subject: Id::from_bytes([1; 16]),
        state: ConsentState::Given,
        given_by: GivenBy::Oneself,
        form: ConsentForm::Written,
        names_recipient: true,
        purposes: Purpose::Orientation.into(),
        record_kinds: RecordKind::Referral.into(),
        categories: [Category::Identity, Category::Contact, Category::Skills].into_iter().collect(),
        explicit: Categories::NONE,
        feedback: FeedbackLevel::Status,
        given_at: at(0),
        expires_at: at(200),
        releases_from_secrecy: false,
        withdrawn: Withdrawn::default(),
    }
}

struct Asked {
    sender: AgencyId,
    recipient: AgencyId,
    present: Categories,
    uncovered: Uncovered,
    moment: Moment,
    consent: Option<Id>,
    agreement: Option<Id>,
}

fn asked(present: impl IntoIterator<Item = Category>) -> Asked {
    Asked {
        sender: agency("jc.example"),
        recipient: agency("aa.example"),
        present: present.into_iter().collect(),
        uncovered: Uncovered::Refuse,
        moment: Moment::Submit,
        consent: None,
        agreement: None,
    }
}

impl Asked {
    fn release(&self) -> Release<'_> {
        Release {
            sender: &self.sender,
            recipient: &self.recipient,
            purpose: Purpose::Orientation,
            record_kind: RecordKind::Referral,
            subject: Some(Id::from_bytes([1; 16])),
            present: self.present,
            required: Category::Identity.into(),
            professional_secrecy: false,
            entrusted: false,
            consent: self.consent,
            agreement: self.agreement,
            uncovered: self.uncovered,
            moment: self.moment,
        }
    }

    fn decide(&self, known: &[KnownAgreement], consents: &[Consent]) -> Result<Permit, Vec<Refusal>> {
        decide(&self.release(), known, consents, at(5), &mut NoNotes)
    }
}

fn reasons(result: Result<Permit, Vec<Refusal>>) -> Vec<Reason> {
    result.unwrap_err().into_iter().map(|refusal| refusal.reason).collect()
}

#[test]
fn what_clause_and_consent_both_name_may_go() {
    let asked = asked([Category::Identity, Category::Contact]);
    let permit = asked.decide(&[known(agreement(1, 1))], &[consent(1)]).unwrap();
    assert_eq!(permit.categories, asked.present);
    assert_eq!(permit.covered, [Category::Identity, Category::Contact].into_iter().collect());
    assert_eq!(permit.hold_until, at(5 + 90));
    assert_eq!(permit.feedback, FeedbackLevel::Status);
}

#[test]
fn without_an_agreement_or_a_consent_nothing_goes() {
    let asked = asked([Category::Identity]);
    assert_eq!(reasons(asked.decide(&[], &[consent(1)])), [Reason::NoAgreement]);
    assert_eq!(reasons(asked.decide(&[known(agreement(1, 1))], &[])), [Reason::NoConsent]);
    let other = Asked { recipient: agency("zz.example"), ..asked };
    assert_eq!(reasons(other.decide(&[known(agreement(1, 1))], &[consent(1)])), [Reason::NoAgreement]);
}

#[test]
fn a_party_past_its_last_day_neither_sends_nor_receives() {
    for ended in 0..2 {
        let mut agreement = agreement(1, 1);
        agreement.parties[ended].ended_on = Some("2026-01-05".parse().unwrap());
        let known = [known(agreement)];
        let on = |day: i16| {
            let asked = asked([Category::Identity]);
            decide(&asked.release(), &known, &[consent(1)], at(day), &mut NoNotes)
        };
        assert!(on(4).is_ok(), "5 January is its last day");
        assert_eq!(reasons(on(5)), [Reason::PartyEnded]);
    }
}

#[test]
fn an_ended_party_is_told_apart_from_a_suspended_agreement() {
    let mut agreement = agreement(1, 1);
    agreement.parties[1].ended_on = Some("2026-01-01".parse().unwrap());
    let suspended = KnownAgreement { suspended: true, ..known(agreement) };
    assert_eq!(reasons(asked([Category::Identity]).decide(&[suspended], &[consent(1)])), [Reason::PartyEnded]);
}

#[test]
fn each_uncovered_category_is_a_reason_of_its_own() {
    let asked = asked([Category::Identity, Category::Skills, Category::Languages, Category::Health]);
    let refusals = asked.decide(&[known(agreement(1, 1))], &[consent(1)]).unwrap_err();
    let of = |category| refusals.iter().find(|refusal| refusal.category == Some(category)).unwrap().reason;
    assert_eq!(of(Category::Skills), Reason::CategoryNotInClause);
    assert_eq!(of(Category::Languages), Reason::CategoryNotInConsent);
    assert_eq!(of(Category::Health), Reason::CategoryNotInConsent);
    assert_eq!(refusals.len(), 3);
}

#[test]
fn a_special_category_is_never_left_out_silently() {
    let leave_out = |present: &[Category]| Asked { uncovered: Uncovered::LeaveOut, ..asked(present.iter().copied()) };
    let permit =
        leave_out(&[Category::Identity, Category::Languages]).decide(&[known(agreement(1, 1))], &[consent(1)]).unwrap();
    assert_eq!(permit.left_out, Category::Languages.into());
    let refused = leave_out(&[Category::Identity, Category::Health]).decide(&[known(agreement(1, 1))], &[consent(1)]);
    assert_eq!(reasons(refused), [Reason::CategoryNotInConsent]);
}

#[test]
fn health_needs_explicit_consent_that_is_not_oral() {
    let with_health = |explicit: Categories, form| Consent {
        categories: [Category::Identity, Category::Health].into_iter().collect(),
        explicit,
        form,
        ..consent(1)
    };
    let asked = asked([Category::Identity, Category::Health]);
    let decide = |consent| asked.decide(&[known(agreement(1, 1))], &[consent]);
    assert!(decide(with_health(Category::Health.into(), ConsentForm::Written)).is_ok());
    assert_eq!(reasons(decide(with_health(Categories::NONE, ConsentForm::Written))), [Reason::CategoryNotExplicit]);
    assert_eq!(reasons(decide(with_health(Category::Health.into(), ConsentForm::Oral))), [Reason::CategoryNotExplicit]);
}

#[test]
fn a_clause_that_needs_explicit_consent_refuses_an_oral_one() {
    let mut agreement = agreement(1, 1);
    agreement.clauses[0].consent_required = ConsentRequirement::ExplicitConsent;
    let oral = Consent { form: ConsentForm::Oral, ..consent(1) };
    assert_eq!(reasons(asked([Category::Identity]).decide(&[known(agreement)], &[oral])), [Reason::ConsentNotExplicit]);
}

#[test]
fn secrecy_and_entrusted_data_need_their_own_release() {
    let mut agreement = agreement(1, 1);
    let all: Categories = [Category::Identity, Category::Health, Category::YouthHelp].into_iter().collect();
    agreement.clauses[0].categories = all;
    let asked = asked(all.iter());
    let release = Release { professional_secrecy: true, entrusted: true, ..asked.release() };
    let consent = Consent { categories: all, explicit: all, ..consent(1) };
    let known = [known(agreement)];
    let refused = decide(&release, &known, std::slice::from_ref(&consent), at(5), &mut NoNotes);
    assert_eq!(reasons(refused), [Reason::SecrecyNotReleased, Reason::EntrustedData]);
    let released = Consent { releases_from_secrecy: true, given_by: GivenBy::EntrustingPerson, ..consent };
    assert!(decide(&release, &known, &[released], at(5), &mut NoNotes).is_ok());
}

#[test]
fn the_consent_that_ends_last_is_taken_and_never_a_union() {
    let short = Consent { expires_at: at(50), categories: Category::Identity.into(), ..consent(1) };
    let long = Consent { expires_at: at(60), categories: Category::Contact.into(), ..consent(2) };
    let refused = asked([Category::Identity, Category::Contact]).decide(&[known(agreement(1, 1))], &[short, long]);
    assert_eq!(reasons(refused), [Reason::CategoryNotInConsent]);
}

#[test]
fn a_named_consent_is_the_only_one_that_counts() {
    let named = |id: u8| Asked { consent: Some(Id::from_bytes([id; 16])), ..asked([Category::Identity]) };
    let known = [known(agreement(1, 1))];
    let other_subject = Consent { subject: Id::from_bytes([9; 16]), ..consent(2) };
    let all = [consent(1), other_subject, Consent { state: ConsentState::Superseded, ..consent(3) }];
    assert!(named(1).decide(&known, &all).is_ok());
    assert_eq!(reasons(named(2).decide(&known, &all)), [Reason::ConsentOtherSubject]);
    assert_eq!(reasons(named(3).decide(&known, &all)), [Reason::ConsentSuperseded]);
    assert_eq!(reasons(named(4).decide(&known, &all)), [Reason::ConsentUnknown]);
}

#[test]
fn each_state_and_limit_of_a_consent_has_its_reason() {
    let decide = |consent: Consent| {
        let asked = Asked { consent: Some(consent.id), ..asked([Category::Identity]) };
        reasons(asked.decide(&[known(agreement(1, 1))], &[consent]))
    };
    let stated = |state| Consent { state, ..consent(1) };
    assert_eq!(decide(stated(ConsentState::Withdrawn)), [Reason::ConsentWithdrawn]);
    assert_eq!(decide(stated(ConsentState::Expired)), [Reason::ConsentExpired]);
    assert_eq!(decide(stated(ConsentState::Refused)), [Reason::ConsentRefused]);
    assert_eq!(decide(Consent { expires_at: at(5), ..consent(1) }), [Reason::ConsentExpired]);
    assert_eq!(decide(Consent { names_recipient: false, ..consent(1) }), [Reason::ConsentOtherRecipient]);
    assert_eq!(decide(Consent { purposes: Purpose::JobPlacement.into(), ..consent(1) }), [Reason::ConsentOtherPurpose]);
    assert_eq!(
        decide(Consent { record_kinds: RecordKind::Vacancy.into(), ..consent(1) }),
        [Reason::ConsentOtherRecordKind]
    );
    let purpose = Withdrawn { purposes: Purpose::Orientation.into(), ..Withdrawn::default() };
    assert_eq!(decide(Consent { withdrawn: purpose, ..consent(1) }), [Reason::ConsentWithdrawn]);
}

#[test]
fn an_expired_consent_stays_expired_when_the_clock_steps_back() {
    let expired = Consent { state: ConsentState::Expired, ..consent(1) };
    let before =
        decide(&asked([Category::Identity]).release(), &[known(agreement(1, 1))], &[expired], at(1), &mut NoNotes);
    assert_eq!(reasons(before), [Reason::ConsentExpired]);
}

#[test]
fn what_was_withdrawn_since_submission_is_left_out_special_ones_included() {
    let all: Categories = [Category::Identity, Category::Contact, Category::Health].into_iter().collect();
    let withdrawn = Withdrawn { categories: Category::Health.into(), ..Withdrawn::default() };
    let consent = Consent { categories: all, explicit: all, withdrawn, ..consent(1) };
    let at_claim = Asked { moment: Moment::Claim, ..asked(all.iter()) };
    let permit = at_claim.decide(&[known(agreement(1, 1))], std::slice::from_ref(&consent)).unwrap();
    assert_eq!(permit.left_out, Category::Health.into());
    assert_eq!(
        reasons(asked(all.iter()).decide(&[known(agreement(1, 1))], &[consent])),
        [Reason::CategoryNotInConsent]
    );
}

#[test]
fn a_required_section_that_is_not_covered_refuses_the_rest() {
    let asked = Asked { uncovered: Uncovered::LeaveOut, ..asked([Category::Identity, Category::Contact]) };
    let consent = Consent { categories: Category::Contact.into(), ..consent(1) };
    assert_eq!(reasons(asked.decide(&[known(agreement(1, 1))], &[consent])), [Reason::SectionRequired]);
}

#[test]
fn an_empty_rest_is_refused() {
    let asked = Asked { uncovered: Uncovered::LeaveOut, ..asked([Category::Languages]) };
    let release = Release { required: Categories::NONE, ..asked.release() };
    let refused = decide(&release, &[known(agreement(1, 1))], &[consent(1)], at(5), &mut NoNotes);
    assert_eq!(reasons(refused), [Reason::NothingLeft]);
}

#[test]
fn of_several_agreements_the_shortest_lease_counts() {
    let mut short = agreement(2, 1);
    short.clauses[0].retention_days = 10;
    let known = [known(agreement(1, 1)), known(short)];
    let permit = asked([Category::Identity]).decide(&known, &[consent(1)]).unwrap();
    assert_eq!((permit.agreement.id, permit.hold_until), (Id::from_bytes([2; 16]), at(15)));
    let named = Asked { agreement: Some(Id::from_bytes([1; 16])), ..asked([Category::Identity]) };
    assert_eq!(named.decide(&known, &[consent(1)]).unwrap().agreement.id, Id::from_bytes([1; 16]));
}

#[test]
fn the_end_of_an_agreement_ends_the_lease_only_if_copies_go_with_it() {
    let ends_soon = |on_end| Agreement { valid_until: at(20), on_end, ..agreement(1, 1) };
    let hold_until =
        |on_end| asked([Category::Identity]).decide(&[known(ends_soon(on_end))], &[consent(1)]).unwrap().hold_until;
    assert_eq!(hold_until(OnEnd::Purge), at(20));
    assert_eq!(hold_until(OnEnd::KeepUntilLease), at(95));
}

#[test]
fn a_suspended_or_ended_agreement_is_told_apart() {
    let asked = asked([Category::Identity]);
    let suspended = KnownAgreement { suspended: true, ..known(agreement(1, 1)) };
    assert_eq!(reasons(asked.decide(&[suspended], &[consent(1)])), [Reason::AgreementSuspended]);
    let ended = known(Agreement { valid_until: at(3), ..agreement(1, 1) });
    let named = Asked { agreement: Some(Id::from_bytes([1; 16])), ..asked };
    assert_eq!(reasons(named.decide(&[ended], &[consent(1)])), [Reason::AgreementNotInForce]);
}

#[test]
fn no_clause_for_the_purpose_or_between_these_kinds_is_said() {
    let mut other = agreement(1, 1);
    other.clauses = vec![Clause { purpose: Purpose::JobPlacement, ..clause("x") }];
    assert_eq!(reasons(asked([Category::Identity]).decide(&[known(other)], &[consent(1)])), [Reason::NoClause]);
    let back = Asked { sender: agency("aa.example"), recipient: agency("jc.example"), ..asked([Category::Identity]) };
    assert_eq!(reasons(back.decide(&[known(agreement(1, 1))], &[consent(1)])), [Reason::NoClause]);
}

#[test]
fn the_explanation_tells_every_step() {
    let mut notes = Vec::new();
    let asked = asked([Category::Identity]);
    decide(&asked.release(), &[known(agreement(1, 1))], &[consent(1)], at(5), &mut notes).unwrap();
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(notes[3].starts_with("allowed by clause orientation: identity"));
}

fn any_categories() -> impl Strategy<Value = Categories> {
    any::<u32>().prop_map(|bits| Categories::from_bits(i64::from(bits)))
}

/// Mostly with identity, without which nothing is permitted: what is never permitted proves nothing.
fn likely_categories() -> impl Strategy<Value = Categories> {
    let with_identity = any_categories().prop_map(|it| it.or([Category::Identity].into_iter().collect()));
    prop_oneof![7 => with_identity, 1 => any_categories()]
}

/// Few, and mostly not identity.
fn withdrawn_categories() -> impl Strategy<Value = Categories> {
    let few = (any_categories(), any_categories()).prop_map(|(one, other)| one.and(other));
    let not_identity = few.prop_map(|it| it.iter().filter(|&category| category != Category::Identity).collect());
    prop_oneof![7 => not_identity, 1 => any_categories()]
}

fn any_consent() -> impl Strategy<Value = Consent> {
    let sets = (likely_categories(), any_categories(), withdrawn_categories(), any::<u8>(), any::<u8>());
    (1..6u8, sets, 1..4i32, 1..5i32, any::<bool>(), any::<bool>(), 0..30i16).prop_map(
        |(id, (categories, explicit, withdrawn, purposes, kinds), form, state, names, whole, expires)| Consent {
            categories,
            explicit,
            purposes: Purposes::from_bits(i64::from(purposes) | 2),
            record_kinds: RecordKinds::from_bits(i64::from(kinds) | 2),
            form: ConsentForm::from_number(form).unwrap(),
            state: if state < 4 { ConsentState::Given } else { ConsentState::Withdrawn },
            names_recipient: names || id < 4,
            withdrawn: Withdrawn { whole: whole && id > 3, purposes: Purposes::NONE, categories: withdrawn },
            expires_at: at(expires),
            ..consent(id)
        },
    )
}

proptest! {
    #[test]
    fn nothing_outside_clause_and_consent_is_ever_permitted(
        present in likely_categories(),
        in_clause in likely_categories(),
        consents in prop::collection::vec(any_consent(), 0..4),
        leave_out: bool,
        claim: bool,
    ) {
        let mut agreement = agreement(1, 1);
        agreement.clauses[0].categories = in_clause;
        let asked = Asked {
            uncovered: if leave_out { Uncovered::LeaveOut } else { Uncovered::Refuse },
            moment: if claim { Moment::Claim } else { Moment::Submit },
            ..asked(present.iter())
        };
        let Ok(permit) = asked.decide(&[known(agreement)], &consents) else { return Ok(()) };
        let consent = consents.iter().filter(|c| c.id == permit.consent).collect::<Vec<_>>();
        let rests = consent.iter().any(|c| {
            in_clause.contains_all(permit.categories)
                && c.categories.contains_all(permit.categories)
                && permit.categories.and(c.withdrawn.categories).is_empty()
                && (permit.categories.special().is_empty() || c.form != ConsentForm::Oral)
                && c.explicit.contains_all(permit.categories.special())
                && c.state == ConsentState::Given && c.names_recipient && !c.withdrawn.whole && c.expires_at > at(5)
                && permit.hold_until <= c.expires_at
        });
        prop_assert!(rests);
        prop_assert_eq!(permit.categories.or(permit.left_out), present);
        prop_assert!(permit.categories.and(permit.left_out).is_empty());
        prop_assert!(leave_out || claim || permit.left_out.is_empty());
        prop_assert!(claim || permit.left_out.special().is_empty());
        prop_assert!(permit.categories.contains(Category::Identity));
    }

    #[test]
    fn a_decision_does_not_depend_on_the_order_of_what_is_known(
        present in any_categories(),
        consents in prop::collection::vec(any_consent(), 0..4),
    ) {
        let asked = asked(present.iter().chain([Category::Identity]));
        let agreements = [known(agreement(1, 1)), known(agreement(2, 1))];
        let mut distinct = consents;
        distinct.sort_by_key(|c| c.id);
        distinct.dedup_by_key(|c| c.id);
        let reversed: Vec<_> = distinct.iter().rev().cloned().collect();
        let [first, second] = agreements.clone();
        prop_assert_eq!(asked.decide(&agreements, &distinct), asked.decide(&[second, first], &reversed));
    }
}

#[test]
fn the_lease_never_outlives_the_retention() {
    let permit = asked([Category::Identity]).decide(&[known(agreement(1, 1))], &[consent(1)]).unwrap();
    assert!(permit.hold_until <= at(5).plus(DAY * 90));
    assert_eq!(clause("x").feedback_levels, FeedbackLevel::ALL.into_iter().collect::<FeedbackLevels>());
}
