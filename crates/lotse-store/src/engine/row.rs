//! Rows that come out of statements.

use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::time::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};

use super::StoreError;

/// A row of a result; columns are counted from 0.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Reads a column. Ask for `Option<T>` where NULL is allowed.
    pub(crate) fn get<T: FromColumn>(&self, column: usize) -> Result<T, StoreError> {
        T::from_column(self, column)
    }

    fn read<'r, T>(&'r self, column: usize, expected: &'static str) -> Result<Option<T>, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        let read = match self {
            Row::Sqlite(row) => row.try_get(column),
            Row::Postgres(row) => row.try_get(column),
        };
        read.map_err(|_| StoreError::Row { column, expected })
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
