//! Schema levels: what a sealed document contains, found out before it is parsed.
//!
//! prost drops what it does not know. For a document whose bytes are signed that would mean to act on a part of it, so its
//! bytes are walked first with a table that knows the schema level of each field and enum value. The table is generated
//! from `proto/`: an element belongs to level 1 unless its comment says "Since level n.".

mod cursor;
mod lists;
mod shape;
#[cfg(test)]
mod tests;

use cursor::{Cursor, WireType};
use lists::Lists;
pub use lists::{ListBounded, ListError, MAX_LIST_BYTES};
use shape::{Enumeration, Field, Kind, Shape};

/// How deep messages may be nested, the document itself included.
pub const MAX_DEPTH: u32 = 16;

/// A document whose bytes are signed or hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// `lotse.exchange.v1.Card`
    Card,
    /// `lotse.exchange.v1.Agreement`
    Agreement,
    /// `lotse.exchange.v1.Envelope`
    Envelope,
    /// `lotse.exchange.v1.BatchStatement`
    BatchStatement,
    /// `lotse.exchange.v1.ReceiptStatement`
    ReceiptStatement,
    /// `lotse.exchange.v1.ReceiptItem`
    ReceiptItem,
    /// `lotse.exchange.v1.LogEntry`
    LogEntry,
}

impl MessageType {
    /// Every sealed document.
    pub const ALL: [MessageType; 7] = [
        MessageType::Card,
        MessageType::Agreement,
        MessageType::Envelope,
        MessageType::BatchStatement,
        MessageType::ReceiptStatement,
        MessageType::ReceiptItem,
        MessageType::LogEntry,
    ];

    /// Returns the full name of the message, for instance `lotse.exchange.v1.Card`.
    pub const fn name(self) -> &'static str {
        self.shape().name
    }

    const fn shape(self) -> &'static Shape {
        match self {
            MessageType::Card => &shape::LOTSE_EXCHANGE_V1_CARD,
            MessageType::Agreement => &shape::LOTSE_EXCHANGE_V1_AGREEMENT,
            MessageType::Envelope => &shape::LOTSE_EXCHANGE_V1_ENVELOPE,
            MessageType::BatchStatement => &shape::LOTSE_EXCHANGE_V1_BATCH_STATEMENT,
            MessageType::ReceiptStatement => &shape::LOTSE_EXCHANGE_V1_RECEIPT_STATEMENT,
            MessageType::ReceiptItem => &shape::LOTSE_EXCHANGE_V1_RECEIPT_ITEM,
            MessageType::LogEntry => &shape::LOTSE_EXCHANGE_V1_LOG_ENTRY,
        }
    }
}

/// Why a document must not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// A field that no level known here has.
    #[error("{message} has the unknown field {number}")]
    UnknownField {
        /// Full name of the message.
        message: &'static str,
        /// Number of the field.
        number: u32,
    },
    /// An enum value that no level known here has.
    #[error("{enumeration} has the unknown value {value}")]
    UnknownEnumValue {
        /// Full name of the enum.
        enumeration: &'static str,
        /// The value.
        value: i64,
    },
    /// A field or enum value of a later level than the one agreed on.
    #[error("{element} {number} belongs to schema level {level}")]
    AboveLevel {
        /// Full name of the message or enum.
        element: &'static str,
        /// Number of the field or enum value.
        number: u32,
        /// The level that it belongs to.
        level: u32,
    },
    /// The bytes are no encoding of this message at any level.
    #[error("malformed: {0}")]
    Malformed(Malformation),
}

impl ScanError {
    /// Tells whether a newer node might understand the document (`SCHEMA_TOO_NEW`); otherwise it is malformed.
    pub const fn is_too_new(&self) -> bool {
        !matches!(self, ScanError::Malformed(_))
    }
}

/// What is wrong with malformed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformation {
    /// They end inside a field.
    #[error("the bytes end inside a field")]
    Truncated,
    /// A number is longer than 64 bits.
    #[error("a number is too long")]
    Number,
    /// A tag has no valid field number, or a wire type that does not exist or is a group.
    #[error("a tag is not valid")]
    Tag,
    /// A field does not have the wire type of its declaration.
    #[error("field {number} of {message} has another wire type than declared")]
    WireType {
        /// Full name of the message.
        message: &'static str,
        /// Number of the field.
        number: u32,
    },
    /// A field that is not repeated, or a second member of its oneof, comes twice. Parsers silently take the last one, and
    /// not all of them the same way, so a signature over such bytes would have two meanings.
    #[error("field {number} of {message}, or its oneof, is given twice")]
    Twice {
        /// Full name of the message.
        message: &'static str,
        /// Number of the field.
        number: u32,
    },
    /// Lists would take more than [`MAX_LIST_BYTES`] of memory.
    #[error("the lists take more than {MAX_LIST_BYTES} bytes of memory")]
    Lists,
    /// Messages are nested deeper than [`MAX_DEPTH`].
    #[error("messages are nested deeper than {MAX_DEPTH}")]
    Depth,
}

