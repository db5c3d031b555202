//! Ends what takes too long on SQLite, whose statements run where they are called: nothing else gets on in that thread until they
//! are over, so that another one has to look after them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use super::{StoreError, thread};

/// How many times within its limit a work is looked at.
const LOOKS: u32 = 8;
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The work that runs, and until when it may.
#[derive(Default)]
struct Running(Mutex<Option<(Instant, InterruptHandle)>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, Option<(Instant, InterruptHandle)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interrupts the statement of a work whose time is over. The lock is held meanwhile, so that the next work is never met.
    fn look(&self) {
        if let Some((until, handle)) = &*self.lock()
            && *until <= Instant::now()
        {
            handle.interrupt();
        }
    }
}

/// Looks after the works of some connections, each of which has a slot.
#[derive(Clone)]
pub(super) struct Watch {
    running: Arc<[Running]>,
    limit: Duration,
}

impl Watch {
    /// Starts the thread that looks; it ends soon after the watch is dropped.
    pub(super) fn start(limit: Duration, slots: usize) -> Result<Watch, StoreError> {
        let running: Arc<[Running]> = (0..slots).map(|_| Running::default()).collect();
        let pause = (limit / LOOKS).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let watched = Arc::downgrade(&running);
        thread::spawn("store-watch", async move {
            while let Some(running) = watched.upgrade() {
                running.iter().for_each(Running::look);
                drop(running);
                tokio::time::sleep(pause).await;
            }
        })?;
        Ok(Watch { running, limit })
    }

    /// Looks after a work in a slot until what is returned is dropped. Its statements fail from the limit on.
    pub(super) fn over(&self, slot: usize, handle: Option<InterruptHandle>) -> Watched {
        if let Some(running) = self.running.get(slot) {
            *running.lock() = handle.map(|handle| (Instant::now() + self.limit, handle));
        }
        Watched { running: Arc::clone(&self.running), slot }
    }
}

/// A work that is looked after.
pub(super) struct Watched {
    running: Arc<[Running]>,
    slot: usize,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(running) = self.running.get(self.slot) {
            *running.lock() = None;
        }
    }
}
