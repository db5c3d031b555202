//! An agreement as TOML: what people write, lawyers read and [`parse`] turns into terms.
//!
//! `time_zone` says where days begin and end: `Europe/Berlin`, which the template writes, or `UTC`, which a text without the key
//! means. `valid_from` is the first day; `valid_until` is the last one, included, as a contract says it. A text is read completely before anything is refused: the author gets every finding with its line at once.

use toml::de::DeTable;

use super::{Agreement, OnEnd};
use crate::id::{Digest, Id};
use crate::time::{Calendar, Timestamp};

mod clause;
mod party;
mod reader;
mod template;

pub use template::template;

pub(crate) use reader::changes_direction;
use reader::{Findings, Section};

/// Longest text, bytes.
pub const SOURCE_BYTES: usize = 1024 * 1024;

/// How many parties an agreement has.
pub const PARTIES: std::ops::RangeInclusive<usize> = 2..=200;

/// How many clauses an agreement has.
pub const CLAUSES: std::ops::RangeInclusive<usize> = 1..=200;

/// How many days a recipient may hold a record, and how many days a register entry is kept.
pub const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=3650;

/// Longest title or name, characters.
pub const NAME_CHARACTERS: usize = 200;

/// Longest legal reference or text of a usual basis, characters.
pub const LEGAL_CHARACTERS: usize = 2000;

/// How many findings are listed at most.
pub const FINDINGS: usize = 100;

const KEYS: &[&str] = &[
    "id",
    "version",
    "title",
    "valid_from",
    "valid_until",
    "time_zone",
    "minimum_schema_level",
    "on_end",
    "parties",
    "clauses",
];

/// One thing that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct TextError {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// An agreement that is written but not yet compiled to the bytes that are sealed: it has no digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft(Agreement);

impl Draft {
    /// Returns the terms, to be shown, checked and encoded. Their digest is all zeros.
    pub fn terms(&self) -> &Agreement {
        &self.0
    }

    /// Turns the draft into an agreement with the digest of its encoded bytes.
    pub fn compiled(self, digest: Digest) -> Agreement {
        Agreement { digest, ..self.0 }
    }
}

/// Reads an agreement's text. Unknown keys are refused; the findings come in the order of their lines, at most
/// [`FINDINGS`].
pub fn parse(source: &str) -> Result<Draft, Vec<TextError>> {
    if source.len() > SOURCE_BYTES {
        let message = format!("the text has more than {SOURCE_BYTES} bytes: split it into several agreements");
        return Err(vec![TextError { line: 1, message }]);
    }
    let findings = Findings::default();
    let (document, syntax_errors) = DeTable::parse_recoverable(source);
    for error in &syntax_errors {
        findings.add(error.span().map_or(0, |span| span.start), error.message().to_string());
    }
    for (offset, character) in source.char_indices().filter(|&(_, character)| reader::changes_direction(character)) {
        findings
            .add(offset, format!("the invisible character {character:?} can make a text read otherwise: remove it"));
    }
    if !findings.is_empty() {
        return Err(findings.listed(source));
    }
    let terms = terms(&Section::new(document.get_ref(), 0, KEYS, &findings), source);
    terms.filter(|_| findings.is_empty()).map(Draft).ok_or_else(|| findings.listed(source))
}

/// Tells whether an agreement's terms are what its source says. A node seals and takes only such: what lawyers read
/// must be what nodes enforce.
pub fn compiled_from_source(agreement: &Agreement) -> bool {
    parse(&agreement.source).is_ok_and(|draft| draft.compiled(agreement.digest) == *agreement)
}

fn terms(top: &Section<'_>, source: &str) -> Option<Agreement> {
    let id = top.need("id").and_then(|field| field.parsed::<Id>());
    let version = top.need("version").and_then(|field| field.number(1..=u32::MAX));
    let title = top.need("title").and_then(|field| field.text(NAME_CHARACTERS));
    let term = term(top);
    let minimum_schema_level = match top.find("minimum_schema_level") {
        Some(field) => field.number(1..=u32::MAX),
        None => Some(1),
    };
    let on_end = top.need("on_end").and_then(|field| field.word::<OnEnd>());
    let parties = party::parties(top);
    let clauses = clause::clauses(top);
    let (valid_from, valid_until) = term?;
    Some(Agreement {
        id: id?,
        version: version?,
        digest: Digest::from_bytes([0; 32]),
        title: title?,
        valid_from,
        valid_until,
        minimum_schema_level: minimum_schema_level?,
        on_end: on_end?,
        parties: parties?,
        clauses: clauses?,
        source: source.to_string(),
    })
}

/// Reads the first and the last day, in the calendar that the text names.
fn term(top: &Section<'_>) -> Option<(Timestamp, Timestamp)> {
    let first = top.need("valid_from").and_then(|field| field.day());
    let last_field = top.need("valid_until");
    let last = last_field.as_ref().and_then(|field| field.day());
    let calendar = match top.find("time_zone") {
        Some(field) => field.word::<Calendar>(),
        None => Some(Calendar::Utc),
    };
    let (first, last, calendar) = (first?, last?, calendar?);
    if last < first {
        last_field?.refuse(format!("the last day {last} lies before the first day {first}: correct one of them"));
        return None;
    }
    Some((calendar.beginning_of(first), calendar.end_of(last)))
}

#[cfg(test)]
pub(super) mod tests;
