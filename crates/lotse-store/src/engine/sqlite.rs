//! SQLite: how the file is opened.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use tracing::log::LevelFilter;

use super::{StoreError, StoreOptions};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another process that writes, such as a command beside the node.
const BUSY: Duration = Duration::from_secs(5);

/// From here on a statement is logged, its text only.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// Prepared statements kept per connection.
pub(super) const KEPT_STATEMENTS: usize = 256;

/// Rows that SQLite's thread may be ahead of the reader: the default of 50 makes the two wait for each other (a quarter of the
/// cost of a result of 256 rows).
const ROWS_AHEAD: usize = 1024;

/// Only one row of a referral's size fits the default page of 4 KiB (measured: 15 to 20 % less CPU). Fixed at creation.
const PAGE_SIZE: u32 = 16_384;

/// Connections that read.
const READERS: u32 = 4;

/// Page cache per connection: 64 MiB, negative because counted in KiB.
const CACHE: &str = "-65536";

/// Options of every connection to the file. Without automatic indexes a batch of some hundred keys finds its rows by the table's
/// index; with them SQLite builds one over the batch and scans the whole table beside it.
pub(super) fn connection(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
        .foreign_keys(true)
        .statement_cache_capacity(KEPT_STATEMENTS)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", CACHE)
        .pragma("automatic_index", "OFF")
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Warn, SLOW)
}

/// Options of the connection that writes. `secure_delete` overwrites what is deleted: shredding depends on it.
pub(super) fn writer(path: &Path) -> SqliteConnectOptions {
    durable(connection(path).page_size(PAGE_SIZE).journal_mode(SqliteJournalMode::Wal))
        .pragma("secure_delete", "ON")
        .pragma("wal_autocheckpoint", "1000")
}

/// What is committed is on the disk: power loss takes nothing that was acknowledged.
pub(super) fn durable(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.synchronous(SqliteSynchronous::Full)
}

/// The connections that read.
pub(super) fn readers(path: &Path, options: &StoreOptions) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(options.readers.unwrap_or(READERS))
        .test_before_acquire(false)
        .max_lifetime(None)
        .connect_lazy_with(connection(path).read_only(true))
}

/// Opens the connection that writes, brings the tables up to date, and returns the answer to `PRAGMA synchronous`.
pub(super) async fn prepare(path: &Path) -> Result<(SqliteConnection, String), StoreError> {
    let failed = |error: &dyn Display| StoreError::Open(format!("{}: {error}", path.display()));
    create_file(path).map_err(|error| failed(&error))?;
    let mut connection = writer(path).connect().await.map_err(|error| failed(&error))?;
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| failed(&error))?;
    let mode = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await;
    let mode: String = mode.map_err(|error| failed(&error))?;
    if mode != "wal" {
        return Err(failed(&"the file system does not allow SQLite's write-ahead log, use a local disk"));
    }
    let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await;
    let synchronous: i64 = synchronous.map_err(|error| failed(&error))?;
    Ok((connection, synchronous.to_string()))
}

/// Makes sure that the file exists and that only its owner can read it; SQLite gives `-wal` and `-shm` the same mode.
fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}
