//! Rows that come out of statements.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

use super::StoreError;

/// A row of a result; columns are counted from 0.
pub(crate) enum Row {
    Sqlite(Box<[Cell]>),
    Postgres(PgRow),
}

/// What SQLite has in one column of a row.
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(Box<[u8]>),
    Blob(Box<[u8]>),
    /// Something that this program never writes.
    Other,
}

/// Rows that could be read, and the ids of those that could not: one broken row hides none of the others.
#[derive(Clone, Debug)]
pub struct Readable<T> {
    /// The rows, in their order.
    pub rows: Vec<T>,
    /// Ids of the rows that cannot be read; [`Id::NIL`] for one whose id cannot be read either.
    pub broken: Vec<Id>,
}

impl<T> Default for Readable<T> {
    fn default() -> Readable<T> {
        Readable { rows: Vec::new(), broken: Vec::new() }
    }
}

/// Reads rows one by one. `id` is the column of the id by which a broken one is named.
pub(crate) fn readable<T>(rows: &[Row], id: usize, read: impl Fn(&Row) -> Result<T, StoreError>) -> Readable<T> {
    let mut found = Readable { rows: Vec::with_capacity(rows.len()), broken: Vec::new() };
    for row in rows {
        match read(row) {
            Ok(row) => found.rows.push(row),
            Err(error) => {
                let id: Option<Id> = row.get(id).ok();
                log_broken(id, &error);
                found.broken.push(id.unwrap_or(Id::NIL));
            }
        }
    }
    found
}

/// Logs a broken row, ever more rarely: what reads it comes again and again.
fn log_broken(id: Option<Id>, error: &StoreError) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    if count.is_power_of_two() || count.is_multiple_of(LOGGED_EACH) {
        let id = id.map(tracing::field::display);
        tracing::error!(%error, id, count, "a row of the database cannot be read and is left out: restore it from a backup");
    }
}

/// Broken rows per message in the log, once there were many.
const LOGGED_EACH: u64 = 1024;

impl Row {
    /// Reads a column. Ask for `Option<T>` where NULL is allowed.
    pub(crate) fn get<T: FromColumn>(&self, column: usize) -> Result<T, StoreError> {
        T::from_column(self, column)
    }

    fn read<'r, T: Stored<'r>>(&'r self, column: usize, expected: &'static str) -> Result<Option<T>, StoreError> {
        let read = match self {
            Row::Sqlite(cells) => match cells.get(column) {
                Some(Cell::Null) => Some(None),
                Some(cell) => T::from_cell(cell).map(Some),
                None => None,
            },
            Row::Postgres(row) => row.try_get(column).ok(),
        };
        read.ok_or(StoreError::Row { column, expected })
    }
}

/// A type in which the engines hand values out.
trait Stored<'r>: Decode<'r, Postgres> + Type<Postgres> {
    /// Reads it from a column of SQLite that is not NULL.
    fn from_cell(cell: &'r Cell) -> Option<Self>;
}

impl<'r> Stored<'r> for &'r [u8] {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        if let Cell::Blob(bytes) = cell { Some(bytes) } else { None }
    }
}

impl<'r> Stored<'r> for &'r str {
    fn from_cell(cell: &'r Cell) -> Option<Self> {
        if let Cell::Text(bytes) = cell { std::str::from_utf8(bytes).ok() } else { None }
    }
}

impl Stored<'_> for i64 {
    fn from_cell(cell: &Cell) -> Option<Self> {
        if let Cell::Int(number) = cell { Some(*number) } else { None }
    }
}

impl Stored<'_> for Vec<u8> {
    fn from_cell(cell: &Cell) -> Option<Self> {
        <&[u8]>::from_cell(cell).map(<[u8]>::to_vec)
    }
}

impl Stored<'_> for String {
    fn from_cell(cell: &Cell) -> Option<Self> {
        <&str>::from_cell(cell).map(str::to_owned)
    }
}

/// A type that can be read from a column.
pub(crate) trait FromColumn: Sized {
    const EXPECTED: &'static str;
    fn from_nullable(row: &Row, column: usize) -> Result<Option<Self>, StoreError>;

    fn from_column(row: &Row, column: usize) -> Result<Self, StoreError> {
        Self::from_nullable(row, column)?.ok_or(StoreError::Row { column, expected: Self::EXPECTED })
    }
}

impl<T: FromColumn> FromColumn for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_nullable(row: &Row, column: usize) -> Result<Option<Self>, StoreError> {
        T::from_nullable(row, column).map(Some)
    }
}

macro_rules! from_column {
    ($($type:ty, $expected:literal: $stored:ty, $value:ident => $made:expr;)+) => {$(
        impl FromColumn for $type {
            const EXPECTED: &'static str = $expected;
            fn from_nullable(row: &Row, column: usize) -> Result<Option<Self>, StoreError> {
                let make = |$value: $stored| -> Option<Self> { $made };
                let unfit = StoreError::Row { column, expected: $expected };
                row.read(column, $expected)?.map(|stored| make(stored).ok_or(unfit)).transpose()
            }
        }
    )+};
}

from_column! {
    Vec<u8>, "bytes": Vec<u8>, bytes => Some(bytes);
    Bytes, "bytes": &[u8], bytes => Some(Bytes::copy_from_slice(bytes));
    Id, "an id": &[u8], bytes => Id::from_slice(bytes).ok();
    Digest, "a digest": &[u8], bytes => Digest::from_slice(bytes).ok();
    i64, "an integer": i64, number => Some(number);
    i32, "an integer of 32 bits": i64, number => number.try_into().ok();
    u64, "a count": i64, number => number.try_into().ok();
    u32, "a count of 32 bits": i64, number => number.try_into().ok();
    u16, "a count of 16 bits": i64, number => number.try_into().ok();
    u8, "a count of 8 bits": i64, number => number.try_into().ok();
    bool, "0 or 1": i64, number => match number { 0 => Some(false), 1 => Some(true), _ => None };
    Timestamp, "a time": i64, micros => Some(Timestamp::from_micros(micros));
    Sequence, "a sequence": i64, number => Some(Sequence::from_u64(number.cast_unsigned()));
    String, "text": String, text => Some(text);
    AgencyId, "an agency id": &str, text => text.parse().ok();
}

impl<const N: usize> FromColumn for [u8; N] {
    const EXPECTED: &'static str = "bytes of the expected length";

    fn from_nullable(row: &Row, column: usize) -> Result<Option<Self>, StoreError> {
        let unfit = StoreError::Row { column, expected: Self::EXPECTED };
        let bytes: Option<&[u8]> = row.read(column, Self::EXPECTED)?;
        bytes.map(|bytes| bytes.try_into().map_err(|_| unfit)).transpose()
    }
}
