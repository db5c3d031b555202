//! Encodings of CSV files, and what is found out about a file before it is read.

mod letters;
mod tables;

use std::io::BufRead;

use clap::ValueEnum;

use super::Flaw;
use super::lines::{Lines, Physical, without_marks};
use crate::wording::Wording;
use letters::Letters;
use tables::{CP850, MACINTOSH, WINDOWS_1252};

/// How letters are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// UTF-8, with or without byte order mark.
    #[value(name = "utf-8")]
    Utf8,
    /// Windows-1252, which contains ISO 8859-1: what older German programs write.
    #[value(name = "windows-1252")]
    Windows1252,
    /// Code page 850: what DOS programs write, and Excel as "CSV (MS-DOS)".
    #[value(name = "cp850")]
    Cp850,
    /// Mac OS Roman: what Excel writes as "CSV (Macintosh)".
    #[value(name = "macintosh")]
    Macintosh,
}

/// What may stand at the beginning of a UTF-8 file.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Encoding {
    /// Reads the letters of a line.
    pub(super) fn decode(self, bytes: Vec<u8>) -> Result<String, Flaw> {
        let table = match self {
            Encoding::Utf8 => {
                let german = "ist kein UTF-8: siehe --encoding";
                return String::from_utf8(bytes).map_err(|_| Flaw::line((german, "is not UTF-8: see --encoding")));
            }
            Encoding::Windows1252 => &WINDOWS_1252,
            Encoding::Cp850 => &CP850,
            Encoding::Macintosh => &MACINTOSH,
        };
        let letter = |byte: u8| match byte.checked_sub(0x80) {
            None => Some(char::from(byte)),
            Some(index) => Some(table[usize::from(index)]).filter(|&letter| letter != '\0'),
        };
        let german = "hat ein Byte, das Windows-1252 nicht kennt: siehe --encoding";
        let unknown = || Flaw::line((german, "has a byte that Windows-1252 does not know: see --encoding"));
        bytes.into_iter().map(letter).collect::<Option<String>>().ok_or_else(unknown)
    }
}

/// What a first look at a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Lines that are not empty.
    pub lines: u64,
    /// Encoding: Windows-1252 only if there are letters beyond ASCII and no line has them as UTF-8, so that one damaged line
    /// in a UTF-8 file is refused instead of misread; none if the letters look like those of DOS or of a Mac.
    pub encoding: Option<Encoding>,
}

impl Survey {
    /// Looks through a file once.
    pub fn of(reader: impl BufRead) -> anyhow::Result<Survey> {
        let mut lines = Lines::new(reader);
        let (mut count, mut utf8, mut other) = (0, false, false);
        let mut letters = Letters::default();
        while let Some((_, line)) = lines.next()? {
            count += 1;
            let Physical::Text(bytes) = line else { continue };
            utf8 |= bytes.starts_with(BYTE_ORDER_MARK);
            let bytes = without_marks(bytes);
            match std::str::from_utf8(&bytes) {
                Ok(text) => utf8 |= !text.is_ascii(),
                Err(_) => {
                    other = true;
                    letters.add(&bytes);
                }
            }
        }
        let encoding = match other && !utf8 {
            false => Some(Encoding::Utf8),
            true => letters.are_windows_1252().then_some(Encoding::Windows1252),
        };
        Ok(Survey { lines: count, encoding })
    }
}

/// Returns the advice about a file whose letters look like those of DOS or of a Mac.
pub(super) fn unclear_letters() -> Wording {
    let german = "die Buchstaben sehen nach DOS oder Macintosh aus: --encoding cp850 oder --encoding macintosh angeben \
                  (sind es Windows-Buchstaben: --encoding windows-1252), oder die Datei als UTF-8 speichern";
    let english = "the letters look like those of DOS or Macintosh: give --encoding cp850 or --encoding macintosh \
                   (--encoding windows-1252 if they are those of Windows), or save the file as UTF-8";
    (german, english).into()
}
