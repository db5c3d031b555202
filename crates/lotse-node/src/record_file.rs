//! Files of records as agencies' systems export and import them: NDJSON (one line, one message as proto JSON) and CSV as German
//! agencies write it (`;` between columns, UTF-8 or Windows-1252, German or English headings).
//!
//! Files are read line by line in constant memory. A line that cannot be understood is told with its number, its column or
//! field and what is allowed, in German or English; what stands in it is never repeated, because it may be personal data.

mod cell;
mod cells;
mod code;
mod column;
mod columns;
mod day;
mod encoding;
mod format;
mod head;
mod json;
mod lines;
mod reader;
mod row;
mod word;

#[cfg(test)]
mod tests;

use lotse_core::agreement::words::Language;

use crate::wording::Wording;

pub use cell::guarded;
pub use code::{category, purpose};
pub use column::{Column, columns_of};
pub use columns::{CONSENT, REFERRAL};
pub use day::{begin, day, end, german_day, german_time};
pub use encoding::{Encoding, Survey};
pub use format::Format;
pub use reader::{Line, Reader, Record, Settings};
pub use row::{Headings, MAX_WRITTEN_ITEMS, cells_of, write_row};
pub(crate) use word::distance;

/// A fault in a line, in both languages, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Flaw {
    /// Column or field; empty where it is the line as a whole.
    field: String,
    /// What is allowed.
    wording: Wording,
}

impl Flaw {
    /// Builds a flaw of the line as a whole.
    fn line(wording: impl Into<Wording>) -> Flaw {
        Flaw { field: String::new(), wording: wording.into() }
    }

    /// Builds a flaw of a column or field.
    fn field(field: impl Into<String>, wording: impl Into<Wording>) -> Flaw {
        Flaw { field: field.into(), wording: wording.into() }
    }

    /// Writes it in a language.
    fn to_malformed(&self, language: Language) -> Malformed {
        Malformed { message: self.wording.text(language).to_string(), field: self.field.clone() }
    }
}

/// What is wrong with a line, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Column or field; empty where it is the line as a whole.
    pub field: String,
    /// What is allowed.
    pub message: String,
}

impl Malformed {
    /// Says what is wrong with the line as a whole.
    pub fn line(message: impl Into<String>) -> Malformed {
        Malformed { field: String::new(), message: message.into() }
    }

    /// Says what is wrong with a column or field.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Malformed {
        Malformed { field: field.into(), message: message.into() }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.field.as_str() {
            "" => f.write_str(&self.message),
            field => write!(f, "{field}: {}", self.message),
        }
    }
}
