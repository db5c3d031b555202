//! Reads messages from a file, one after the other.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use lotse_core::agreement::words::Language;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cells::{self, CellsError};
use super::column::Column;
use super::encoding::unclear_letters;
use super::lines::{Lines, MAX_LINE_BYTES, Physical, without_marks};
use super::row::Headings;
use super::{Encoding, Flaw, Format, Malformed, Survey, head, json};
use crate::wire::text::composed;
use crate::wording::Wording;

/// Lines that one record of a CSV file may fill: a note of 4,000 characters has fewer.
const MAX_RECORD_LINES: usize = 200;

/// One line of a file.
pub struct Line<M> {
    /// Its number, from 1; of a record over several lines that of the first.
    pub number: u64,
    /// What it says, or everything that is wrong with it.
    pub content: Result<M, Vec<Malformed>>,
}

/// A message that stands in a line of a file.
pub trait Record: Message + Clone + Default + Serialize + DeserializeOwned {}

impl<M: Message + Clone + Default + Serialize + DeserializeOwned> Record for M {}

/// Choices for reading a file that do not follow from the file.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Its format.
    pub format: Option<Format>,
    /// Its encoding.
    pub encoding: Option<Encoding>,
    /// The language of messages.
    pub language: Language,
}

/// Reads a file line by line.
pub struct Reader<M, R = BufReader<File>> {
    lines: Lines<R>,
    columns: &'static [Column],
    encoding: Encoding,
    language: Language,
    /// None for NDJSON.
    headings: Option<Headings>,
    message: PhantomData<fn() -> M>,
}

impl<M: Record> Reader<M> {
    /// Opens a file after a look at it. The format follows from its name and the encoding from its content unless given.
    pub fn open(path: &Path, columns: &'static [Column], settings: Settings) -> anyhow::Result<(Reader<M>, Survey)> {
        let open = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
        if !open()?.metadata()?.is_file() {
            bail!("{}: give a file; it is read twice", path.display());
        }
        let say = |wording: Wording| anyhow!("{}: {}", path.display(), wording.text(settings.language));
        if let Some(obstacle) = head::find_obstacle(open()?)? {
            return Err(say(obstacle));
        }
        let format = settings.format.map_or_else(|| Format::of(path), Ok)?;
        let survey = Survey::of(BufReader::new(open()?)).with_context(|| path.display().to_string())?;
        let found = if format == Format::Csv { survey.encoding } else { Some(Encoding::Utf8) };
        let encoding = settings.encoding.or(found).ok_or_else(|| say(unclear_letters()))?;
        let reader = Reader::new(BufReader::new(open()?), columns, format, encoding, settings.language);
        let reader = reader.with_context(|| path.display().to_string())?;
        let lines = survey.lines.saturating_sub(reader.lines.read_so_far());
        Ok((reader, Survey { lines, encoding: Some(encoding) }))
    }
}

impl<M: Record, R: BufRead> Reader<M, R> {
    /// Begins to read; of a CSV file the line of headings.
    pub fn new(
        source: R,
        columns: &'static [Column],
        format: Format,
        encoding: Encoding,
        language: Language,
    ) -> anyhow::Result<Reader<M, R>> {
        let mut lines = Lines::new(source);
        let headings = match format {
            Format::Ndjson => None,
            Format::Csv => Some(read_headings(&mut lines, columns, encoding, language)?),
        };
        Ok(Reader { lines, columns, encoding, language, headings, message: PhantomData })
    }

    /// Reads the next line; None at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Line<M>>> {
        while let Some((number, line)) = self.lines.next()? {
            let content = match line {
                Physical::TooLong => Some(Err(vec![too_long()])),
                Physical::Text(text) => self.content(without_marks(text))?,
            };
            if let Some(content) = content {
                let in_language =
                    |wrong: Vec<Flaw>| wrong.iter().map(|flaw| flaw.to_malformed(self.language)).collect();
                return Ok(Some(Line { number, content: content.map_err(in_language) }));
            }
        }
        Ok(None)
    }

    /// Returns how the file calls a field of the protocol; None where it has the protocol's own names, or no name for it.
    pub fn name_of(&self, field: &str) -> Option<String> {
        self.headings.as_ref()?.of_field(field, self.language)
    }

    /// Understands a line; None if it is a row of empty cells, as spreadsheets leave them at the end.
    fn content(&mut self, text: Vec<u8>) -> io::Result<Option<Result<M, Vec<Flaw>>>> {
        let decoded = match self.encoding.decode(text) {
            Ok(decoded) => decoded,
            Err(wrong) => return Ok(Some(Err(vec![wrong]))),
        };
        let Some(headings) = &self.headings else {
            let read = json::read(self.columns, &decoded).map(with_composed_texts);
            return Ok(Some(read.map_err(|wrong| vec![wrong])));
        };
        let cells = match read_cells(&mut self.lines, headings, self.encoding, decoded)? {
            Ok(cells) if cells.iter().all(String::is_empty) => return Ok(None),
            Ok(cells) => cells,
            Err(wrong) => return Ok(Some(Err(vec![wrong]))),
        };
        let message = headings.message(&cells);
        let read = message.and_then(|value| json::from_value(value).map_err(|wrong| vec![wrong]));
        Ok(Some(read.map(with_composed_texts)))
    }
}

