//! The list of certificates that the small authority issued and revoked, a JSON object per line. The running node makes a log entry of
//! each line: commands of the authority work without the node, and beside it.

use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::plain_file;

/// Longest line that is read, bytes.
const MAX_LINE_BYTES: usize = 4096;

/// Something that the authority did with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateActKind {
    /// It was issued.
    Issued,
    /// It was revoked.
    Revoked,
}

/// A certificate that was issued or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateAct {
    /// The act.
    pub act: CertificateActKind,
    /// The time of the act, RFC 3339.
    pub at: String,
    /// The identity in the certificate; empty where only a serial number was given.
    #[serde(default)]
    pub identity: String,
    /// The serial number, hexadecimal.
    pub serial: String,
}

/// Appends acts to the list, durably. A line that a crash cut off is ended before: it must not spoil the next one.
pub fn append(path: &Path, acts: &[CertificateAct]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    let mut text = if plain_file::is_cut_off(&mut file)? { "\n".to_owned() } else { String::new() };
    for act in acts {
        text.push_str(&serde_json::to_string(act)?);
        text.push('\n');
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The acts that were read from the list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CertificateActs {
    /// Acts behind those that were skipped. A line that cannot be read is an act without content.
    pub acts: Vec<Option<CertificateAct>>,
    /// Number of whole lines in the list.
    pub lines: u64,
}

/// Reads the list behind the first lines. A last line without its end is left for later: it is being written.
pub fn read(path: &Path, skip: u64) -> io::Result<CertificateActs> {
    let file = match OpenOptions::new().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(CertificateActs::default()),
        file => file?,
    };
    let (mut found, mut reader, mut line) = (CertificateActs::default(), BufReader::new(file), Vec::new());
    loop {
        line.clear();
        if io::Read::take(&mut reader, MAX_LINE_BYTES as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        if line.last() != Some(&b'\n') && line.len() < MAX_LINE_BYTES {
            return Ok(found);
        }
        found.lines += 1;
        if found.lines > skip {
            found.acts.push(serde_json::from_slice(&line).ok());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(serial: &str) -> CertificateAct {
        CertificateAct {
            act: CertificateActKind::Issued,
            at: "2026-12-01T00:00:00Z".into(),
            identity: "spiffe://jc.example/system/akte".into(),
            serial: serial.into(),
        }
    }

    #[test]
    fn acts_are_read_behind_those_that_are_known_and_a_broken_line_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("acts.ndjson");
        assert_eq!(read(&path, 0).unwrap(), CertificateActs::default());
        append(&path, &[act("01"), act("02")]).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"broken\n").unwrap();
        append(&path, &[act("03")]).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"act\"").unwrap();
        let found = read(&path, 1).unwrap();
        assert_eq!(found.acts, [Some(act("02")), None, Some(act("03"))]);
        assert_eq!(found.lines, 4, "the line that is being written is not there yet");
        append(&path, &[act("04")]).unwrap();
        assert_eq!(read(&path, 4).unwrap().acts, [None, Some(act("04"))], "a crash cut the one before off");
    }
}
