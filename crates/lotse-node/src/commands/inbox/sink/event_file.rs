//! A file of events that is written on at its end, while others rename, remove or cut it.
//!
//! What was written is confirmed as imported, and the node destroys the content. So lines count as written only when they are on
//! the disk and the path leads to the file that has them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::plain_file;

/// How often lines are written anew because the file was moved before they were on the disk. Whoever moves it more often than that
/// does not rotate files.
const MAX_MOVES: usize = 5;

/// What may stand before the beginning of a file: put there so that spreadsheets read it as UTF-8.
pub(super) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What a file of events begins with.
#[derive(Clone)]
pub(in crate::commands::inbox) struct Beginning {
    /// The line of headings, if the format has one. A new file begins with a byte order mark and it.
    pub(in crate::commands::inbox) heading: Option<String>,
    /// What the first line begins with in a format without headings.
    pub(in crate::commands::inbox) first_line: &'static str,
}

impl Beginning {
    /// Returns what a file that has more than its beginning must begin with, after a byte order mark.
    fn wanted(&self) -> String {
        self.heading.as_ref().map_or_else(|| self.first_line.to_string(), |heading| format!("{heading}\n"))
    }

    /// Returns what is written into a new file.
    fn new_file(&self) -> String {
        self.heading.as_ref().map(|heading| format!("{BYTE_ORDER_MARK}{heading}\n")).unwrap_or_default()
    }

    /// Finds out what a file holds from its first bytes.
    fn judge(&self, first: &[u8]) -> Found {
        let wanted = self.wanted();
        let text = first.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(first);
        // A spreadsheet or an editor ends lines in its own way.
        let text: Vec<u8> = text.iter().copied().filter(|&byte| byte != b'\r').collect();
        if text.starts_with(wanted.as_bytes()) {
            return Found::Ours;
        }
        let is_cut_off = wanted.as_bytes().starts_with(&text) || BYTE_ORDER_MARK.as_bytes().starts_with(first);
        if is_cut_off { Found::CutOff } else { Found::Other }
    }
}

/// What a file holds.
enum Found {
    /// Events in this format, with these columns.
    Ours,
    /// Nothing, or a part of the beginning: the disk was full or the writer was killed.
    CutOff,
    /// Something else.
    Other,
}

/// An open file of events.
pub(in crate::commands::inbox) struct EventFile {
    path: PathBuf,
    beginning: Beginning,
    /// Locked as long as this lives.
    file: File,
}

impl EventFile {
    /// Opens a file to write on at its end; it is made if it is not there.
    pub(super) fn open(path: &Path, beginning: Beginning) -> anyhow::Result<EventFile> {
        let file = open(path, &beginning).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(EventFile { path: path.to_owned(), beginning, file })
    }

    /// Returns where the file lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes lines and makes them durable. If the path leads to another file by then, the lines are written there, too. Returns
    /// whether that was so.
    pub(super) fn write(&mut self, lines: &[String]) -> anyhow::Result<bool> {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        for moves in 0..=MAX_MOVES {
            if self.is_in_place()? && append(&mut self.file, &text)? && self.is_in_place()? {
                return Ok(moves > 0);
            }
            let _ = self.file.unlock(); // the same file may only have been cut
            self.file = open(&self.path, &self.beginning)
                .with_context(|| format!("cannot open {} anew, which was moved or removed", self.path.display()))?;
        }
        bail!("{} was moved {MAX_MOVES} times while lines were written to it", self.path.display())
    }

    /// Tells whether the path leads to the open file, and that still has its beginning.
    fn is_in_place(&self) -> io::Result<bool> {
        let beginning = self.beginning.heading.as_ref().map_or(0, String::len);
        Ok(plain_file::is_at(&self.file, &self.path)? && self.file.metadata()?.len() >= beginning as u64)
    }
}

/// Writes a text to the end of a file, whole or not at all. Returns whether the file still has it when it is on the disk: whoever cuts
/// a file while it is written cuts that off, too.
fn append(file: &mut File, text: &str) -> anyhow::Result<bool> {
    let before = file.metadata()?.len();
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
        // A part of a line would stay in the way of the next one. If it cannot be cut off, the next start ends it.
        let _ = file.set_len(before);
        return Err(error.into());
    }
    Ok(file.metadata()?.len() >= before + text.len() as u64)
}

/// Opens a file, checks what it holds and writes what is missing at its beginning or end.
fn open(path: &Path, beginning: &Beginning) -> anyhow::Result<File> {
    if let Ok(about) = std::fs::metadata(path) {
        plain_file::check_plain(&about)?;
    }
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    plain_file::check_plain(&file.metadata()?)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another command writes to it: give each its own --out"),
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut first = Vec::new();
    // Room for a byte order mark and for a carriage return.
    let size = beginning.wanted().len() + BYTE_ORDER_MARK.len() + 1;
    (&mut file).take(size as u64).read_to_end(&mut first)?;
    match beginning.judge(&first) {
        Found::Ours => end_last_line(&mut file)?,
        Found::CutOff => {
            file.set_len(0)?;
            append(&mut file, &beginning.new_file())?;
            file.sync_all()?;
            plain_file::sync_folder(path)?;
        }
        // Lines of two kinds in one file can no longer be told apart.
        Found::Other => {
            bail!("it begins otherwise than a file of this format: give another --out, or the --format that it has")
        }
    }
    Ok(file)
}

/// Ends a line that was cut off when a writer was killed. Its event was not acknowledged and comes again.
fn end_last_line(file: &mut File) -> io::Result<()> {
    if plain_file::is_cut_off(file)? { file.write_all(b"\n") } else { Ok(()) }
}

#[cfg(test)]
mod tests;
