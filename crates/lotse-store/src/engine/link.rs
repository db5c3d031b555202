//! A connection inside a transaction: where a `Tx` sends its statements, and how the writer begins, commits and rolls back.

use futures_util::TryStreamExt;
use rusqlite::{Connection as Sqlite, InterruptHandle};
use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Either, Executor, Postgres, SqlSafeStr, SqlStr, Transaction};

use super::row::Row;
use super::sqlite::{self, statement};
use super::value::Value;
use super::{EngineKind, StoreError, WriteAheadLog};

/// A connection and whether its transaction has begun.
pub(super) struct Link {
    connection: Connection,
    begun: bool,
    /// Whether a row was changed since then.
    written: bool,
}

/// Connections to SQLite belong to one thread, on which each statement is run where it is called. PostgreSQL's readers hold
/// sqlx's own transaction, which ends when they are dropped.
pub(super) enum Connection {
    SqliteWriter(Sqlite),
    SqliteReader(Sqlite),
    PostgresWriter(PgConnection),
    PostgresReader(Transaction<'static, Postgres>),
}

/// What a statement returned.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) rows: Vec<Row>,
    pub(super) changed: u64,
    /// The place of the row that was inserted last; of SQLite only.
    pub(super) last_place: i64,
}

/// The values of a statement, bound for one engine.
pub(super) enum Bound {
    Sqlite(Vec<Value>),
    /// Values of so many columns for a statement that is run once for each row of them.
    SqliteEach(Vec<Value>, usize),
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
        Link { connection, begun: false, written: false }
    }

    pub(super) fn engine(&self) -> EngineKind {
        match self.connection {
            Connection::SqliteWriter(_) | Connection::SqliteReader(_) => EngineKind::Sqlite,
            Connection::PostgresWriter(_) | Connection::PostgresReader(_) => EngineKind::Postgres,
        }
    }

    /// Tells whether this is the connection that writes.
    pub(super) fn is_writer(&self) -> bool {
        matches!(self.connection, Connection::SqliteWriter(_) | Connection::PostgresWriter(_))
    }

    /// Returns what ends a statement of SQLite from another thread.
    pub(super) fn interrupt_handle(&self) -> Option<InterruptHandle> {
        match &self.connection {
            Connection::SqliteWriter(connection) | Connection::SqliteReader(connection) => {
                Some(connection.get_interrupt_handle())
            }
            Connection::PostgresWriter(_) | Connection::PostgresReader(_) => None,
        }
    }

    /// Sends one statement and collects what it returns. The first one also begins.
    pub(super) async fn send(&mut self, sql: SqlStr, bound: Bound, prepared: Prepared) -> Result<Outcome, StoreError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.begin().await?;
        }
        let sent = match (&mut self.connection, bound) {
            (Connection::SqliteWriter(connection) | Connection::SqliteReader(connection), Bound::Sqlite(values)) => {
                statement::run(connection, sql.as_str(), &values, prepared).map_err(StoreError::from_sqlite)
            }
            (
                Connection::SqliteWriter(connection) | Connection::SqliteReader(connection),
                Bound::SqliteEach(values, width),
            ) => statement::run_each(connection, sql.as_str(), &values, width).map_err(StoreError::from_sqlite),
            (Connection::PostgresWriter(connection), Bound::Postgres(values)) => {
                send_postgres(connection, sql, values, prepared).await.map_err(StoreError::from_sqlx)
            }
            (Connection::PostgresReader(connection), Bound::Postgres(values)) => {
                send_postgres(connection, sql, values, prepared).await.map_err(StoreError::from_sqlx)
            }
            _ => Err(StoreError::Value("bound for the other engine")),
        };
        self.written |= sent.as_ref().is_ok_and(|outcome| outcome.changed > 0 && outcome.rows.is_empty());
        sent
    }

    async fn begin(&mut self) -> Result<(), StoreError> {
        match &mut self.connection {
            Connection::SqliteWriter(connection) => control_sqlite(connection, "BEGIN IMMEDIATE"),
            Connection::SqliteReader(connection) => control_sqlite(connection, "BEGIN"),
            Connection::PostgresWriter(connection) => {
                sqlx::query(BEGIN_POSTGRES).execute(connection).await.map(drop).map_err(StoreError::from_sqlx)
            }
            Connection::PostgresReader(_) => Ok(()),
        }
    }

    /// Runs a text of the engine itself, inside the transaction.
    pub(super) async fn control(&mut self, sql: &'static str) -> Result<(), StoreError> {
        let nothing = match self.engine() {
            EngineKind::Sqlite => Bound::Sqlite(Vec::new()),
            EngineKind::Postgres => Bound::Postgres(PgArguments::default()),
        };
        self.send(sql.into_sql_str(), nothing, Prepared::Keep).await.map(drop)
    }

    /// Tells whether a statement was sent since the last commit.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Tells whether a row was changed since the last commit.
    pub(super) fn has_written(&self) -> bool {
        self.written
    }

    /// Makes everything since the first statement durable.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        self.end("COMMIT").await.map_err(StoreError::into_commit)?;
        (self.begun, self.written) = (false, false);
        Ok(())
    }

    /// Takes everything since the first statement back. If that fails the connection should be replaced.
    pub(super) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.written = false;
        if std::mem::take(&mut self.begun) {
            self.end("ROLLBACK").await?;
        }
        Ok(())
    }

    async fn end(&mut self, sql: &'static str) -> Result<(), StoreError> {
        match &mut self.connection {
            Connection::SqliteWriter(connection) | Connection::SqliteReader(connection) => {
                // After some failures, such as a full disk, SQLite has taken everything back itself.
                let is_over = sql == "ROLLBACK" && connection.is_autocommit();
                if is_over { Ok(()) } else { control_sqlite(connection, sql) }
            }
            Connection::PostgresWriter(connection) => {
                sqlx::query(sql).execute(connection).await.map(drop).map_err(StoreError::from_sqlx)
            }
            Connection::PostgresReader(_) => Ok(()),
        }
    }

    /// Moves what no reader needs from SQLite's write-ahead log into the file and empties the log, so that deleted bytes are gone
    /// from both. The writer waits for no reader.
    pub(super) fn empty_log(&mut self) -> Result<WriteAheadLog, StoreError> {
        match &self.connection {
            Connection::SqliteWriter(connection) => sqlite::empty_log(connection).map_err(StoreError::from_sqlite),
            _ => Ok(WriteAheadLog::Empty),
        }
    }

    /// Closes the connection. What is in the database is consistent whether this succeeds or not.
    pub(super) async fn close(self) {
        match self.connection {
            Connection::SqliteWriter(connection) | Connection::SqliteReader(connection) => drop(connection.close()),
            Connection::PostgresWriter(connection) => drop(connection.close().await),
            Connection::PostgresReader(transaction) => drop(transaction.rollback().await),
        }
    }
}

/// Marks a text that the engine built. The only place that does: what goes in are texts, names of tables and columns written
/// in this crate, and placeholders, never values.
pub(super) fn built(sql: String) -> SqlStr {
    AssertSqlSafe(sql).into_sql_str()
}

fn control_sqlite(connection: &Sqlite, sql: &str) -> Result<(), StoreError> {
    statement::run(connection, sql, &[], Prepared::Keep).map(drop).map_err(StoreError::from_sqlite)
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
