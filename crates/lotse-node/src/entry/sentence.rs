//! A log entry in one sentence, German and English, for officers; and what else it says, one sentence each.

use lotse_core::agreement::words::{Language, Term};
use lotse_core::category::Category;
use lotse_core::id::Id;
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1::LogEntry;

use super::{AdminAct, BatchSummary, Detail, Direction, EntryKind, LogStart};

/// Says in one sentence what an entry tells.
pub fn sentence(entry: &LogEntry, language: Language) -> String {
    let said = language.choose(both(entry));
    let peer = if entry.peer.is_empty() { language.choose(("unbekannt", "unknown")) } else { &entry.peer };
    let said = said.replace("{peer}", peer).replace("{version}", &entry.version.to_string());
    let said = match &entry.detail {
        Some(Detail::Batch(batch)) => counted(&said, batch),
        _ => said,
    };
    let said = if entry.alike > 1 { said + &alike(entry.alike, language) } else { said };
    let reasons: Vec<&str> = entry.reasons.iter().map(|&reason| reason_code(reason)).collect();
    if reasons.is_empty() { format!("{said}.") } else { format!("{said}: {}.", reasons.join(", ")) }
}

/// Something that an entry tells, with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: &'static str,
    /// What the entry says.
    pub value: String,
}

/// Says everything else that an entry tells, one sentence each.
pub fn explanation(entry: &LogEntry, language: Language) -> Vec<String> {
    let at = Timestamp::from_micros(entry.at_us);
    let mut lines = vec![format!("{}: {at}", language.choose(("Zeitpunkt", "Time")))];
    lines.extend(facts(entry, language).into_iter().map(|Fact { name, value }| format!("{name}: {value}")));
    let reason = |reason: Reason| {
        let (name, meaning) = language.choose((("Grund", reason.german()), ("Reason", reason.sentence())));
        format!("{name}: {} ({meaning})", reason.code())
    };
    lines.extend(reasons(entry).map(reason));
    lines
}

/// Returns the reasons that an entry gives, the most important first.
pub fn reasons(entry: &LogEntry) -> impl Iterator<Item = Reason> + '_ {
    entry.reasons.iter().filter_map(|&number| Reason::from_number(number))
}

/// Lists what else an entry tells, but for its time and its reasons. What does not apply is left out.
pub fn facts(entry: &LogEntry, language: Language) -> Vec<Fact> {
    let purpose = Purpose::from_number(entry.purpose).map(|purpose| purpose.term(language).to_owned());
    let more = match &entry.detail {
        Some(Detail::LogStart(start)) => (("Fortsetzung", "Continuation"), continuation(start, language)),
        Some(Detail::Batch(batch)) => (("Stapel", "Batch"), id(&batch.batch_id)),
        None => (("", ""), String::new()),
    };
    let agency = match entry.kind() {
        EntryKind::AgreementSealed => ("Besiegelt von", "Sealed by"), // perhaps the own agency
        _ => ("Gegenstelle", "Other agency"),
    };
    let told = [
        (agency, entry.peer.clone()),
        (("Zweck", "Purpose"), purpose.unwrap_or_default()),
        (("Datenkategorien", "Data categories"), categories(&entry.categories, language)),
        (("Weggelassen", "Left out"), categories(&entry.left_out, language)),
        (("Vereinbarung", "Agreement"), id(&entry.agreement_id)),
        (("Klausel", "Clause"), entry.clause_id.clone()),
        (("Verweis auf die Einwilligung", "Consent reference"), id(&entry.consent_ref)),
        (("Datensatz", "Record"), id(&entry.record_id)),
        (("Prüfsumme", "Digest"), hex::encode(&entry.digest)),
        (("Handelnd", "Actor"), entry.actor.clone()),
        (("Im Auftrag von", "On behalf of"), entry.on_behalf_of.clone()),
        (remark_name(entry.kind()), entry.remark.clone()),
        more,
    ];
    let told = told.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| Fact { name: language.choose(name), value }).collect()
}

