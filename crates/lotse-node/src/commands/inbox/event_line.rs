//! One event as a line: a JSON object, or cells under German headings.

use std::sync::LazyLock;

use lotse_proto::agency::v1::{FetchedRecord, InboxEvent};
use serde_json::{Value, json};

use super::event_word;
use crate::record_file::{Column, Format, MAX_WRITTEN_ITEMS, REFERRAL, cells_of, german_day, german_time, write_row};

/// What a line of NDJSON begins with.
pub(super) const FIRST_LINE: &str = "{\"cursor\":";

/// How the value of a cell is written for people.
type CellWording = fn(&str) -> String;

/// Cells that are not the content of a referral: heading, places in the line's JSON (the first that is there), how it is written.
const CELLS: &[(&str, &[&str], CellWording)] = &[
    ("Cursor", &["/cursor"], str::to_owned),
    ("Zeitpunkt", &["/event/at"], german_time),
    ("Ereignis", &["/kind"], str::to_owned),
    ("Vorgang", &["/event/referralId"], str::to_owned),
    ("Gegenstelle", &["/event/peer"], str::to_owned),
    ("Stand", &["/event/answerReceived/state"], event_word::state),
    ("Zustellung", &["/event/deliveryChanged/delivery"], event_word::delivery),
    ("Gründe", &["/event/deliveryChanged/reasons"], event_word::reason),
    ("Schlüssel", &["/event/deliveryChanged/idempotencyKey"], str::to_owned),
    ("Datensatz", &["/record/recordId", "/event/deliveryChanged/recordId"], str::to_owned),
    ("Personenreferenz", &["/record/subjectRef"], str::to_owned),
    ("Weitere_offene_Vorgänge_der_Person", &["/record/samePerson"], str::to_owned),
    ("Haltefrist", &["/record/holdUntil"], german_time),
    ("Antwort_am", &["/record/answer/on"], german_day),
    ("Ablehnungsgrund", &["/record/answer/declined/reason"], event_word::decline_reason),
    ("Vorgeschlagene_Stelle", &["/record/answer/declined/suggestedAgency"], str::to_owned),
    ("Ergebnis", &["/record/answer/completed/outcome"], event_word::outcome),
    ("Antwort_Notiz", &["/record/answer/note/text"], str::to_owned),
];

/// Heading of the cell that has the whole record as JSON where a list has more items than columns.
const WHOLE: &str = "Vollständiger_Datensatz";

/// The German headings.
static HEADINGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let own = CELLS.iter().map(|(name, ..)| (*name).to_string());
    let content = cells_of(content_columns(), &Value::Null).into_iter().map(|(name, _)| name);
    own.chain(content).chain([WHOLE.to_string()]).collect()
});

/// Returns the line of headings, if the format has one.
pub(super) fn headings(format: Format) -> Option<String> {
    (format == Format::Csv).then(|| write_row(HEADINGS.iter().cloned()))
}

/// Writes an event with the record that it tells of, if that can still be fetched.
pub(super) fn write(
    format: Format,
    cursor: u64,
    event: &InboxEvent,
    record: Option<&FetchedRecord>,
) -> anyhow::Result<String> {
    let mut line = json!({ "cursor": cursor, "event": serde_json::to_value(event)? });
    if let Some(record) = record {
        line["record"] = serde_json::to_value(record)?;
    }
    Ok(match format {
        Format::Ndjson => line.to_string(),
        Format::Csv => row(&mut line),
    })
}

fn row(line: &mut Value) -> String {
    line["kind"] = json!(kind(line));
    let own = CELLS.iter().map(|(_, places, wording)| {
        let value = places.iter().find_map(|place| line.pointer(place));
        value.map(|value| text(value, *wording)).unwrap_or_default()
    });
    let content = cells_of(content_columns(), &line["record"]).into_iter().map(|(_, cell)| cell);
    let whole = if fits(&line["record"]) { String::new() } else { line["record"].to_string() };
    write_row(own.chain(content).chain([whole]).collect::<Vec<_>>())
}

fn content_columns() -> impl Iterator<Item = &'static Column> {
    REFERRAL.iter().filter(|column| column.path.starts_with("referral."))
}

/// Names what happened.
fn kind(line: &Value) -> &'static str {
    let kinds = [
        ("referralReceived", "Zuweisung eingegangen"),
        ("answerReceived", "Rückmeldung eingegangen"),
        ("deliveryChanged", "Zustellung geändert"),
    ];
    kinds.into_iter().find(|(field, _)| line["event"].get(field).is_some()).map_or("unbekannt", |(_, word)| word)
}

