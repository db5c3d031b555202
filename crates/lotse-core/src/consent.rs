//! Consent: what a person agreed to, as it stands towards one recipient.

use crate::category::Categories;
use crate::feedback::FeedbackLevel;
use crate::id::Id;
use crate::purpose::{Purposes, RecordKinds};
use crate::reason::Reason;
use crate::time::Timestamp;

/// How a consent was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConsentForm {
    /// On paper, signed.
    Written = 1,
    /// Electronically.
    Electronic = 2,
    /// Orally, documented by the agency. Never covers a special category (SGB X § 67b para. 2).
    Oral = 3,
}

impl ConsentForm {
    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the form with this number.
    pub fn from_number(number: i32) -> Option<ConsentForm> {
        [ConsentForm::Written, ConsentForm::Electronic, ConsentForm::Oral].into_iter().find(|f| f.number() == number)
    }
}

/// Who gave a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GivenBy {
    /// The subject itself.
    Oneself = 1,
    /// The legal guardian.
    LegalGuardian = 2,
    /// A custodian appointed by a court.
    Custodian = 3,
    /// The person who entrusted the data (SGB VIII § 65).
    EntrustingPerson = 4,
}

impl GivenBy {
    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the value with this number.
    pub fn from_number(number: i32) -> Option<GivenBy> {
        [GivenBy::Oneself, GivenBy::LegalGuardian, GivenBy::Custodian, GivenBy::EntrustingPerson]
            .into_iter()
            .find(|g| g.number() == number)
    }
}

/// Where a recorded consent stands. Only `Given` covers anything; no other state leads back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ConsentState {
    /// In force.
    Given = 1,
    /// Withdrawn as a whole.
    Withdrawn = 2,
    /// Ended by time; a clock that steps back revives nothing.
    Expired = 3,
    /// Replaced by another consent.
    Superseded = 4,
    /// The person refused.
    Refused = 5,
}

impl ConsentState {
    /// Returns the number on the wire and in the database.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the state with this number.
    pub fn from_number(number: i32) -> Option<ConsentState> {
        use ConsentState::*;
        [Given, Withdrawn, Expired, Superseded, Refused].into_iter().find(|s| s.number() == number)
    }
}

/// What was withdrawn towards one recipient. A withdrawal counts from its arrival, before it has taken effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Everything.
    pub whole: bool,
    /// These purposes.
    pub purposes: Purposes,
    /// These categories.
    pub categories: Categories,
}

/// The coverage of a consent towards each recipient that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsentCoverage {
    /// Purposes.
    pub purposes: Purposes,
    /// Record kinds.
    pub record_kinds: RecordKinds,
    /// Categories; special ones only as [`covered`] has them.
    pub categories: Categories,
}

impl ConsentCoverage {
    /// The coverage of a consent that was refused or has ended: nothing.
    pub const NOTHING: ConsentCoverage =
        ConsentCoverage { purposes: Purposes::NONE, record_kinds: RecordKinds::NONE, categories: Categories::NONE };

    /// Returns what another consent, which takes the place of this one, does not cover of it. If it covers none of the purposes, none
    /// of the categories or none of the record kinds, that is everything.
    pub fn without(self, next: ConsentCoverage) -> ConsentCoverage {
        let covers_any = !self.purposes.and(next.purposes).is_empty()
            && !self.record_kinds.and(next.record_kinds).is_empty()
            && !self.categories.and(next.categories).is_empty();
        if !covers_any {
            return self;
        }
        ConsentCoverage {
            purposes: self.purposes.without(next.purposes),
            record_kinds: self.record_kinds.without(next.record_kinds),
            categories: self.categories.without(next.categories),
        }
    }
}

/// Returns those of the named categories that are covered: special ones only where they are named explicitly and the consent was not
/// given orally.
pub fn covered(named: Categories, explicit: Categories, form: ConsentForm) -> Categories {
    let explicit = if form == ConsentForm::Oral { Categories::NONE } else { explicit };
    named.without(named.special().without(explicit))
}

/// A consent as it stands towards one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Identifier given by the recording system.
    pub id: Id,
    /// The subject at this node.
    pub subject: Id,
    /// Where it stands.
    pub state: ConsentState,
    /// Who gave it.
    pub given_by: GivenBy,
    /// How it was given.
    pub form: ConsentForm,
    /// Whether it names this recipient.
    pub names_recipient: bool,
    /// Purposes.
    pub purposes: Purposes,
    /// Record kinds.
    pub record_kinds: RecordKinds,
    /// Categories.
    pub categories: Categories,
    /// Special categories that are named explicitly.
    pub explicit: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether somebody is released from professional secrecy.
    pub releases_from_secrecy: bool,
    /// What was withdrawn towards this recipient.
    pub withdrawn: Withdrawn,
}

impl Consent {
    /// Returns the categories that are covered: those of [`covered`] that were not withdrawn.
    pub fn covered(&self) -> Categories {
        covered(self.categories.without(self.withdrawn.categories), self.explicit, self.form)
    }

    /// Says why the consent covers nothing for this recipient, purpose and record kind; none if it is in force for them.
    pub fn objection(&self, purposes: Purposes, kinds: RecordKinds, at: Timestamp) -> Option<Reason> {
        match self.state {
            ConsentState::Withdrawn => return Some(Reason::ConsentWithdrawn),
            ConsentState::Expired => return Some(Reason::ConsentExpired),
            ConsentState::Superseded => return Some(Reason::ConsentSuperseded),
            ConsentState::Refused => return Some(Reason::ConsentRefused),
            ConsentState::Given => {}
        }
        if !self.names_recipient {
            Some(Reason::ConsentOtherRecipient)
        } else if !self.purposes.contains_all(purposes) {
            Some(Reason::ConsentOtherPurpose)
        } else if !self.record_kinds.contains_all(kinds) {
            Some(Reason::ConsentOtherRecordKind)
        } else if self.withdrawn.whole || !self.withdrawn.purposes.and(purposes).is_empty() {
            Some(Reason::ConsentWithdrawn)
        } else if self.expires_at <= at {
            Some(Reason::ConsentExpired)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::category::Category;
    use crate::purpose::{Purpose, RecordKind};

    #[test]
    fn what_a_replacing_consent_lacks_is_named_and_nothing_else() {
        let of = |purposes: &[Purpose], categories: &[Category]| ConsentCoverage {
            purposes: purposes.iter().copied().collect(),
            record_kinds: RecordKind::Referral.into(),
            categories: categories.iter().copied().collect(),
        };
        let old = of(&[Purpose::Orientation, Purpose::JobPlacement], &[Category::Identity, Category::Skills]);
        let none = ConsentCoverage::NOTHING;
        assert_eq!(old.without(old), none);
        let wider =
            of(&[Purpose::Orientation, Purpose::JobPlacement], &[Category::Identity, Category::Skills, Category::Note]);
        assert_eq!(old.without(wider), none);
        let fewer = of(&[Purpose::Orientation], &[Category::Identity, Category::Contact]);
        let lacking =
            ConsentCoverage { purposes: Purpose::JobPlacement.into(), categories: Category::Skills.into(), ..none };
        assert_eq!(old.without(fewer), lacking);
        for other in [
            none,
            of(&[Purpose::Rehabilitation], &[Category::Identity]),
            of(&[Purpose::Orientation], &[Category::Note]),
        ] {
            assert_eq!(old.without(other), old, "nothing of it is covered any more");
        }
    }
}
