//! Values that go into statements. Both engines store only bytes, integers and text.

use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::time::Timestamp;

/// What a column stores: `BLOB`/`BYTEA`, `INTEGER`/`BIGINT`, `TEXT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Blob,
    Int,
    Text,
}

/// A column's name and kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

impl Column {
    /// A column of bytes.
    pub(crate) const fn blob(name: &'static str) -> Column {
        Column { name, kind: Kind::Blob }
    }

    /// A column of integers.
    pub(crate) const fn int(name: &'static str) -> Column {
        Column { name, kind: Kind::Int }
    }

    /// A column of text.
    pub(crate) const fn text(name: &'static str) -> Column {
        Column { name, kind: Kind::Text }
    }
}

/// One value of a statement. Has no `Debug`: it may be personal data.
#[derive(Clone)]
pub(crate) enum Value {
    Blob(Vec<u8>),
    Int(i64),
    Text(String),
    Null(Kind),
}

impl Value {
    /// Returns the kind of column it fits.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Value::Blob(_) => Kind::Blob,
            Value::Int(_) => Kind::Int,
            Value::Text(_) => Kind::Text,
            Value::Null(kind) => *kind,
        }
    }
}

/// A Rust type that is stored as one kind of value; what makes `Option<T>` a typed NULL.
pub(crate) trait ToColumn {
    const KIND: Kind;
    fn to_value(self) -> Value;
}

macro_rules! to_column {
    ($($type:ty: $kind:ident, $value:ident => $stored:expr;)+) => {$(
        impl ToColumn for $type {
            const KIND: Kind = Kind::$kind;
            fn to_value(self) -> Value {
                let $value = self;
                Value::$kind($stored)
            }
        }
    )+};
}

to_column! {
    Vec<u8>: Blob, bytes => bytes;
    &[u8]: Blob, bytes => bytes.to_vec();
    Id: Blob, id => id.to_vec();
    &Id: Blob, id => id.to_vec();
    Digest: Blob, digest => digest.to_vec();
    &Digest: Blob, digest => digest.to_vec();
    i64: Int, number => number;
    i32: Int, number => i64::from(number);
    u32: Int, number => i64::from(number);
    u16: Int, number => i64::from(number);
    u8: Int, number => i64::from(number);
    bool: Int, flag => i64::from(flag);
    Timestamp: Int, at => at.micros();
    Sequence: Int, number => number.as_u64().cast_signed();
    String: Text, text => text;
    &str: Text, text => text.to_owned();
    &AgencyId: Text, agency => agency.as_str().to_owned();
}

impl<T: ToColumn> From<T> for Value {
    fn from(value: T) -> Value {
        value.to_value()
    }
}

impl<T: ToColumn> ToColumn for Option<T> {
    const KIND: Kind = T::KIND;

    fn to_value(self) -> Value {
        self.map_or(Value::Null(T::KIND), ToColumn::to_value)
    }
}
