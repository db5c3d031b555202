//! The sections of a person's data: which are present, and whether their fields are well formed.

use lotse_core::category::{Categories, Category};
use lotse_proto::record::v1 as proto;

use crate::wire::field::Findings;

/// Longest note, in characters.
const MAX_NOTE: usize = 4_000;

/// Returns the categories whose section is present.
pub fn present(referral: &proto::Referral) -> Categories {
    let r = referral;
    let sections = [
        (Category::Identity, r.identity.is_some()),
        (Category::Contact, r.contact.is_some()),
        (Category::Residence, r.residence.is_some()),
        (Category::ResidenceTitle, r.residence_title.is_some()),
        (Category::WorkPermission, r.work_permission.is_some()),
        (Category::Education, r.education.is_some()),
        (Category::WorkHistory, r.work_history.is_some()),
        (Category::Languages, r.languages.is_some()),
        (Category::Skills, r.skills.is_some()),
        (Category::Mobility, r.mobility.is_some()),
        (Category::Household, r.household.is_some()),
        (Category::Benefits, r.benefits.is_some()),
        (Category::DisabilityStatus, r.disability_status.is_some()),
        (Category::Health, r.health.is_some()),
        (Category::YouthHelp, r.youth_help.is_some()),
        (Category::Note, r.note.is_some()),
    ];
    sections.into_iter().filter(|(_, present)| *present).map(|(category, _)| category).collect()
}

/// Leaves out the sections of these categories.
pub fn leave_out(referral: &mut proto::Referral, categories: Categories) {
    for category in categories.iter() {
        match category {
            Category::Identity => referral.identity = None,
            Category::Contact => referral.contact = None,
            Category::Residence => referral.residence = None,
            Category::ResidenceTitle => referral.residence_title = None,
            Category::WorkPermission => referral.work_permission = None,
            Category::Education => referral.education = None,
            Category::WorkHistory => referral.work_history = None,
            Category::Languages => referral.languages = None,
            Category::Skills => referral.skills = None,
            Category::Mobility => referral.mobility = None,
            Category::Household => referral.household = None,
            Category::Benefits => referral.benefits = None,
            Category::DisabilityStatus => referral.disability_status = None,
            Category::Health => referral.health = None,
            Category::YouthHelp => referral.youth_help = None,
            Category::Note => referral.note = None,
        }
    }
}

/// Checks the fields of every section that is present.
pub fn check(referral: &proto::Referral, findings: &mut Findings) {
    referral.identity.iter().for_each(|s| identity(s, findings));
    referral.contact.iter().for_each(|s| contact(s, findings));
    referral.residence.iter().for_each(|s| residence(s, findings));
    referral.residence_title.iter().for_each(|s| residence_title(s, findings));
    referral.work_permission.iter().for_each(|s| work_permission(s, findings));
    referral.education.iter().for_each(|s| education(s, findings));
    referral.work_history.iter().for_each(|s| work_history(s, findings));
    referral.languages.iter().for_each(|s| languages(s, findings));
    referral.skills.iter().for_each(|s| skills(s, findings));
    referral.mobility.iter().for_each(|s| mobility(s, findings));
    referral.household.iter().for_each(|s| household(s, findings));
    referral.benefits.iter().for_each(|s| benefits(s, findings));
    referral.disability_status.iter().for_each(|s| disability_status(s, findings));
    referral.health.iter().for_each(|s| health(s, findings));
    referral.youth_help.iter().for_each(|s| youth_help(s, findings));
    referral.note.iter().for_each(|s| note("referral.note", s, findings));
}

fn identity(s: &proto::Identity, f: &mut Findings) {
    f.required_text("referral.identity.family_name", &s.family_name, 200);
    f.required_text("referral.identity.given_names", &s.given_names, 200);
    f.required_date("referral.identity.birth_date", &s.birth_date);
    f.text("referral.identity.birth_name", &s.birth_name, 200);
    f.code("referral.identity.sex", proto::Sex::try_from(s.sex).is_ok());
}

fn contact(s: &proto::Contact, f: &mut Findings) {
    f.text("referral.contact.street", &s.street, 200);
    f.text("referral.contact.postal_code", &s.postal_code, 16);
    f.text("referral.contact.city", &s.city, 200);
    f.text("referral.contact.phone", &s.phone, 40);
    f.text("referral.contact.email", &s.email, 254);
    f.language("referral.contact.preferred_language", &s.preferred_language);
}

fn residence(s: &proto::Residence, f: &mut Findings) {
    f.digits("referral.residence.ags", &s.ags, 8..=8);
    f.code("referral.residence.kind", proto::ResidenceKind::try_from(s.kind).is_ok());
    f.code("referral.residence.obligation", proto::ResidenceObligationKind::try_from(s.obligation).is_ok());
    f.digits("referral.residence.obligation_ags", &s.obligation_ags, 5..=8);
    f.date("referral.residence.obligation_until", &s.obligation_until);
}

fn residence_title(s: &proto::ResidenceTitle, f: &mut Findings) {
    let known = proto::ResidenceTitleKind::try_from(s.kind).is_ok();
    f.required_code("referral.residence_title.kind", s.kind, known);
    f.text("referral.residence_title.legal_paragraph", &s.legal_paragraph, 200);
    f.date("referral.residence_title.valid_from", &s.valid_from);
    f.date("referral.residence_title.valid_until", &s.valid_until);
    f.date("referral.residence_title.first_issued_on", &s.first_issued_on);
}

