//! How a store is opened.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Faults, StoreError};

/// Which database is behind a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// The embedded database, one file.
    Sqlite,
    /// A PostgreSQL server, version 15 or later.
    Postgres,
}

/// Sizes of a store. The defaults are the measured ones.
#[derive(Clone)]
pub struct StoreOptions {
    /// Connections for reading beside the writer of SQLite.
    pub readers: u32,
    /// Connections to PostgreSQL.
    pub connections: u32,
    /// Works that may wait for the writer of SQLite before callers wait too.
    pub waiting_works: usize,
    /// Failures to be played, for tests.
    pub faults: Option<Arc<Faults>>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions { readers: 4, connections: 16, waiting_works: 1024, faults: None }
    }
}

/// Where a URL points to.
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Place {
    /// Reads `sqlite:///path/to/file` or `postgres://…`. The error never quotes the URL, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Place, StoreError> {
        let refuse = |why: &str| Err(StoreError::Open(why.to_owned()));
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains('?') || path.contains(":memory:") {
                return refuse("sqlite needs a file and takes no parameters: sqlite:///var/lib/lotse/lotse.db");
            }
            return Ok(Place::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Place::Postgres(url.to_owned()));
        }
        refuse("use sqlite:///path/to/file or postgres://user@host/database")
    }
}
