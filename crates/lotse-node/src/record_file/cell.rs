//! One cell: its text, and the value that stands for it in proto JSON.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use lotse_core::time::Timestamp;
use serde_json::{Value, json};

use super::code;
use super::column::Kind;
use super::word::fold;

/// Time in Germany (CET, CEST since 1996) as a POSIX text: no time zone database is needed.
const GERMANY: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

/// Reads a cell that is not empty; else says what is allowed.
pub(super) fn read(kind: Kind, cell: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(json!(cell)),
        Kind::Texts => Ok(json!(items(cell).collect::<Vec<_>>())),
        Kind::Day => day(cell).map(|day| json!(day.to_string())),
        Kind::From => time(cell, 0).map(|at| json!(at)),
        Kind::Until => time(cell, 1).map(|at| json!(at)),
        Kind::Flag => flag(cell),
        Kind::Number => cell.parse::<u32>().map(|number| json!(number)).map_err(|_| "write a whole number".to_string()),
        Kind::Code(list) => list.read(cell).map(|name| json!(name)),
        Kind::Codes(list) => {
            items(cell).map(|word| list.read(word)).collect::<Result<Vec<_>, _>>().map(|names| json!(names))
        }
        Kind::Languages => items(cell).map(language).collect::<Result<Vec<_>, _>>().map(Value::Array),
    }
}

/// Writes a value as a cell; what is not given is empty.
pub(super) fn write(kind: Kind, value: &Value) -> String {
    let all = |word: &dyn Fn(&Value) -> String| {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().map(word).collect::<Vec<_>>().join(",")
    };
    match kind {
        Kind::Text => text(value),
        Kind::Day => german_day(&text(value)),
        Kind::From | Kind::Until => german_time(&text(value)),
        Kind::Flag => if value == &Value::Bool(true) { "ja" } else { "" }.to_string(),
        Kind::Number => value.as_u64().map(|number| number.to_string()).unwrap_or_default(),
        Kind::Code(list) => list.german_of(&text(value)),
        Kind::Codes(list) => all(&|item| list.german_of(&text(item))),
        Kind::Texts => all(&text),
        Kind::Languages => all(&|item| {
            let level = code::LANGUAGE_LEVEL.german_of(&text(&item["level"]));
            [text(&item["tag"]), level].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
        }),
    }
}

/// Puts an apostrophe before a cell that a spreadsheet would take for a formula. Telephone numbers stay as they are.
pub fn guarded(cell: String) -> String {
    let formula = match cell.as_bytes().first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => !cell[1..].bytes().all(|byte| byte.is_ascii_digit() || b" /()-.".contains(&byte)),
        _ => false,
    };
    if formula { format!("'{cell}") } else { cell }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn items(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Reads a day, also in its German form; else says what is allowed.
pub fn day(text: &str) -> Result<Date, String> {
    written_day(text).ok_or_else(|| "write a day that exists as 01.04.1990 or 1990-04-01".to_string())
}

/// The year has four digits: two could mean either century.
fn written_day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split('.').collect();
    let digits = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match parts[..] {
        [day, month, year] if digits(day, 1..=2) && digits(month, 1..=2) && digits(year, 4..=4) => {
            Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
        }
        _ => text.parse::<Date>().ok().filter(|date| date.to_string() == text),
    }
}

/// Reads a time; a day means the midnight in Germany with which it begins, or so many days later.
fn time(text: &str, days_later: i32) -> Result<String, String> {
    let allowed =
        || "write a day as 01.04.2026 or 2026-04-01, or a time as 01.04.2026 10:30 or 2026-04-01T10:30:00+02:00";
    let midnight = |day: Date| day.checked_add(jiff::Span::new().days(days_later)).ok().map(|day| day.at(0, 0, 0, 0));
    let local = match (written_day(text), text.split_once(' ')) {
        (Some(day), _) => midnight(day),
        (None, Some((date, clock))) => {
            written_day(date).and_then(|day| Some(DateTime::from_parts(day, clock.parse().ok()?)))
        }
        (None, None) => return text.parse::<Timestamp>().map(|at| at.to_string()).map_err(|_| allowed().to_string()),
    };
    let germany = TimeZone::posix(GERMANY).map_err(|error| error.to_string())?;
    let at = local.and_then(|local| local.to_zoned(germany).ok()).ok_or_else(|| allowed().to_string())?;
    Ok(at.timestamp().to_string())
}

/// Writes a day of proto JSON as people in Germany do; what is no whole day stays as it is.
pub fn german_day(text: &str) -> String {
    text.parse::<Date>().map_or_else(|_| text.to_string(), |day| day.strftime("%d.%m.%Y").to_string())
}

/// Writes a time of proto JSON as people in Germany do, in German time; what is no time stays as it is.
pub fn german_time(text: &str) -> String {
    let at = text.parse::<jiff::Timestamp>().ok().zip(TimeZone::posix(GERMANY).ok());
    at.map_or_else(|| text.to_string(), |(at, germany)| at.to_zoned(germany).strftime("%d.%m.%Y %H:%M").to_string())
}

fn flag(cell: &str) -> Result<Value, String> {
    match fold(cell).as_str() {
        "ja" | "j" | "yes" | "true" | "wahr" | "1" | "x" => Ok(Value::Bool(true)),
        "nein" | "n" | "no" | "false" | "falsch" | "0" => Ok(Value::Bool(false)),
        _ => Err("write ja or nein".to_string()),
    }
}

fn language(item: &str) -> Result<Value, String> {
    match item.split_once(':') {
        Some((tag, level)) => {
            let level = code::LANGUAGE_LEVEL.read(level)?;
            Ok(json!({ "tag": tag.trim(), "level": level }))
        }
        None => Ok(json!({ "tag": item })),
    }
}
