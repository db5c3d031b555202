//! Statements over many rows at once: the forms that make a batch cheap.
//!
//! PostgreSQL gets one array per column and `UNNEST`, so that its text is the same for every number of rows. On SQLite a statement
//! costs little and its text much: rows go to a kept statement that is run for each of them, and keys to one of a few kept texts.

use std::fmt::Write as _;

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;

use super::link::{Bound, Outcome, Prepared, built};
use super::row::Row;
use super::tx::{Tx, add_postgres};
use super::value::{Column, Kind, Value};
use super::{EngineKind, StoreError};

/// Keys that one `fetch_in` takes; more must be read in pages.
pub(crate) const MAX_KEYS: usize = 10_000;

/// Up to this many keys SQLite gets a text that is kept: one for each power of two, in which the last key fills what is left.
const KEPT_KEYS: usize = 512;

/// SQLite would store the value all the same where a table is not STRICT.
const UNFIT: StoreError = StoreError::Value("a value has another kind than its column");

/// The columns of rows given as values, in order.
pub(crate) type Columns<const N: usize> = [Column; N];

/// A table and those of its columns that a statement writes.
pub(crate) struct Table<const N: usize> {
    pub(crate) name: &'static str,
    pub(crate) columns: Columns<N>,
}

/// What happens when a row is already there.
#[derive(Clone, Copy)]
pub(crate) enum OnConflict {
    /// The statement fails.
    Fail,
    /// The row that is there stays.
    Ignore,
    /// The text after `ON CONFLICT`, such as `(id) DO UPDATE SET state = excluded.state`.
    Do(&'static str),
}

impl OnConflict {
    fn write(self, sql: &mut String) {
        match self {
            OnConflict::Fail => {}
            OnConflict::Ignore => sql.push_str(" ON CONFLICT DO NOTHING"),
            OnConflict::Do(text) => {
                sql.push_str(" ON CONFLICT ");
                sql.push_str(text);
            }
        }
    }
}

impl Tx {
    /// Inserts rows and returns how many were written.
    pub(crate) async fn insert_many<const N: usize>(
        &mut self,
        table: &'static Table<N>,
        rows: Vec<[Value; N]>,
        on_conflict: OnConflict,
    ) -> Result<u64, StoreError> {
        let (before, after) = insert_texts(table.name, &table.columns, on_conflict, "");
        Ok(self.run_many(&table.columns, rows.into_flattened(), &before, &after).await?.changed)
    }

    /// Inserts rows that must not be there and returns what the engine says of it.
    pub(super) async fn insert_rows<const N: usize>(
        &mut self,
        table: &'static Table<N>,
        rows: Vec<[Value; N]>,
    ) -> Result<Outcome, StoreError> {
        let (before, after) = insert_texts(table.name, &table.columns, OnConflict::Fail, "");
        self.run_many(&table.columns, rows.into_flattened(), &before, &after).await
    }

    /// Inserts rows and returns the named columns of those that were written, in no promised order. With
    /// [`OnConflict::Ignore`] this tells new rows from known ones.
    pub(crate) async fn insert_many_returning<const N: usize>(
        &mut self,
        table: &'static Table<N>,
        rows: Vec<[Value; N]>,
        on_conflict: OnConflict,
        returning: &'static str,
    ) -> Result<Vec<Row>, StoreError> {
        let (before, after) = insert_texts(table.name, &table.columns, on_conflict, returning);
        Ok(self.run_many(&table.columns, rows.into_flattened(), &before, &after).await?.rows)
    }

    /// Runs a statement that finds the given rows in a table named `v`; returns how many rows it changed. The text is what
    /// follows `WITH v(…) AS (…)`, the same on both engines, for instance
    /// `UPDATE outbox SET state = v.state FROM v WHERE outbox.id = v.id AND outbox.claim = v.claim`. What it does with one row
    /// must not depend on the others: SQLite sees them one after another.
    pub(crate) async fn execute_with<const N: usize>(
        &mut self,
        columns: &'static Columns<N>,
        rows: Vec<[Value; N]>,
        sql: &'static str,
    ) -> Result<u64, StoreError> {
        Ok(self.run_with(columns, rows.into_flattened(), &format!(" {sql}")).await?.changed)
    }

    /// Runs a statement that finds the given rows in a table named `v`, like [`Tx::execute_with`], and returns its rows. A row
    /// that two given rows lead to may come twice.
    pub(crate) async fn fetch_with<const N: usize>(
        &mut self,
        columns: &'static Columns<N>,
        rows: Vec<[Value; N]>,
        sql: &'static str,
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.run_with(columns, rows.into_flattened(), &format!(" {sql}")).await?.rows)
    }

