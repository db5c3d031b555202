//! Failures on demand: how tests make a commit fail, or succeed and report failure.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The works are rolled back and every caller gets an error.
    FailBeforeCommit,
    /// The works are stored and every caller gets an error all the same.
    StoreButReportFailure,
}

/// A plan of failures, counted in commits.
#[derive(Default)]
pub struct Faults {
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    commits: u64,
    faults: BTreeMap<u64, Fault>,
}

impl Faults {
    /// Plans a fault for the n-th commit from now; 1 is the next one.
    pub fn plan(&self, nth: u64, fault: Fault) {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let at = plan.commits + nth;
        plan.faults.insert(at, fault);
    }

    /// Counts a commit and returns what shall happen to it.
    pub(super) fn next(&self) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.commits += 1;
        let commit = plan.commits;
        plan.faults.remove(&commit)
    }
}
