//! A look into the database of a node that runs, is held still, or was killed, without touching it.

use std::str::FromStr;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

/// Items that were released and of which nobody has said what became of them.
const IN_DOUBT: &str = "SELECT CAST(COALESCE(SUM(in_doubt), 0) AS BIGINT) FROM batch WHERE state <> 3";

/// Counts the items in doubt; none if the database cannot be read at this moment.
pub async fn in_doubt(url: &str) -> Option<u64> {
    let counted: i64 = if url.starts_with("sqlite:") {
        let options =
            SqliteConnectOptions::from_str(url).ok()?.read_only(true).busy_timeout(Duration::from_millis(100));
        let mut connection = options.connect().await.ok()?;
        let counted = sqlx::query_scalar(IN_DOUBT).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        counted?
    } else {
        let mut connection = PgConnection::connect(url).await.ok()?;
        let counted = sqlx::query_scalar(IN_DOUBT).fetch_one(&mut connection).await.ok();
        let _ = connection.close().await;
        counted?
    };
    counted.try_into().ok()
}
