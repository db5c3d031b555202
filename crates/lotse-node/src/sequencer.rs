//! The sequencer: turns log entries into signed checkpoints (C2SP tlog-checkpoint).
//!
//! Entries are written by the actions, in the order of their leaf index. A round re-reads and re-hashes what is stored, grows the
//! tree, signs its head, swaps the head store, and only then commits tiles and checkpoint row. Nothing is kept in memory: each
//! round reads the head store and the database anew and first completes what a crash left between them. So a stop between any two
//! steps is repaired by the next round, and a database that does not continue the signed head is never signed over.

mod begin;
mod growth;
mod reconcile;
mod round;

pub mod check;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::key::SigningKey;
use lotse_core::log::checkpoint::Origin;
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tree;
use lotse_core::random::Random;
use lotse_core::time::{Clock, Timestamp};
use lotse_store::{Store, StoreError, meta};

pub use self::begin::begin_log;
use crate::head_store::{Head, HeadError, HeadStore};
use crate::hold::Holds;
use crate::signal::Signals;

/// The shortest time between two checkpoints.
const PACE: Duration = Duration::from_secs(1);
/// How long the sequencer sleeps where no signal wakes it.
const FALLBACK: Duration = Duration::from_secs(10);

/// A place at which a test stops the sequencer, as a crash would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The first entry of the log is committed.
    LogBegun,
    /// A head that a crash left without its row is about to be completed.
    Completing,
    /// New entries are read and hashed.
    EntriesRead,
    /// The new head is signed and nobody has seen it.
    Signed,
    /// The head store has the new head, the database has not.
    HeadStored,
    /// Tiles and checkpoint are committed.
    RowStored,
}

impl Point {
    /// Every point, in the order in which a round passes them.
    pub const ALL: [Point; 6] =
        [Point::LogBegun, Point::Completing, Point::EntriesRead, Point::Signed, Point::HeadStored, Point::RowStored];
}

/// Asked at each point whether to stop there. For tests.
pub type Interrupt = Arc<dyn Fn(Point) -> bool + Send + Sync>;

/// Why the log cannot be signed any further: only `lotse log resume` leads out, or putting back what is missing.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Doubt {
    /// The database knows a signed head and the head store knows none.
    #[error(
        "the database has a signed head of {size} entries and the head store has none: put the newest copy of the head \
         folder back, or run `lotse log resume` if there is none"
    )]
    HeadLost {
        /// Size of the database's newest head.
        size: u64,
    },
    /// The database knows a newer head than the head store.
    #[error(
        "the head store stands at {head} entries and the database at {database}: the head store is an older copy; put the \
         newest one back, or run `lotse log resume` if there is none"
    )]
    HeadOlder {
        /// Size in the head store.
        head: u64,
        /// Size in the database.
        database: u64,
    },
    /// The head store knows more entries than there are.
    #[error(
        "the head store has signed {head} entries and the database has only {stored}: the database is an older copy; put the \
         newest one back, or run `lotse log resume`"
    )]
    EntriesMissing {
        /// Size in the head store.
        head: u64,
        /// Entries in the database.
        stored: u64,
    },
    /// The stored entries hash to another root than the signed one.
    #[error(
        "the stored entries do not hash to the signed head of {size} entries: the database was restored or changed; \
         `lotse log verify` says where, `lotse log resume` begins a new generation"
    )]
    OtherRoot {
        /// Size of the signed head.
        size: u64,
    },
    /// A signed entry is not what was signed.
    #[error(
        "entry {index} is missing or is not the entry that was signed: the database was changed; `lotse log verify` says more, \
         `lotse log resume` begins a new generation"
    )]
    EntryChanged {
        /// Leaf index.
        index: u64,
    },
    /// An entry that was committed is not there.
    #[error(
        "entry {index} was written and is not there: the database was changed; `lotse log verify` says more, `lotse log resume` \
         begins a new generation"
    )]
    EntryMissing {
        /// Leaf index.
        index: u64,
    },
    /// Database and head store are of different logs.
    #[error(
        "the head store is of the log {head} and the database of {database}: one of them is another copy; put the newest back, \
         or run `lotse log resume`"
    )]
    OtherLog {
        /// Log of the head store.
        head: Box<Origin>,
        /// Log of the database.
        database: Box<Origin>,
    },
}

/// Why a round did not end.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The log is in doubt.
    #[error(transparent)]
    Doubt(#[from] Doubt),
    /// The database failed; the next round tries again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The head store failed; the next round tries again.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A test stopped it.
    #[error("stopped at {0:?}")]
    Interrupted(Point),
}

