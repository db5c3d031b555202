use super::*;
use crate::agreement::DatedText;
use crate::agreement::tests::{agreement, party};
use crate::agreement::text::tests::{parties, sample};
use crate::agreement::text::{parse, template};
use crate::category::Category;
use crate::id::Id;
use Language::{English, German};

/// An agreement about which nothing is to be said: an immigration office writes to a Jobcenter.
fn quiet() -> Agreement {
    let mut agreement = agreement(1, 1);
    agreement.parties = vec![party("abh.example", ImmigrationOffice), party("jc.example", JobcenterGe)];
    agreement.parties.iter_mut().for_each(|party| party.supervisory_authority = "HBDI".into());
    let clause = &mut agreement.clauses[0];
    (clause.from_kinds, clause.to_kinds) = (vec![ImmigrationOffice], vec![JobcenterGe]);
    clause.categories = [Category::Identity, Category::WorkPermission].into_iter().collect();
    clause.feedback_levels = FeedbackLevel::Status.into();
    clause.usual_basis = vec![basis(None)];
    agreement
}

fn basis(valid_until: Option<&str>) -> DatedText {
    let valid_until = valid_until.map(|day| day.parse().unwrap());
    DatedText { text: "Einwilligung".into(), valid_from: "2025-01-01".parse().unwrap(), valid_until }
}

fn concerns(change: impl FnOnce(&mut Agreement)) -> Vec<Concern> {
    let mut agreement = quiet();
    change(&mut agreement);
    check(&agreement).into_iter().map(|warning| warning.concern).collect()
}

fn of_clause_between(from: AgencyKind, to: AgencyKind, categories: &[Category]) -> Vec<Concern> {
    concerns(|agreement| {
        agreement.parties[0].kind = from;
        agreement.parties[1].kind = to;
        let clause = &mut agreement.clauses[0];
        (clause.from_kinds, clause.to_kinds) = (vec![from], vec![to]);
        clause.categories = categories.iter().copied().chain([Category::Identity]).collect();
    })
}

#[test]
fn nothing_is_said_about_an_agreement_without_concerns() {
    assert_eq!(concerns(|_| ()), []);
}

#[test]
fn the_template_is_warned_of_only_where_the_law_has_a_say() {
    let draft = parse(&sample()).unwrap();
    let warnings = check(draft.terms());
    let expected = [
        Concern::StatutoryBetweenPlacementAgencies,
        Concern::StatutoryBetweenSocialAgencies,
        Concern::OutsideSocialSecrecy,
        Concern::YouthOfficeSends,
        Concern::YouthHelp,
    ];
    assert!(warnings.iter().all(|warning| expected.contains(&warning.concern)), "{warnings:?}");
    assert!(expected.iter().all(|concern| warnings.iter().any(|warning| warning.concern == *concern)));
    assert!(warnings.iter().all(|warning| warning.weight() == Weight::Advice));
    assert_eq!(warnings.len(), expected.len(), "each is told once, with all its places");
}

#[test]
fn an_untouched_template_of_two_parties_has_one_warning_that_names_its_clauses() {
    let two: Vec<_> =
        parties().into_iter().filter(|party| [JobcenterGe, EmploymentAgency].contains(&party.kind)).collect();
    let text = template(Id::from_bytes([7; 16]), "2026-12-01".parse().unwrap(), &two);
    let warnings = check(parse(&text).unwrap().terms());
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let clauses = "orientation-refugees, youth-case, job-placement, job-placement-with-health";
    assert!(warnings[0].sentence(English).starts_with(&format!("Clauses {clauses}: Between Jobcenter")));
}

