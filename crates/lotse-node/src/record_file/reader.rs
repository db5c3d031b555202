//! Reads messages from a file, one after the other.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

use super::cells::{self, CellsError};
use super::column::Column;
use super::lines::{Lines, MAX_LINE_BYTES, Physical, without_mark};
use super::row::Headings;
use super::{Encoding, Format, Malformed, Survey, json};

/// Lines that one record of a CSV file may fill: a note of 4,000 characters has fewer.
const MAX_RECORD_LINES: usize = 200;

/// One line of a file.
pub struct Line<M> {
    /// Its number, from 1; of a record over several lines that of the first.
    pub number: u64,
    /// What it says, or everything that is wrong with it.
    pub content: Result<M, Vec<Malformed>>,
}

/// Reads a file line by line.
pub struct Reader<M, R = BufReader<File>> {
    lines: Lines<R>,
    encoding: Encoding,
    /// None for NDJSON.
    headings: Option<Headings>,
    message: PhantomData<fn() -> M>,
}

impl<M: DeserializeOwned> Reader<M> {
    /// Opens a file after a look at it. The format follows from its name and the encoding from its content unless given.
    pub fn open(
        path: &Path,
        columns: &'static [Column],
        format: Option<Format>,
        encoding: Option<Encoding>,
    ) -> anyhow::Result<(Reader<M>, Survey)> {
        let format = format.map_or_else(|| Format::of(path), Ok)?;
        let open = || File::open(path).with_context(|| format!("cannot read {}", path.display()));
        if !open()?.metadata()?.is_file() {
            bail!("{}: give a file; it is read twice", path.display());
        }
        let survey = Survey::of(BufReader::new(open()?)).with_context(|| path.display().to_string())?;
        let encoding = encoding.unwrap_or(if format == Format::Csv { survey.encoding } else { Encoding::Utf8 });
        let reader = Reader::new(BufReader::new(open()?), columns, format, encoding);
        let reader = reader.with_context(|| path.display().to_string())?;
        let headings = u64::from(format == Format::Csv);
        Ok((reader, Survey { lines: survey.lines.saturating_sub(headings), encoding }))
    }
}

impl<M: DeserializeOwned, R: BufRead> Reader<M, R> {
    /// Begins to read; of a CSV file the line of headings.
    pub fn new(
        source: R,
        columns: &'static [Column],
        format: Format,
        encoding: Encoding,
    ) -> anyhow::Result<Reader<M, R>> {
        let mut lines = Lines::new(source);
        let headings = match format {
            Format::Ndjson => None,
            Format::Csv => Some(read_headings(&mut lines, columns, encoding)?),
        };
        Ok(Reader { lines, encoding, headings, message: PhantomData })
    }

    /// Reads the next line; None at the end.
    pub fn next_line(&mut self) -> io::Result<Option<Line<M>>> {
        while let Some((number, line)) = self.lines.next()? {
            let content = match line {
                Physical::TooLong => Some(Err(vec![Malformed::line(format!("is longer than {MAX_LINE_BYTES} bytes"))])),
                Physical::Text(text) => self.content(without_mark(number, text))?,
            };
            if let Some(content) = content {
                return Ok(Some(Line { number, content }));
            }
        }
        Ok(None)
    }

    /// Returns how the file calls a field of the protocol; None where it has the protocol's own names, or no name for it.
    pub fn name_of(&self, field: &str) -> Option<String> {
        self.headings.as_ref()?.of_field(field)
    }

    /// Understands a line; None if it is a row of empty cells, as spreadsheets leave them at the end.
    fn content(&mut self, text: Vec<u8>) -> io::Result<Option<Result<M, Vec<Malformed>>>> {
        let decoded = match self.encoding.decode(text) {
            Ok(decoded) => decoded,
            Err(wrong) => return Ok(Some(Err(vec![wrong]))),
        };
        let Some(headings) = &self.headings else {
            return Ok(Some(json::read(&decoded).map_err(|wrong| vec![wrong])));
        };
        let cells = match read_cells(&mut self.lines, headings, self.encoding, decoded)? {
            Ok(cells) if cells.iter().all(String::is_empty) => return Ok(None),
            Ok(cells) => cells,
            Err(wrong) => return Ok(Some(Err(vec![wrong]))),
        };
        let message = headings.message(&cells);
        Ok(Some(message.and_then(|value| json::from_value(value).map_err(|wrong| vec![wrong]))))
    }
}

fn read_headings<R: BufRead>(
    lines: &mut Lines<R>,
    columns: &'static [Column],
    encoding: Encoding,
) -> anyhow::Result<Headings> {
    let Some((number, Physical::Text(text))) = lines.next()? else { bail!("there is no line of headings") };
    let text =
        encoding.decode(without_mark(number, text)).map_err(|wrong| anyhow::anyhow!("line {number}: {wrong}"))?;
    let Ok(names) = cells::split(&text) else { bail!("line {number}: a quotation mark in the headings is not closed") };
    Headings::read(columns, &names).map_err(|wrong| anyhow::anyhow!("line {number}: {wrong}"))
}

/// Reads the cells of a record, which may go on over several lines inside quotation marks. If it turns out malformed, the lines
/// after its first are given back, so that one forgotten quotation mark swallows nothing.
fn read_cells<R: BufRead>(
    lines: &mut Lines<R>,
    headings: &Headings,
    encoding: Encoding,
    mut record: String,
) -> io::Result<Result<Vec<String>, Malformed>> {
    let mut taken = Vec::new();
    let wrong = loop {
        match cells::split(&record) {
            Ok(cells) => match headings.check_width(&cells) {
                Ok(()) => return Ok(Ok(cells)),
                Err(wrong) => break wrong,
            },
            Err(CellsError::AfterQuote(column)) => {
                break Malformed::line(format!("column {column}: a quotation mark inside a cell is written twice"));
            }
            Err(CellsError::Open(column)) => {
                let open = Malformed::line(format!("column {column}: a quotation mark is not closed"));
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
