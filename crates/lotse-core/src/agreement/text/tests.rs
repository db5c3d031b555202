use super::*;
use crate::agency::AgencyKind;
use crate::agreement::tests::party;
use crate::agreement::{CHANGE_NOTICE, ConsentRequirement, Party};
use crate::category::Category;
use proptest::prelude::*;

/// The parties of the template in tests.
pub(in crate::agreement) fn parties() -> Vec<Party> {
    let of = |name: &str, title: &str, kind| Party {
        name: title.into(),
        regions: vec!["06415".into()],
        supervisory_authority: "Der Hessische Beauftragte für Datenschutz und Informationsfreiheit".into(),
        ..party(name, kind)
    };
    vec![
        of("jc-hanau.hessen.example", "Jobcenter \"Hanau\"", AgencyKind::JobcenterGe),
        of("kca.hessen.example", "Kommunales Center für Arbeit", AgencyKind::JobcenterZkt),
        of("aa-hanau.example", "Agentur für Arbeit Hanau", AgencyKind::EmploymentAgency),
        of("abh-hanau.example", "Ausländerbehörde Hanau", AgencyKind::ImmigrationOffice),
        of("ja-hanau.example", "Jugendamt Hanau", AgencyKind::YouthOffice),
    ]
}

/// The template in tests.
pub(in crate::agreement) fn sample() -> String {
    template(Id::from_bytes([7; 16]), "2026-12-01".parse().unwrap(), &parties())
}

const SMALL: &str = r#"id = "0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11"
version = 1
title = "Probe"
valid_from = 2026-12-01
valid_until = 2027-11-30
on_end = "purge"

[[parties]]
agency = "jc.example"
root_fingerprint = "1111111111111111111111111111111111111111111111111111111111111111"
name = "Jobcenter"
kind = "jobcenter_ge"

[[parties]]
agency = "aa.example"
root_fingerprint = "2222222222222222222222222222222222222222222222222222222222222222"
name = "Agentur"
kind = "employment_agency"

[[clauses]]
id = "orientation"
title = "Orientierung"
purpose = "orientation"
record_kind = "referral"
from_kinds = ["jobcenter_ge"]
to_kinds = ["employment_agency"]
categories = ["identity", "languages"]
consent_required = "consent"
feedback_levels = ["status"]
legal_reference = "SGB X § 67b"
usual_basis = [{ text = "SGB II § 50", valid_from = 2025-01-01 }]
retention_days = 90
register_retention_days = 365
"#;

/// Replaces one line of the small text by another and returns the findings as text.
fn findings(line: &str, by: &str) -> Vec<String> {
    assert_eq!(SMALL.matches(line).count(), 1, "{line} stands once");
    let errors = parse(&SMALL.replace(line, by)).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn the_template_reads_back_as_it_was_asked_for() {
    let draft = parse(&sample()).unwrap();
    let terms = draft.terms();
    assert_eq!(terms.parties, parties());
    assert_eq!(terms.valid_from.to_string(), "2026-11-30T23:00:00Z");
    assert_eq!(terms.valid_until.to_string(), "2028-11-30T23:00:00Z");
    assert_eq!((terms.version, terms.on_end, terms.clauses.len()), (1, OnEnd::Purge, 6));
}

#[test]
fn the_template_names_only_kinds_that_are_parties() {
    let all = sample();
    assert!(all.contains("Von der Ausländerbehörde: Einwilligung") && all.contains("Vom Jugendamt: SGB VIII"));
    assert!(all.contains("Zusammenarbeit von Jobcenter, Agentur für Arbeit, Ausländerbehörde und Jugendamt"), "{all}");
    let two: Vec<Party> = parties()
        .into_iter()
        .filter(|party| ["jc-hanau.hessen.example", "aa-hanau.example"].contains(&party.agency.as_str()))
        .collect();
    let text = template(Id::from_bytes([7; 16]), "2026-12-01".parse().unwrap(), &two);
    assert_eq!(parse(&text).unwrap().terms().title, "Zusammenarbeit von Jobcenter und Agentur für Arbeit");
    assert!(!text.contains("Von der Ausländerbehörde") && !text.contains("Vom Jugendamt"), "{text}");
    for text in [all, text] {
        assert!(!text.contains("#from"), "{text}");
    }
}

#[test]
fn the_template_never_sends_health_to_an_immigration_office() {
    let draft = parse(&sample()).unwrap();
    let towards =
        draft.terms().clauses.iter().filter(|clause| clause.to_kinds.contains(&AgencyKind::ImmigrationOffice));
    let sent: Vec<_> = towards.map(|clause| clause.categories).collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].special().is_empty() && !sent[0].contains(Category::Benefits));
}

