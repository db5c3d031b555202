//! What a store has done so far, for tests, the performance gate and metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A reading of the counters of a store.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Commits that had something to write; on SQLite each is one flush to the disk.
    pub commits: u64,
    /// Counts by name of work, reads included.
    pub works: BTreeMap<&'static str, WorkCounters>,
    /// What the database answers when asked how it commits: `PRAGMA synchronous` (2 is FULL) or `synchronous_commit`.
    pub synchronous: String,
}

/// Counts of all runs of one work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkCounters {
    /// Runs, repeats included.
    pub runs: u64,
    /// Statements, without those of the engine itself.
    pub statements: u64,
    /// Rows that were written or returned.
    pub rows: u64,
}

impl Counters {
    /// Returns the counts of one work; zeros if it never ran.
    pub fn work(&self, name: &str) -> WorkCounters {
        self.works.get(name).copied().unwrap_or_default()
    }
}

/// The counters themselves.
#[derive(Default)]
pub(super) struct Meter {
    commits: AtomicU64,
    works: Mutex<BTreeMap<&'static str, WorkCounters>>,
}

impl Meter {
    pub(super) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_run(&self, name: &'static str, statements: u64, rows: u64) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        let work = works.entry(name).or_default();
        work.runs += 1;
        work.statements += statements;
        work.rows += rows;
    }

    pub(super) fn read(&self, synchronous: &str) -> Counters {
        Counters {
            commits: self.commits.load(Ordering::Relaxed),
            works: self.works.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            synchronous: synchronous.to_owned(),
        }
    }
}
