//! Canary values: personal data that exist nowhere else, so that each place where they turn up is a place where they leaked.

use std::fs;
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
pub const BIRTH_DATE: &str = "1893-02-17";
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
    // What is no UTF-8 is replaced, and what is searched for is ASCII: nothing that matches gets lost.
    let text = String::from_utf8_lossy(bytes);
    let needles = OTHERS.iter().chain([&STEM]).flat_map(|needle| [(*needle).to_string(), spread(needle)]);
    needles.filter_map(|needle| text.find(&needle).map(|place| around(&text, place))).collect()
}

/// UTF-16 of ASCII text, without the zero at either end that tells the byte order.
fn spread(text: &str) -> String {
    text.chars().map(String::from).collect::<Vec<_>>().join("\0")
}

fn around(text: &str, place: usize) -> String {
    let from = text.floor_char_boundary(place.saturating_sub(120));
    let until = text.ceil_char_boundary((place + 80).min(text.len()));
    text[from..until].replace('\0', "").escape_debug().to_string()
}

/// Finds canaries in all files below a folder; returns where, and what stands around each.
pub fn find_below(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in files_below(folder)? {
        found.extend(find(&fs::read(&path)?).into_iter().map(|around| format!("{}: {around}", path.display())));
    }
    Ok(found)
}

/// All files below a folder.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
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
        assert_eq!(find(format!("born on {BIRTH_DATE}, licence {LICENCE}").as_bytes()).len(), 2);
    }
}
