//! Random documents, written byte by byte from the descriptors and not from the table under test.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use crate::FILE_DESCRIPTOR_SET;
use crate::schema::MessageType;

/// An encoded document and what a test may expect of it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    /// Highest level that it uses.
    pub(super) level: u32,
    /// Number of messages in it, itself included.
    pub(super) messages: usize,
    /// Lengths at which it could be cut off and still be an encoding.
    pub(super) field_ends: Vec<usize>,
}

impl Document {
    /// Writes the same document as [`document`] with one more field at the end of its message number `place`.
    pub(super) fn with_field(message: MessageType, seed: u64, place: usize, number: u32) -> Vec<u8> {
        let mut writer = Writer::new(seed, u32::MAX);
        writer.unknown = Some((place, number));
        writer.message(&descriptor(message), 0).0
    }
}

/// Writes a random document of no more than this level.
pub(super) fn document(message: MessageType, seed: u64, level: u32) -> Document {
    let mut writer = Writer::new(seed, level);
    let (bytes, field_ends) = writer.message(&descriptor(message), 0);
    Document { bytes, level: writer.highest, messages: writer.messages, field_ends }
}

static DECLARED: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors decode"));

/// Levels above 1, by file and path.
static LEVELS: LazyLock<HashMap<String, HashMap<Vec<i32>, u32>>> = LazyLock::new(|| {
    let levels = |file: FileDescriptor| (file.name().to_owned(), levels_of(&file));
    DECLARED.files().map(levels).collect()
});

fn levels_of(file: &FileDescriptor) -> HashMap<Vec<i32>, u32> {
    let locations = file.file_descriptor_proto().source_code_info.iter().flat_map(|info| &info.location);
    let named = |comment: &str| (2..10).find(|level| comment.contains(&format!("Since level {level}.")));
    locations.filter_map(|place| Some((place.path.clone(), named(place.leading_comments())?))).collect()
}

fn level_at(file: &FileDescriptor, path: &[i32]) -> u32 {
    LEVELS[file.name()].get(path).copied().unwrap_or(1)
}

fn descriptor(message: MessageType) -> MessageDescriptor {
    DECLARED.get_message_by_name(message.name()).expect("declared")
}

fn field_level(field: &FieldDescriptor) -> u32 {
    let of_type = match field.kind() {
        Kind::Message(message) => level_at(&message.parent_file(), message.path()),
        Kind::Enum(values) => level_at(&values.parent_file(), values.path()),
        _ => 1,
    };
    of_type.max(level_at(&field.parent_file(), field.path()))
}

struct Writer {
    random: u64,
    limit: u32,
    highest: u32,
    messages: usize,
    unknown: Option<(usize, u32)>,
}

impl Writer {
    fn new(seed: u64, limit: u32) -> Self {
        Self { random: seed, limit, highest: 1, messages: 0, unknown: None }
    }

    fn message(&mut self, message: &MessageDescriptor, depth: u32) -> (Vec<u8>, Vec<usize>) {
        let place = self.messages;
        self.messages += 1;
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for field in message.fields().filter(|field| field.containing_oneof().is_none()).collect::<Vec<_>>() {
            if self.below(3) > 0 {
                self.field(&field, depth, &mut bytes, &mut ends);
            }
        }
        for oneof in message.oneofs().collect::<Vec<_>>() {
            let members: Vec<_> = oneof.fields().filter(|field| field_level(field) <= self.limit).collect();
            let member = self.below(members.len());
            self.field(&members[member], depth, &mut bytes, &mut ends);
        }
        if let Some((_, number)) = self.unknown.filter(|(chosen, _)| *chosen == place) {
            encode_key(number, WireType::Varint, &mut bytes);
            encode_varint(7, &mut bytes);
        }
        (bytes, ends)
    }

    fn field(&mut self, field: &FieldDescriptor, depth: u32, bytes: &mut Vec<u8>, ends: &mut Vec<usize>) {
        let level = field_level(field);
        if level > self.limit {
            return;
        }
        self.highest = self.highest.max(level);
        let count = if field.is_list() { 1 + self.below(3) } else { 1 };
        if field.is_list() && is_number(&field.kind()) && self.below(2) == 0 {
            let mut packed = Vec::new();
            (0..count).for_each(|_| self.number(&field.kind(), &mut packed));
            block(field.number(), &packed, bytes);
            ends.push(bytes.len());
            return;
        }
        for _ in 0..count {
            self.value(field, depth, bytes);
            ends.push(bytes.len());
        }
    }

    fn value(&mut self, field: &FieldDescriptor, depth: u32, bytes: &mut Vec<u8>) {
        match field.kind() {
            Kind::Message(message) => block(field.number(), &self.message(&message, depth + 1).0, bytes),
            Kind::String => block(field.number(), "Müller".repeat(self.below(4)).as_bytes(), bytes),
            Kind::Bytes => block(field.number(), &vec![0xc3; self.below(40)], bytes),
            kind => {
                encode_key(field.number(), WireType::Varint, bytes);
                self.number(&kind, bytes);
            }
        }
    }

    fn number(&mut self, kind: &Kind, bytes: &mut Vec<u8>) {
        let number = match kind {
            Kind::Enum(values) => self.enum_value(values),
            Kind::Bool => self.below(2) as u64,
            _ => self.next() >> self.below(64),
        };
        encode_varint(number, bytes);
    }

    fn enum_value(&mut self, values: &EnumDescriptor) -> u64 {
        let level = |path: &[i32]| level_at(&values.parent_file(), path);
        let allowed: Vec<_> = values.values().filter(|value| level(value.path()) <= self.limit).collect();
        let value = &allowed[self.below(allowed.len())];
        self.highest = self.highest.max(level(value.path()));
        u64::try_from(value.number()).expect("not negative")
    }

    /// splitmix64
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn is_number(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

fn block(number: u32, content: &[u8], bytes: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, bytes);
    encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}
