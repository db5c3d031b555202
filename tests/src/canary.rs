//! Canary values: personal data that exist nowhere else, so that each place where they turn up is a place where they leaked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// How every text begins that can hold it.
const STEM: &str = "Kanarienvogel";

/// What stands in fields that cannot hold the stem: dates, digits, codes.
const OTHERS: [&str; 9] = [
    BIRTH_DATE,
    RESIDENCE,
    OBLIGATION,
    OBLIGATION_UNTIL,
    LICENCE,
    LANGUAGE,
    DISABILITY_UNTIL,
    BENEFITS_SINCE,
    "ca0a11e0ca0a11e0",
];

/// Date of birth.
pub const BIRTH_DATE: &str = "1903-02-17";
/// Key of a municipality.
pub const RESIDENCE: &str = "97531864";
/// Key of another one.
pub const OBLIGATION: &str = "86429753";
/// End of a residence obligation.
pub const OBLIGATION_UNTIL: &str = "2091-03-23";
/// A driving licence.
pub const LICENCE: &str = "KNRNVGL8";
/// A language.
pub const LANGUAGE: &str = "qaa-x-kanarien";
/// End of a disability status.
pub const DISABILITY_UNTIL: &str = "2093-07-19";
/// Begin of benefits.
pub const BENEFITS_SINCE: &str = "1903-04-29";

/// The canary of a text field.
pub fn text(field: &str) -> String {
    format!("{STEM}-{field}")
}

/// The canary of a hash in hexadecimal.
pub fn sha256() -> String {
    "ca0a11e0".repeat(8)
}

/// Finds canaries in bytes, in UTF-8 and in UTF-16 of either order; returns what stands around each.
pub fn find(bytes: &[u8]) -> Vec<String> {
    Needles::canaries().find(bytes)
}

/// Finds canaries in all files below a folder; returns where, and what stands around each.
pub fn find_below(folder: &Path) -> Result<Vec<String>> {
    Needles::canaries().find_below(folder)
}

/// What is searched for: bytes, in UTF-8 and in UTF-16 of either order.
pub struct Needles {
    needles: Vec<Vec<u8>>,
    /// Which pairs of bytes a needle begins with: one look per byte is enough for any number of needles.
    begins: Vec<bool>,
}

impl Needles {
    /// Returns all canaries.
    pub fn canaries() -> Needles {
        Needles::of(OTHERS.iter().chain([&STEM]).map(ToString::to_string))
    }

    /// Returns other texts, each of which must be long enough not to stand somewhere by chance.
    pub fn of(texts: impl IntoIterator<Item = String>) -> Needles {
        Needles { needles: Vec::new(), begins: vec![false; 1 << 16] }.and(texts)
    }

    /// Adds other texts.
    #[must_use]
    pub fn and(mut self, texts: impl IntoIterator<Item = String>) -> Needles {
        self.needles.extend(texts.into_iter().flat_map(|text| encodings(&text)));
        self.needles.iter().for_each(|needle| self.begins[pair(needle)] = true);
        self
    }

    /// Finds them in bytes, each once; returns what stands around each.
    pub fn find(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeMap::new();
        for (place, two) in bytes.windows(2).enumerate() {
            if self.begins[pair(two)] {
                for (number, _) in self.needles.iter().enumerate().filter(|(_, it)| bytes[place..].starts_with(it)) {
                    found.entry(number).or_insert_with(|| around(bytes, place));
                }
            }
        }
        found.into_values().collect()
    }

    /// Finds them in all files below a folder; returns where, and what stands around each. A file that goes meanwhile is left out.
    pub fn find_below(&self, folder: &Path) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for path in files_below(folder)? {
            if let Some(bytes) = unless_gone(fs::read(&path))? {
                found.extend(self.find(&bytes).into_iter().map(|around| format!("{}: {around}", path.display())));
            }
        }
        Ok(found)
    }
}

fn unless_gone<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// A text in UTF-8 and in UTF-16, without the zero at either end that tells the byte order.
fn encodings(text: &str) -> BTreeSet<Vec<u8>> {
    let mut little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    little.pop_if(|last| *last == 0);
    if big.first() == Some(&0) {
        big.remove(0);
    }
    BTreeSet::from([text.as_bytes().to_vec(), little, big])
}

/// The first two bytes as one number.
fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

fn around(bytes: &[u8], place: usize) -> String {
    let part = &bytes[place.saturating_sub(120)..(place + 80).min(bytes.len())];
    String::from_utf8_lossy(part).replace('\0', "").escape_debug().to_string()
}

/// All files below a folder.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in unless_gone(fs::read_dir(folder))?.into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canaries_are_found_in_every_encoding_and_amid_bytes_that_are_no_text() {
        assert!(find(b"nothing to see \xff\xfe here").is_empty());
        let name = text("name");
        assert_eq!(find(format!("\u{1}{name}").as_bytes()).len(), 1);
        let little: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [&little, &big] {
            let amid = [&[0xff, 0xd8][..], bytes, &[0x80, 0xc3]].concat();
            assert_eq!(find(&amid).len(), 1, "{amid:?}");
        }
        let other = Needles::of(["Özdemir".to_string()]);
        let utf16: Vec<u8> = "Frau Özdemir kam".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!((other.find(&utf16).len(), other.find("Frau Özdemir kam".as_bytes()).len()), (1, 1));
        assert_eq!(find(format!("born on {BIRTH_DATE}, licence {LICENCE}").as_bytes()).len(), 2);
    }
}