fn both(entry: &LogEntry) -> (&'static str, &'static str) {
    let came_in = entry.direction == Direction::In as i32;
    match entry.kind() {
        EntryKind::Unspecified => ("Ein Eintrag ohne Art", "An entry without a kind"),
        EntryKind::LogStarted => ("Dieses Protokoll beginnt", "This log begins"),
        EntryKind::Released if is_answer(entry) => {
            ("Eine Rückmeldung wurde an {peer} übermittelt", "An answer was released to {peer}")
        }
        EntryKind::Released => ("Ein Datensatz wurde an {peer} übermittelt", "A record was released to {peer}"),
        EntryKind::ReceiptRecorded => (
            "{peer} hat den Empfang quittiert ({taken} übernommen, {refused} abgelehnt, {again} erneut zu senden)",
            "{peer} sent a receipt ({taken} taken, {refused} refused, {again} to be sent again)",
        ),
        EntryKind::SubmitRefused => {
            ("Eine Übermittlung an {peer} wurde abgelehnt", "A hand-over to {peer} was refused")
        }
        EntryKind::ItemEnded => {
            ("Eine Übermittlung an {peer} endete ungesendet", "A hand-over to {peer} ended without being sent")
        }
        EntryKind::Taken if is_answer(entry) => {
            ("Eine Rückmeldung von {peer} wurde übernommen", "An answer of {peer} was taken")
        }
        EntryKind::EnvelopeRefused if is_answer(entry) => {
            ("Eine Rückmeldung von {peer} wurde abgelehnt", "An answer of {peer} was refused")
        }
        EntryKind::Taken => ("Ein Datensatz von {peer} wurde übernommen", "A record of {peer} was taken"),
        EntryKind::EnvelopeRefused => ("Ein Datensatz von {peer} wurde abgelehnt", "A record of {peer} was refused"),
        EntryKind::ReceiptRefused => {
            ("Eine Empfangsbestätigung von {peer} wurde abgelehnt", "A receipt of {peer} was refused")
        }
        EntryKind::BatchRefused => ("Ein Stapel von {peer} wurde abgelehnt", "A batch of {peer} was refused"),
        EntryKind::ConsentRecorded => ("Eine Einwilligung wurde erfasst", "A consent was recorded"),
        EntryKind::WithdrawalArrived => ("Ein Widerruf ist eingegangen", "A withdrawal arrived"),
        EntryKind::ConsentWithdrawn => ("Ein Widerruf wurde wirksam", "A withdrawal took effect"),
        EntryKind::ConsentExpired => ("Eine Einwilligung ist abgelaufen", "A consent expired"),
        EntryKind::CardInstalled => {
            ("Die eigene Karte, Version {version}, wurde eingesetzt", "The own card, version {version}, was installed")
        }
        EntryKind::PeerAccepted => ("{peer} wurde als Gegenstelle angenommen", "{peer} was accepted as a peer"),
        EntryKind::PeerCardTaken => (
            "Die Karte von {peer}, Version {version}, wurde übernommen",
            "The card of {peer}, version {version}, was taken",
        ),
        EntryKind::PeerCardRefused => ("Eine Karte von {peer} wurde abgelehnt", "A card of {peer} was refused"),
        EntryKind::PeerSuspended => {
            ("Der Austausch mit {peer} wurde ausgesetzt", "The exchange with {peer} was suspended")
        }
        EntryKind::PeerResumed => {
            ("Der Austausch mit {peer} wurde wieder aufgenommen", "The exchange with {peer} was resumed")
        }
        EntryKind::AgreementOffered if came_in => (
            "{peer} hat eine Vereinbarung, Version {version}, angeboten",
            "{peer} offered an agreement, version {version}",
        ),
        EntryKind::AgreementOffered => {
            ("Eine Vereinbarung, Version {version}, wurde angeboten", "An agreement, version {version}, was offered")
        }
        EntryKind::AgreementSealed => (
            "{peer} hat eine Vereinbarung, Version {version}, besiegelt",
            "{peer} has sealed an agreement, version {version}",
        ),
        EntryKind::AgreementCompleted => (
            "Alle Parteien haben eine Vereinbarung, Version {version}, besiegelt",
            "All parties have sealed an agreement, version {version}",
        ),
        EntryKind::AgreementSuspended => ("Eine Vereinbarung wurde ausgesetzt", "An agreement was suspended"),
        EntryKind::AgreementResumed => ("Eine Vereinbarung gilt wieder", "An agreement was resumed"),
        EntryKind::AgreementRefused => {
            ("Eine Vereinbarung oder ein Siegel wurde abgelehnt", "An agreement or a seal was refused")
        }
        EntryKind::Denied => ("Ein Aufruf wurde verweigert", "A call was denied"),
        EntryKind::OfficerLooked => ("Das Protokoll wurde eingesehen", "An officer read the log"),
        EntryKind::AdminActed => act_sentence(entry.admin_act()),
        EntryKind::Alarm => ("Ein Alarm, der einen Menschen braucht", "An alarm that needs a human"),
        EntryKind::PeerStopped => ("Der Austausch mit {peer} wurde angehalten", "The exchange with {peer} was stopped"),
        EntryKind::Fetched => {
            ("Ein Fachverfahren hat Datensätze abgeholt: {taken}", "A system fetched records: {taken}")
        }
        EntryKind::NodeStarted => ("Der Knoten wurde gestartet", "The node was started"),
        EntryKind::GrantChanged => {
            ("Die Rechte eines Fachverfahrens wurden geändert", "The grant of a system was changed")
        }
        EntryKind::CertificateIssued => ("Ein Zertifikat wurde ausgestellt", "A certificate was issued"),
        EntryKind::CertificateRevoked => ("Ein Zertifikat wurde gesperrt", "A certificate was revoked"),
    }
}

