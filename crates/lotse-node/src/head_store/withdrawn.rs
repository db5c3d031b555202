//! The list of withdrawals: consent and withdrawal in one line, only ever appended to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
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

/// Appends withdrawals and waits for the disk. Nobody else may append meanwhile.
pub(super) fn append(path: &Path, withdrawals: &[RememberedWithdrawal]) -> io::Result<()> {
    let line = |withdrawal: &RememberedWithdrawal| format!("{} {}\n", withdrawal.consent_id, withdrawal.withdrawal_id);
    let lines: String = withdrawals.iter().map(line).collect();
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    cut_fragment(&mut file)?;
    file.write_all(lines.as_bytes())?;
    file.sync_all()
}

/// Cuts off a line that a crash or a full disk cut short, so that the next one begins on its own. Before each append rather than
/// after one that failed: then the disk may refuse this, too.
fn cut_fragment(file: &mut File) -> io::Result<()> {
    let size_bytes = file.metadata()?.len();
    let mut last = *b"\n";
    file.read_exact_at(&mut last[..size_bytes.min(1) as usize], size_bytes.saturating_sub(1))?;
    if last == *b"\n" {
        return Ok(());
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole_bytes = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    file.set_len(whole_bytes as u64)
}

/// Reads the withdrawals. A line that was cut short was never acknowledged and does not count.
pub(super) fn read(path: &Path) -> io::Result<Vec<RememberedWithdrawal>> {
    let bytes = bytes(path)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(&[][..], |end| &bytes[..end]);
    // What is no text has a sign in its place that no id has.
    String::from_utf8_lossy(whole)
        .lines()
        .zip(1..)
        .map(|(line, number)| parse(line).ok_or_else(|| garbage(number)))
        .collect()
}

/// Says which line is none, and what to do. The line itself is not repeated: nobody knows what it is.
fn garbage(number: usize) -> io::Error {
    let what = format!(
        "line {number} is not a consent and its withdrawal: something else wrote into the file. Put the newest copy of it back, or take \
         out that line alone if no copy is left; every other line is a withdrawal that a restored database must not revive"
    );
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn parse(line: &str) -> Option<RememberedWithdrawal> {
    let (consent, withdrawal) = line.split_once(' ')?;
    Some(RememberedWithdrawal { consent_id: consent.parse().ok()?, withdrawal_id: withdrawal.parse().ok()? })
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read,
    }
}