#[test]
fn what_only_others_could_use_is_no_concern() {
    let unused = of_clause_between(JobcenterGe, EmploymentAgency, &[]);
    let with_absent_kinds = concerns(|agreement| {
        agreement.parties[0].kind = JobcenterGe;
        agreement.parties[1].kind = EmploymentAgency;
        let clause = &mut agreement.clauses[0];
        clause.from_kinds = vec![JobcenterGe, YouthOffice];
        clause.to_kinds = vec![EmploymentAgency, AsylblgAuthority];
    });
    let absent = [Concern::NobodyOfKind(YouthOffice), Concern::NobodyOfKind(AsylblgAuthority)];
    assert_eq!(with_absent_kinds, [absent.as_slice(), &unused].concat());
}

#[test]
fn it_tells_where_the_law_permits_the_transfer_anyway() {
    let between = |from, to| of_clause_between(from, to, &[]);
    assert_eq!(between(JobcenterZkt, EmploymentAgency), [Concern::StatutoryBetweenPlacementAgencies]);
    assert_eq!(between(JobcenterGe, RehabilitationCarrier), [Concern::StatutoryBetweenSocialAgencies]);
    assert_eq!(between(SocialOffice, IntegrationOffice), [Concern::StatutoryBetweenSocialAgencies]);
    assert_eq!(between(EmploymentAgency, YouthOffice), [Concern::StatutoryBetweenSocialAgencies]);
    assert_eq!(between(ImmigrationOffice, EmploymentAgency), []);
    let to_asylblg = [Concern::StatutoryToAsylblgAuthority, Concern::OutsideSocialSecrecy];
    assert_eq!(between(JobcenterGe, AsylblgAuthority), to_asylblg);
    let norm = Concern::StatutoryBetweenPlacementAgencies.sentence(German);
    assert!(norm.contains("SGB II § 50") && norm.contains("SGB X § 69"));
}

#[test]
fn health_towards_an_immigration_office_is_serious() {
    for category in [Category::Health, Category::DisabilityStatus] {
        let found = of_clause_between(JobcenterGe, ImmigrationOffice, &[category]);
        assert_eq!(found, [Concern::HealthToImmigrationOffice, Concern::OutsideSocialSecrecy]);
    }
    let free_text = of_clause_between(YouthOffice, ImmigrationOffice, &[Category::Note]);
    assert!(free_text.contains(&Concern::FreeTextToImmigrationOffice));
    assert_eq!(Concern::HealthToImmigrationOffice.weight(), Weight::Serious);
    assert!(Concern::HealthToImmigrationOffice.sentence(English).contains("SGB X § 71 para. 2"));
}

#[test]
fn a_youth_office_has_rules_of_its_own() {
    assert_eq!(of_clause_between(YouthOffice, JobcenterGe, &[Category::YouthHelp]), [Concern::YouthHelp]);
    assert_eq!(of_clause_between(YouthOffice, JobcenterGe, &[]), [Concern::YouthOfficeSends]);
    let sentence = Concern::YouthHelp.sentence(German);
    assert!(sentence.contains("SGB VIII § 64") && sentence.contains("SGB VIII § 65"));
}

#[test]
fn a_residence_title_is_too_much_for_a_placement_or_a_course() {
    let title = [Category::ResidenceTitle];
    assert_eq!(of_clause_between(ImmigrationOffice, JobcenterGe, &title), []);
    assert_eq!(of_clause_between(ImmigrationOffice, TrainingProvider, &title), [Concern::ResidenceTitle]);
    let placement = concerns(|agreement| {
        agreement.clauses[0].purpose = Purpose::JobPlacement;
        agreement.clauses[0].categories = title.into_iter().collect();
    });
    assert_eq!(placement, [Concern::ResidenceTitle]);
}

#[test]
fn times_that_make_no_sense_are_told() {
    assert_eq!(concerns(|a| a.clauses[0].retention_days = 365), []);
    let long = concerns(|a| (a.clauses[0].retention_days, a.clauses[0].register_retention_days) = (366, 366));
    assert_eq!(long, [Concern::LongRetention { days: 366 }]);
    assert!(long[0].sentence(German).contains("366 Tage") && long[0].sentence(English).contains("366 days"));
    assert_eq!(concerns(|a| a.clauses[0].register_retention_days = 89), [Concern::RegisterEndsBeforeLease]);
}

