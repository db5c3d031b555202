//! Where commands write: the one place that prints.

use std::fmt::Display;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use lotse_core::agreement::words::Language;
use serde::Serialize;

use crate::foreign::{one_line, visible};
use crate::language::of_environment;

/// Where commands write, and the language of who reads there.
#[derive(Clone)]
pub struct Terminal {
    writer: Arc<Mutex<dyn Write + Send>>,
    language: Language,
}

impl Terminal {
    /// Writes to standard output, for who set the locale of the environment.
    pub fn standard() -> Terminal {
        let language = of_environment(|variable| std::env::var(variable).ok());
        Terminal { writer: Arc::new(Mutex::new(io::stdout())), language }
    }

    /// Writes to something else, in English.
    pub fn to(writer: Arc<Mutex<dyn Write + Send>>) -> Terminal {
        Terminal { writer, language: Language::English }
    }

    /// Returns the language of the reader.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Writes text for people: what hides or changes other text in it is replaced, line breaks stay.
    pub fn line(&self, text: impl Display) -> anyhow::Result<()> {
        self.data(visible(&text.to_string()))
    }

    /// Writes text for people that has foreign text in it and is one line, whatever stands there.
    pub fn one_line(&self, text: impl Display) -> anyhow::Result<()> {
        self.data(one_line(&text.to_string()))
    }

    /// Writes a line for programs, as it is.
    pub fn data(&self, text: impl Display) -> anyhow::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(writer, "{text}")?;
        Ok(writer.flush()?)
    }

    /// Writes a value as JSON.
    pub fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        self.data(serde_json::to_string_pretty(value)?)
    }

    /// Writes rows under headings, in columns.
    pub fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_string()).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| one_line(cell)).collect()).collect();
        let width = |column: usize| {
            let cells = std::iter::once(&headings).chain(&rows).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..headings.len()).map(width).collect();
        for row in std::iter::once(&headings).chain(&rows) {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            self.line(cells.join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Writes to standard error how a command gets on.
    #[expect(clippy::print_stderr, reason = "the one place where commands say how they get on")]
    pub fn note(&self, text: impl Display) {
        eprintln!("{}", visible(&text.to_string()));
    }

    /// Writes to standard error why a command failed.
    #[expect(clippy::print_stderr, reason = "the one place where commands complain")]
    pub fn complain(&self, error: &anyhow::Error) {
        eprintln!("error: {}", visible(&format!("{error:#}")));
    }
}

/// Tells whether a command failed only because nobody reads on, as in `lotse … | head`.
pub(super) fn is_closed(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