#[test]
fn a_term_begins_with_its_first_day_and_includes_its_last() {
    let draft = parse(SMALL).unwrap();
    let terms = draft.terms();
    assert!(!terms.covers("2026-11-30T23:59:59Z".parse().unwrap()));
    assert!(terms.covers("2026-12-01T00:00:00Z".parse().unwrap()));
    assert!(terms.covers("2027-11-30T23:59:59Z".parse().unwrap()));
    assert!(!terms.covers("2027-12-01T00:00:00Z".parse().unwrap()));
    assert_eq!(terms.minimum_schema_level, 1);
    assert!(terms.valid_until > terms.valid_from.plus(CHANGE_NOTICE));
}

#[test]
fn days_are_those_of_the_zone_that_a_text_names_and_of_utc_where_it_names_none() {
    let term = |zone: &str| {
        let draft =
            parse(&SMALL.replace("valid_until = 2027-11-30", &format!("valid_until = 2027-07-31{zone}"))).unwrap();
        let terms = draft.terms();
        assert_eq!(
            (terms.first_day().to_string(), terms.last_day().to_string()),
            ("2026-12-01".into(), "2027-07-31".into())
        );
        [terms.valid_from.to_string(), terms.valid_until.to_string()]
    };
    assert_eq!(term("\ntime_zone = \"Europe/Berlin\""), ["2026-11-30T23:00:00Z", "2027-07-31T22:00:00Z"]);
    let utc = ["2026-12-01T00:00:00Z", "2027-08-01T00:00:00Z"];
    assert_eq!([term("\ntime_zone = \"UTC\""), term("")], [utc; 2], "what was sealed without a zone keeps its meaning");
    let other = findings("version = 1", "version = 1\ntime_zone = \"Europe/Vienna\"");
    assert!(other[0].starts_with("line 3: time_zone: unknown word `Europe/Vienna`, expected"), "{other:?}");
}

#[test]
fn an_agreement_is_compiled_from_its_source_or_not() {
    let agreement = parse(SMALL).unwrap().compiled(Digest::of(b"bytes"));
    assert!(compiled_from_source(&agreement));
    let mut other = agreement.clone();
    other.clauses[0].categories = other.clauses[0].categories.or(Category::Health.into());
    assert!(!compiled_from_source(&other));
    assert!(!compiled_from_source(&Agreement { source: String::new(), ..agreement }));
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let found = findings("title = \"Probe\"", "titel = \"Probe\"");
    assert_eq!(found[0], "line 1: title is missing: add it");
    assert!(found[1].starts_with("line 3: unknown key \"titel\": use one of id, version, title"), "{}", found[1]);
    assert!(findings("name = \"Agentur\"", "name = \"A\"\nurl = \"x\"")[0].starts_with("line 18: unknown key \"url\""));
    assert!(findings("retention_days = 90\nr", "days = 9\nretention_days = 90\nr")[0].contains("unknown key \"days\""));
    assert!(findings("valid_from = 2025-01-01 }", "valid_from = 2025-01-01, law = 1 }")[0].contains("key \"law\""));
}

#[test]
fn all_findings_come_at_once_in_the_order_of_their_lines() {
    let text = SMALL.replace("version = 1", "version = 0").replace("\"status\"", "\"all\"").replace("= 365", "= 9999");
    let lines: Vec<_> = parse(&text).unwrap_err().iter().map(|error| error.line).collect();
    assert_eq!(lines, [2, 29, 33]);
}

