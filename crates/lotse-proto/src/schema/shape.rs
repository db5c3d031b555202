//! The generated table: what each message of a sealed document or a call may contain.

use super::cursor::WireType;
use super::lists::{ListBounded, ListError, MAX_LIST_BYTES, SHORT_BYTES, check};

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));

/// A message.
pub(super) struct Shape {
    /// Full name.
    pub(super) name: &'static str,
    /// Bytes that the decoded message takes in a list, without what it points to.
    pub(super) size: usize,
    /// Fields, indexed by number.
    fields: &'static [Option<Field>],
}

impl Shape {
    /// Returns the field with this number.
    pub(super) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.get(usize::try_from(number).ok()?)?.as_ref()
    }
}

/// Returns the size of a message in a list; with larger ones a message that is not counted could take more than is allowed.
const fn bounded(size: usize) -> usize {
    assert!(size <= MAX_LIST_BYTES / (SHORT_BYTES / 2), "an element takes two bytes at least");
    size
}

/// A field.
pub(super) struct Field {
    /// Its level, or that of its type if that is higher.
    pub(super) level: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    /// 0 for repeated fields; else a number from 1 to 63 that it shares with nothing but members of its oneof.
    slot: u8,
}

impl Field {
    /// Returns the bit that stands for the field when it may come once, else none.
    pub(super) const fn slot_bit(&self) -> u64 {
        (1 << self.slot) & !1
    }
}

/// What a field contains.
pub(super) enum Kind {
    Varint,
    #[expect(dead_code, reason = "no message has such a field yet")]
    Fixed32,
    #[expect(dead_code, reason = "no message has such a field yet")]
    Fixed64,
    /// Bytes or text.
    Bytes,
    Enumeration(&'static Enumeration),
    Message(&'static Shape),
}

impl Kind {
    /// Returns the wire type of a value that stands alone.
    pub(super) const fn wire_type(&self) -> WireType {
        match self {
            Kind::Varint | Kind::Enumeration(_) => WireType::Varint,
            Kind::Fixed32 => WireType::Fixed32,
            Kind::Fixed64 => WireType::Fixed64,
            Kind::Bytes | Kind::Message(_) => WireType::Length,
        }
    }
}

/// An enum.
pub(super) struct Enumeration {
    /// Full name.
    pub(super) name: &'static str,
    /// Level of each value, indexed by number.
    levels: &'static [Option<u8>],
}

impl Enumeration {
    /// Returns the level of the value with this number.
    pub(super) fn level(&self, number: u32) -> Option<u32> {
        self.levels.get(usize::try_from(number).ok()?)?.map(u32::from)
    }
}
