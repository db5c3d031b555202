//! A look into the database of a node that runs, is held still, or was killed, without touching it.

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

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
    let (items, on_their_way) = if url.starts_with("sqlite:") {
        let options =
            SqliteConnectOptions::from_str(url).ok()?.read_only(true).busy_timeout(Duration::from_millis(100));
        let mut connection = options.connect().await.ok()?;
        let counted = sqlx::query_as(IN_DOUBT).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        counted?
    } else {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let counted = sqlx::query_as(IN_DOUBT).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        counted?
    };
    Some(Doubt { items, on_their_way })
}
