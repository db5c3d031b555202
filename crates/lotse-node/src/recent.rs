//! Deliveries of the last moments: who follows the inbox closely is told of them without a read of the database. Whatever is not
//! here, such as everything from before a start, is read there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;
use lotse_store::outbox::Delivered;

use crate::bounded_map::BoundedMap;

/// Batches that are kept, on their way and taken; the oldest goes first.
const KEPT: usize = 32;

/// A batch that was taken as a whole: one event of the inbox.
pub struct TakenBatch {
    /// Number of the event.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Who took it.
    pub peer: AgencyId,
    /// What the inbox tells of its items, in batch order.
    pub deliveries: Vec<Delivered>,
}

/// What was released and taken in the last moments.
pub struct RecentDeliveries(Mutex<Recent>);

struct Recent {
    released: BoundedMap<Id, Vec<Delivered>>,
    taken: BTreeMap<u64, Arc<TakenBatch>>,
}

impl Default for RecentDeliveries {
    fn default() -> RecentDeliveries {
        RecentDeliveries(Mutex::new(Recent { released: BoundedMap::new(KEPT), taken: BTreeMap::new() }))
    }
}

impl RecentDeliveries {
    /// Keeps what the inbox will tell of a released batch once it is taken.
    pub fn released(&self, batch_id: Id, deliveries: Vec<Delivered>) {
        self.lock().released.insert(batch_id, deliveries);
    }

    /// Notes that a batch was taken as a whole, and that the event with this number says so. Called after the commit, and before
    /// the number is told.
    pub fn taken(&self, batch_id: Id, seq: u64, at: Timestamp, peer: &AgencyId) {
        let mut recent = self.lock();
        let Some(deliveries) = recent.released.remove(batch_id) else { return };
        recent.taken.insert(seq, Arc::new(TakenBatch { seq, at, peer: peer.clone(), deliveries }));
        if recent.taken.len() > KEPT {
            recent.taken.pop_first();
        }
    }

    /// Returns the events that follow a number without a gap.
    pub fn after(&self, seq: u64) -> Vec<Arc<TakenBatch>> {
        let recent = self.lock();
        let following = recent.taken.range(seq.saturating_add(1)..).map(|(_, batch)| batch);
        following
            .zip(seq.saturating_add(1)..)
            .take_while(|(batch, next)| batch.seq == *next)
            .map(|(b, _)| b.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn only_events_that_follow_without_a_gap_are_told_and_only_the_newest_are_kept() {
        let (recent, peer) = (RecentDeliveries::default(), "aa.example".parse().unwrap());
        let take = |seq: u64| recent.taken(id(seq), seq, Timestamp::from_micros(0), &peer);
        let after = |seq| recent.after(seq).iter().map(|batch| batch.seq).collect::<Vec<_>>();
        for seq in [5, 7, 6, 9] {
            recent.released(id(seq), Vec::new());
            take(seq);
        }
        take(8); // not known here: it was sent by the run before
        assert_eq!((after(4), after(6), after(7), after(9)), (vec![5, 6, 7], vec![7], vec![], vec![]));
        for seq in 10..=40 {
            recent.released(id(seq), Vec::new());
            take(seq);
        }
        assert_eq!((after(8).len(), after(5).len()), (32, 0));
        recent.released(id(41), Vec::new());
        (100..100 + KEPT as u64).for_each(|number| recent.released(id(number), Vec::new()));
        take(41);
        assert!(after(40).is_empty(), "what was kept too long is read from the database");
    }
}