/// Tells whether an entry is about an answer to a referral: a referral has data of a person, and what cannot be read has no purpose.
fn is_answer(entry: &LogEntry) -> bool {
    entry.purpose != 0 && entry.categories.is_empty() && entry.left_out.is_empty()
}

/// Returns the purpose of an entry and the categories of data in it, for lists; empty where it has no purpose.
pub fn matter(entry: &LogEntry, language: Language) -> String {
    let Some(purpose) = Purpose::from_number(entry.purpose) else { return String::new() };
    let categories = categories(&entry.categories, language);
    let purpose = purpose.term(language);
    if categories.is_empty() { purpose.to_string() } else { format!("{purpose}: {categories}") }
}

/// Names the remark of an entry.
fn remark_name(kind: EntryKind) -> (&'static str, &'static str) {
    match kind {
        EntryKind::NodeStarted => ("Programmfassung", "Version of the program"),
        EntryKind::GrantChanged => ("Darf ab jetzt", "May from now on"),
        EntryKind::CertificateIssued | EntryKind::CertificateRevoked => ("Zertifikat", "Certificate"),
        EntryKind::OfficerLooked => ("Näheres", "Detail"),
        _ => ("Angegebener Grund", "Remark"),
    }
}

fn act_sentence(act: AdminAct) -> (&'static str, &'static str) {
    match act {
        AdminAct::Unspecified => ("Die Administration hat gehandelt", "An administrator acted"),
        AdminAct::ClockConfirmed => {
            ("Die Administration hat die Uhr bestätigt", "An administrator confirmed that the clock is right")
        }
        AdminAct::OfficerLinkMade => (
            "Die Administration hat einen Einmal-Link zu den Seiten ausgestellt",
            "An administrator made a one-time link to the officers' pages",
        ),
        AdminAct::OfficerSessionsEnded => (
            "Die Administration hat die Sitzungen einer Person an den Seiten beendet",
            "An administrator ended an officer's sessions at the pages",
        ),
    }
}

fn alike(count: u32, language: Language) -> String {
    match language {
        Language::German => format!(" ({count}-mal)"),
        Language::English => format!(" ({count} times)"),
    }
}

fn counted(text: &str, batch: &BatchSummary) -> String {
    let counts = [("{taken}", batch.taken), ("{refused}", batch.refused), ("{again}", batch.again)];
    counts.into_iter().fold(text.to_owned(), |text, (name, count)| text.replace(name, &count.to_string()))
}

fn continuation(start: &LogStart, language: Language) -> String {
    if start.previous_origin.is_empty() {
        return String::new();
    }
    let LogStart { previous_origin, previous_size, restored_size, lost_entries, carried_entries, reason, .. } = start;
    match language {
        Language::German => format!(
            "{previous_origin} hatte {previous_size} Einträge; {restored_size} davon sind hier, {lost_entries} verloren, \
             {carried_entries} noch nicht signierte folgen; Grund: {reason}"
        ),
        Language::English => format!(
            "{previous_origin} had {previous_size} entries; {restored_size} of them are here, {lost_entries} are lost, \
             {carried_entries} that were not signed yet follow; reason: {reason}"
        ),
    }
}

fn categories(numbers: &[i32], language: Language) -> String {
    let names = numbers.iter().filter_map(|&number| Category::from_number(number));
    names.map(|category| category.term(language)).collect::<Vec<_>>().join(", ")
}

fn id(bytes: &[u8]) -> String {
    Id::from_slice(bytes).map(|id| id.to_string()).unwrap_or_default()
}

