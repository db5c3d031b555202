//! What each caller may make the node keep in memory, over all its connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The allowances of all callers of a port.
pub(super) struct Allowances {
    bytes: usize,
    callers: Mutex<HashMap<Box<str>, Weak<Allowance>>>,
}

impl Allowances {
    /// Allows each caller so many bytes.
    pub(super) fn new(bytes: usize) -> Allowances {
        Allowances { bytes, callers: Mutex::default() }
    }

    /// Returns the allowance that all connections of a caller share.
    pub(super) fn of(&self, caller: &str) -> Arc<Allowance> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = callers.get(caller).and_then(Weak::upgrade) {
            return allowance;
        }
        callers.retain(|_, allowance| allowance.strong_count() > 0);
        let allowance = Arc::new(Allowance { bytes: self.bytes, held: AtomicUsize::new(0) });
        callers.insert(caller.into(), Arc::downgrade(&allowance));
        allowance
    }
}

/// What is kept for one caller.
pub(super) struct Allowance {
    bytes: usize,
    held: AtomicUsize,
}

impl Allowance {
    /// Lets somebody who holds `old` bytes hold `new` ones. False if that is more than is left; then nothing is changed.
    #[must_use]
    pub(super) fn change(&self, old: usize, new: usize) -> bool {
        let Some(more) = new.checked_sub(old) else {
            self.give_back(old - new);
            return true;
        };
        let raised = |held: usize| held.checked_add(more).filter(|&held| held <= self.bytes);
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised).is_ok()
    }

    /// Charges bytes until the charge is dropped; `None` if that is more than is left.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        self.change(0, bytes).then(|| Charge { bytes, allowance: self.clone() })
    }

    /// Takes back what somebody no longer holds.
    pub(super) fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns how much is held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Bytes that are held.
pub(super) struct Charge {
    bytes: usize,
    allowance: Arc<Allowance>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.allowance.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_caller_share_what_is_allowed_and_give_it_back() {
        let allowances = Allowances::new(100);
        let (one, same, other) = (allowances.of("a"), allowances.of("a"), allowances.of("b"));
        assert!(one.change(0, 60));
        assert!(!same.change(0, 50));
        assert!(same.change(0, 40));
        assert!(other.change(0, 100));
        assert!(one.change(60, 10));
        assert!(same.change(40, 90));
        assert_eq!(one.held(), 100);
        drop((one, same, other));
        allowances.of("c");
        assert_eq!(allowances.callers.lock().unwrap().len(), 1, "who is gone leaves nothing behind");
    }
}
