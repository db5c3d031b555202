use super::*;
use crate::agreement::tests::{agency, agreement, at, known};
use proptest::prelude::*;

struct Case {
    peer: AgencyId,
    own: AgencyId,
    sender: AgencyId,
    recipient: AgencyId,
    recipient_generation: u32,
    created_at: Timestamp,
    expires_at: Timestamp,
    version: u32,
    digest: Digest,
    clause_id: &'static str,
    excerpt: Categories,
    present: Categories,
    form: ConsentForm,
    consent_expires_at: Timestamp,
    hold_until: Timestamp,
    feedback: FeedbackLevel,
    purpose: Purpose,
}

fn case() -> Case {
    let identity_and_contact: Categories = [Category::Identity, Category::Contact].into_iter().collect();
    Case {
        peer: agency("jc.example"),
        own: agency("aa.example"),
        sender: agency("jc.example"),
        recipient: agency("aa.example"),
        recipient_generation: 1,
        created_at: at(5),
        expires_at: at(33),
        version: 1,
        digest: agreement(1, 1).digest,
        clause_id: "orientation",
        excerpt: identity_and_contact,
        present: identity_and_contact,
        form: ConsentForm::Written,
        consent_expires_at: at(200),
        hold_until: at(95),
        feedback: FeedbackLevel::Status,
        purpose: Purpose::Orientation,
    }
}

impl Case {
    fn judge(&self, known: &[KnownAgreement], now: Timestamp) -> Result<(), Outcome> {
        let arrival = Arrival {
            peer: &self.peer,
            own: &self.own,
            sender: &self.sender,
            recipient: &self.recipient,
            recipient_generation: self.recipient_generation,
            own_generation: 1,
            created_at: self.created_at,
            expires_at: self.expires_at,
        };
        check_arrival(&arrival, now)?;
        let basis = Basis {
            agreement: Id::from_bytes([1; 16]),
            version: self.version,
            digest: self.digest,
            clause_id: self.clause_id,
            purpose: self.purpose,
            excerpt: self.excerpt,
            form: self.form,
            consent_expires_at: self.consent_expires_at,
            feedback: self.feedback,
        };
        let content = Content {
            record_kind: RecordKind::Referral,
            purpose: Purpose::Orientation,
            present: self.present,
            required: Category::Identity.into(),
            hold_until: self.hold_until,
            created_at: self.created_at,
        };
        admit(&arrival, &basis, &content, known, now)
    }

    fn refused(&self) -> Option<Outcome> {
        self.judge(&[known(agreement(1, 1))], at(5)).err()
    }
}

fn refused(reason: Reason) -> Option<Outcome> {
    Some(Outcome::Refused(reason))
}

#[test]
fn what_the_own_copy_of_the_agreement_allows_is_taken() {
    assert_eq!(case().refused(), None);
}

#[test]
fn an_agency_speaks_only_for_itself() {
    let foreign = Case { sender: agency("zz.example"), ..case() };
    assert_eq!(foreign.refused(), refused(Reason::SenderMismatch));
    let astray = Case { recipient: agency("zz.example"), ..case() };
    assert_eq!(astray.refused(), refused(Reason::RecipientMismatch));
}

#[test]
fn an_envelope_for_another_generation_is_not_processed() {
    let old = Case { recipient_generation: 2, ..case() };
    assert_eq!(old.refused(), Some(Outcome::Again(Reason::GenerationMismatch)));
}

#[test]
fn time_is_judged_by_the_receivers_clock_with_tolerance() {
    let ahead = |seconds| Case { created_at: at(5).plus(Duration::from_secs(seconds)), ..case() };
    assert_eq!(ahead(120).refused(), None);
    assert_eq!(ahead(121).refused(), Some(Outcome::Again(Reason::CreatedInFuture)));
    let long = Case { expires_at: at(41), ..case() };
    assert_eq!(long.refused(), refused(Reason::LifeTooLong));
    let known = [known(agreement(1, 1))];
    assert_eq!(case().judge(&known, at(33).plus(EXPIRY_TOLERANCE)), Ok(()));
    let late = case().judge(&known, at(33).plus(EXPIRY_TOLERANCE).plus(Duration::from_secs(1)));
    assert_eq!(late.err(), refused(Reason::EnvelopeExpired));
}

