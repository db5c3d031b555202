//! SQLite: how the file is opened, and the one connection that writes.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlStr};
use tracing::log::LevelFilter;

use super::tx::built;
use super::{StoreError, StoreOptions};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another process that writes, such as a command beside the node.
const BUSY: Duration = Duration::from_secs(5);

/// From here on a statement is logged, its text only.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// Prepared statements kept per connection.
pub(super) const KEPT_STATEMENTS: usize = 256;

/// Only one row of a referral's size fits the default page of 4 KiB (measured: 15 to 20 % less CPU). Fixed at creation.
const PAGE_SIZE: u32 = 16_384;

/// Page cache per connection: 64 MiB, negative because counted in KiB.
const CACHE: &str = "-65536";

/// Makes sure that the file exists and that only its owner can read it; SQLite gives `-wal` and `-shm` the same mode.
pub(super) fn create_file(path: &Path) -> Result<(), StoreError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map(drop).map_err(|error| StoreError::Open(format!("{}: {error}", path.display())))
}

/// Options of every connection to the file.
fn connection(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(KEPT_STATEMENTS)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", CACHE)
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Warn, SLOW)
}

/// Options of the connection that writes. `secure_delete` overwrites what is deleted: shredding depends on it.
pub(super) fn writer(path: &Path) -> SqliteConnectOptions {
    connection(path)
        .page_size(PAGE_SIZE)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", "1000")
}

/// The connections that read.
pub(super) fn readers(path: &Path, options: &StoreOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(options.readers.max(1))
        .test_before_acquire(false)
        .max_lifetime(None)
        .connect_lazy_with(connection(path).read_only(true))
}

/// Brings the tables up to date and returns what the database says about `synchronous`.
pub(super) async fn prepare(connection: &mut SqliteConnection) -> Result<String, StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Open(error.to_string());
    MIGRATIONS.run_direct(None, connection, false).await.map_err(|error| failed(&error))?;
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(|error| failed(&error))?;
    if mode != "wal" {
        return Err(StoreError::Open(
            "the file system does not allow SQLite's write-ahead log: use a local disk".into(),
        ));
    }
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.map_err(|error| failed(&error))?;
    Ok(synchronous.to_string())
}

/// The connection that writes and whether it is inside a transaction.
///
/// Begins lazily, in the same text as the first statement: a statement costs a hand-over to SQLite's thread whatever it does.
/// Commits by plain texts, for sqlx's own transactions wait for a second acknowledgement; that is safe because only the writer
/// task uses it and is never cancelled.
pub(super) struct WriteConnection {
    connection: SqliteConnection,
    begun: bool,
}

impl WriteConnection {
    pub(super) fn new(connection: SqliteConnection) -> WriteConnection {
        WriteConnection { connection, begun: false }
    }

    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    /// Returns the text to send: with `BEGIN` if this is the first statement.
    pub(super) fn begin_with(&mut self, sql: SqlStr) -> SqlStr {
        if std::mem::replace(&mut self.begun, true) {
            return sql;
        }
        built(format!("BEGIN IMMEDIATE; {}", sql.as_str()))
    }

    /// Tells whether there is something to commit.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Runs a text of the engine itself, inside the transaction.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        let sql = self.begin_with(SqlStr::from_static(sql));
        sqlx::query(sql).execute(&mut self.connection).await.map(drop)
    }

    /// Makes everything since `BEGIN` durable.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut self.connection).await?;
        self.begun = false;
        Ok(())
    }

    /// Takes everything since `BEGIN` back. Fails if there is no transaction any more; then the connection should be replaced.
    pub(super) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        if std::mem::take(&mut self.begun) {
            sqlx::query("ROLLBACK").execute(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Moves everything from the write-ahead log into the file and empties the log, so that deleted bytes are gone from both.
    pub(super) async fn empty_log(&mut self) -> Result<(), StoreError> {
        let row: (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(&mut self.connection)
            .await
            .map_err(StoreError::from_sqlx)?;
        match row.0 {
            0 => Ok(()),
            _ => Err(StoreError::Database {
                code: "5".to_owned(),
                message: "a reader kept the write-ahead log from being emptied".to_owned(),
            }),
        }
    }

    pub(super) async fn close(self) {
        // The file is consistent whether this succeeds or not.
        let _ = self.connection.close().await;
    }
}
