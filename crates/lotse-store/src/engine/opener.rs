//! Who opens a database. Two nodes on one would fork its log, so one that another node has opened is refused: on SQLite by a lock
//! on a file beside it, on PostgreSQL by a lock of the session that writes. Whoever writes as the node holds it.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::PgConnection;

use super::StoreError;

/// Who opens a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Opener {
    /// The node, or a command that writes in its place.
    Node {
        /// How long it waits for another one to let go: a server ends the session of a killed node a moment later.
        patience: Duration,
    },
    /// A command that reads, beside a node that may be running.
    #[default]
    Command,
}

impl Opener {
    /// Returns a node that waits as long as a node should.
    pub const fn node() -> Opener {
        Opener::Node { patience: PATIENCE }
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The lock's key, drawn once; advisory locks are one database's own.
const KEY: i64 = 0x4be1_90d7_2c5a_f363;

/// A session whose machine or network went away would hold the lock for hours: after 20 seconds without a sign of life the server
/// ends it.
const SIGNS_OF_LIFE: &str =
    "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

const TAKEN: &str = "another node has opened it, and two nodes on one database would fork its log; stop the other one, or give each \
                     node a database of its own";

/// Locks a SQLite file for the node; the lock ends with what is returned, and with the process.
pub(super) async fn lock_sqlite(path: &Path, patience: Duration) -> Result<File, StoreError> {
    let mut name = OsString::from(path);
    name.push("-lock");
    let failed = |error: std::io::Error| StoreError::Open(format!("{}: {error}", name.to_string_lossy()));
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = opened.map_err(failed)?;
    for _ in 0..=tries(patience) {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(StoreError::Open(TAKEN.to_owned()))
}

/// Locks a PostgreSQL database for the node; the lock ends with the session.
pub(super) async fn lock_postgres(session: &mut PgConnection, patience: Duration) -> Result<(), StoreError> {
    sqlx::raw_sql(SIGNS_OF_LIFE).execute(&mut *session).await.map_err(StoreError::from_sqlx)?;
    for _ in 0..=tries(patience) {
        let tried = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(KEY).fetch_one(&mut *session).await;
        if tried.map_err(StoreError::from_sqlx)? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(StoreError::Open(TAKEN.to_owned()))
}

fn tries(patience: Duration) -> u128 {
    patience.as_millis() / PAUSE.as_millis()
}
