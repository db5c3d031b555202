//! Numbers that a claim takes from the counters that works share.

use lotse_core::id::AgencyId;
use lotse_store::counter::Counter;

use super::ItemVerdict;

/// Numbers that a claim takes.
#[derive(Clone, Copy, Default)]
pub(super) struct Numbers {
    pub(super) leaves: i64,
    pub(super) revisions: i64,
    pub(super) events: i64,
}

impl Numbers {
    pub(super) fn of(verdicts: &[ItemVerdict]) -> Numbers {
        let revisions = verdicts.iter().filter(|v| matches!(v, ItemVerdict::Go(..))).count() as i64;
        let ended = verdicts.iter().filter(|v| matches!(v, ItemVerdict::End(_))).count() as i64;
        Numbers { leaves: revisions + ended, revisions, events: ended.min(1) }
    }

    pub(super) fn less(&self, before: &Numbers) -> Numbers {
        Numbers {
            leaves: self.leaves - before.leaves,
            revisions: self.revisions - before.revisions,
            events: self.events - before.events,
        }
    }

    pub(super) fn wanted(&self, peer: &AgencyId) -> [(Counter, i64); 4] {
        [
            (Counter::Federation, 0),
            (Counter::Leaf, self.leaves),
            (Counter::Revision(peer.clone()), self.revisions),
            (Counter::Event, self.events),
        ]
    }
}