/// Composes the letters of all texts, so that the key of a line does not depend on how a program writes an umlaut.
fn with_composed_texts<M: Record>(message: M) -> M {
    match composed(&message) {
        Cow::Owned(composed) => composed,
        Cow::Borrowed(_) => message,
    }
}

fn too_long() -> Flaw {
    let german = format!("ist länger als {MAX_LINE_BYTES} Bytes");
    Flaw::line((german, format!("is longer than {MAX_LINE_BYTES} bytes")))
}

/// Builds the error of a line.
fn in_line(number: u64, flaw: &Flaw, language: Language) -> anyhow::Error {
    anyhow!("{} {number}: {}", language.choose(("Zeile", "line")), flaw.wording.text(language))
}

fn read_headings<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &'static [Column],
    encoding: Encoding,
    language: Language,
) -> anyhow::Result<Headings> {
    loop {
        let Some((number, Physical::Text(text))) = lines.next()? else {
            bail!(language.choose(("es gibt keine Zeile mit Überschriften", "there is no line of headings")))
        };
        let said = |flaw: &Flaw| in_line(number, flaw, language);
        let text = encoding.decode(without_marks(text)).map_err(|flaw| said(&flaw))?;
        if let Some(separator) = named_separator(&text) {
            if separator != ";" {
                let german = "nennt ein anderes Trennzeichen als `;`: die Datei mit `;` zwischen den Spalten speichern";
                let english = "names another separator than `;`: save the file with `;` between columns";
                return Err(said(&Flaw::line((german, english))));
            }
            continue;
        }
        let german = "ein Anführungszeichen in den Überschriften ist nicht geschlossen";
        let open = |_| said(&Flaw::line((german, "a quotation mark in the headings is not closed")));
        let names = cells::split(&text).map_err(open)?;
        return Headings::read(columns, &names).map_err(|wrong| said(&Flaw::line(wrong)));
    }
}

/// Returns the separator that a first line `sep=;` names, as Excel reads it.
fn named_separator(line: &str) -> Option<&str> {
    let (name, separator) = line.trim_matches('"').split_once('=')?;
    name.eq_ignore_ascii_case("sep").then_some(separator.trim_end())
}

/// Reads the cells of a record, which may go on over several lines inside quotation marks. If it turns out malformed, the lines
/// after its first are given back, so that one forgotten quotation mark swallows nothing.
fn read_cells<R: BufRead>(
    lines: &mut Lines<R>,
    headings: &Headings,
    encoding: Encoding,
    mut record: String,
) -> io::Result<Result<Vec<String>, Flaw>> {
    let mut taken = Vec::new();
    let wrong = loop {
        match cells::split(&record) {
            Ok(cells) => match headings.check_width(&cells) {
                Ok(()) => return Ok(Ok(cells)),
                Err(wrong) => break wrong,
            },
            Err(CellsError::AfterQuote(column)) => {
                let german = format!("Spalte {column}: ein Anführungszeichen in einer Zelle wird doppelt geschrieben");
                let english = format!("column {column}: a quotation mark inside a cell is written twice");
                break Flaw::line((german, english));
            }
            Err(CellsError::Open(column)) => {
                let german = format!("Spalte {column}: ein Anführungszeichen ist nicht geschlossen");
                let open = Flaw::line((german, format!("column {column}: a quotation mark is not closed")));
                if taken.len() >= MAX_RECORD_LINES || record.len() > MAX_LINE_BYTES {
                    break open;
                }
                let Some((number, Physical::Text(text))) = lines.next_or_empty()? else { break open };
                let decoded = encoding.decode(text.clone());
                taken.push((number, text));
                let Ok(decoded) = decoded else { break open };
                record.push('\n');
                record.push_str(&decoded);
            }
        }
    };
    lines.give_back(taken);
    Ok(Err(wrong))
}
