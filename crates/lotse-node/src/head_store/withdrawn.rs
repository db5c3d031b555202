//! The list of withdrawals: consent and withdrawal in one line, only ever appended to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use lotse_core::id::Id;

/// Name of the file.
pub(super) const FILE: &str = "withdrawn.log";

/// A withdrawal that was answered, or was about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RememberedWithdrawal {
    /// Consent, of which all or a part was withdrawn.
    pub consent_id: Id,
    /// The withdrawal's row in the database.
    pub withdrawal_id: Id,
}

/// Appends withdrawals and waits for the disk.
pub(super) fn append(path: &Path, withdrawals: &[RememberedWithdrawal]) -> io::Result<()> {
    let line = |withdrawal: &RememberedWithdrawal| format!("{} {}\n", withdrawal.consent_id, withdrawal.withdrawal_id);
    let lines: String = withdrawals.iter().map(line).collect();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(lines.as_bytes())?; // one write: lines of two callers do not mix
    file.sync_all()
}

/// Reads the withdrawals. A line that a crash cut short was never acknowledged and does not count.
pub(super) fn read(path: &Path) -> io::Result<Vec<RememberedWithdrawal>> {
    let text = text(path)?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> io::Result<RememberedWithdrawal> {
    let ids = line.split_once(' ').and_then(|(consent, withdrawal)| consent.parse().ok().zip(withdrawal.parse().ok()));
    let broken = || io::Error::new(io::ErrorKind::InvalidData, format!("not a consent and its withdrawal: {line}"));
    ids.map(|(consent_id, withdrawal_id)| RememberedWithdrawal { consent_id, withdrawal_id }).ok_or_else(broken)
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
