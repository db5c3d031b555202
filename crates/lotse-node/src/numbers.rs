//! The numbers that this node had given when it started. By them it learns that it was put back from a backup or a snapshot: a
//! peer has seen later ones. What it has given since counts from the first hello of that peer on, and not before.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lotse_core::id::AgencyId;
use lotse_core::numbers::HighestNumbers;
use lotse_store::counter::none_given;

/// The numbers at the start, and the peers that have been compared since.
pub struct NumbersAtStart {
    generation: u32,
    given: HashMap<AgencyId, HighestNumbers>,
    compared: Mutex<HashSet<AgencyId>>,
}

impl NumbersAtStart {
    /// Keeps what was given towards each peer in the present generation, before anything more is.
    pub fn new(generation: u32, given: HashMap<AgencyId, HighestNumbers>) -> NumbersAtStart {
        NumbersAtStart { generation, given, compared: Mutex::default() }
    }

    /// Returns what was given towards a peer at the start, until the peer has been compared.
    pub fn uncompared(&self, peer: &AgencyId) -> Option<HighestNumbers> {
        let is_compared = self.compared().contains(peer);
        (!is_compared).then(|| self.given.get(peer).copied().unwrap_or(none_given(self.generation)))
    }

    /// Remembers that a peer has seen nothing that this node does not know.
    pub fn set_compared(&self, peer: &AgencyId) {
        self.compared().insert(peer.clone());
    }

    fn compared(&self) -> MutexGuard<'_, HashSet<AgencyId>> {
        self.compared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
