//! A transaction as works see it.

use std::sync::Arc;

use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, SqlSafeStr, SqlStr};

use super::directory::Directories;
use super::link::{Bound, Link, Outcome, Prepared};
use super::row::Row;
use super::value::{Kind, Value};
use super::{EngineKind, StoreError};

/// A transaction. Works run their statements on it, one after another.
pub struct Tx {
    link: Link,
    directories: Arc<Directories>,
    /// The database's version when this connection last looked at it; another connection that writes changes it.
    version: Option<i64>,
    statements: u64,
    rows: u64,
    failed: Option<StoreError>,
}

impl Tx {
    /// Runs a statement and returns the number of rows it changed. One text with `$1 …` serves both engines.
    pub(crate) async fn execute<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<u64, StoreError> {
        let bound = self.bind(values.into_iter())?;
        Ok(self.run(sql.into_sql_str(), bound, Prepared::Keep).await?.changed)
    }

    /// Runs a statement and returns its rows.
    pub(crate) async fn fetch<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<Vec<Row>, StoreError> {
        let bound = self.bind(values.into_iter())?;
        Ok(self.run(sql.into_sql_str(), bound, Prepared::Keep).await?.rows)
    }

    /// Runs a statement and returns its first row, if there is one.
    pub(crate) async fn fetch_optional<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.fetch(sql, values).await?.into_iter().next())
    }

    /// Runs a statement that always returns a row, such as a count.
    pub(crate) async fn fetch_one<const N: usize>(
        &mut self,
        sql: &'static str,
        values: [Value; N],
    ) -> Result<Row, StoreError> {
        self.fetch_optional(sql, values).await?.ok_or(StoreError::NoRow)
    }

    /// Tells which database this is, for the few texts that differ.
    pub(crate) fn engine(&self) -> EngineKind {
        self.link.engine()
    }

    pub(super) fn new(link: Link, directories: &Arc<Directories>) -> Tx {
        let directories = Arc::clone(directories);
        Tx { link, directories, version: None, statements: 0, rows: 0, failed: None }
    }

    pub(super) fn directories(&self) -> &Directories {
        &self.directories
    }

    /// Tells whether it may write.
    pub(super) fn is_writer(&self) -> bool {
        self.link.is_writer()
    }

    /// Notes the database's version and returns the one before.
    pub(super) fn saw_version(&mut self, version: i64) -> Option<i64> {
        self.version.replace(version)
    }

    pub(super) fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    pub(super) fn into_link(self) -> Link {
        self.link
    }

    /// Returns and resets what one run did: statements, rows, and the first statement that failed.
    pub(super) fn take_run(&mut self) -> (u64, u64, Option<StoreError>) {
        (std::mem::take(&mut self.statements), std::mem::take(&mut self.rows), self.failed.take())
    }

    /// Sends one statement. A failure is remembered: after it the work cannot be committed, whatever it answers.
    pub(super) async fn run(&mut self, sql: SqlStr, bound: Bound, prepared: Prepared) -> Result<Outcome, StoreError> {
        self.statements += 1;
        let sent = self.link.send(sql, bound, prepared).await;
        match &sent {
            Ok(outcome) if outcome.rows.is_empty() => self.rows += outcome.changed,
            Ok(outcome) => self.rows += outcome.rows.len() as u64,
            Err(error) => {
                self.failed.get_or_insert_with(|| error.clone());
            }
        }
        sent
    }

    pub(super) fn bind(&self, values: impl Iterator<Item = Value>) -> Result<Bound, StoreError> {
        match self.engine() {
            EngineKind::Sqlite => Ok(Bound::Sqlite(values.collect())),
            EngineKind::Postgres => Ok(Bound::Postgres(bind_postgres(values)?)),
        }
    }
}

fn bind_postgres(values: impl Iterator<Item = Value>) -> Result<PgArguments, StoreError> {
    let mut arguments = PgArguments::default();
    add_postgres(&mut arguments, values)?;
    Ok(arguments)
}

pub(super) fn add_postgres(arguments: &mut PgArguments, values: impl Iterator<Item = Value>) -> Result<(), StoreError> {
    for value in values {
        match value {
            bytes @ (Value::Blob(_) | Value::Id(_) | Value::Digest(_)) => arguments.add(bytes.into_bytes()),
            Value::Int(number) => arguments.add(number),
            Value::Text(text) => arguments.add(text),
            Value::Null(Kind::Blob) => arguments.add(None::<Vec<u8>>),
            Value::Null(Kind::Int) => arguments.add(None::<i64>),
            Value::Null(Kind::Text) => arguments.add(None::<String>),
        }
        .map_err(|_| StoreError::Value("a value cannot be encoded"))?;
    }
    Ok(())
}
