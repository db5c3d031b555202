//! A connection inside a transaction: where a `Tx` sends its statements, and how the writer begins, commits and rolls back.

use futures_util::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Either, Executor, Postgres, SqlSafeStr, SqlStr, Sqlite, Transaction};

use super::row::Row;
use super::{EngineKind, StoreError};

/// A connection and whether its transaction has begun.
pub(super) struct Link {
    connection: Connection,
    begun: bool,
}

/// Readers hold sqlx's own transaction, which ends when they are dropped. The writer is never dropped in the middle; it
/// controls its transaction by plain texts, because sqlx waits for a second acknowledgement on SQLite.
pub(super) enum Connection {
    SqliteWriter(SqliteConnection),
    SqliteReader(Transaction<'static, Sqlite>),
    PostgresWriter(PgConnection),
    PostgresReader(Transaction<'static, Postgres>),
}

/// What a statement returned.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    pub(super) changed: u64,
}

/// The values of a statement, bound for one engine.
pub(super) enum Bound {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

/// Whether the prepared statement is kept for the next time: texts that come in many lengths would flush the cache.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prepared {
    Keep,
    Drop,
}

/// Decisions rest on what a work has read. The writer is alone in this process; against another one only this level helps.
const BEGIN_POSTGRES: &str = "BEGIN ISOLATION LEVEL SERIALIZABLE";

impl Link {
    pub(super) fn new(connection: Connection) -> Link {
        Link { connection, begun: false }
    }

    pub(super) fn engine(&self) -> EngineKind {
        match self.connection {
            Connection::SqliteWriter(_) | Connection::SqliteReader(_) => EngineKind::Sqlite,
            Connection::PostgresWriter(_) | Connection::PostgresReader(_) => EngineKind::Postgres,
        }
    }

    /// Sends one statement and collects what it returns. The first one of a writer also begins: on SQLite in the same text,
    /// for each text costs a hand-over to SQLite's thread whatever it does.
    pub(super) async fn send(&mut self, sql: SqlStr, bound: Bound, prepared: Prepared) -> Result<Outcome, StoreError> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        let sent = match (&mut self.connection, bound) {
            (Connection::SqliteWriter(connection), Bound::Sqlite(values)) => {
                let sql = if is_first { built(format!("BEGIN IMMEDIATE; {}", sql.as_str())) } else { sql };
                send_sqlite(connection, sql, values, prepared).await
            }
            (Connection::SqliteReader(connection), Bound::Sqlite(values)) => {
                send_sqlite(connection, sql, values, prepared).await
            }
            (Connection::PostgresWriter(connection), Bound::Postgres(values)) => {
                if is_first {
                    sqlx::query(BEGIN_POSTGRES).execute(&mut *connection).await.map_err(StoreError::from_sqlx)?;
                }
                send_postgres(connection, sql, values, prepared).await
            }
            (Connection::PostgresReader(connection), Bound::Postgres(values)) => {
                send_postgres(connection, sql, values, prepared).await
            }
            _ => return Err(StoreError::Value("bound for the other engine")),
        };
        sent.map_err(StoreError::from_sqlx)
    }

    /// Runs a text of the engine itself, inside the transaction.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let nothing = match self.engine() {
            EngineKind::Sqlite => Bound::Sqlite(SqliteArguments::default()),
            EngineKind::Postgres => Bound::Postgres(PgArguments::default()),
        };
        self.send(sql.into_sql_str(), nothing, Prepared::Keep).await.map(drop)
    }

    /// Tells whether a statement was sent since the last commit.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Makes everything since the first statement durable.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await.map_err(StoreError::from_commit)?;
        self.begun = false;
        Ok(())
    }

    /// Takes everything since the first statement back. If that fails the connection should be replaced.
    pub(super) async fn rollback(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.begun) {
            self.end("ROLLBACK").await.map_err(StoreError::from_sqlx)?;
        }
        Ok(())
    }

    async fn end(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        match &mut self.connection {
            Connection::SqliteWriter(connection) => sqlx::query(sql).execute(connection).await.map(drop),
            Connection::PostgresWriter(connection) => sqlx::query(sql).execute(connection).await.map(drop),
            Connection::SqliteReader(_) | Connection::PostgresReader(_) => Ok(()),
        }
    }

    /// Moves everything from SQLite's write-ahead log into the file and empties the log, so that deleted bytes are gone from both.
    pub(super) async fn empty_log(&mut self) -> Result<(), StoreError> {
        let Connection::SqliteWriter(connection) = &mut self.connection else { return Ok(()) };
        let answer = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await;
        let (busy, _, _): (i64, i64, i64) = answer.map_err(StoreError::from_sqlx)?;
        let kept = || "a reader kept the write-ahead log from being emptied".to_owned();
        if busy == 0 { Ok(()) } else { Err(StoreError::Database { code: "busy".to_owned(), message: kept() }) }
    }

    /// Closes the connection. What is in the database is consistent whether this succeeds or not.
    pub(super) async fn close(self) {
        let _ = match self.connection {
            Connection::SqliteWriter(connection) => connection.close().await,
            Connection::PostgresWriter(connection) => connection.close().await,
            Connection::SqliteReader(transaction) => transaction.rollback().await,
            Connection::PostgresReader(transaction) => transaction.rollback().await,
        };
    }
}

/// Marks a text that the engine built. The only place that does: what goes in are texts, names of tables and columns written
/// in this crate, and placeholders, never values.
pub(super) fn built(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

/// The count of the last statement in the text is the one that matters: `BEGIN` repeats the count of an earlier one.
async fn send_sqlite(
    connection: &mut SqliteConnection,
    sql: SqlStr,
    values: SqliteArguments,
    prepared: Prepared,
) -> Result<Outcome, sqlx::Error> {
    let query = sqlx::query_with(sql, values).persistent(prepared == Prepared::Keep);
    let mut steps = connection.fetch_many(query);
    let mut outcome = Outcome::default();
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(done) => outcome.changed = done.rows_affected(),
            Either::Right(row) => outcome.rows.push(Row::Sqlite(row)),
        }
    }
    Ok(outcome)
}

async fn send_postgres(
    connection: &mut PgConnection,
    sql: SqlStr,
    values: PgArguments,
    prepared: Prepared,
) -> Result<Outcome, sqlx::Error> {
    let query = sqlx::query_with(sql, values).persistent(prepared == Prepared::Keep);
    let mut steps = connection.fetch_many(query);
    let mut outcome = Outcome::default();
    while let Some(step) = steps.try_next().await? {
        match step {
            Either::Left(done) => outcome.changed = done.rows_affected(),
            Either::Right(row) => outcome.rows.push(Row::Postgres(row)),
        }
    }
    Ok(outcome)
}