/// Writes a value as a cell; of several texts or reasons each.
fn text(value: &Value, wording: CellWording) -> String {
    match value {
        Value::String(text) => wording(text),
        Value::Array(reasons) => {
            let word = |item: &Value| wording(item.as_str().or(item["reason"].as_str()).unwrap_or_default());
            reasons.iter().map(word).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

/// Tells whether every list of a record has columns for all its items.
fn fits(record: &Value) -> bool {
    let lists = ["/referral/education/items", "/referral/workHistory/items"];
    let lengths = lists.into_iter().filter_map(|list| record.pointer(list)?.as_array().map(Vec::len));
    lengths.max().unwrap_or(0) <= MAX_WRITTEN_ITEMS
}

#[cfg(test)]
mod tests {
    use lotse_proto::agency::v1::{AnswerReceived, DeliveryChanged, ReasonDetail, fetched_record, inbox_event};
    use lotse_proto::record::v1 as record;

    use super::*;

    fn event() -> InboxEvent {
        let received = inbox_event::Kind::AnswerReceived(AnswerReceived { answer_id: "a".into(), state: 5 });
        let at = Some(pbjson_types::Timestamp { seconds: 1_795_336_200, nanos: 0 }); // 2026-11-22T08:30:00Z
        InboxEvent { at, referral_id: "r".into(), peer: "aa.example".into(), kind: Some(received) }
    }

    #[test]
    fn an_answer_is_one_object_or_one_row() {
        let declined = record::Declined { reason: 5, suggested_agency: "kca.example".into() };
        let kind = Some(record::referral_answer::Kind::Declined(declined));
        let answer = record::ReferralAnswer { on: "2026-11-22".into(), kind, note: None };
        let content = Some(fetched_record::Content::Answer(answer));
        let fetched = FetchedRecord { record_id: "a".into(), content, ..FetchedRecord::default() };
        let json: Value = serde_json::from_str(&write(Format::Ndjson, 7, &event(), Some(&fetched)).unwrap()).unwrap();
        assert_eq!(json["record"]["answer"]["declined"]["reason"], "DECLINE_REASON_NO_CAPACITY");
        assert!(write(Format::Ndjson, 7, &event(), None).unwrap().starts_with(FIRST_LINE));
        let row = write(Format::Csv, 7, &event(), Some(&fetched)).unwrap();
        assert!(
            row.starts_with(
                "7;22.11.2026 09:30;Rückmeldung eingegangen;r;aa.example;nicht angenommen;;;;a;;;;22.11.2026;kein freier Platz;\
                 kca.example;"
            ),
            "{row}"
        );
        assert_eq!(row.split(';').count(), headings(Format::Csv).unwrap().split(';').count());
    }

    #[test]
    fn another_open_referral_of_the_person_is_named_with_the_event() {
        let kind = Some(inbox_event::Kind::ReferralReceived(Default::default()));
        let event = InboxEvent { kind, ..InboxEvent::default() };
        let record = |same_person| FetchedRecord { same_person, ..FetchedRecord::default() };
        let row = |same_person| write(Format::Csv, 1, &event, Some(&record(same_person))).unwrap();
        let table = row(vec!["r-1".into(), "r-2".into()]);
        assert!(table.starts_with("1;;Zuweisung eingegangen;") && table.contains(";\"r-1; r-2\";"), "{table}");
        let json = write(Format::Ndjson, 1, &event, Some(&record(vec!["r-1".into()]))).unwrap();
        assert!(json.contains("\"samePerson\":[\"r-1\"]"), "{json}");
    }

    #[test]
    fn a_table_says_in_german_why_something_was_not_delivered() {
        let reasons = [23, 22].map(|reason| ReasonDetail { reason, ..ReasonDetail::default() }).to_vec();
        let changed = DeliveryChanged { record_id: "a".into(), delivery: 5, reasons, ..DeliveryChanged::default() };
        let kind = Some(inbox_event::Kind::DeliveryChanged(changed));
        let row = write(Format::Csv, 7, &InboxEvent { kind, ..InboxEvent::default() }, None).unwrap();
        let reasons = "\"die Einwilligung wurde widerrufen [CONSENT_WITHDRAWN]; die Einwilligung ist abgelaufen [CONSENT_EXPIRED]\"";
        assert!(row.starts_with(&format!("7;;Zustellung geändert;;;;beendet;{reasons};;a;")), "{row}");
    }

    #[test]
    fn a_list_that_does_not_fit_into_its_columns_is_written_whole() {
        let jobs = |count| {
            let items = vec![record::WorkHistoryItem { occupation: "Koch".into(), ..Default::default() }; count];
            let work_history = Some(record::WorkHistory { items });
            let referral = record::Referral { work_history, ..record::Referral::default() };
            let content = Some(fetched_record::Content::Referral(referral));
            let fetched = FetchedRecord { content, ..FetchedRecord::default() };
            write(Format::Csv, 1, &event(), Some(&fetched)).unwrap()
        };
        assert_eq!(jobs(5).matches("Koch").count(), 5);
        assert!(jobs(5).ends_with(';'));
        assert_eq!(jobs(6).matches("Koch").count(), 11);
    }
}
