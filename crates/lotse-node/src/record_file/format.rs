//! The two formats.

use std::path::Path;

use anyhow::bail;
use clap::ValueEnum;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line, one message as proto JSON.
    Ndjson,
    /// `;` between columns, a line of headings.
    Csv,
}

impl Format {
    /// Finds the format of a file by the end of its name.
    pub fn of(path: &Path) -> anyhow::Result<Format> {
        let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
        match end.as_deref() {
            Some("csv" | "txt") => Ok(Format::Csv),
            Some("ndjson" | "jsonl" | "json") => Ok(Format::Ndjson),
            _ => bail!("{}: name the format with --format ndjson or --format csv", path.display()),
        }
    }
}
