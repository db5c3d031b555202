use super::*;
use crate::agreement::text::{parse, tests::sample};
use crate::category::Category;
use crate::feedback::FeedbackLevel;
use crate::purpose::Purpose;
use Language::{English, German};

fn shown(language: Language) -> String {
    show(parse(&sample()).unwrap().terms(), language)
}

#[test]
fn every_party_and_clause_is_shown() {
    let draft = parse(&sample()).unwrap();
    for language in [German, English] {
        let text = show(draft.terms(), language);
        for party in &draft.terms().parties {
            assert!(text.contains(&party.name) && text.contains(party.agency.as_str()));
            assert!(text.contains(&party.root_fingerprint.to_string()) && text.contains(party.kind.term(language)));
        }
        for clause in &draft.terms().clauses {
            assert!(
                text.contains(&clause.id) && text.contains(&clause.title) && text.contains(&clause.legal_reference)
            );
            assert!(clause.usual_basis.iter().all(|basis| text.contains(&basis.text)));
            assert!(clause.categories.iter().all(|category| text.contains(category.term(language))));
        }
    }
}

#[test]
fn a_german_reader_finds_the_essential_sentences() {
    let text = shown(German);
    for sentence in [
        "Sie gilt vom 01.12.2026 bis einschließlich 30.11.2028 (deutsche Zeit)",
        "- Jobcenter \"Hanau\" (jc-hanau.hessen.example): Jobcenter (gemeinsame Einrichtung); zuständig für 06415;",
        "  Empfangen dürfen: Ausländerbehörde [Ausländerbehörde Hanau].",
        "  Gegenstand: Überleitung einer Person. Zweck: erste Orientierung und Weg zur zuständigen Stelle.",
        "Kontakt (Anschrift, Telefon, E-Mail), Schul- und Berufsbildung, Haushalt und Sorgepflichten. Besondere \
         Kategorien: Hilfe nach dem SGB VIII.",
        "  Nötig ist: Einwilligung der betroffenen Person.",
        "die die besonderen Kategorien einzeln nennt. Mündlich genügt nicht.",
        "hält die Daten höchstens 30 Tage; endet die Einwilligung oder diese Vereinbarung früher, dann bis dahin. Der \
         Absender führt die Übermittlung 1095 Tage in seinem Verzeichnis.",
        "meldet zurück, soweit die Einwilligung es zulässt: nichts – oder Stand mit Datum.",
        "  Übliche Grundlage (ab 28.02.2025): SGB II § 50 Abs. 1",
        "Mit dem Widerruf der Einwilligung endet jede Übermittlung, die auf ihr beruht. Was schon übermittelt ist, ruft \
         Lotse in dieser Schemastufe nicht zurück",
        "Mit Ablauf des 30.11.2028 endet die Erlaubnis zu übermitteln. Kopien, die dann noch gehalten werden, löscht \
         jede Stelle bei sich.",
    ] {
        assert!(text.contains(sentence), "{sentence}\nis not in\n{text}");
    }
    assert_eq!(text.matches("Lotse berät nicht in Rechtsfragen").count(), 1);
}

#[test]
fn an_english_reader_finds_the_essential_sentences() {
    let text = shown(English);
    for sentence in [
        "It is in force from 2026-12-01 until the end of 2028-11-30 (German time)",
        "  These may receive: immigration office [Ausländerbehörde Hanau].",
        "  Subject: referral of a person. Purpose: placement into work.",
        "Special categories: disability status, health restrictions.",
        "names each special category. Oral consent does not do.",
        "at most 30 days, or until the consent or this agreement ends, if that is earlier. The sender keeps the \
         transfer in its register for 1095 days.",
        "as far as the consent allows: nothing – or state and date – or state, outcome and date.",
        "When a consent is withdrawn, nothing more is sent that rests on it. What was sent before is not called back by \
         Lotse at this schema level: the copy ends with its term",
        "The permission to send ends with 2028-11-30. Copies that are still held then are deleted",
    ] {
        assert!(text.contains(sentence), "{sentence}\nis not in\n{text}");
    }
}

#[test]
fn what_differs_from_the_template_is_shown_too() {
    let text = sample().replace("\"purge\"", "\"keep_until_lease\"").replace(
        "name = \"Jugendamt Hanau\"",
        "name = \"Jugendamt Hanau\"\nended_on = 2027-06-30\nsucceeded_by = \"ja-mkk.example\"",
    );
    let german = show(parse(&text).unwrap().terms(), German);
    assert!(german.contains(
        "Die Stelle endet mit Ablauf des 30.06.2027; danach sendet und empfängt sie nichts; ihr folgt ja-mkk.example."
    ));
    assert!(german.contains("Kopien bleiben bis zu ihrer Frist; dann löscht sie jede Stelle bei sich."));
    assert!(german.contains("endet die Einwilligung früher, dann bis dahin"));
}

#[test]
fn no_two_values_of_a_list_have_the_same_name() {
    fn distinct<T: Term>(values: &[T]) {
        for language in [German, English] {
            let names: std::collections::HashSet<_> = values.iter().map(|value| value.term(language)).collect();
            assert_eq!(names.len(), values.len());
        }
    }
    distinct(&AgencyKind::ALL);
    distinct(&Category::ALL);
    distinct(&Purpose::ALL);
    distinct(&RecordKind::ALL);
    distinct(&FeedbackLevel::ALL);
}