#[test]
fn a_syntax_error_is_told_with_its_line() {
    let found = findings("version = 1", "version = ");
    assert!(found[0].starts_with("line 2: "), "{found:?}");
    assert!(
        findings("title = \"Probe\"", "title = \"Probe\"\ntitle = \"Zwei\"")[0].starts_with("line 4: duplicate key")
    );
}

#[test]
fn each_wrong_value_is_told_with_its_line_and_what_to_do() {
    let cases = [
        ("id = \"0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11\"", "id = \"x\"", "line 1: id: not an identifier: give a UUID"),
        ("version = 1", "version = \"1\"", "line 2: version: give a whole number from 1 to"),
        ("version = 1", "version = 4294967296", "line 2: version: give a whole number from 1 to 4294967295"),
        ("title = \"Probe\"", "title = \" \"", "line 3: title: the text is empty"),
        ("title = \"Probe\"", "title = 3", "line 3: title: give a text in quotes"),
        ("title = \"Probe\"", "title = \"a\\nb\"", "line 3: title: the text has line breaks"),
        ("title = \"Probe\"", "title = \"a\\u202eb\"", "line 3: title: the text has line breaks or invisible"),
        ("title = \"Probe\"", "title = \"a\u{202e}b\"", "line 3: the invisible character '\\u{202e}'"),
        ("valid_from = 2026-12-01", "valid_from = \"2026-12-01\"", "line 4: valid_from: give a day of the years"),
        ("valid_from = 2026-12-01", "valid_from = 2026-12-01T00:00:00Z", "line 4: valid_from: give a day"),
        ("valid_from = 2026-12-01", "valid_from = 1026-12-01", "line 4: valid_from: give a day of the years 2000 to"),
        ("valid_until = 2027-11-30", "valid_until = 2026-11-30", "line 5: valid_until: the last day 2026-11-30 lies"),
        ("on_end = \"purge\"", "on_end = \"keep\"", "line 6: on_end: unknown word `keep`, expected `keep_until_lease`"),
        ("agency = \"jc.example\"", "agency = \"JC\"", "line 9: agency: not an agency id"),
        ("agency = \"aa.example\"", "agency = \"jc.example\"", "line 14: jc.example is a party already"),
        (
            "\"1111111111111111111111111111111111111111111111111111111111111111\"",
            "\"11\"",
            "line 10: root_fingerprint: give",
        ),
        ("kind = \"jobcenter_ge\"", "kind = \"jobcentre\"", "line 12: kind: unknown word `jobcentre`, expected one of"),
        (
            "kind = \"jobcenter_ge\"",
            "kind = \"jobcenter_ge\"\nregions = [\"6\"]",
            "line 13: regions: give a municipality key",
        ),
        ("kind = \"jobcenter_ge\"", "kind = \"jobcenter_ge\"\nregions = 6", "line 13: regions: give a list in [ ]"),
        ("name = \"Agentur\"", "name = \"A\"\nsucceeded_by = \"ab.example\"", "line 14: succeeded_by without ended_on"),
        (
            "name = \"Agentur\"",
            "name = \"A\"\nended_on = 2026-12-01\nsucceeded_by = \"aa.example\"",
            "line 14: an agency does not succeed itself",
        ),
        ("id = \"orientation\"", "id = \"Orientation\"", "line 21: id: use 1 to 64 of a-z 0-9 -"),
        ("from_kinds = [\"jobcenter_ge\"]", "from_kinds = []", "line 25: from_kinds: name at least one kind"),
        ("to_kinds = [\"employment_agency\"]", "to_kinds = [\"aa\"]", "line 26: to_kinds: unknown word `aa`"),
        ("\"identity\", \"languages\"", "\"languages\"", "line 27: categories: a referral cannot go without identity"),
        ("\"identity\", \"languages\"", "\"identity\", \"identity\"", "line 27: categories: named twice"),
        (
            "\"identity\", \"languages\"",
            "\"identity\", \"health\"",
            "line 28: consent_required: special categories (health) need \"explicit_consent\"",
        ),
        (
            "consent_required = \"consent\"",
            "consent_required = \"employer_release\"",
            "line 28: consent_required: \"emp",
        ),
        ("record_kind = \"referral\"", "record_kind = \"vacancy\"", "line 28: consent_required: a vacancy needs"),
        ("feedback_levels = [\"status\"]", "feedback_levels = []", "line 29: feedback_levels: name at least one level"),
        ("legal_reference = \"SGB X § 67b\"\n", "", "line 20: legal_reference is missing: add it"),
        (
            "{ text = \"SGB II § 50\", valid_from = 2025-01-01 }",
            "\"§ 50\"",
            "line 31: usual_basis: give a table with text",
        ),
        (
            "valid_from = 2025-01-01 }",
            "valid_from = 2025-01-01, valid_until = 2024-01-01 }",
            "line 31: the text's last day",
        ),
        (
            "\nretention_days = 90",
            "\nretention_days = 0",
            "line 32: retention_days: give a whole number from 1 to 3650",
        ),
        (
            "register_retention_days = 365",
            "register_retention_days = -1",
            "line 33: register_retention_days: give a whole",
        ),
    ];
    for (line, by, expected) in cases {
        let found = findings(line, by);
        assert_eq!(found.len(), 1, "{by}: {found:?}");
        assert!(found[0].starts_with(expected), "{by}: {found:?}");
    }
}

