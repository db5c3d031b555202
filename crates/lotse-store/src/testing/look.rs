//! A look into the database of a node that runs, is held still, or was killed, without touching it.

use std::time::Duration;

use rusqlite::OpenFlags;
use sqlx::{Connection, PgConnection, Row};

/// Items that were released and of which nobody has said what became of them; of these, those whose lease runs.
const IN_DOUBT: &str = "SELECT CAST(COALESCE(SUM(in_doubt), 0) AS BIGINT),
        CAST(COALESCE(SUM(CASE WHEN state = 1 THEN in_doubt ELSE 0 END), 0) AS BIGINT)
    FROM batch WHERE state <> 3";

/// How much a sender does not know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Doubt {
    /// Items in doubt.
    pub items: i64,
    /// Of these, items on their way: the lease of their batch runs.
    pub on_their_way: i64,
}

/// A snapshot of a SQLite database, held until it is dropped: a backup of a large file does so for minutes.
pub struct HeldSnapshot(rusqlite::Connection);

impl HeldSnapshot {
    /// Begins to read the database; none if it cannot be read at this moment, or is no SQLite.
    pub fn begin(url: &str) -> Option<HeldSnapshot> {
        let path = url.strip_prefix("sqlite://")?;
        let connection = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.busy_timeout(Duration::from_millis(100)).ok()?;
        connection.execute_batch("BEGIN").ok()?;
        let held = HeldSnapshot(connection);
        held.entries()?;
        Some(held)
    }

    /// Counts the entries of the log as the snapshot has them.
    pub fn entries(&self) -> Option<i64> {
        self.0.query_row("SELECT COUNT(*) FROM log_entry", [], |row| row.get(0)).ok()
    }
}

/// Counts the items in doubt; none if the database cannot be read at this moment.
pub async fn in_doubt(url: &str) -> Option<Doubt> {
    let [items, on_their_way] = one(url, IN_DOUBT).await?;
    Some(Doubt { items, on_their_way })
}

/// Reads the size of the newest checkpoint, 0 before the first; none if the database cannot be read at this moment.
pub async fn checkpoint_size(url: &str) -> Option<i64> {
    one(url, "SELECT COALESCE(MAX(size), 0) FROM checkpoint").await.map(|[size]| size)
}

/// Counts the rows that are about people: whom a node knows, what they consented to, what it sends, released and holds.
pub async fn rows_about_people(url: &str) -> Option<i64> {
    const ROWS: &str = "SELECT (SELECT COUNT(*) FROM subject) + (SELECT COUNT(*) FROM consent)
        + (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM register) + (SELECT COUNT(*) FROM custody)";
    one(url, ROWS).await.map(|[rows]| rows)
}

/// Tells whether nobody is connected to the database: a server goes on for a moment after a process was killed.
pub async fn is_left_alone(url: &str) -> bool {
    const OTHERS: &str = "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    url.starts_with("sqlite:") || one(url, OTHERS).await.is_some_and(|[others]| others == 0)
}

/// Reads one row of integers.
async fn one<const N: usize>(url: &str, sql: &'static str) -> Option<[i64; N]> {
    let mut values = [0; N];
    if let Some(path) = url.strip_prefix("sqlite://") {
        let connection = rusqlite::Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.busy_timeout(Duration::from_millis(100)).ok()?;
        let read = |row: &rusqlite::Row<'_>| (0..N).try_for_each(|n| row.get(n).map(|value| values[n] = value));
        connection.query_row(sql, [], read).ok()?;
    } else {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let row = sqlx::query(sql).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        let row = row?;
        (0..N).try_for_each(|n| row.try_get(n).map(|value| values[n] = value)).ok()?;
    }
    Some(values)
}
