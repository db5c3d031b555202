//! The list of withdrawn consents: one id per line, only ever appended to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lotse_core::id::Id;

/// Name of the file.
pub(super) const FILE: &str = "withdrawn.log";

/// Appends ids and waits for the disk.
pub(super) fn append(path: &Path, consents: &[Id]) -> io::Result<()> {
    let lines: String = consents.iter().map(|id| format!("{id}\n")).collect();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())?; // one write: lines of two callers do not mix
    file.sync_all()
}

/// Reads the ids. A line that a crash cut short was never acknowledged and does not count.
pub(super) fn read(path: &Path) -> io::Result<Vec<Id>> {
    let text = text(path)?;
    let broken = |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not an id: {line}"));
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.parse().map_err(|_| broken(line))).collect()
}

/// Cuts off a line that a crash cut short, so that the next one begins on its own.
pub(super) fn mend(path: &Path) -> io::Result<()> {
    let text = text(path)?;
    let whole_bytes = text.rfind('\n').map_or(0, |end| end + 1);
    if whole_bytes == text.len() {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(whole_bytes as u64)?;
    file.sync_all()
}

fn text(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read,
    }
}
