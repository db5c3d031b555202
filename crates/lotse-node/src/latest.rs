//! The newest referrals of each person towards or from each agency: who hands one over or fetches one learns that another is open. Only
//! memory knows them, and a start reads the newest ones again: an index over random ids would cost each commit a page for nearly every
//! row. What is not known here is not pointed out.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lotse_core::id::{AgencyId, Id};

use crate::bounded_map::BoundedMap;

/// Limit for persons that are kept, about 5 MiB; the one that was noted first goes first.
pub const KEPT_PERSONS: usize = 32_768;

/// Limit for referrals that are kept of one person.
const KEPT_REFERRALS: usize = 4;

/// A person and an agency; the agency's name as its hash, because there are many persons.
type Key = (Id, u64);

/// The newest referrals of each person, by the id under which this node knows the person towards or from an agency.
pub struct LatestReferrals {
    hasher: RandomState,
    /// Newest first for each person.
    kept: Mutex<BoundedMap<Key, Vec<Id>>>,
}

impl Default for LatestReferrals {
    fn default() -> LatestReferrals {
        LatestReferrals { hasher: RandomState::new(), kept: Mutex::new(BoundedMap::new(KEPT_PERSONS)) }
    }
}

impl LatestReferrals {
    /// Notes a referral as the newest of its person.
    pub fn note(&self, person: Id, agency: &AgencyId, referral: Id) {
        let (key, mut kept) = (self.key(person, agency), self.lock());
        match kept.get_mut(key) {
            Some(referrals) if referrals.contains(&referral) => {}
            Some(referrals) => {
                referrals.insert(0, referral);
                referrals.truncate(KEPT_REFERRALS);
            }
            None => kept.insert(key, vec![referral]),
        }
    }

    /// Returns the referrals of a person, newest first.
    pub fn all(&self, person: Id, agency: &AgencyId) -> Vec<Id> {
        self.lock().get(self.key(person, agency)).cloned().unwrap_or_default()
    }

    /// Returns the newest referral of a person before this one: the newest of all, if this one is not known.
    pub fn before(&self, person: Id, agency: &AgencyId, referral: Id) -> Option<Id> {
        let kept = self.lock();
        let referrals = kept.get(self.key(person, agency))?;
        let older = referrals.iter().position(|known| *known == referral).map_or(0, |at| at + 1);
        referrals.get(older).copied()
    }

    /// Forgets a referral that is no longer open.
    pub fn forget(&self, person: Id, agency: &AgencyId, referral: Id) {
        if let Some(referrals) = self.lock().get_mut(self.key(person, agency)) {
            referrals.retain(|known| *known != referral);
        }
    }

    fn key(&self, person: Id, agency: &AgencyId) -> Key {
        (person, self.hasher.hash_one(agency.as_str()))
    }

    fn lock(&self) -> MutexGuard<'_, BoundedMap<Key, Vec<Id>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Id::from_bytes(bytes)
    }

    #[test]
    fn the_newest_of_each_person_and_agency_are_kept_and_no_more() {
        let latest = LatestReferrals::default();
        let [one, other] = ["aa.example", "bb.example"].map(|name| name.parse().unwrap());
        (1..=6).for_each(|number| latest.note(id(1), &one, id(number)));
        latest.note(id(1), &one, id(5)); // known already
        latest.note(id(1), &other, id(9));
        assert_eq!(latest.all(id(1), &one), [6, 5, 4, 3].map(id));
        let new = id(0);
        assert_eq!((latest.before(id(1), &other, new), latest.before(id(2), &one, new)), (Some(id(9)), None));
        let older = |referral| latest.before(id(1), &one, id(referral));
        assert_eq!(
            (older(6), older(4), older(3)),
            (Some(id(5)), Some(id(3)), None),
            "of one that is known, the one before"
        );
        latest.forget(id(1), &one, id(6));
        assert_eq!(latest.before(id(1), &one, new), Some(id(5)));
        (0..KEPT_PERSONS as u64).for_each(|number| latest.note(id(100 + number), &one, id(7)));
        assert_eq!(latest.all(id(1), &one), []);
        assert_eq!(latest.all(id(100), &one), [id(7)]);
    }
}
