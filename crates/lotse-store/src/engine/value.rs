//! Values that go into statements. Both engines store only bytes, integers and text.

use bytes::Bytes;
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

/// One value of a statement. Has no `Debug`: it may be personal data. A work may run twice, so that it binds clones; cloning bytes
/// copies no content.
#[derive(Clone)]
pub(crate) enum Value {
    Blob(Bytes),
    Id(Id),
    Digest(Digest),
    Int(i64),
    Text(String),
    Null(Kind),
}

impl Value {
    /// Returns the kind of column it fits.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Value::Blob(_) | Value::Id(_) | Value::Digest(_) => Kind::Blob,
            Value::Int(_) => Kind::Int,
            Value::Text(_) => Kind::Text,
            Value::Null(kind) => *kind,
        }
    }

    /// Returns the bytes, if it is of that kind and not NULL.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Value::Blob(bytes) => Some(bytes.into()),
            Value::Id(id) => Some(id.to_vec()),
            Value::Digest(digest) => Some(digest.to_vec()),
            Value::Int(_) | Value::Text(_) | Value::Null(_) => None,
        }
    }
}

/// A Rust type that is stored as one kind of value; what makes `Option<T>` a typed NULL.
pub(crate) trait ToColumn {
    const KIND: Kind;
    fn to_value(self) -> Value;
}

macro_rules! to_column {
    ($($type:ty: $kind:ident, $value:ident => $made:expr;)+) => {$(
        impl ToColumn for $type {
            const KIND: Kind = Kind::$kind;
            fn to_value(self) -> Value {
                let $value = self;
                $made
            }
        }
    )+};
}

to_column! {
    Bytes: Blob, bytes => Value::Blob(bytes);
    Vec<u8>: Blob, bytes => Value::Blob(bytes.into());
    &[u8]: Blob, bytes => Value::Blob(Bytes::copy_from_slice(bytes));
    Id: Blob, id => Value::Id(id);
    &Id: Blob, id => Value::Id(*id);
    Digest: Blob, digest => Value::Digest(digest);
    &Digest: Blob, digest => Value::Digest(*digest);
    i64: Int, number => Value::Int(number);
    i32: Int, number => Value::Int(number.into());
    u32: Int, number => Value::Int(number.into());
    u16: Int, number => Value::Int(number.into());
    u8: Int, number => Value::Int(number.into());
    bool: Int, flag => Value::Int(flag.into());
    Timestamp: Int, at => Value::Int(at.micros());
    Sequence: Int, number => Value::Int(number.as_u64().cast_signed());
    String: Text, text => Value::Text(text);
    &str: Text, text => Value::Text(text.to_owned());
    &AgencyId: Text, agency => Value::Text(agency.as_str().to_owned());
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