/// Walks the bytes of a sealed document once and returns the highest schema level that it uses.
///
/// # Errors
/// The first element, in the order of the bytes, that is unknown, above `level` or malformed. A document that passes has
/// no part that parsing drops; parsing can still fail on text that is not UTF-8.
pub fn scan(bytes: &[u8], message: MessageType, level: u32) -> Result<u32, ScanError> {
    Scan { level, highest: 1, lists: Lists::default() }.message(bytes, message.shape(), MAX_DEPTH)
}

/// A walk under way.
struct Scan {
    level: u32,
    highest: u32,
    lists: Lists,
}

impl Scan {
    fn message(mut self, bytes: &[u8], shape: &'static Shape, depth: u32) -> Result<u32, ScanError> {
        self.fields(bytes, shape, depth)?;
        Ok(self.highest)
    }

    fn fields(&mut self, bytes: &[u8], shape: &'static Shape, depth: u32) -> Result<(), ScanError> {
        let depth = depth.checked_sub(1).ok_or(ScanError::Malformed(Malformation::Depth))?;
        let mut cursor = Cursor::new(bytes);
        let mut met = 0_u64;
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            let message = shape.name;
            let field = shape.field(number).ok_or(ScanError::UnknownField { message, number })?;
            self.admit(message, number, field.level)?;
            let slot = field.slot_bit();
            if met & slot != 0 {
                return Err(ScanError::Malformed(Malformation::Twice { message, number }));
            }
            met |= slot;
            let mismatch = ScanError::Malformed(Malformation::WireType { message, number });
            self.value(&mut cursor, field, wire_type, depth, mismatch)?;
        }
        Ok(())
    }

    fn value(
        &mut self,
        cursor: &mut Cursor<'_>,
        field: &Field,
        wire_type: WireType,
        depth: u32,
        mismatch: ScanError,
    ) -> Result<(), ScanError> {
        self.count(field)?;
        match (wire_type, &field.kind) {
            (WireType::Length, Kind::Bytes) => cursor.block().map(drop),
            (WireType::Length, Kind::Message(shape)) => self.fields(cursor.block()?, shape, depth),
            (WireType::Length, _) if field.repeated => self.packed(Cursor::new(cursor.block()?), field),
            (found, kind) if kind.wire_type() == found => self.scalar(cursor, kind),
            _ => Err(mismatch),
        }
    }

    fn packed(&mut self, mut cursor: Cursor<'_>, field: &Field) -> Result<(), ScanError> {
        while !cursor.is_empty() {
            self.count(field)?;
            self.scalar(&mut cursor, &field.kind)?;
        }
        Ok(())
    }

    /// Counts an element, if the field is a list.
    fn count(&mut self, field: &Field) -> Result<(), ScanError> {
        let too_large = |_| ScanError::Malformed(Malformation::Lists);
        if field.repeated { self.lists.add(1, field.kind.size()).map_err(too_large) } else { Ok(()) }
    }

    fn scalar(&mut self, cursor: &mut Cursor<'_>, kind: &Kind) -> Result<(), ScanError> {
        match kind {
            Kind::Varint => cursor.number().map(drop),
            Kind::Fixed32 => cursor.take(4).map(drop),
            Kind::Fixed64 => cursor.take(8).map(drop),
            Kind::Enumeration(enumeration) => self.enum_value(cursor.number()?, enumeration),
            Kind::Bytes | Kind::Message(_) => Err(ScanError::Malformed(Malformation::Tag)),
        }
    }

    fn enum_value(&mut self, value: u64, enumeration: &'static Enumeration) -> Result<(), ScanError> {
        let known = u32::try_from(value).ok().and_then(|number| Some((number, enumeration.level(number)?)));
        let (number, level) =
            known.ok_or(ScanError::UnknownEnumValue { enumeration: enumeration.name, value: value.cast_signed() })?;
        self.admit(enumeration.name, number, level)
    }

    /// Notes the level of an element, or refuses it.
    fn admit(&mut self, element: &'static str, number: u32, level: u32) -> Result<(), ScanError> {
        if level > self.level {
            return Err(ScanError::AboveLevel { element, number, level });
        }
        self.highest = self.highest.max(level);
        Ok(())
    }
}
