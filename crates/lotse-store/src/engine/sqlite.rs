//! SQLite: how the file is opened.

mod migrate;
#[cfg(test)]
mod plan;
pub(super) mod statement;

use std::fmt::Display;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{StoreError, WriteAheadLog};

pub(super) use migrate::MIGRATIONS;

/// How long a statement waits for another process that writes, such as a command beside the node.
const BUSY: Duration = Duration::from_secs(5);

/// From here on a statement is logged, its text only.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// Prepared statements kept per connection.
pub(super) const KEPT_STATEMENTS: usize = 256;

/// Only one row of a referral's size fits the default page of 4 KiB (measured at 256 in flight: 16 KiB costs as much as 8, 4 KiB a
/// fifth more; with one in flight 8 KiB costs a fifth less than 16). Fixed at creation.
const PAGE_SIZE: u32 = 8_192;

/// Page cache per connection: 16 MiB, negative because counted in KiB. Not more: after a commit in which a page of an index was
/// split SQLite walks through the whole cache of the writer (measured at 256 in flight: 64 MiB cost a tenth more processor time per
/// referral; with 4 MiB the pages of the indexes no longer fit once there are some ten thousand records).
const CACHE: i64 = -16_384;

/// Opens a connection. Without automatic indexes a statement finds its rows by the indexes of the tables or fails the guard of the
/// tests; with them SQLite may build one over a whole table for a single run.
fn open(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(KEPT_STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", CACHE)?;
    connection.pragma_update(None, "automatic_index", false)?;
    // Plans do not depend on values: without this a statement with a bound limit is prepared anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Opens a connection that writes. `secure_delete` overwrites what is deleted: shredding depends on it.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    open_writer(path).map_err(StoreError::from_sqlite)
}

fn open_writer(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // What is committed is on the disk: power loss takes nothing that was acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 1000, |_| Ok(()))?;
    Ok(connection)
}

/// Empties the write-ahead log if no reader uses it at this moment. Without the busy timeout the statement answers at once: with it
/// the only connection that writes would sleep as long as somebody reads what was there before.
pub(super) fn empty_log(connection: &Connection) -> Result<WriteAheadLog, rusqlite::Error> {
    connection.busy_timeout(Duration::ZERO)?;
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    connection.busy_timeout(BUSY)?;
    Ok(if busy? == 0 { WriteAheadLog::Empty } else { WriteAheadLog::KeptByReader })
}

/// Opens a connection that reads.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(StoreError::from_sqlite)
}

/// Opens the connection that writes, brings the tables up to date, and returns the answer to `PRAGMA synchronous`.
pub(super) fn prepare(path: &Path) -> Result<(Connection, String), StoreError> {
    let failed = |error: &dyn Display| StoreError::Open(format!("{}: {error}", path.display()));
    create_file(path).map_err(|error| failed(&error))?;
    let mut connection = open_writer(path).map_err(|error| failed(&error))?;
    migrate::migrate(&mut connection).map_err(|error| failed(&error))?;
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(|error| failed(&error))?;
    if mode != "wal" {
        return Err(failed(&"the file system does not allow SQLite's write-ahead log, use a local disk"));
    }
    let synchronous: i64 =
        connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(|error| failed(&error))?;
    Ok((connection, synchronous.to_string()))
}

/// Makes sure that the file exists and that only its owner can read it; SQLite gives `-wal` and `-shm` the same mode.
fn create_file(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map(drop)
}
