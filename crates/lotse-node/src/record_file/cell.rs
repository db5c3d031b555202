//! One cell: its text, and the value that stands for it in proto JSON.

use serde_json::{Value, json};

use super::code;
use super::column::Kind;
use super::day::{self, Birth};
use super::word::fold;
use crate::wire::partial_date::PartialDate;
use crate::wire::plausible::{exponential, is_exponential};
use crate::wording::Wording;

/// Reads a cell that is not empty; else says what is allowed.
pub(super) fn read(kind: Kind, cell: &str) -> Result<Value, Wording> {
    match kind {
        Kind::Text => text(cell),
        Kind::Texts => items(cell).map(text).collect::<Result<Vec<_>, _>>().map(Value::Array),
        Kind::Day => day::read_day(cell).map(|day| json!(day.to_string())),
        Kind::BirthDay => day::read_birth(cell).map(|birth| match birth {
            Birth::Day(day) => json!(day.to_string()),
            Birth::Part(part) => json!(part.to_string()),
        }),
        Kind::From => day::read_begin(cell).map(|at| json!(at)),
        Kind::Until => day::read_end(cell).map(|at| json!(at)),
        Kind::OptionalUntil => day::read_optional_end(cell).map(|at| json!(at)),
        Kind::Flag => flag(cell),
        Kind::Number => {
            let wrong = |_| ("eine ganze Zahl schreiben", "write a whole number").into();
            cell.parse::<u32>().map(|number| json!(number)).map_err(wrong)
        }
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
        Kind::Text => written(value),
        Kind::Day => day::german_day(&written(value)),
        Kind::BirthDay => {
            let part = PartialDate::parse(&written(value));
            part.map_or_else(|| day::german_day(&written(value)), day::german_part)
        }
        Kind::From | Kind::Until | Kind::OptionalUntil => day::german_time(&written(value)),
        Kind::Flag => if value == &Value::Bool(true) { "ja" } else { "" }.to_string(),
        Kind::Number => value.as_u64().map(|number| number.to_string()).unwrap_or_default(),
        Kind::Code(list) => list.german_of(&written(value)),
        Kind::Codes(list) => all(&|item| list.german_of(&written(item))),
        Kind::Texts => all(&written),
        Kind::Languages => all(&|item| {
            let level = code::LANGUAGE_LEVEL.german_of(&written(&item["level"]));
            [written(&item["tag"]), level].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
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

fn written(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}

fn items(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// Reads a text that no spreadsheet has rounded and no program has converted twice.
fn text(cell: &str) -> Result<Value, Wording> {
    if is_exponential(cell) {
        return Err(exponential());
    }
    if is_converted_twice(cell) {
        let german = "Buchstaben wurden doppelt umgewandelt (Ã¼ statt ü): die Datei neu ausgeben, als UTF-8";
        return Err((german, "letters were converted twice (Ã¼ in place of ü): export the file anew, as UTF-8").into());
    }
    Ok(json!(cell))
}

/// Returns whether a text has letters of UTF-8 that were read as Windows-1252: `Ã¼`, `Ã¤`, `ÃŸ`.
fn is_converted_twice(text: &str) -> bool {
    text.split('Ã').skip(1).any(|rest| rest.starts_with(['¤', '¶', '¼', 'Ÿ', '„', '–', 'œ', '©', '¨', '±', '§']))
}

fn flag(cell: &str) -> Result<Value, Wording> {
    match fold(cell).as_str() {
        "ja" | "j" | "yes" | "true" | "wahr" | "1" | "x" => Ok(Value::Bool(true)),
        "nein" | "n" | "no" | "false" | "falsch" | "0" => Ok(Value::Bool(false)),
        _ => Err(("ja oder nein schreiben", "write ja or nein").into()),
    }
}

fn language(item: &str) -> Result<Value, Wording> {
    match item.split_once(':') {
        Some((tag, level)) => {
            let level = code::LANGUAGE_LEVEL.read(level)?;
            Ok(json!({ "tag": tag.trim(), "level": level }))
        }
        None => Ok(json!({ "tag": item })),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::agreement::words::Language;

    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_rounded_or_a_program_converted_twice_is_refused() {
        for (cell, says) in [
            ("4,96E+12", "is a rounded number"),
            ("4.96181E+11", "is a rounded number"),
            ("MÃ¼ller", "letters were converted twice"),
            ("GroÃŸmann", "letters were converted twice"),
        ] {
            for kind in [Kind::Text, Kind::Texts] {
                let cell = if kind_is_list(kind) { cell.replace(',', ".") } else { cell.to_string() };
                let wrong = read(kind, &cell).unwrap_err();
                assert!(wrong.text(Language::English).starts_with(says), "{cell}");
            }
        }
        for cell in ["JOÃO", "E+1", "12E", "Müller", "3E", "2026-E+17"] {
            assert_eq!(read(Kind::Text, cell), Ok(json!(cell)));
        }
    }

    fn kind_is_list(kind: Kind) -> bool {
        matches!(kind, Kind::Texts)
    }
}