#[test]
fn a_missing_or_past_basis_is_told() {
    assert_eq!(concerns(|a| a.clauses[0].usual_basis.clear()), [Concern::NoUsualBasis]);
    assert_eq!(concerns(|a| a.clauses[0].usual_basis = vec![basis(Some("2025-12-31"))]), [Concern::UsualBasisEnded]);
    assert_eq!(concerns(|a| a.clauses[0].usual_basis = vec![basis(Some("2026-01-01"))]), []);
}

#[test]
fn a_clause_nobody_can_use_is_told() {
    let absent = concerns(|a| a.clauses[0].from_kinds.push(SocialOffice));
    assert!(absent.contains(&Concern::NobodyOfKind(SocialOffice)));
    assert_eq!(concerns(|a| a.clauses[0].from_kinds = vec![TrainingProvider]), [Concern::Unusable]);
    assert_eq!(concerns(|a| a.clauses[0].to_kinds = vec![ImmigrationOffice]), [Concern::Unusable]);
    assert!(Concern::NobodyOfKind(SocialOffice).sentence(German).contains("Sozialamt"));
}

#[test]
fn full_feedback_needs_a_clause_back() {
    let levels = || [FeedbackLevel::Status, FeedbackLevel::Full].into_iter().collect();
    let full = |agreement: &mut Agreement| agreement.clauses[0].feedback_levels = levels();
    assert_eq!(concerns(full), [Concern::FullFeedbackWithoutWayBack]);
    let with_way_back = concerns(|agreement| {
        full(agreement);
        let mut back = agreement.clauses[0].clone();
        (back.from_kinds, back.to_kinds) = (back.to_kinds, back.from_kinds);
        back.feedback_levels = FeedbackLevel::None.into();
        agreement.clauses.push(back);
    });
    assert!(!with_way_back.contains(&Concern::FullFeedbackWithoutWayBack));
}

#[test]
fn levels_that_no_usual_consent_reaches_are_told() {
    let of = |levels: &[FeedbackLevel]| {
        concerns(|agreement| agreement.clauses[0].feedback_levels = levels.iter().copied().collect())
    };
    let told = [Concern::NoFeedbackUnderUsualConsent];
    assert_eq!(of(&[FeedbackLevel::Outcome]), told);
    assert_eq!(of(&[FeedbackLevel::None, FeedbackLevel::Outcome]), told, "a consent that names no level has `status`");
    assert_eq!(of(&[FeedbackLevel::Status, FeedbackLevel::Outcome]), []);
    assert_eq!(of(&[FeedbackLevel::None]), [], "nothing is meant to be reported");
    assert!([German, English].iter().all(|&language| told[0].sentence(language).contains("\"status\"")));
}

#[test]
fn what_is_missing_in_a_party_is_told() {
    assert_eq!(concerns(|a| a.parties[0].supervisory_authority.clear()), [Concern::NoSupervisoryAuthority]);
    let ended = |successor: &str| {
        concerns(|agreement| {
            agreement.parties[0].ended_on = Some("2025-12-31".parse().unwrap());
            agreement.parties[0].succeeded_by = Some(successor.parse().unwrap());
        })
    };
    assert_eq!(ended("jc.example"), [Concern::PartyEnded]);
    assert_eq!(ended("new.example"), [Concern::PartyEnded, Concern::SuccessorNoParty]);
}

#[test]
fn a_warning_names_its_place() {
    let mut agreement = quiet();
    agreement.parties[0].supervisory_authority.clear();
    agreement.clauses[0].usual_basis.clear();
    let sentences: Vec<_> = check(&agreement).iter().map(|warning| warning.sentence(English)).collect();
    assert!(sentences[0].starts_with("Party abh.example: The supervisory authority is missing"));
    assert!(sentences[1].starts_with("Clause orientation: The usual legal basis is missing"));
    assert!(caveat(German).contains("berät nicht"));
}