fn reason_code(number: i32) -> &'static str {
    Reason::from_number(number).map_or("UNKNOWN", Reason::code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: EntryKind) -> LogEntry {
        LogEntry { kind: kind as i32, peer: "aa-hanau.example".into(), version: 3, ..LogEntry::default() }
    }

    #[test]
    fn every_kind_is_a_whole_sentence_in_both_languages() {
        for kind in crate::entry::kind::all().chain([EntryKind::Unspecified]) {
            let detail = Some(Detail::Batch(BatchSummary { taken: 2, refused: 1, ..BatchSummary::default() }));
            let entry = LogEntry { detail, ..entry(kind) };
            let [german, english] = [Language::German, Language::English].map(|language| sentence(&entry, language));
            assert_ne!(german, english);
            for text in [german, english] {
                assert!(text.ends_with('.') && !text.contains(['{', '}']), "{text}");
            }
        }
    }

    #[test]
    fn an_act_of_an_administrator_is_named_in_both_languages() {
        let sentences = |language| {
            let acts = (0..=255).filter_map(|number| AdminAct::try_from(number).ok());
            let entries = acts.map(|act| LogEntry { admin_act: act as i32, ..entry(EntryKind::AdminActed) });
            entries.map(|entry| sentence(&entry, language)).collect::<std::collections::BTreeSet<_>>()
        };
        let (german, english) = (sentences(Language::German), sentences(Language::English));
        assert!(english.contains("An administrator confirmed that the clock is right."), "{english:?}");
        assert_eq!(german.len(), english.len());
        assert!(german.len() > 3 && german.is_disjoint(&english));
    }

    #[test]
    fn a_refusal_says_its_reasons() {
        let refused = LogEntry {
            reasons: vec![Reason::NoConsent.number(), Reason::CategoryNotInClause.number()],
            ..entry(EntryKind::SubmitRefused)
        };
        let english = sentence(&refused, Language::English);
        assert_eq!(english, "A hand-over to aa-hanau.example was refused: NO_CONSENT, CATEGORY_NOT_IN_CLAUSE.");
        let german = sentence(&refused, Language::German);
        assert!(german.starts_with("Eine Übermittlung an aa-hanau.example wurde abgelehnt: NO_CONSENT"), "{german}");
        let explained = explanation(&refused, Language::English).join("\n");
        assert!(explained.contains("Reason: NO_CONSENT (no consent in force covers"), "{explained}");
        let explained = explanation(&refused, Language::German).join("\n");
        assert!(explained.contains("Grund: NO_CONSENT (keine geltende Einwilligung deckt"), "{explained}");
    }

    #[test]
    fn an_entry_that_stands_for_many_says_how_many() {
        let refused = LogEntry { alike: 120, ..entry(EntryKind::BatchRefused) };
        assert_eq!(sentence(&refused, Language::English), "A batch of aa-hanau.example was refused (120 times).");
        let refused = LogEntry { alike: 2, ..entry(EntryKind::ReceiptRefused) };
        let german = sentence(&refused, Language::German);
        assert_eq!(german, "Eine Empfangsbestätigung von aa-hanau.example wurde abgelehnt (2-mal).");
        let once = LogEntry { alike: 1, ..entry(EntryKind::ReceiptRefused) };
        assert_eq!(sentence(&once, Language::English), "A receipt of aa-hanau.example was refused.");
    }

    #[test]
    fn a_list_says_for_what_and_with_which_data_and_tells_answers_from_records() {
        let purpose = Purpose::Orientation.number();
        let categories = vec![Category::Identity.number(), Category::Languages.number()];
        for kind in [EntryKind::Released, EntryKind::Taken, EntryKind::EnvelopeRefused] {
            let answer = LogEntry { purpose, ..entry(kind) };
            let record = LogEntry { categories: categories.clone(), ..answer.clone() };
            let malformed = entry(kind);
            let said = |entry: &LogEntry| sentence(entry, Language::English);
            assert!(said(&answer).starts_with("An answer "), "{}", said(&answer));
            assert!(said(&record).starts_with("A record ") && said(&malformed).starts_with("A record "));
            let (whole, alone) = (matter(&record, Language::English), matter(&answer, Language::English));
            assert!(whole.starts_with(&format!("{alone}: ")) && whole.contains(", "), "{whole}");
            assert_ne!(matter(&record, Language::German), whole);
            assert_eq!(matter(&malformed, Language::English), "");
        }
    }

    #[test]
    fn what_a_release_covered_is_explained() {
        let released = LogEntry {
            purpose: Purpose::Orientation.number(),
            categories: vec![Category::Identity.number(), Category::Languages.number()],
            record_id: vec![1; 16],
            ..entry(EntryKind::Released)
        };
        let lines = explanation(&released, Language::English);
        assert!(lines.iter().any(|line| line.starts_with("Data categories: ") && line.contains(',')), "{lines:?}");
        assert!(lines.contains(&"Record: 01010101-0101-0101-0101-010101010101".to_owned()), "{lines:?}");
    }

    #[test]
    fn a_new_generation_says_what_it_follows() {
        let start = LogStart {
            previous_origin: "a.example/exchange-log/1".into(),
            previous_size: 9,
            restored_size: 4,
            lost_entries: 5,
            ..LogStart::default()
        };
        let started = LogEntry { detail: Some(Detail::LogStart(start)), ..entry(EntryKind::LogStarted) };
        let lines = explanation(&started, Language::English).join("\n");
        assert!(lines.contains("a.example/exchange-log/1 had 9 entries; 4 of them are here, 5 are lost"), "{lines}");
    }
}