#[test]
fn nothing_outside_clause_and_excerpt_is_held() {
    let with = |category: Category| case().present.or(category.into());
    let skills = Case { present: with(Category::Skills), excerpt: with(Category::Skills), ..case() };
    assert_eq!(skills.refused(), refused(Reason::CategoryNotInClause));
    let languages = Case { present: with(Category::Languages), ..case() };
    assert_eq!(languages.refused(), refused(Reason::CategoryNotInConsent));
    let oral =
        Case { present: with(Category::Health), excerpt: with(Category::Health), form: ConsentForm::Oral, ..case() };
    assert_eq!(oral.refused(), refused(Reason::CategoryNotExplicit));
    let wide = Case { excerpt: with(Category::Skills), ..case() };
    assert_eq!(wide.refused(), refused(Reason::BasisMismatch));
    let nameless = Case { present: Category::Contact.into(), ..case() };
    assert_eq!(nameless.refused(), refused(Reason::SectionRequired));
}

#[test]
fn a_clause_that_needs_explicit_consent_takes_no_oral_one() {
    let mut agreement = agreement(1, 1);
    agreement.clauses[0].consent_required = ConsentRequirement::ExplicitConsent;
    let known = [known(agreement)];
    let under = |form| Case { form, ..case() }.judge(&known, at(5));
    assert_eq!(under(ConsentForm::Oral).err(), refused(Reason::ConsentNotExplicit), "though nothing special is in it");
    assert_eq!([ConsentForm::Written, ConsentForm::Electronic].map(under), [Ok(()), Ok(())]);
    assert_eq!(Case { form: ConsentForm::Oral, ..case() }.refused(), None, "another clause takes it");
}

#[test]
fn a_lease_longer_than_the_clause_allows_is_refused() {
    assert_eq!(Case { hold_until: at(97), ..case() }.refused(), refused(Reason::BasisMismatch));
    let past_consent = Case { consent_expires_at: at(50), hold_until: at(51), ..case() };
    assert_eq!(past_consent.refused(), refused(Reason::BasisMismatch));
    let expired = Case { consent_expires_at: at(5), hold_until: at(5), ..case() };
    assert_eq!(expired.refused(), refused(Reason::ConsentExpired));
}

#[test]
fn a_clause_that_does_not_fit_is_refused() {
    assert_eq!(Case { clause_id: "other", ..case() }.refused(), refused(Reason::BasisMismatch));
    assert_eq!(Case { purpose: Purpose::JobPlacement, ..case() }.refused(), refused(Reason::BasisMismatch));
    assert_eq!(Case { digest: Digest::of(b"x"), ..case() }.refused(), refused(Reason::BasisMismatch));
}

#[test]
fn an_unknown_or_suspended_agreement_is_not_a_final_answer() {
    assert_eq!(case().judge(&[], at(5)), Err(Outcome::Again(Reason::AgreementUnknown)));
    assert_eq!(Case { version: 2, ..case() }.refused(), Some(Outcome::Again(Reason::AgreementUnknown)));
    let suspended = KnownAgreement { suspended: true, ..known(agreement(1, 1)) };
    assert_eq!(case().judge(&[suspended], at(5)), Err(Outcome::Again(Reason::AgreementSuspended)));
}

#[test]
fn an_envelope_of_the_old_agreement_version_is_cut_again() {
    let next = Agreement { valid_from: at(6), ..agreement(1, 2) };
    let both = [known(agreement(1, 1)), known(next)];
    let in_grace = at(7).minus(Duration::from_secs(1));
    assert_eq!(case().judge(&both, in_grace), Ok(()));
    assert_eq!(case().judge(&both, at(7)), Err(Outcome::Again(Reason::AgreementSuperseded)));
    let made_after = Case { created_at: at(6), ..case() };
    assert_eq!(made_after.judge(&both, at(6)), Err(Outcome::Again(Reason::AgreementSuperseded)));
}

