//! Where events are written, so that they are there before they are acknowledged.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
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
    /// Opens a file to write on at its end, or standard output; a new one begins with `heading`, and one that is there must have begun so,
    /// or with an object where there is none.
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
                check_beginning(&mut file, heading.as_deref().unwrap_or("{"))?;
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

/// Refuses a file of another format, or of other columns: lines of two kinds in one file can no longer be told apart.
fn check_beginning(file: &mut File, wanted: &str) -> std::io::Result<()> {
    let mut beginning = Vec::with_capacity(wanted.len());
    file.take(wanted.len() as u64).read_to_end(&mut beginning)?;
    if beginning == wanted.as_bytes() {
        return Ok(());
    }
    let other = "it begins otherwise than a file of this format: give another --out, or the --format that it has";
    Err(std::io::Error::new(ErrorKind::InvalidData, other))
}

/// Ends a line that was cut off when a writer was killed. Its event was not acknowledged and comes again.
fn end_last_line(file: &mut File) -> std::io::Result<()> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" { file.write_all(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_file_goes_on_in_its_format_and_in_no_other() {
        let terminal = Terminal::to(Arc::new(Mutex::new(Vec::new())));
        let folder = tempfile::tempdir().unwrap();
        let [table, objects] = ["table.csv", "objects.ndjson"].map(|name| folder.path().join(name));
        let write = |path: &Path, heading: Option<&str>, line: &str| {
            Sink::open(&terminal, Some(path), heading.map(str::to_owned))?.write(&[line.to_owned()])
        };
        for _ in 0..2 {
            write(&table, Some("Cursor;Ereignis"), "1;x").unwrap();
            write(&objects, None, "{}").unwrap();
        }
        for (path, heading) in [(&table, None), (&objects, Some("Cursor;Ereignis")), (&table, Some("Cursor;Vorgang"))] {
            let refused = format!("{:#}", write(path, heading, "1").unwrap_err());
            assert!(refused.contains("give another --out, or the --format that it has"), "{refused}");
        }
        assert_eq!(fs::read_to_string(&table).unwrap(), "Cursor;Ereignis\n1;x\n1;x\n");
        assert_eq!(fs::read_to_string(&objects).unwrap(), "{}\n{}\n");
    }
}
