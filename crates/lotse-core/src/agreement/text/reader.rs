//! Reads the tables of a TOML text and gathers everything that is wrong with them.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{DeserializeOwned, IntoDeserializer, value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{FINDINGS, TextError};
use crate::time::Date;

/// Years in which a day of an agreement can lie.
const YEARS: RangeInclusive<u16> = 2000..=2199;

/// What is wrong with a text, each with its byte offset.
#[derive(Default)]
pub(super) struct Findings(RefCell<Vec<(usize, String)>>);

impl Findings {
    pub(super) fn add(&self, offset: usize, message: String) {
        self.0.borrow_mut().push((offset, message));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// Lists the findings in the order of their lines.
    pub(super) fn listed(self, source: &str) -> Vec<TextError> {
        let mut found = self.0.into_inner();
        found.sort_by_key(|&(offset, _)| offset);
        found.truncate(FINDINGS);
        found.into_iter().map(|(offset, message)| TextError { line: line(source, offset), message }).collect()
    }
}

fn line(source: &str, offset: usize) -> usize {
    let before = &source.as_bytes()[..offset.min(source.len())];
    before.iter().filter(|&&byte| byte == b'\n').count() + 1
}

/// Tells whether a character makes the text around it run in another direction than it is stored.
pub(crate) fn changes_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table of which all keys are known.
pub(super) struct Section<'a> {
    table: &'a DeTable<'a>,
    offset: usize,
    findings: &'a Findings,
}

impl<'a> Section<'a> {
    /// Takes a table and refuses keys that are not in the list.
    pub(super) fn new(table: &'a DeTable<'a>, offset: usize, keys: &[&str], findings: &'a Findings) -> Section<'a> {
        for (key, _) in table.iter().filter(|(key, _)| !keys.contains(&key.get_ref().as_ref())) {
            let message = format!("unknown key {:?}: use one of {}", key.get_ref(), keys.join(", "));
            findings.add(key.span().start, message);
        }
        Section { table, offset, findings }
    }

    /// Finds a field that may be missing.
    pub(super) fn find(&self, key: &'static str) -> Option<Field<'a>> {
        let value = self.table.get(key)?;
        Some(Field { key, value, findings: self.findings })
    }

    /// Finds a field that must be there.
    pub(super) fn need(&self, key: &'static str) -> Option<Field<'a>> {
        let found = self.find(key);
        if found.is_none() {
            self.refuse(format!("{key} is missing: add it"));
        }
        found
    }

    /// Finds something wrong with the table as a whole.
    pub(super) fn refuse(&self, message: String) {
        self.findings.add(self.offset, message);
    }
}

/// A value with its key. Each reading method returns nothing after it has told what is wrong.
pub(super) struct Field<'a> {
    key: &'static str,
    value: &'a Spanned<DeValue<'a>>,
    findings: &'a Findings,
}

impl<'a> Field<'a> {
    /// Finds something wrong with the value.
    pub(super) fn refuse(&self, message: impl Display) {
        self.findings.add(self.value.span().start, format!("{}: {message}", self.key));
    }

    fn refused<T>(&self, message: impl Display) -> Option<T> {
        self.refuse(message);
        None
    }

    /// Reads a text of one line.
    pub(super) fn text(&self, longest: usize) -> Option<String> {
        let text = self.str()?;
        if text.trim().is_empty() {
            self.refused("the text is empty: write it")
        } else if text.chars().count() > longest {
            self.refused(format!("the text has more than {longest} characters: shorten it"))
        } else if text.chars().any(|character| character.is_control() || changes_direction(character)) {
            self.refused("the text has line breaks or invisible characters: write it as one line, or end lines with \\")
        } else {
            Some(text.to_string())
        }
    }

    /// Reads a text that has a form of its own.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.str()?.parse().map_err(|error| self.refuse(error)).ok()
    }

    /// Reads a text with a function that says what is wrong with it.
    pub(super) fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, &'static str>) -> Option<T> {
        read(self.str()?).map_err(|error| self.refuse(error)).ok()
    }

    /// Reads a word of a closed list.
    pub(super) fn word<T: DeserializeOwned>(&self) -> Option<T> {
        let read: Result<T, value::Error> = T::deserialize(self.str()?.into_deserializer());
        read.map_err(|error| self.refuse(error.to_string().replace("unknown variant", "unknown word"))).ok()
    }

    /// Reads a list of words, none twice.
    pub(super) fn words<T: DeserializeOwned + PartialEq>(&self) -> Option<Vec<T>> {
        let items = self.items(0..=usize::MAX)?;
        let mut words = Vec::new();
        let mut complete = true;
        for item in items {
            match item.word() {
                Some(word) if words.contains(&word) => item.refuse("named twice: name it once"),
                Some(word) => words.push(word),
                None => complete = false,
            }
        }
        complete.then_some(words)
    }

    /// Reads a whole number.
    pub(super) fn number(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.value.get_ref().as_integer();
        let number = number.and_then(|digits| u32::from_str_radix(digits.as_str(), digits.radix()).ok());
        match number.filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => self.refused(format!("give a whole number from {} to {}", range.start(), range.end())),
        }
    }

    /// Reads a calendar day.
    pub(super) fn day(&self) -> Option<Date> {
        let day = self.value.get_ref().as_datetime().filter(|at| at.time.is_none()).and_then(|at| at.date);
        let day = day.filter(|day| YEARS.contains(&day.year)).and_then(|day| {
            let year = i16::try_from(day.year).ok()?;
            Date::new(year, i8::try_from(day.month).ok()?, i8::try_from(day.day).ok()?).ok()
        });
        match day {
            Some(day) => Some(day),
            None => self.refused(format!(
                "give a day of the years {} to {} without quotes and time, such as 2026-12-01",
                YEARS.start(),
                YEARS.end()
            )),
        }
    }

    /// Reads a list.
    pub(super) fn items(&self, count: RangeInclusive<usize>) -> Option<Vec<Field<'a>>> {
        let Some(items) = self.value.get_ref().as_array() else {
            return self.refused("give a list in [ ]");
        };
        if !count.contains(&items.len()) {
            self.refuse(format!("{} given, {} to {} are possible", items.len(), count.start(), count.end()));
        }
        Some(items.iter().map(|value| Field { key: self.key, value, findings: self.findings }).collect())
    }

    /// Reads a table.
    pub(super) fn section(&self, keys: &[&str]) -> Option<Section<'a>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Section::new(table, self.value.span().start, keys, self.findings)),
            _ => self.refused(format!("give a table with {}", keys.join(", "))),
        }
    }

    fn str(&self) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => self.refused("give a text in quotes"),
        }
    }
}
