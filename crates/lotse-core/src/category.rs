//! Data categories: the unit in which clauses and consents allow personal data to leave.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::set::{Member, Set};

/// A data category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Category {
    /// Name, date of birth, sex.
    Identity = 1,
    /// Address, telephone, e-mail.
    Contact = 2,
    /// Place of residence.
    Residence = 3,
    /// Residence title.
    ResidenceTitle = 4,
    /// Whether the person may work.
    WorkPermission = 5,
    /// School and vocational education.
    Education = 6,
    /// Earlier work.
    WorkHistory = 7,
    /// Languages.
    Languages = 8,
    /// Skills and target occupations.
    Skills = 9,
    /// Mobility.
    Mobility = 10,
    /// Household and care duties.
    Household = 11,
    /// Benefits received.
    Benefits = 12,
    /// Disability status (special).
    DisabilityStatus = 13,
    /// Health restrictions (special).
    Health = 14,
    /// Help under SGB VIII (special).
    YouthHelp = 15,
    /// Free text (special).
    Note = 16,
}

impl Category {
    /// Every value, in the order of the wire's numbers.
    pub const ALL: [Category; 16] = [
        Category::Identity,
        Category::Contact,
        Category::Residence,
        Category::ResidenceTitle,
        Category::WorkPermission,
        Category::Education,
        Category::WorkHistory,
        Category::Languages,
        Category::Skills,
        Category::Mobility,
        Category::Household,
        Category::Benefits,
        Category::DisabilityStatus,
        Category::Health,
        Category::YouthHelp,
        Category::Note,
    ];

    /// Returns the name in agreements and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Category::Identity => "identity",
            Category::Contact => "contact",
            Category::Residence => "residence",
            Category::ResidenceTitle => "residence_title",
            Category::WorkPermission => "work_permission",
            Category::Education => "education",
            Category::WorkHistory => "work_history",
            Category::Languages => "languages",
            Category::Skills => "skills",
            Category::Mobility => "mobility",
            Category::Household => "household",
            Category::Benefits => "benefits",
            Category::DisabilityStatus => "disability_status",
            Category::Health => "health",
            Category::YouthHelp => "youth_help",
            Category::Note => "note",
        }
    }

    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the value with this number.
    pub fn from_number(number: i32) -> Option<Category> {
        Category::ALL.into_iter().find(|value| value.number() == number)
    }

    /// Tells whether explicit consent, never oral, is needed (GDPR Art. 9, SGB X § 67b, SGB VIII §§ 64, 65; free text can
    /// contain anything).
    pub const fn is_special(self) -> bool {
        matches!(self, Category::DisabilityStatus | Category::Health | Category::YouthHelp | Category::Note)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of categories.
pub type Categories = Set<Category>;

impl Member for Category {
    const ALL: &'static [Category] = &Category::ALL;

    fn bit(self) -> u32 {
        self as u32
    }

    fn label(self) -> &'static str {
        self.name()
    }
}

impl Categories {
    /// Returns the special categories of the set.
    pub fn special(self) -> Categories {
        self.iter().filter(|category| category.is_special()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_what_is_put_into_it() {
        let set: Categories = [Category::Identity, Category::Note].into_iter().collect();
        assert!(set.contains(Category::Note) && !set.contains(Category::Health));
        assert_eq!(Categories::from_bits(set.bits()), set);
        assert_eq!(set.without(Category::Note.into()).to_string(), "identity");
        assert_eq!(set.special(), Category::Note.into());
        assert!(set.contains_all(Category::Identity.into()) && !set.contains_all(Category::Health.into()));
    }
}
