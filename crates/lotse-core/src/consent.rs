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
    /// Returns the categories that are covered: those named and not withdrawn; special ones only where they are named
    /// explicitly and the consent was not given orally.
    pub fn covered(&self) -> Categories {
        let explicit = if self.form == ConsentForm::Oral { Categories::NONE } else { self.explicit };
        let named = self.categories.without(self.withdrawn.categories);
        named.without(named.special().without(explicit))
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
