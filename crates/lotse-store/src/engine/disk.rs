//! The disk of the database: full from the first write that found no room until a write finds some.

use std::sync::atomic::{AtomicBool, Ordering};

use super::StoreError;

/// The state of the disk as the last writes found it.
#[derive(Default)]
pub(super) struct Disk(AtomicBool);

impl Disk {
    /// Tells whether the last write found no room.
    pub(super) fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes note of a write that failed.
    pub(super) fn note_failure(&self, error: &StoreError) {
        if error.is_disk_full() && !self.0.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk of the database is full: nothing is stored until there is room");
        }
    }

    /// Takes note of a write that was committed.
    pub(super) fn note_commit(&self) {
        if self.0.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk of the database has room again");
        }
    }
}
