//! What a record may be used for, and what kind of record it is.

use serde::{Deserialize, Serialize};

use crate::set::{Member, Set};

/// What a record may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Purpose {
    /// First orientation towards the competent office.
    Orientation = 1,
    /// Participation in working life of people with disabilities.
    Rehabilitation = 2,
    /// Joint case work at the passage from school to work.
    YouthTransition = 3,
    /// Placement into vocational training.
    TrainingPlacement = 4,
    /// Placement into work.
    JobPlacement = 5,
    /// Handover because another agency became competent.
    CompetenceHandover = 6,
}

impl Purpose {
    /// Every value, in the order of the wire's numbers.
    pub const ALL: [Purpose; 6] = [
        Purpose::Orientation,
        Purpose::Rehabilitation,
        Purpose::YouthTransition,
        Purpose::TrainingPlacement,
        Purpose::JobPlacement,
        Purpose::CompetenceHandover,
    ];

    /// Returns the name in agreements and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Purpose::Orientation => "orientation",
            Purpose::Rehabilitation => "rehabilitation",
            Purpose::YouthTransition => "youth_transition",
            Purpose::TrainingPlacement => "training_placement",
            Purpose::JobPlacement => "job_placement",
            Purpose::CompetenceHandover => "competence_handover",
        }
    }

    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the value with this number.
    pub fn from_number(number: i32) -> Option<Purpose> {
        Purpose::ALL.into_iter().find(|value| value.number() == number)
    }
}

/// What kind of record a release carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RecordKind {
    /// A person who needs another agency's help.
    Referral = 1,
    /// A job that an employer registered.
    Vacancy = 2,
    /// A course or other measure.
    Measure = 3,
    /// A demand for places, without persons.
    Demand = 4,
}

impl RecordKind {
    /// Every value, in the order of the wire's numbers.
    pub const ALL: [RecordKind; 4] =
        [RecordKind::Referral, RecordKind::Vacancy, RecordKind::Measure, RecordKind::Demand];

    /// Returns the name in agreements and messages.
    pub const fn name(self) -> &'static str {
        match self {
            RecordKind::Referral => "referral",
            RecordKind::Vacancy => "vacancy",
            RecordKind::Measure => "measure",
            RecordKind::Demand => "demand",
        }
    }

    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the value with this number.
    pub fn from_number(number: i32) -> Option<RecordKind> {
        RecordKind::ALL.into_iter().find(|value| value.number() == number)
    }
}

/// A set of purposes.
pub type Purposes = Set<Purpose>;

/// A set of record kinds.
pub type RecordKinds = Set<RecordKind>;

impl Member for Purpose {
    const ALL: &'static [Purpose] = &Purpose::ALL;

    fn bit(self) -> u32 {
        self as u32
    }

    fn label(self) -> &'static str {
        self.name()
    }
}

impl Member for RecordKind {
    const ALL: &'static [RecordKind] = &RecordKind::ALL;

    fn bit(self) -> u32 {
        self as u32
    }

    fn label(self) -> &'static str {
        self.name()
    }
}
