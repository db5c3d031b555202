//! One statement on SQLite, run where it is called.

use std::time::Instant;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Statement, ToSql};

use super::SLOW;
use crate::engine::link::{Outcome, Prepared};
use crate::engine::row::{Cell, Row};
use crate::engine::value::Value;

/// Runs a statement with its values. `$n` is the n-th value, `?` the next one.
pub(in crate::engine) fn run(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    prepared: Prepared,
) -> Result<Outcome, Error> {
    #[cfg(test)]
    super::plan::expect_search(connection, sql);
    let begin = Instant::now();
    let mut outcome = Outcome::default();
    match prepared {
        Prepared::Keep => step(&mut *connection.prepare_cached(sql)?, values, &mut outcome)?,
        Prepared::Drop => step(&mut connection.prepare(sql)?, values, &mut outcome)?,
    }
    tell_if_slow(begin, sql);
    Ok(outcome)
}

/// Runs a statement once for each row of values.
pub(in crate::engine) fn run_each(
    connection: &Connection,
    sql: &str,
    values: &[Value],
    width: usize,
) -> Result<Outcome, Error> {
    #[cfg(test)]
    super::plan::expect_search(connection, sql);
    let begin = Instant::now();
    let mut outcome = Outcome::default();
    let mut statement = connection.prepare_cached(sql)?;
    for row in values.chunks_exact(width) {
        step(&mut statement, row, &mut outcome)?;
    }
    outcome.last_place = connection.last_insert_rowid();
    tell_if_slow(begin, sql);
    Ok(outcome)
}

fn step(statement: &mut Statement<'_>, values: &[Value], outcome: &mut Outcome) -> Result<(), Error> {
    bind(statement, values)?;
    let columns = statement.column_count();
    if columns == 0 {
        outcome.changed += statement.raw_execute()? as u64;
        return Ok(());
    }
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        // Of its size from the beginning: collecting results would let it grow step by step.
        let mut cells = Vec::with_capacity(columns);
        for column in 0..columns {
            cells.push(cell(row.get_ref(column)?));
        }
        outcome.rows.push(Row::Sqlite(cells.into_boxed_slice()));
    }
    Ok(())
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<(), Error> {
    let wanted = statement.parameter_count();
    for parameter in 1..=wanted {
        let number = statement.parameter_name(parameter).and_then(|name| name.strip_prefix('$')?.parse().ok());
        let value = values.get(number.unwrap_or(parameter).wrapping_sub(1));
        match value.ok_or(Error::InvalidParameterCount(values.len(), wanted))? {
            Value::Blob(bytes) => bind_one(statement, parameter, &bytes.as_ref())?,
            Value::Id(id) => bind_one(statement, parameter, id.as_bytes())?,
            Value::Digest(digest) => bind_one(statement, parameter, digest.as_bytes())?,
            Value::Int(number) => bind_one(statement, parameter, number)?,
            Value::Text(text) => bind_one(statement, parameter, text)?,
            Value::Null(_) => bind_one(statement, parameter, &rusqlite::types::Null)?,
        }
    }
    Ok(())
}

fn bind_one(statement: &mut Statement<'_>, parameter: usize, value: &impl ToSql) -> Result<(), Error> {
    statement.raw_bind_parameter(parameter, value)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Text(bytes) => Cell::Text(bytes.into()),
        ValueRef::Blob(bytes) => Cell::Blob(bytes.into()),
        ValueRef::Real(_) => Cell::Other,
    }
}

/// The text only: values are data of persons.
fn tell_if_slow(begin: Instant, sql: &str) {
    let spent = begin.elapsed();
    if spent >= SLOW {
        tracing::warn!(elapsed_ms = spent.as_millis() as u64, sql, "a statement took long");
    }
}
