//! Where events are written, so that they are there before they are acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::commands::terminal::Terminal;

/// Where events are written.
pub(super) enum Sink {
    /// Standard output.
    Terminal(Terminal),
    /// A file, written on at its end.
    File(File),
}

impl Sink {
    /// Opens a file to write on at its end, or standard output; a new one begins with `heading`.
    pub(super) fn open(terminal: &Terminal, file: Option<&Path>, heading: Option<String>) -> anyhow::Result<Sink> {
        let Some(path) = file else {
            heading.iter().try_for_each(|heading| terminal.data(heading))?;
            return Ok(Sink::Terminal(terminal.clone()));
        };
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
            if file.metadata()?.len() == 0 {
                heading.iter().try_for_each(|heading| writeln!(file, "{heading}"))?;
            } else {
                end_last_line(&mut file)?;
            }
            Ok(file)
        };
        Ok(Sink::File(open().with_context(|| format!("cannot write {}", path.display()))?))
    }

    /// Writes lines; when it returns they are on the disk, or handed to whoever reads standard output.
    pub(super) fn write(&mut self, lines: &[String]) -> anyhow::Result<()> {
        match self {
            Sink::Terminal(terminal) => lines.iter().try_for_each(|line| terminal.data(line)),
            Sink::File(file) => {
                let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
                let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_data());
                written.context("cannot write events: they stay in the inbox")
            }
        }
    }
}

/// Ends a line that was cut off when a writer was killed. Its event was not acknowledged and comes again.
fn end_last_line(file: &mut File) -> std::io::Result<()> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}
