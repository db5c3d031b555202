//! A line of cells and the message it stands for, as proto JSON.

use lotse_core::agreement::words::Language;
use serde_json::{Map, Value};

use super::column::{self, Column, Heading};
use super::{Flaw, cell, cells};
use crate::wording::Wording;

/// Items of a list that are written in columns of their own.
pub const MAX_WRITTEN_ITEMS: usize = 5;

/// The headings of a file.
pub struct Headings {
    columns: &'static [Column],
    /// None where there is no heading.
    found: Vec<Option<Heading>>,
}

impl Headings {
    /// Finds the columns of a line of headings. Unknown ones are refused by their place, repeated ones by name.
    pub(super) fn read(columns: &'static [Column], names: &[String]) -> Result<Headings, Wording> {
        if names.len() == 1 {
            let german = "die Zeile mit den Überschriften hat nur eine Spalte: `;` zwischen die Spalten setzen";
            return Err((german, "the line of headings has one column: put `;` between columns").into());
        }
        let mut headings: Vec<Option<Heading>> = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            if name.is_empty() {
                headings.push(None);
                continue;
            }
            let heading = column::find(columns, name).map_err(|wrong| in_column(place, &wrong))?;
            let same = |other: &&Heading| other.column.path == heading.column.path && other.item == heading.item;
            if let Some(first) = headings.iter().flatten().find(same) {
                let german = format!("die Spalten `{}` und `{name}` bedeuten dasselbe: eine streichen", first.name);
                return Err((german, format!("columns `{}` and `{name}` mean the same: keep one", first.name)).into());
            }
            headings.push(Some(heading));
        }
        Ok(Headings { columns, found: headings })
    }

    /// Returns the heading of the column that fills a field of the protocol: as it stands in the file, or the German one where the file
    /// has none, or several with numbers; of several values in a cell, which one.
    pub(super) fn of_field(&self, field: &str, language: Language) -> Option<String> {
        let column = column::of_field(self.columns, field)?;
        let mut written = self.found.iter().flatten().filter(|heading| heading.column.path == column.path);
        let name = match (written.next(), written.next()) {
            (Some(heading), None) => &heading.name,
            _ => column.german,
        };
        let place = field.strip_suffix(']').and_then(|field| field.rsplit_once('[')?.1.parse::<usize>().ok());
        let value = |place: usize| {
            language.choose((format!("{name}, Wert {}", place + 1), format!("{name}, value {}", place + 1)))
        };
        Some(place.map_or_else(|| name.to_string(), value))
    }

    /// Tells whether a line has as many cells as there are headings; empty ones at its end do not count.
    pub(super) fn check_width(&self, cells: &[String]) -> Result<(), Flaw> {
        let wide = cells.len() > self.found.len() && cells[self.found.len()..].iter().any(|cell| !cell.is_empty());
        if wide || cells.len() < self.found.len() {
            let (cells, headings) = (cells.len(), self.found.len());
            let german = format!("hat {cells} Zellen zu {headings} Überschriften; Zellen mit `;` in \"…\" setzen");
            let english = format!("has {cells} cells for {headings} headings; put \"…\" around cells with `;`");
            return Err(Flaw::line((german, english)));
        }
        Ok(())
    }

    /// Reads a line as proto JSON; empty cells are not given. All that is wrong is told.
    pub(super) fn message(&self, cells: &[String]) -> Result<Value, Vec<Flaw>> {
        let (mut message, mut wrong) = (Value::Object(Map::new()), Vec::new());
        for (place, (heading, cell)) in
            self.found.iter().zip(cells).enumerate().filter(|(_, (_, cell))| !cell.is_empty())
        {
            let Some(heading) = heading else {
                wrong.push(Flaw::line(in_column(place, &NO_HEADING.into())));
                continue;
            };
            match cell::read(heading.column.kind, cell) {
                Ok(value) => {
                    let path = heading.column.path_of(&value);
                    put(&mut message, path.split('.'), heading.item, value);
                }
                Err(allowed) => wrong.push(Flaw::field(&heading.name, allowed)),
            }
        }
        drop_gaps(&mut message);
        if wrong.is_empty() { Ok(message) } else { Err(wrong) }
    }
}

/// The fault of a cell without heading.
const NO_HEADING: (&str, &str) = ("hat eine Zelle, aber keine Überschrift", "has a cell, but no heading");

/// Adds the number of a column, from 1, to a sentence.
fn in_column(index: usize, wording: &Wording) -> Wording {
    let (german, english) = (wording.text(Language::German), wording.text(Language::English));
    (format!("Spalte {}: {german}", index + 1), format!("column {}: {english}", index + 1)).into()
}

/// Puts a value to its place; `#` in the path is the item.
fn put<'a>(at: &mut Value, mut path: impl Iterator<Item = &'a str>, item: usize, value: Value) {
    let Some(part) = path.next() else {
        *at = value;
        return;
    };
    let next = if part == "#" {
        if !at.is_array() {
            *at = Value::Array(Vec::new());
        }
        let Value::Array(items) = at else { return };
        if items.len() <= item {
            items.resize(item + 1, Value::Null);
        }
        &mut items[item]
    } else {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        &mut at[part]
    };
    put_boxed(next, &mut path, item, value);
}

/// Goes on with the rest of a path; behind a pointer, because the path's type would grow with each step.
fn put_boxed(at: &mut Value, path: &mut dyn Iterator<Item = &str>, item: usize, value: Value) {
    put(at, path, item, value);
}

/// Takes out items of lists that no cell gave.
fn drop_gaps(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(drop_gaps);
        }
        Value::Object(fields) => fields.values_mut().for_each(drop_gaps),
        _ => {}
    }
}

/// Returns the German headings of columns and the cells of a message in proto JSON. Of a list, [`MAX_WRITTEN_ITEMS`] items have
/// columns.
pub fn cells_of<'a>(columns: impl IntoIterator<Item = &'a Column>, message: &Value) -> Vec<(String, String)> {
    let mut written = Vec::new();
    for column in columns {
        let items = if column.path.contains('#') { MAX_WRITTEN_ITEMS } else { 1 };
        for item in 0..items {
            let value = get(message, column.path.split('.'), item).filter(|value| value.as_str() != Some(""));
            let partial = || get(message, column.partial_path?.split('.'), item);
            let value = value.or_else(partial);
            let text = value.map(|value| cell::write(column.kind, value)).unwrap_or_default();
            written.push((column.german.replace('#', &(item + 1).to_string()), text));
        }
    }
    written
}

fn get<'a>(message: &'a Value, path: std::str::Split<'_, char>, item: usize) -> Option<&'a Value> {
    let mut at = message;
    for part in path {
        at = if part == "#" { at.get(item)? } else { at.get(part)? };
    }
    Some(at)
}

/// Writes cells as a line, without its end; a cell that a spreadsheet would take for a formula gets an apostrophe.
pub fn write_row(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(cell::guarded).collect();
    cells::join(cells.iter().map(String::as_str))
}