fn work_permission(s: &proto::WorkPermission, f: &mut Findings) {
    let known = proto::WorkPermissionKind::try_from(s.kind).is_ok();
    f.required_code("referral.work_permission.kind", s.kind, known);
    f.date("referral.work_permission.valid_until", &s.valid_until);
    f.text("referral.work_permission.bound_employer", &s.bound_employer, 200);
}

fn education(s: &proto::Education, f: &mut Findings) {
    f.code("referral.education.school_degree", proto::SchoolDegree::try_from(s.school_degree).is_ok());
    f.items("referral.education.items", s.items.len());
    f.each("referral.education.items", &s.items, |f, item| {
        f.text("referral.education.items.title", &item.title, 200);
        f.text("referral.education.items.institution", &item.institution, 200);
        country("referral.education.items.country", &item.country, f);
        f.date("referral.education.items.completed_on", &item.completed_on);
    });
}

fn work_history(s: &proto::WorkHistory, f: &mut Findings) {
    f.items("referral.work_history.items", s.items.len());
    f.each("referral.work_history.items", &s.items, |f, item| {
        f.text("referral.work_history.items.occupation", &item.occupation, 200);
        f.digits("referral.work_history.items.kldb", &item.kldb, 5..=5);
        country("referral.work_history.items.country", &item.country, f);
        f.date("referral.work_history.items.from", &item.from);
        f.date("referral.work_history.items.until", &item.until);
    });
}

fn country(field: &str, code: &str, f: &mut Findings) {
    let fits = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if !code.is_empty() && !fits {
        f.invalid(field, "write a country as two capital letters (ISO 3166-1)");
    }
}

fn languages(s: &proto::Languages, f: &mut Findings) {
    f.items("referral.languages.items", s.items.len());
    f.each("referral.languages.items", &s.items, |f, item| {
        f.required_text("referral.languages.items.tag", &item.tag, 35);
        f.language("referral.languages.items.tag", &item.tag);
        f.code("referral.languages.items.level", proto::LanguageLevel::try_from(item.level).is_ok());
    });
}

fn skills(s: &proto::Skills, f: &mut Findings) {
    f.items("referral.skills.target_kldb", s.target_kldb.len());
    f.items("referral.skills.labels", s.labels.len());
    f.each("referral.skills.target_kldb", &s.target_kldb, |f, code| {
        f.digits("referral.skills.target_kldb", code, 1..=5);
    });
    f.each("referral.skills.labels", &s.labels, |f, label| f.required_text("referral.skills.labels", label, 200));
}

fn mobility(s: &proto::Mobility, f: &mut Findings) {
    if s.max_commute_minutes > 24 * 60 {
        f.invalid("referral.mobility.max_commute_minutes", "at most 1440");
    }
    f.items("referral.mobility.driving_licences", s.driving_licences.len());
    f.each("referral.mobility.driving_licences", &s.driving_licences, |f, class| {
        f.required_text("referral.mobility.driving_licences", class, 8);
    });
}

fn household(s: &proto::Household, f: &mut Findings) {
    if s.adults > 50 || s.children > 50 {
        f.invalid("referral.household", "at most 50 adults and 50 children");
    }
}

fn benefits(s: &proto::Benefits, f: &mut Findings) {
    f.items("referral.benefits.kinds", s.kinds.len());
    f.each("referral.benefits.kinds", &s.kinds, |f, &number| {
        f.required_code("referral.benefits.kinds", number, proto::BenefitKind::try_from(number).is_ok());
    });
    f.date("referral.benefits.since", &s.since);
}

fn disability_status(s: &proto::DisabilityStatus, f: &mut Findings) {
    let known = proto::DisabilityStatusKind::try_from(s.kind).is_ok();
    f.required_code("referral.disability_status.kind", s.kind, known);
    let degree_fits = s.degree == 0 || ((20..=100).contains(&s.degree) && s.degree.is_multiple_of(10));
    if !degree_fits {
        f.invalid("referral.disability_status.degree", "20 to 100 in steps of 10 (SGB IX § 152)");
    }
    f.date("referral.disability_status.valid_until", &s.valid_until);
}

fn health(s: &proto::Health, f: &mut Findings) {
    f.items("referral.health.restrictions", s.restrictions.len());
    f.each("referral.health.restrictions", &s.restrictions, |f, &number| {
        f.required_code("referral.health.restrictions", number, proto::HealthRestriction::try_from(number).is_ok());
    });
    if s.hours_per_day > 24 {
        f.invalid("referral.health.hours_per_day", "at most 24");
    }
}

fn youth_help(s: &proto::YouthHelp, f: &mut Findings) {
    f.items("referral.youth_help.kinds", s.kinds.len());
    f.each("referral.youth_help.kinds", &s.kinds, |f, &number| {
        f.required_code("referral.youth_help.kinds", number, proto::YouthHelpKind::try_from(number).is_ok());
    });
}

/// Checks a free text: the only place where line breaks are allowed.
pub fn note(field: &str, s: &proto::Note, f: &mut Findings) {
    if s.text.is_empty() {
        f.missing(field);
    } else if s.text.chars().count() > MAX_NOTE {
        f.too_large(field, "at most 4,000 characters");
    } else if s.text.chars().any(|c| c.is_control() && c != '\n') {
        f.invalid(field, "no control characters but line breaks");
    }
}
