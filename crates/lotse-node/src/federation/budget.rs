//! Limits for what each peer adds to this node's disk in a day. What was added counts less and less over the day. Kept in memory: a
//! start forgets it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lotse_core::id::AgencyId;
use lotse_core::time::{DAY, Timestamp};

/// Limits for what one peer may add in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DailyLimits {
    /// Bytes of batches.
    pub bytes: u64,
    /// Envelopes that are refused, or answered with `again`.
    pub refused: u64,
}

/// Bytes and entries that a batch adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Bytes.
    pub bytes: u64,
    /// Envelopes that are refused, or answered with `again`.
    pub refused: u64,
}

/// Bytes and entries that each peer has added lately.
#[derive(Default)]
pub struct PeerBudgets(Mutex<HashMap<AgencyId, Spent>>);

#[derive(Clone, Copy)]
struct Spent {
    added: Added,
    at: Timestamp,
}

impl PeerBudgets {
    /// Returns whether a peer may add this.
    pub fn has_room(&self, peer: &AgencyId, limits: DailyLimits, more: Added, now: Timestamp) -> bool {
        let spent = self.lock().get(peer).map_or(Added::default(), |spent| spent.left_at(limits, now));
        spent.bytes.saturating_add(more.bytes) <= limits.bytes
            && spent.refused.saturating_add(more.refused) <= limits.refused
    }

    /// Notes what a peer added.
    pub fn spend(&self, peer: &AgencyId, limits: DailyLimits, more: Added, now: Timestamp) {
        let mut known = self.lock();
        let spent = known.get(peer).map_or(Added::default(), |spent| spent.left_at(limits, now));
        let bytes = spent.bytes.saturating_add(more.bytes);
        let refused = spent.refused.saturating_add(more.refused);
        known.insert(peer.clone(), Spent { added: Added { bytes, refused }, at: now });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgencyId, Spent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// Returns what of it still counts.
    fn left_at(&self, limits: DailyLimits, now: Timestamp) -> Added {
        let passed = now.since(self.at).min(DAY).as_micros();
        let filled = |limit: u64| (u128::from(limit) * passed / DAY.as_micros()) as u64; // at most the limit
        Added {
            bytes: self.added.bytes.saturating_sub(filled(limits.bytes)),
            refused: self.added.refused.saturating_sub(filled(limits.refused)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DailyLimits = DailyLimits { bytes: 86_400, refused: 10 };

    #[test]
    fn what_a_peer_added_counts_for_a_day_and_for_no_other_peer() {
        let (budgets, start) = (PeerBudgets::default(), Timestamp::from_micros(1_000_000_000));
        let peer = |name: &str| name.parse::<AgencyId>().unwrap();
        let bytes = |bytes| Added { bytes, refused: 0 };
        let has_room = |name: &str, more, now| budgets.has_room(&peer(name), LIMITS, more, now);
        assert!(has_room("a.example", bytes(86_400), start) && !has_room("a.example", bytes(86_401), start));
        budgets.spend(&peer("a.example"), LIMITS, bytes(86_400), start);
        assert!(!has_room("a.example", bytes(1), start) && has_room("b.example", bytes(86_400), start));
        let refused = Added { bytes: 0, refused: 11 };
        assert!(!has_room("b.example", refused, start));
        let later = start.plus(std::time::Duration::from_secs(60));
        assert!(has_room("a.example", bytes(60), later) && !has_room("a.example", bytes(61), later));
        assert!(!has_room("a.example", bytes(1), start.minus(DAY)), "a clock that steps back fills nothing");
        assert!(has_room("a.example", bytes(86_400), start.plus(DAY)));
    }
}