/// What a sequencer works with.
#[derive(Clone, Copy)]
pub struct Sequencer<'a> {
    /// Database.
    pub store: &'a Store,
    /// Head store.
    pub head: &'a Arc<HeadStore>,
    /// The log's key.
    pub key: &'a SigningKey,
    /// The agency whose log it is.
    pub agency: &'a AgencyId,
    /// Clock.
    pub clock: &'a dyn Clock,
    /// Random source.
    pub random: &'a dyn Random,
    /// Where to stop, in tests.
    pub interrupt: Option<&'a Interrupt>,
}

/// What a node must know of its log before it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Generation.
    pub generation: u32,
    /// Time up to which the node was last restored.
    pub restore_point: Option<Timestamp>,
    /// Why the log is in doubt; the node then starts on hold.
    pub doubt: Option<Doubt>,
}

impl Sequencer<'_> {
    /// Compares head store and database, completes what a crash left between them, and begins the log of a new node. To be called
    /// before the node serves: a doubt is an answer, an error means that the node cannot start.
    pub async fn start(&self) -> Result<Start, SequenceError> {
        let doubt = match self.reconcile().await {
            Ok(_) => None,
            Err(SequenceError::Doubt(doubt)) => Some(doubt),
            Err(error) => return Err(error),
        };
        let known = self.store.read("log facts", move |tx| {
            Box::pin(async move { Ok((meta::generation(tx).await?, meta::restore_point(tx).await?)) })
        });
        let (generation, restore_point) = known.await?;
        let generation = match generation {
            None => self.load_head().await?.map(|head| head.origin.generation),
            known => known,
        };
        Ok(Start { generation: generation.unwrap_or(1), restore_point, doubt })
    }

    /// Signs heads until every committed entry is under one. Returns the size reached.
    pub async fn catch_up(&self) -> Result<u64, SequenceError> {
        loop {
            let round = self.round().await?;
            if !round.has_more {
                return Ok(round.size);
            }
        }
    }

    /// Reads the head store, away from the threads on which tasks run: a disk may hang.
    pub(crate) async fn load_head(&self) -> Result<Option<Head>, HeadError> {
        let head = Arc::clone(self.head);
        unblocked(self.head, move || head.load()).await
    }

    /// Replaces the head in the head store, away from the threads on which tasks run: it is flushed to the disk twice.
    pub(crate) async fn swap_head(&self, read: Option<&Head>, new: &Head) -> Result<Head, HeadError> {
        let (head, read, new) = (Arc::clone(self.head), read.cloned(), new.clone());
        unblocked(self.head, move || head.compare_and_swap(read.as_ref(), &new)).await
    }

    pub(crate) fn origin(&self, generation: u32) -> Origin {
        Origin { agency: self.agency.clone(), generation }
    }

    fn pass(&self, point: Point) -> Result<(), SequenceError> {
        let stops = self.interrupt.is_some_and(|interrupt| interrupt(point));
        if stops { Err(SequenceError::Interrupted(point)) } else { Ok(()) }
    }
}

/// Runs what waits for a disk on a thread of its own.
async fn unblocked<T: Send + 'static>(
    head: &HeadStore,
    work: impl FnOnce() -> Result<T, HeadError> + Send + 'static,
) -> Result<T, HeadError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|error| Err(head.failed(std::io::Error::other(error))))
}

/// Works until told to stop, then signs what is left: at most a checkpoint per second, none while there is nothing new or the log
/// is on hold. What came of each round is noted.
pub async fn run(
    sequencer: Sequencer<'_>,
    signals: &Signals,
    holds: &Holds,
    note: impl Fn(Result<(), SequenceError>),
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    loop {
        note(sign(&sequencer, holds).await);
        tokio::select! {
            () = &mut stop => break,
            () = tokio::time::sleep(PACE) => {}
        }
        tokio::select! {
            () = &mut stop => break,
            () = signals.log.notified() => {}
            () = tokio::time::sleep(FALLBACK) => {}
        }
    }
    note(sign(&sequencer, holds).await);
}

async fn sign(sequencer: &Sequencer<'_>, holds: &Holds) -> Result<(), SequenceError> {
    if holds.log_hold().is_some() {
        return Ok(());
    }
    let mut reached = sequencer.catch_up().await;
    if let Err(SequenceError::Head(HeadError::Stale)) = reached {
        // The card's version stands in the same file and was written meanwhile: read it again.
        reached = sequencer.catch_up().await;
    }
    match reached {
        Ok(size) => tracing::debug!(size, "every entry is under a signed head"),
        Err(SequenceError::Doubt(doubt)) => holds.hold_log(doubt.to_string()),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The head of a log without entries.
pub(crate) fn empty_tree() -> TreeHead {
    TreeHead { size: 0, root: tree::root(&[]) }
}
