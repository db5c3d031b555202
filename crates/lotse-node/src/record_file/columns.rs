//! The mapping tables: one line per column.

mod consent;
mod referral;

pub use consent::CONSENT;
pub use referral::REFERRAL;

use super::column::{Column, Kind};

/// Makes one line of a mapping table: English heading, German heading, place in the proto JSON, how cells are written.
const fn column(english: &'static str, german: &'static str, path: &'static str, kind: Kind) -> Column {
    Column { english, german, path, kind, synonyms: &[], partial_path: None }
}
