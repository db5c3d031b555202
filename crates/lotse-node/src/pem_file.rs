//! PEM files (RFC 7468): every section is read, or it is an error with its line.
//!
//! A parser that skips what it does not recognise makes a shorter bundle of a file in which one authority has a byte order mark, a
//! blank or a lost line break before it, and takes an intermediate for the leaf. What stands between sections may be anything.

use rustls::pki_types::pem::{Error, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use zeroize::Zeroizing;

/// Limit for PEM files, 64 MiB: revocation lists of large authorities have tens of MiB.
pub(crate) const PEM_BYTES: u64 = 64 * 1024 * 1024;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A PEM file that cannot be read: the fault and its line. Nothing of the file is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct PemError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: PemFault,
}

/// A fault in a line of a PEM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFault {
    /// The file is no text of one byte per letter.
    #[error("the file is no PEM text: export it as Base64 (PEM), and save it as UTF-8")]
    NoText,
    /// It looks like the first line of a section.
    #[error("this is not how a section begins: write -----BEGIN CERTIFICATE----- with five hyphens before and after")]
    Begin,
    /// It ends a section that has not begun, or another one.
    #[error("a section ends here that did not begin: its first line is missing or damaged")]
    End,
    /// The section that begins here has no end.
    #[error("the section that begins here has no end: the file was cut off, or a line is damaged")]
    Open,
    /// The section that begins here does not hold what it says.
    #[error("the section that begins here cannot be decoded: its Base64 is damaged")]
    Content,
    /// The section that begins here is of an unusual kind.
    #[error(
        "the section that begins here is of a kind that is not read: convert it (openssl x509, openssl crl, openssl pkey)"
    )]
    Kind,
}

/// Reads all certificates of a file.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    objects(pem, &["CERT", "PKCS7", "CMS"])
}

/// Reads all revocation lists of a file.
pub(crate) fn revocation_lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    objects(pem, &["CRL"])
}

/// Reads all private keys of a file.
pub(crate) fn private_keys(pem: &[u8]) -> Result<Vec<PrivateKeyDer<'static>>, PemError> {
    objects(pem, &["PRIVATE KEY"])
}

/// Writes a section, with line breaks as everybody does.
pub(crate) fn armoured(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("{BEGIN}{label}{DASHES}\n{}\n{END}{label}{DASHES}\n", lines.join("\n"))
}

/// Reads the sections of one kind; others are skipped, unless a word of their label says that they were meant for it.
fn objects<T: PemObject>(pem: &[u8], words: &[&str]) -> Result<Vec<T>, PemError> {
    let mut found = Vec::new();
    for section in sections(pem)? {
        let parsed = match <(SectionKind, Vec<u8>)>::from_pem_slice(section.text.as_bytes()) {
            Ok((kind, der)) => T::from_pem(kind, der),
            Err(Error::NoItemsFound) => None,
            Err(_) => return Err(PemError { line: section.line, fault: PemFault::Content }),
        };
        let is_meant = words.iter().any(|word| section.label.contains(word)) && !section.label.ends_with("REQUEST");
        match parsed {
            Some(object) => found.push(object),
            None if is_meant => return Err(PemError { line: section.line, fault: PemFault::Kind }),
            None => {}
        }
    }
    Ok(found)
}

/// One section as it stands in a file, without what editors put around its lines.
struct PemSection {
    /// Line on which it begins.
    line: usize,
    /// What it says that it holds.
    label: String,
    /// All of it, lines ended by a line feed.
    text: Zeroizing<String>,
}

/// Takes a file apart.
fn sections(pem: &[u8]) -> Result<Vec<PemSection>, PemError> {
    let fault = |line, fault| PemError { line, fault };
    if pem.contains(&0) {
        return Err(fault(1, PemFault::NoText));
    }
    // Letters of comments may be in any encoding.
    let text = Zeroizing::new(String::from_utf8_lossy(pem).into_owned());
    let (mut found, mut open): (Vec<PemSection>, Option<PemSection>) = (Vec::new(), None);
    for (line, number) in lines(&text).zip(1..) {
        // Files joined without a line break have the end of one section and the beginning of the next on one line.
        let (line, rest) = split_joined(line);
        for part in [Some(line), rest].into_iter().flatten() {
            match (part.strip_prefix(BEGIN).and_then(|label| label.strip_suffix(DASHES)), &mut open) {
                (Some(_), Some(section)) => return Err(fault(section.line, PemFault::Open)),
                (Some(label), None) => open = Some(PemSection::begin(number, label)),
                (None, Some(section)) => {
                    section.push(part);
                    if part.starts_with(END) {
                        if !section.is_ended_by(part) {
                            return Err(fault(number, PemFault::End));
                        }
                        found.extend(open.take());
                    }
                }
                (None, None) if looks_like(part, "BEGIN") => return Err(fault(number, PemFault::Begin)),
                (None, None) if looks_like(part, "END") => return Err(fault(number, PemFault::End)),
                (None, None) => {}
            }
        }
    }
    match open {
        Some(section) => Err(fault(section.line, PemFault::Open)),
        None => Ok(found),
    }
}

/// Returns the lines of a text, whatever ends them, without blanks and byte order marks around them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let around = |letter: char| letter == '\u{feff}' || letter.is_whitespace();
    let unix = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    unix.flat_map(|line| line.split('\r')).map(move |line| line.trim_matches(around))
}

/// Splits a line on which a section ends and another begins.
fn split_joined(line: &str) -> (&str, Option<&str>) {
    let place = line.strip_prefix(END).and_then(|_| line.find(BEGIN));
    place.map_or((line, None), |place| (line[..place].trim_end_matches(['\u{feff}', ' ', '\t']), Some(&line[place..])))
}

/// Tells whether a line outside of sections was meant to begin or end one: before the word are no letters, and behind it is a label.
fn looks_like(line: &str, word: &str) -> bool {
    let Some((before, label)) = line.split_once(word) else { return false };
    let is_first = !before.chars().any(char::is_alphanumeric);
    is_first && ["CERT", "CRL", "KEY", "PKCS", "CMS"].iter().any(|part| label.contains(part))
}

impl PemSection {
    fn begin(line: usize, label: &str) -> PemSection {
        let label = label.trim().to_owned();
        let text = Zeroizing::new(format!("{BEGIN}{label}{DASHES}\n"));
        PemSection { line, label, text }
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn is_ended_by(&self, line: &str) -> bool {
        line.strip_prefix(END)
            .and_then(|label| label.strip_suffix(DASHES))
            .is_some_and(|label| label.trim() == self.label)
    }
}

#[cfg(test)]
mod tests;
