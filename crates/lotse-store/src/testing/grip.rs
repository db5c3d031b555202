//! A hand on the database of a node that runs: as long as it is there no checkpoint gets in, while everything is read as before.

use std::time::Duration;

use sqlx::{Connection, PgConnection};

/// The hand. Dropped without [`Grip::release`] it lets go a moment later.
pub enum Grip {
    /// On a whole file: nobody else writes.
    Sqlite(rusqlite::Connection),
    /// On one table of a server.
    Postgres(PgConnection),
}

impl Grip {
    /// Takes hold; waits for a write that is under way.
    pub async fn take(url: &str) -> Grip {
        if let Some(path) = url.strip_prefix("sqlite://") {
            let connection = rusqlite::Connection::open(path).expect("the file opens");
            connection.busy_timeout(Duration::from_secs(5)).expect("waiting is allowed");
            connection.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
            Grip::Sqlite(connection)
        } else {
            let mut connection = PgConnection::connect(url).await.expect("the server answers");
            sqlx::query("BEGIN").execute(&mut connection).await.expect("a transaction begins");
            let lock = "LOCK TABLE checkpoint IN EXCLUSIVE MODE";
            sqlx::query(lock).execute(&mut connection).await.expect("nobody writes");
            Grip::Postgres(connection)
        }
    }

    /// Lets go.
    pub async fn release(self) {
        match self {
            Grip::Sqlite(connection) => connection.close().expect("the file closes"),
            Grip::Postgres(connection) => connection.close().await.expect("the server lets go"),
        }
    }
}
