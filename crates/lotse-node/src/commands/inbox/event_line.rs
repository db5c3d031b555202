//! One event as a line: a JSON object, or cells under German headings.

use std::sync::LazyLock;

use lotse_proto::agency::v1::{FetchedRecord, InboxEvent};
use serde_json::{Value, json};

use crate::record_file::{Column, Format, MAX_WRITTEN_ITEMS, REFERRAL, cells_of, write_row};

/// Cells that are not the content of a referral: heading, places in the line's JSON (the first that is there), prefix of codes.
const CELLS: &[(&str, &[&str], &str)] = &[
    ("Cursor", &["/cursor"], ""),
    ("Zeitpunkt", &["/event/at"], ""),
    ("Ereignis", &["/kind"], ""),
    ("Vorgang", &["/event/referralId"], ""),
    ("Gegenstelle", &["/event/peer"], ""),
    ("Stand", &["/event/answerReceived/state"], "REFERRAL_STATE_"),
    ("Zustellung", &["/event/deliveryChanged/delivery"], "DELIVERY_STATE_"),
    ("Gründe", &["/event/deliveryChanged/reasons"], "REASON_"),
    ("Schlüssel", &["/event/deliveryChanged/idempotencyKey"], ""),
    ("Datensatz", &["/record/recordId", "/event/deliveryChanged/recordId"], ""),
    ("Personenreferenz", &["/record/subjectRef"], ""),
    ("Haltefrist", &["/record/holdUntil"], ""),
    ("Antwort_am", &["/record/answer/on"], ""),
    ("Ablehnungsgrund", &["/record/answer/declined/reason"], "DECLINE_REASON_"),
    ("Vorgeschlagene_Stelle", &["/record/answer/declined/suggestedAgency"], ""),
    ("Ergebnis", &["/record/answer/completed/outcome"], "OUTCOME_"),
    ("Antwort_Notiz", &["/record/answer/note/text"], ""),
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
    line["kind"] = json!(kind(&line["event"]));
    let own = CELLS.iter().map(|(_, places, prefix)| {
        let value = places.iter().find_map(|place| line.pointer(place));
        value.map(|value| text(value, prefix)).unwrap_or_default()
    });
    let content = cells_of(content_columns(), &line["record"]).into_iter().map(|(_, cell)| cell);
    let whole = if fits(&line["record"]) { String::new() } else { line["record"].to_string() };
    write_row(own.chain(content).chain([whole]).collect::<Vec<_>>())
}

fn content_columns() -> impl Iterator<Item = &'static Column> {
    REFERRAL.iter().filter(|column| column.path.starts_with("referral."))
}

fn kind(event: &Value) -> &'static str {
    let kinds = [
        ("referralReceived", "referral_received"),
        ("answerReceived", "answer_received"),
        ("deliveryChanged", "delivery_changed"),
    ];
    kinds.into_iter().find(|(field, _)| event.get(field).is_some()).map_or("unknown", |(_, word)| word)
}

/// Writes a value as a cell: codes without their prefix, of reasons only the codes.
fn text(value: &Value, prefix: &str) -> String {
    match value {
        Value::String(text) if prefix.is_empty() => text.clone(),
        Value::String(text) => text.trim_start_matches(prefix).to_lowercase(),
        Value::Array(reasons) => {
            let code =
                |reason: &Value| reason["reason"].as_str().unwrap_or_default().trim_start_matches(prefix).to_string();
            reasons.iter().map(code).collect::<Vec<_>>().join(",")
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
    use lotse_proto::agency::v1::{AnswerReceived, fetched_record, inbox_event};
    use lotse_proto::record::v1 as record;

    use super::*;

    fn event() -> InboxEvent {
        let received = inbox_event::Kind::AnswerReceived(AnswerReceived { answer_id: "a".into(), state: 5 });
        InboxEvent { referral_id: "r".into(), peer: "aa.example".into(), kind: Some(received), ..InboxEvent::default() }
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
        let row = write(Format::Csv, 7, &event(), Some(&fetched)).unwrap();
        assert!(
            row.starts_with("7;;answer_received;r;aa.example;declined;;;;a;;;2026-11-22;no_capacity;kca.example;"),
            "{row}"
        );
        assert_eq!(row.split(';').count(), headings(Format::Csv).unwrap().split(';').count());
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