#[test]
fn parties_and_clauses_have_limits() {
    let party_alone = SMALL.split("[[parties]]\nagency = \"aa").next().unwrap();
    let errors = parse(party_alone).unwrap_err();
    assert!(errors.iter().any(|error| error.message == "clauses is missing: add it"));
    assert!(errors.iter().any(|error| error.message == "parties: 1 given, 2 to 200 are possible"), "{errors:?}");
    let clause = SMALL.split_once("[[clauses]]").unwrap().1;
    let twice = parse(&format!("{SMALL}\n[[clauses]]{clause}")).unwrap_err();
    assert_eq!(twice[0].line, 35);
    assert!(twice[0].message.starts_with("the id \"orientation\" names another clause already"));
}

#[test]
fn a_vacancy_needs_no_categories_and_no_feedback() {
    let text = SMALL
        .replace("\"referral\"", "\"vacancy\"")
        .replace("\"consent\"", "\"employer_release\"")
        .replace("categories = [\"identity\", \"languages\"]\n", "")
        .replace("feedback_levels = [\"status\"]\n", "");
    let draft = parse(&text).unwrap();
    let clause = &draft.terms().clauses[0];
    assert_eq!(clause.consent_required, ConsentRequirement::EmployerRelease);
    assert!(clause.categories.is_empty());
}

#[test]
fn a_text_that_is_too_long_is_refused_unread() {
    let errors = parse(&"#".repeat(SOURCE_BYTES + 1)).unwrap_err();
    assert!(errors[0].message.contains("split it"));
}

#[test]
fn findings_are_listed_up_to_a_limit() {
    let rubbish: String = (0..FINDINGS * 2).map(|n| format!("key{n} = 1\n")).collect();
    assert_eq!(parse(&rubbish).unwrap_err().len(), FINDINGS);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_with_a_line(text in "\\PC*") {
        check_lines(&text);
    }

    #[test]
    fn any_damage_to_the_template_is_read_or_refused_with_a_line(
        at in 0usize..12_000,
        length in 0usize..40,
        by in "\\PC{0,8}",
    ) {
        let characters: Vec<char> = sample().chars().collect();
        let at = at.min(characters.len());
        let end = (at + length).min(characters.len());
        let (before, after) = (characters[..at].iter(), characters[end..].iter());
        let text: String = before.copied().chain(by.chars()).chain(after.copied()).collect();
        check_lines(&text);
    }
}

fn check_lines(text: &str) {
    let lines = text.lines().count() + 1;
    match parse(text) {
        Ok(draft) => assert_eq!(draft.terms().source, text),
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)));
        }
    }
}
