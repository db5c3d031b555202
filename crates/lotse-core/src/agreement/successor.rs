//! The next version of an agreement: when it may follow and whose seals it needs.

use std::collections::BTreeSet;

use super::{Agreement, CHANGE_NOTICE};
use crate::id::{AgencyId, Id};
use crate::time::Timestamp;

/// Why a version cannot follow another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuccessorError {
    /// It has another id.
    #[error(
        "the new version has the id {next}, the one before {previous}: keep the id, or start an agreement of its own"
    )]
    OtherAgreement {
        /// Id of the one before.
        previous: Id,
        /// Its own id.
        next: Id,
    },
    /// Its version is not higher.
    #[error("the new version is numbered {next}, the one before {previous}: give a higher number")]
    VersionNotHigher {
        /// Version of the one before.
        previous: u32,
        /// Its own version.
        next: u32,
    },
    /// It begins before the parties had time to change over.
    #[error(
        "the new version begins at {begins}, which is less than 24 hours ahead: let it begin at {earliest} or later"
    )]
    TooSoon {
        /// When it begins.
        begins: Timestamp,
        /// When it may begin.
        earliest: Timestamp,
    },
}

/// Checks a version against the one before and returns the agencies whose seals it needs.
///
/// `at` is the time at which it is offered or completed. It keeps the id, has a higher number and begins at least
/// [`CHANGE_NOTICE`] ahead. The first version of an agreement follows nothing and needs no notice: ask [`sealers`]
/// only.
pub fn check_successor(
    previous: &Agreement,
    next: &Agreement,
    at: Timestamp,
) -> Result<BTreeSet<AgencyId>, Vec<SuccessorError>> {
    let mut errors = Vec::new();
    if next.id != previous.id {
        errors.push(SuccessorError::OtherAgreement { previous: previous.id, next: next.id });
    }
    if next.version <= previous.version {
        errors.push(SuccessorError::VersionNotHigher { previous: previous.version, next: next.version });
    }
    let earliest = at.plus(CHANGE_NOTICE);
    if next.valid_from < earliest {
        errors.push(SuccessorError::TooSoon { begins: next.valid_from, earliest });
    }
    if errors.is_empty() { Ok(sealers(Some(previous), next)) } else { Err(errors) }
}

/// Returns the agencies whose seals a version needs: all its parties and all parties of the one before. Who leaves
/// seals its leaving notice that way.
pub fn sealers(previous: Option<&Agreement>, next: &Agreement) -> BTreeSet<AgencyId> {
    let before = previous.into_iter().flat_map(|agreement| &agreement.parties);
    before.chain(&next.parties).map(|party| party.agency.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agency::AgencyKind;
    use crate::agreement::tests::{agency, agreement, at, party};
    use std::time::Duration;

    #[test]
    fn a_new_version_needs_the_seals_of_old_and_new_parties() {
        let previous = agreement(1, 1);
        let mut next = Agreement { valid_from: at(10), ..agreement(1, 2) };
        next.parties[1] = party("ja.example", AgencyKind::YouthOffice);
        let needed = check_successor(&previous, &next, at(9)).unwrap();
        assert_eq!(needed, [agency("aa.example"), agency("ja.example"), agency("jc.example")].into());
    }

    #[test]
    fn a_first_version_needs_the_seals_of_its_parties() {
        assert_eq!(sealers(None, &agreement(1, 1)), [agency("aa.example"), agency("jc.example")].into());
    }

    #[test]
    fn a_new_version_begins_a_day_ahead_at_the_earliest() {
        let next = Agreement { valid_from: at(10), ..agreement(1, 2) };
        let late = at(9).plus(Duration::from_micros(1));
        let earliest = at(10).plus(Duration::from_micros(1));
        let too_soon = SuccessorError::TooSoon { begins: at(10), earliest };
        assert_eq!(check_successor(&agreement(1, 1), &next, late), Err(vec![too_soon]));
        assert!(check_successor(&agreement(1, 1), &next, at(9)).is_ok());
    }

    #[test]
    fn a_new_version_keeps_the_id_and_counts_on() {
        let next = Agreement { valid_from: at(10), ..agreement(2, 2) };
        let errors = check_successor(&agreement(1, 2), &next, at(5)).unwrap_err();
        assert!(matches!(errors[0], SuccessorError::OtherAgreement { .. }));
        assert_eq!(errors[1], SuccessorError::VersionNotHigher { previous: 2, next: 2 });
        assert_eq!(errors.len(), 2);
    }
}
