//! How a store is opened.

use std::sync::Arc;
use std::time::Duration;

use super::{Faults, Opener};

/// Which database is behind a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The embedded database, one file.
    Sqlite,
    /// A PostgreSQL server, version 15 or later.
    Postgres,
}

/// The result of an attempt to empty SQLite's write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteAheadLog {
    /// Nothing is in it.
    Empty,
    /// A reader still uses it: another attempt may succeed when that read has ended.
    KeptByReader,
}

/// A work that has ended.
#[derive(Clone, Copy, Debug)]
pub struct EndedWork {
    /// Its name.
    pub name: &'static str,
    /// How long it took from hand-over until its commit was durable.
    pub duration: Duration,
    /// Whether it was committed.
    pub succeeded: bool,
}

/// Is told of each work that has ended, in the task that asked for it.
pub type WorkObserver = Arc<dyn Fn(EndedWork) + Send + Sync>;

/// Sizes of a store. The defaults are the measured ones.
#[derive(Clone)]
pub struct StoreOptions {
    /// Connections that read beside the one that writes; `None` is 4 for SQLite and 15 for PostgreSQL.
    pub readers: Option<u32>,
    /// Works that may wait for the writer before callers wait too.
    pub waiting_works: usize,
    /// How long one work, or one commit, may take before the writer gives up on it and on its connection.
    pub longest_work: Duration,
    /// How long one read of SQLite, or one statement of a read of PostgreSQL, may take before it is ended; `None` is for ever.
    pub longest_read: Option<Duration>,
    /// How long reads that run may go on when the store is closed. Then they are cut on SQLite, and nobody waits for them on
    /// PostgreSQL.
    pub reading_grace: Duration,
    /// Who opens it: the node is alone, a command may read beside it.
    pub opener: Opener,
    /// Failures to be played, for tests.
    pub faults: Option<Arc<Faults>>,
    /// Who is told of works, for metrics.
    pub observer: Option<WorkObserver>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            readers: None,
            waiting_works: 1024,
            longest_work: Duration::from_secs(30),
            longest_read: Some(Duration::from_secs(30)),
            reading_grace: Duration::from_secs(5),
            opener: Opener::default(),
            faults: None,
            observer: None,
        }
    }
}
