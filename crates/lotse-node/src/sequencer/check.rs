//! Full verification of a stored log: entries, filter columns, tiles, checkpoints, head store and counter, all against each other.
//!
//! `generation` and `entry` are pure: they are handed what is stored. `stored` reads it, on one snapshot of the database.

mod entry;
mod generation;
mod stored;

#[cfg(test)]
mod tests;

use std::fmt;

pub use self::stored::{Writer, verify_stored};

/// The most findings that are listed; more are counted.
const MAX_FINDINGS: usize = 1_000;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The log as a whole.
    Log,
    /// The entry at a leaf index.
    Entry(i64),
    /// The tile at a level and index.
    Tile(i64, i64),
    /// The checkpoint of a size.
    Checkpoint(i64),
    /// The head store.
    Head,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Generation of the log.
    pub generation: i64,
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { generation, place, text } = self;
        match place {
            Place::Log => write!(f, "generation {generation}: {text}"),
            Place::Entry(index) => write!(f, "generation {generation}, entry {index}: {text}"),
            Place::Tile(level, index) => write!(f, "generation {generation}, tile {level}/{index}: {text}"),
            Place::Checkpoint(size) => write!(f, "generation {generation}, checkpoint of size {size}: {text}"),
            Place::Head => write!(f, "generation {generation}, head store: {text}"),
        }
    }
}

/// What was read of one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Generation.
    pub generation: u32,
    /// Entries that are stored.
    pub entries: u64,
    /// Size of the newest signed head.
    pub signed: u64,
    /// Checkpoints whose signature verified.
    pub checkpoints: u64,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What was read.
    pub verified: Vec<Verified>,
    /// What is wrong, at most 1,000.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more: u64,
    /// What is in order and worth knowing.
    pub notes: Vec<String>,
}

impl Report {
    /// Tells whether everything is as it was written.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, generation: impl Into<i64>, place: Place, text: impl Into<String>) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { generation: generation.into(), place, text: text.into() });
        } else {
            self.more += 1;
        }
    }
}
