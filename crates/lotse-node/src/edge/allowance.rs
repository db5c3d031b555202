//! What each caller may make the node keep in memory, over all its connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lotse_core::reason::Reason;
use tonic::Status;

use crate::failure::{ErrorKind, Failure};

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
    /// Begins to charge, with nothing.
    pub(super) fn begin(self: &Arc<Self>) -> Charge {
        Charge { bytes: 0, allowance: self.clone() }
    }

    /// Charges bytes; `None` if that is more than is left.
    pub(super) fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut charge = self.begin();
        charge.change(bytes).then_some(charge)
    }

    /// Returns how much is held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// Bytes that are held, until it is dropped.
pub(super) struct Charge {
    bytes: usize,
    allowance: Arc<Allowance>,
}

impl Charge {
    /// Holds so many bytes from now on. False if that is more than is left; then nothing is changed.
    #[must_use]
    pub(super) fn change(&mut self, bytes: usize) -> bool {
        if bytes == self.bytes {
            return true;
        }
        let Allowance { bytes: most, held } = &*self.allowance;
        let changed = |held: usize| {
            let sum = (held - self.bytes).checked_add(bytes)?;
            (bytes < self.bytes || sum <= *most).then_some(sum)
        };
        let fits = held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, changed).is_ok();
        if fits {
            self.bytes = bytes;
        }
        fits
    }

    /// Charges the same caller with bytes of their own.
    pub(super) fn another(&self, bytes: usize) -> Option<Charge> {
        self.allowance.charge(bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.allowance.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Refuses what is more than a caller may have at the same time.
pub(super) fn overloaded(message: &'static str) -> Status {
    Failure::new(ErrorKind::Overloaded, Reason::Overloaded, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_one_caller_share_what_is_allowed_and_give_it_back() {
        let allowances = Allowances::new(100);
        let (one, same, other) = (allowances.of("a"), allowances.of("a"), allowances.of("b"));
        let mut first = one.charge(60).unwrap();
        assert!(same.charge(50).is_none());
        let mut second = same.charge(40).unwrap();
        assert!(other.charge(100).is_some());
        assert!(!second.change(41));
        assert!(first.change(10) && second.change(90));
        assert_eq!(one.held(), 100);
        drop(second);
        assert_eq!(one.held(), 10);
        drop((first, one, same, other));
        allowances.of("c");
        assert_eq!(allowances.callers.lock().unwrap().len(), 1, "who is gone leaves nothing behind");
    }
}