    /// Runs `before` + `IN (keys)` + `after` and returns its rows. `before` ends with the name of the key column; further
    /// values are `$2`, `$3` … in `after`. Takes at most [`MAX_KEYS`] keys, all of one kind.
    pub(crate) async fn fetch_in<const N: usize>(
        &mut self,
        before: &'static str,
        keys: Vec<Value>,
        after: &'static str,
        values: [Value; N],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.run_in(before, keys, after, values.into()).await?.rows)
    }

    pub(super) async fn run_with(
        &mut self,
        columns: &[Column],
        values: Vec<Value>,
        after: &str,
    ) -> Result<Outcome, StoreError> {
        let before = format!("WITH v({}) AS (", names(columns));
        self.run_many(columns, values, &before, &format!("){after}")).await
    }

    /// Puts the rows between two texts: one after another as `VALUES (…)` on SQLite, or as one `SELECT … FROM UNNEST`.
    async fn run_many(
        &mut self,
        columns: &[Column],
        values: Vec<Value>,
        before: &str,
        after: &str,
    ) -> Result<Outcome, StoreError> {
        let width = columns.len();
        if values.is_empty() {
            return Ok(Outcome::default());
        }
        if values.iter().zip(columns.iter().cycle()).any(|(value, column)| value.kind() != column.kind) {
            return Err(UNFIT);
        }
        if let EngineKind::Postgres = self.engine() {
            let sql = format!("{before}SELECT * FROM UNNEST({}){after}", array_placeholders(columns));
            let bound = Bound::Postgres(bind_arrays(columns, values)?);
            return self.run(built(sql), bound, Prepared::Keep).await;
        }
        let sql = format!("{before}VALUES ({}){after}", placeholders(width));
        self.run(built(sql), Bound::SqliteEach(values, width), Prepared::Keep).await
    }

    pub(super) async fn run_in(
        &mut self,
        before: &str,
        keys: Vec<Value>,
        after: &str,
        values: Vec<Value>,
    ) -> Result<Outcome, StoreError> {
        let Some(kind) = keys.first().map(Value::kind) else {
            return Ok(Outcome::default());
        };
        if keys.len() > MAX_KEYS {
            return Err(StoreError::Value("more than 10,000 keys: read in pages"));
        }
        if let EngineKind::Postgres = self.engine() {
            let mut arguments = PgArguments::default();
            add_array(&mut arguments, kind, keys.into_iter())?;
            add_postgres(&mut arguments, values.into_iter())?;
            let sql = format!("{before} = ANY($1){after}");
            return self.run(built(sql), Bound::Postgres(arguments), Prepared::Keep).await;
        }
        let (count, prepared) = match keys.len() {
            few @ ..=KEPT_KEYS => (few.next_power_of_two(), Prepared::Keep),
            many => (many, Prepared::Drop),
        };
        let filling = keys.last().cloned().into_iter().cycle().take(count - keys.len());
        let sql = format!("{before} IN ({}){}", placeholders(count), shift_placeholders(after, count, values.len()));
        let bound = self.bind(keys.into_iter().chain(filling.collect::<Vec<_>>()).chain(values))?;
        self.run(built(sql), bound, prepared).await
    }
}

fn insert_texts(table: &str, columns: &[Column], on_conflict: OnConflict, returning: &str) -> (String, String) {
    let before = format!("INSERT INTO {table}({}) ", names(columns));
    let mut after = String::new();
    on_conflict.write(&mut after);
    if !returning.is_empty() {
        after.push_str(" RETURNING ");
        after.push_str(returning);
    }
    (before, after)
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",")
}

/// Writes `?,?,?`.
fn placeholders(count: usize) -> String {
    let mut marks = "?,".repeat(count);
    marks.pop();
    marks
}

/// On SQLite the keys come first as `?`, so what is `$2` on PostgreSQL is the parameter after the last key.
fn shift_placeholders(sql: &str, keys: usize, values: usize) -> String {
    (0..values)
        .rev()
        .fold(sql.to_owned(), |sql, value| sql.replace(&format!("${}", value + 2), &format!("?{}", keys + value + 1)))
}

/// Writes `$1::bytea[],$2::bigint[]`.
fn array_placeholders(columns: &[Column]) -> String {
    let mut sql = String::new();
    for (number, column) in columns.iter().enumerate() {
        let kind = match column.kind {
            Kind::Blob => "bytea",
            Kind::Int => "bigint",
            Kind::Text => "text",
        };
        let comma = if number == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{comma}${}::{kind}[]", number + 1);
    }
    sql
}

/// Turns rows into one array per column.
fn bind_arrays(columns: &[Column], values: Vec<Value>) -> Result<PgArguments, StoreError> {
    let (width, rows) = (columns.len(), values.len() / columns.len());
    let mut cells: Vec<Vec<Value>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
    for (number, value) in values.into_iter().enumerate() {
        cells[number % width].push(value);
    }
    let mut arguments = PgArguments::default();
    for (column, cells) in columns.iter().zip(cells) {
        add_array(&mut arguments, column.kind, cells.into_iter())?;
    }
    Ok(arguments)
}

fn add_array(arguments: &mut PgArguments, kind: Kind, values: impl Iterator<Item = Value>) -> Result<(), StoreError> {
    let added = match kind {
        Kind::Blob => arguments.add(collect(values, |value| match value {
            Value::Null(_) => Ok(None),
            value => value.into_bytes().map(Some).ok_or(UNFIT),
        })?),
        Kind::Int => arguments.add(collect(values, |value| match value {
            Value::Int(number) => Ok(Some(number)),
            Value::Null(_) => Ok(None),
            _ => Err(UNFIT),
        })?),
        Kind::Text => arguments.add(collect(values, |value| match value {
            Value::Text(text) => Ok(Some(text)),
            Value::Null(_) => Ok(None),
            _ => Err(UNFIT),
        })?),
    };
    added.map_err(|_| StoreError::Value("a value cannot be encoded"))
}

fn collect<T>(
    values: impl Iterator<Item = Value>,
    take: impl Fn(Value) -> Result<Option<T>, StoreError>,
) -> Result<Vec<Option<T>>, StoreError> {
    values.map(take).collect()
}
