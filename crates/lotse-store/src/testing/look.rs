//! A look into the database of a node that runs, is held still, or was killed, without touching it.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection, FromRow, PgConnection};

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

/// Counts the items in doubt; none if the database cannot be read at this moment.
pub async fn in_doubt(url: &str) -> Option<Doubt> {
    let (items, on_their_way) = one::<(i64, i64)>(url, IN_DOUBT).await?;
    Some(Doubt { items, on_their_way })
}

/// Reads the size of the newest checkpoint, 0 before the first; none if the database cannot be read at this moment.
pub async fn checkpoint_size(url: &str) -> Option<i64> {
    one::<(i64,)>(url, "SELECT COALESCE(MAX(size), 0) FROM checkpoint").await.map(|(size,)| size)
}

/// Counts the rows that are about people: whom a node knows, what they consented to, what it sends, released and holds.
pub async fn rows_about_people(url: &str) -> Option<i64> {
    const ROWS: &str = "SELECT (SELECT COUNT(*) FROM subject) + (SELECT COUNT(*) FROM consent)
        + (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM register) + (SELECT COUNT(*) FROM custody)";
    one::<(i64,)>(url, ROWS).await.map(|(rows,)| rows)
}

/// Tells whether nobody is connected to the database: a server goes on for a moment after a process was killed.
pub async fn is_left_alone(url: &str) -> bool {
    const OTHERS: &str = "SELECT COUNT(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    url.starts_with("sqlite:") || one::<(i64,)>(url, OTHERS).await.is_some_and(|(others,)| others == 0)
}

/// Reads one row.
async fn one<Row>(url: &str, sql: &'static str) -> Option<Row>
where
    Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    if url.starts_with("sqlite:") {
        let options =
            SqliteConnectOptions::from_str(url).ok()?.read_only(true).busy_timeout(Duration::from_millis(100));
        let mut connection = options.connect().await.ok()?;
        let row = sqlx::query_as(sql).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        row
    } else {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let row = sqlx::query_as(sql).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        row
    }
}