#[test]
fn an_ended_agreement_is_ended_by_the_receivers_clock_whatever_the_sender_dates() {
    let ended = [known(Agreement { valid_until: at(20), ..agreement(1, 1) })];
    let dated_back = Case { created_at: at(19), ..case() };
    assert_eq!(dated_back.judge(&ended, at(20).plus(EXPIRY_TOLERANCE).minus(Duration::from_micros(1))), Ok(()));
    for late in [at(20).plus(EXPIRY_TOLERANCE), at(30)] {
        assert_eq!(dated_back.judge(&ended, late).err(), refused(Reason::BasisMismatch));
    }
    let dated_after = Case { created_at: at(20), ..case() };
    assert_eq!(dated_after.judge(&ended, at(20)).err(), refused(Reason::BasisMismatch));
    let suspended = [KnownAgreement { suspended: true, ..ended[0].clone() }];
    assert_eq!(dated_back.judge(&suspended, at(21)).err(), refused(Reason::BasisMismatch), "it will not come back");
}

#[test]
fn what_was_released_under_the_version_before_is_taken_for_a_day_though_that_one_has_ended() {
    let before = Agreement { valid_until: at(20), ..agreement(1, 1) };
    let next = Agreement { valid_from: at(20), ..agreement(1, 2) };
    let both = [known(before), known(next)];
    let released = Case { created_at: at(20).minus(Duration::from_secs(1)), ..case() };
    assert_eq!(released.judge(&both, at(20).plus(Duration::from_secs(60 * 60))), Ok(()));
    assert_eq!(released.judge(&both, at(21)), Err(Outcome::Again(Reason::AgreementSuperseded)));
}

#[test]
fn a_party_past_its_last_day_is_ended_by_both_clocks() {
    for ended in 0..2 {
        let mut agreement = agreement(1, 1);
        agreement.parties[ended].ended_on = Some("2026-01-19".parse().unwrap());
        let known = [known(agreement)];
        let made = |created_at: Timestamp| Case { created_at, expires_at: created_at.plus(USUAL_LIFE), ..case() };
        let on_its_last_day = made(at(19).minus(Duration::from_secs(1)));
        assert_eq!(on_its_last_day.judge(&known, at(19).plus(Duration::from_secs(60))), Ok(()));
        let late = at(19).plus(EXPIRY_TOLERANCE);
        assert_eq!(on_its_last_day.judge(&known, late).err(), refused(Reason::PartyEnded));
        assert_eq!(made(at(19)).judge(&known, at(19)).err(), refused(Reason::PartyEnded));
    }
}

#[test]
fn reporting_nothing_is_taken_though_the_clause_does_not_list_it() {
    let mut agreement = agreement(1, 1);
    agreement.clauses[0].feedback_levels = FeedbackLevel::Outcome.into();
    let known = [known(agreement)];
    let with = |feedback| Case { feedback, ..case() }.judge(&known, at(5)).err();
    assert_eq!(with(FeedbackLevel::None), None);
    assert_eq!(with(FeedbackLevel::Outcome), None);
    assert_eq!([FeedbackLevel::Status, FeedbackLevel::Full].map(with), [refused(Reason::BasisMismatch); 2]);
}

proptest! {
    #[test]
    fn whatever_is_taken_lies_within_clause_and_excerpt(present: u32, excerpt: u32, oral: bool) {
        let case = Case {
            present: Categories::from_bits(i64::from(present)),
            excerpt: Categories::from_bits(i64::from(excerpt)),
            form: if oral { ConsentForm::Oral } else { ConsentForm::Written },
            ..case()
        };
        if case.refused().is_none() {
            let clause = &agreement(1, 1).clauses[0];
            prop_assert!(clause.categories.contains_all(case.present) && case.excerpt.contains_all(case.present));
            prop_assert!(!oral || case.present.special().is_empty());
        }
    }
}
