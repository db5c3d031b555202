//! A hand on the database of a node that runs: as long as it is there no checkpoint gets in, while everything is read as before.

use std::str::FromStr;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, PgConnection};

/// The hand. Dropped without [`Grip::release`] it lets go a moment later.
pub enum Grip {
    /// On a whole file: nobody else writes.
    Sqlite(SqliteConnection),
    /// On one table of a server.
    Postgres(PgConnection),
}

impl Grip {
    /// Takes hold; waits for a write that is under way.
    pub async fn take(url: &str) -> Grip {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).expect("the URL is one");
            let mut connection = options.connect().await.expect("the file opens");
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.expect("nobody writes");
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
            Grip::Sqlite(connection) => connection.close().await.expect("the file closes"),
            Grip::Postgres(connection) => connection.close().await.expect("the server lets go"),
        }
    }
}
