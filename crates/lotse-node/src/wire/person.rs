//! The sections of a person's data: which are present, and whether their fields are well formed.

use lotse_core::category::{Categories, Category};
use lotse_proto::record::v1 as proto;

use crate::wire::field::Findings;
use crate::wire::partial_date::PartialDate;

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
    const FAMILY_NAME: &str = "referral.identity.family_name";
    if s.family_name.is_empty() && s.given_names.is_empty() {
        let german =
            "ist nötig; wer nur einen Namen hat, steht mit ihm hier oder bei den Vornamen, das andere bleibt leer";
        let english =
            "is required; somebody with one name has it here or in the given names, and the other stays empty";
        f.missing_with(FAMILY_NAME, (german, english));
    }
    f.text(FAMILY_NAME, &s.family_name, 200);
    f.text("referral.identity.given_names", &s.given_names, 200);
    birth(s, f);
    f.text("referral.identity.birth_name", &s.birth_name, 200);
    f.code("referral.identity.sex", proto::Sex::try_from(s.sex).is_ok());
}

fn birth(s: &proto::Identity, f: &mut Findings) {
    const DAY: &str = "referral.identity.birth_date";
    const PART: &str = "referral.identity.partial_birth_date";
    match (s.birth_date.as_str(), s.partial_birth_date.as_str()) {
        ("", "") => {
            let german =
                "ist nötig: der Tag, oder was davon bekannt ist: 1988, 04.1988 oder unbekannt (partial_birth_date)";
            let english =
                "is required: the day, or what is known of it in partial_birth_date: 1988, 1988-04 or unknown";
            f.missing_with(DAY, (german, english));
        }
        (day, "") => f.date(DAY, day),
        ("", part) if PartialDate::parse(part).is_some() => {}
        ("", _) => {
            let german = "schreiben, was bekannt ist: 1988, 1988-04 oder unknown";
            f.invalid(PART, (german, "write what is known: 1988, 1988-04 or unknown"));
        }
        _ => f.invalid(
            PART,
            ("steht neben birth_date: nur eines von beiden angeben", "is beside birth_date: give one of the two"),
        ),
    }
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
        let german = "ein Land mit zwei Großbuchstaben schreiben: DE, UA (ISO 3166-1)";
        f.invalid(field, (german, "write a country as two capital letters: DE, UA (ISO 3166-1)"));
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
        f.invalid("referral.mobility.max_commute_minutes", ("höchstens 1440", "at most 1440"));
    }
    f.items("referral.mobility.driving_licences", s.driving_licences.len());
    f.each("referral.mobility.driving_licences", &s.driving_licences, |f, class| {
        f.required_text("referral.mobility.driving_licences", class, 8);
    });
}

fn household(s: &proto::Household, f: &mut Findings) {
    if s.adults > 50 || s.children > 50 {
        let german = "höchstens 50 Erwachsene und 50 Kinder";
        f.invalid("referral.household", (german, "at most 50 adults and 50 children"));
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
        let german = "20 bis 100 in Zehnerschritten (§ 152 SGB IX)";
        f.invalid("referral.disability_status.degree", (german, "20 to 100 in steps of 10 (SGB IX § 152)"));
    }
    f.date("referral.disability_status.valid_until", &s.valid_until);
}

fn health(s: &proto::Health, f: &mut Findings) {
    f.items("referral.health.restrictions", s.restrictions.len());
    f.each("referral.health.restrictions", &s.restrictions, |f, &number| {
        f.required_code("referral.health.restrictions", number, proto::HealthRestriction::try_from(number).is_ok());
    });
    if s.hours_per_day > 24 {
        f.invalid("referral.health.hours_per_day", ("höchstens 24", "at most 24"));
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
        f.too_large(field, ("höchstens 4.000 Zeichen", "at most 4,000 characters"));
    } else if s.text.chars().any(|c| c.is_control() && c != '\n') {
        f.invalid(field, ("hat ein Steuerzeichen (Tabulator?)", "has a control character (a tab?)"));
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::reason::Reason;

    use super::*;

    fn wrong(identity: &proto::Identity) -> Vec<(Reason, String)> {
        let mut findings = Findings::default();
        super::identity(identity, &mut findings);
        let failure = findings.finish(Some(())).err();
        let causes = failure.map(|failure| failure.causes).unwrap_or_default();
        causes.into_iter().map(|cause| (cause.reason, cause.field.unwrap_or_default())).collect()
    }

    fn named(family_name: &str, given_names: &str) -> proto::Identity {
        let (family_name, given_names) = (family_name.to_string(), given_names.to_string());
        proto::Identity { family_name, given_names, ..proto::Identity::default() }
    }

    fn born(day: &str, part: &str) -> proto::Identity {
        proto::Identity { birth_date: day.into(), partial_birth_date: part.into(), ..named("Rahmani", "") }
    }

    #[test]
    fn one_name_suffices_and_none_does_not() {
        let born = |identity| proto::Identity { birth_date: "1988-04-01".into(), ..identity };
        for (family_name, given_names) in [("Rahmani", ""), ("", "Rahmani"), ("Rahmani", "Ali")] {
            assert_eq!(wrong(&born(named(family_name, given_names))), []);
        }
        let missing = (Reason::FieldMissing, "referral.identity.family_name".to_string());
        assert_eq!(wrong(&born(named("", ""))), [missing]);
    }

    #[test]
    fn a_day_of_birth_is_given_whole_or_in_part_and_not_both() {
        for (day, part) in [("1988-04-01", ""), ("", "1988"), ("", "1988-04"), ("", "unknown")] {
            assert_eq!(wrong(&born(day, part)), [], "{day}{part}");
        }
        let (day, part) =
            ("referral.identity.birth_date".to_string(), "referral.identity.partial_birth_date".to_string());
        assert_eq!(wrong(&born("", "")), [(Reason::FieldMissing, day.clone())]);
        assert_eq!(wrong(&born("1988", "")), [(Reason::FieldInvalid, day)]);
        for (day, wrong_part) in [("1988-04-01", "1988"), ("", "88"), ("", "1988-04-01"), ("", "1988-13")] {
            assert_eq!(wrong(&born(day, wrong_part)), [(Reason::FieldInvalid, part.clone())], "{wrong_part}");
        }
    }
}
