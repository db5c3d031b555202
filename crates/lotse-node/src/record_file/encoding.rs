//! Encodings of CSV files, and what is found out about a file before it is read.

use std::io::BufRead;

use anyhow::bail;
use clap::ValueEnum;

use super::Malformed;
use super::lines::{Lines, Physical};

/// How letters are written as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Encoding {
    /// UTF-8, with or without byte order mark.
    #[value(name = "utf-8")]
    Utf8,
    /// Windows-1252, which contains ISO 8859-1: what older German programs write.
    #[value(name = "windows-1252")]
    Windows1252,
}

/// What may stand at the beginning of a UTF-8 file.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// 0x80 to 0x9f in Windows-1252; NUL where nothing is assigned.
const HIGH: [char; 32] = [
    '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’', '“', '”', '•',
    '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
];

impl Encoding {
    /// Reads the letters of a line.
    pub(super) fn decode(self, bytes: Vec<u8>) -> Result<String, Malformed> {
        match self {
            Encoding::Utf8 => String::from_utf8(bytes).map_err(|_| Malformed::line("is not UTF-8: see --encoding")),
            Encoding::Windows1252 => {
                let letters = bytes.into_iter().map(|byte| match byte {
                    0x80..=0x9f => Some(HIGH[usize::from(byte - 0x80)]).filter(|&letter| letter != '\0'),
                    byte => Some(char::from(byte)),
                });
                let text: Option<String> = letters.collect();
                text.ok_or_else(|| Malformed::line("has a byte that Windows-1252 does not know: see --encoding"))
            }
        }
    }
}

/// What a first look at a file tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Lines that are not empty.
    pub lines: u64,
    /// Encoding: Windows-1252 only if there are letters beyond ASCII and no line has them as UTF-8, so that one damaged line
    /// in a UTF-8 file is refused instead of misread.
    pub encoding: Encoding,
}

impl Survey {
    /// Looks through a file once.
    pub fn of(reader: impl BufRead) -> anyhow::Result<Survey> {
        let mut lines = Lines::new(reader);
        let (mut count, mut utf8, mut other) = (0, false, false);
        while let Some((number, line)) = lines.next()? {
            count += 1;
            let Physical::Text(bytes) = line else { continue };
            if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
                bail!("the file is UTF-16: save it as UTF-8 (in Excel: \"CSV UTF-8\")");
            }
            utf8 |= number == 1 && bytes.starts_with(BYTE_ORDER_MARK);
            match std::str::from_utf8(&bytes) {
                Ok(text) => utf8 |= !text.is_ascii(),
                Err(_) => other = true,
            }
        }
        let encoding = if other && !utf8 { Encoding::Windows1252 } else { Encoding::Utf8 };
        Ok(Survey { lines: count, encoding })
    }
}
