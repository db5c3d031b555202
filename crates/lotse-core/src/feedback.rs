//! What the holder of a referral may report back.

use serde::{Deserialize, Serialize};

use crate::set::{Member, Set};

/// What the holder of a referral may report back to its owner. Each level includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum FeedbackLevel {
    /// Nothing.
    None = 1,
    /// Codes of state and their dates.
    Status = 2,
    /// The outcome code too.
    Outcome = 3,
    /// A note and named categories too.
    Full = 4,
}

impl FeedbackLevel {
    /// Every level, in the order of the wire's numbers.
    pub const ALL: [FeedbackLevel; 4] =
        [FeedbackLevel::None, FeedbackLevel::Status, FeedbackLevel::Outcome, FeedbackLevel::Full];

    /// The level of a consent that names none.
    pub const USUAL: FeedbackLevel = FeedbackLevel::Status;

    /// Returns the name in agreements and messages.
    pub const fn name(self) -> &'static str {
        match self {
            FeedbackLevel::None => "none",
            FeedbackLevel::Status => "status",
            FeedbackLevel::Outcome => "outcome",
            FeedbackLevel::Full => "full",
        }
    }

    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the level with this number.
    pub fn from_number(number: i32) -> Option<FeedbackLevel> {
        FeedbackLevel::ALL.into_iter().find(|level| level.number() == number)
    }
}

/// A set of feedback levels.
pub type FeedbackLevels = Set<FeedbackLevel>;

impl Member for FeedbackLevel {
    const ALL: &'static [FeedbackLevel] = &FeedbackLevel::ALL;

    fn bit(self) -> u32 {
        self as u32
    }

    fn label(self) -> &'static str {
        self.name()
    }
}
