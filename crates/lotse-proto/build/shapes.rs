//! Writes the table that `src/schema.rs` walks: for each sealed document and each message of a call, and what they contain, every field
//! with its wire form and schema level, every enum value with its level, and what a message takes in memory.
//!
//! The level of an element stands in its comment, "Since level 2."; without one it is 1.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use crate::Failure;

/// Documents that are signed or hashed as bytes and therefore scanned before they are parsed.
const SEALED: [&str; 7] = [
    ".lotse.exchange.v1.Card",
    ".lotse.exchange.v1.Agreement",
    ".lotse.exchange.v1.Envelope",
    ".lotse.exchange.v1.BatchStatement",
    ".lotse.exchange.v1.ReceiptStatement",
    ".lotse.exchange.v1.ReceiptItem",
    ".lotse.exchange.v1.LogEntry",
];

/// Numbers above this would make the table, which is indexed by number, large for nothing.
const HIGHEST_NUMBER: i32 = 1024;

/// A walk remembers in one u64 which singular fields of a message it has met; bit 0 stands for all repeated ones.
const HIGHEST_SLOT: u8 = 63;

/// Returns the table's Rust text.
pub(crate) fn table(files: &FileDescriptorSet) -> Result<String, Failure> {
    let elements = Elements::gather(files);
    let methods = files.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let called: BTreeSet<&str> = methods.flat_map(|method| [method.input_type(), method.output_type()]).collect();
    let mut names = BTreeSet::new();
    for name in SEALED.into_iter().chain(called.iter().copied()) {
        elements.reach(name, &mut names)?;
    }
    let mut text = String::new();
    for name in called {
        let (constant, path) = (constant(name), rust_path(name)?);
        let check = format!("fn check_lists(bytes: &[u8]) -> Result<(), ListError> {{ check(bytes, &{constant}) }}");
        writeln!(text, "impl ListBounded for {path} {{ {check} }}")?;
    }
    for name in names {
        match (elements.messages.get(name), elements.enums.get(name)) {
            (Some(message), _) => write_message(&mut text, &elements, name, message)?,
            (None, Some(values)) => write_enum(&mut text, name, values)?,
            (None, None) => return Err(format!("{name} is not declared").into()),
        }
    }
    Ok(text)
}

/// A message with the levels that its comments name.
struct Message<'a> {
    level: u32,
    descriptor: &'a DescriptorProto,
    field_levels: Vec<u32>,
}

/// An enum with the levels that its comments name.
struct Enum<'a> {
    level: u32,
    descriptor: &'a EnumDescriptorProto,
    value_levels: Vec<u32>,
}

/// Everything declared in `proto/`, by full name with a leading dot.
#[derive(Default)]
struct Elements<'a> {
    messages: BTreeMap<String, Message<'a>>,
    enums: BTreeMap<String, Enum<'a>>,
}

impl<'a> Elements<'a> {
    fn gather(files: &'a FileDescriptorSet) -> Self {
        let mut elements = Self::default();
        for file in &files.file {
            let levels = Levels::of(file);
            let scope = format!(".{}", file.package());
            for (place, message) in (0..).zip(&file.message_type) {
                elements.add_message(&scope, message, &levels, &[4, place]);
            }
            for (place, descriptor) in (0..).zip(&file.enum_type) {
                elements.add_enum(&scope, descriptor, &levels, &[5, place]);
            }
        }
        elements
    }

    fn add_message(&mut self, scope: &str, descriptor: &'a DescriptorProto, levels: &Levels, path: &[i32]) {
        let name = format!("{scope}.{}", descriptor.name());
        for (place, nested) in (0..).zip(&descriptor.nested_type) {
            self.add_message(&name, nested, levels, &[path, &[3, place]].concat());
        }
        for (place, nested) in (0..).zip(&descriptor.enum_type) {
            self.add_enum(&name, nested, levels, &[path, &[4, place]].concat());
        }
        let field_levels =
            (0..).zip(&descriptor.field).map(|(place, _)| levels.at(&[path, &[2, place]].concat())).collect();
        self.messages.insert(name, Message { level: levels.at(path), descriptor, field_levels });
    }

    fn add_enum(&mut self, scope: &str, descriptor: &'a EnumDescriptorProto, levels: &Levels, path: &[i32]) {
        let value_levels =
            (0..).zip(&descriptor.value).map(|(place, _)| levels.at(&[path, &[2, place]].concat())).collect();
        let name = format!("{scope}.{}", descriptor.name());
        self.enums.insert(name, Enum { level: levels.at(path), descriptor, value_levels });
    }

    /// Adds a message or enum and everything that its fields name.
    fn reach<'n>(&'n self, name: &'n str, names: &mut BTreeSet<&'n str>) -> Result<(), Failure> {
        if !names.insert(name) || self.enums.contains_key(name) {
            return Ok(());
        }
        let message = self.messages.get(name).ok_or_else(|| format!("{name} is not declared"))?;
        for field in message.descriptor.field.iter().filter(|field| field.type_name.is_some()) {
            self.reach(field.type_name(), names)?;
        }
        Ok(())
    }

    /// Returns the level of a message or enum.
    fn level(&self, name: &str) -> u32 {
        let message = self.messages.get(name).map(|message| message.level);
        message.or_else(|| self.enums.get(name).map(|values| values.level)).unwrap_or(1)
    }
}

/// The levels that the comments of one file name, by descriptor path.
struct Levels(BTreeMap<Vec<i32>, u32>);

impl Levels {
    fn of(file: &FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self(locations.filter_map(|place| Some((place.path.clone(), level_in(place.leading_comments())?))).collect())
    }

    fn at(&self, path: &[i32]) -> u32 {
        self.0.get(path).copied().unwrap_or(1)
    }
}

/// Finds the sentence "Since level n." in a comment.
fn level_in(comment: &str) -> Option<u32> {
    let (_, rest) = comment.split_once("Since level ")?;
    rest.split_once('.')?.0.parse().ok()
}

fn write_message(text: &mut String, elements: &Elements, name: &str, message: &Message) -> Result<(), Failure> {
    let mut fields = BTreeMap::new();
    let mut slots = Slots::default();
    for (field, own_level) in message.descriptor.field.iter().zip(&message.field_levels) {
        let level = elements.level(field.type_name()).max(*own_level);
        let repeated = field.label() == Label::Repeated;
        let (kind, slot) = (kind(field)?, slots.of(field)?);
        let entry = format!("Field {{ level: {level}, kind: {kind}, repeated: {repeated}, slot: {slot} }}");
        fields.insert(field.number(), entry);
    }
    let rows = rows(&fields)?;
    let (constant, path, name) = (constant(name), rust_path(name)?, &name[1..]);
    let size = format!("bounded(size_of::<{path}>())");
    writeln!(
        text,
        "pub(super) static {constant}: Shape = Shape {{ name: {name:?}, size: {size}, fields: &[{rows}] }};"
    )?;
    Ok(())
}

fn write_enum(text: &mut String, name: &str, values: &Enum) -> Result<(), Failure> {
    let pairs = values.descriptor.value.iter().zip(&values.value_levels);
    let levels = pairs.map(|(value, level)| (value.number(), level.to_string())).collect();
    let rows = rows(&levels)?;
    let (constant, name) = (constant(name), &name[1..]);
    writeln!(text, "static {constant}: Enumeration = Enumeration {{ name: {name:?}, levels: &[{rows}] }};")?;
    Ok(())
}

/// Writes the elements of an array that is indexed by number.
fn rows(entries: &BTreeMap<i32, String>) -> Result<String, Failure> {
    let last = entries.keys().next_back().copied().unwrap_or(-1);
    if entries.keys().any(|number| !(0..=HIGHEST_NUMBER).contains(number)) {
        return Err(format!("field and enum numbers of sealed documents go from 0 to {HIGHEST_NUMBER}").into());
    }
    let row = |number| entries.get(&number).map_or("None".to_owned(), |entry| format!("Some({entry})"));
    Ok((0..=last).map(row).collect::<Vec<_>>().join(", "))
}

/// How the field is written on the wire, and what it contains.
fn kind(field: &FieldDescriptorProto) -> Result<String, Failure> {
    Ok(match field.r#type() {
        Type::Double | Type::Fixed64 | Type::Sfixed64 => "Kind::Fixed64".to_owned(),
        Type::Float | Type::Fixed32 | Type::Sfixed32 => "Kind::Fixed32".to_owned(),
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Sint32 | Type::Sint64 | Type::Bool => {
            "Kind::Varint".to_owned()
        }
        Type::String | Type::Bytes => "Kind::Bytes".to_owned(),
        Type::Enum => format!("Kind::Enumeration(&{})", constant(field.type_name())),
        Type::Message => format!("Kind::Message(&{})", constant(field.type_name())),
        Type::Group => return Err(format!("{}: groups are not used here", field.name()).into()),
    })
}

/// Gives each singular field of a message a bit of its own, all members of one oneof the same.
#[derive(Default)]
struct Slots {
    last: u8,
    oneofs: BTreeMap<i32, u8>,
}

impl Slots {
    fn of(&mut self, field: &FieldDescriptorProto) -> Result<u8, Failure> {
        if field.label() == Label::Repeated {
            return Ok(0);
        }
        if let Some(slot) = field.oneof_index.and_then(|oneof| self.oneofs.get(&oneof)) {
            return Ok(*slot);
        }
        self.last += 1;
        if self.last > HIGHEST_SLOT {
            return Err(format!("a sealed message has at most {HIGHEST_SLOT} singular fields").into());
        }
        field.oneof_index.map(|oneof| self.oneofs.insert(oneof, self.last));
        Ok(self.last)
    }
}

/// Turns `.lotse.exchange.v1.CardKey` into `crate::exchange::v1::CardKey`.
fn rust_path(name: &str) -> Result<String, Failure> {
    let path = match name.strip_prefix(".google.protobuf.") {
        Some(known) => format!("::pbjson_types::{known}"),
        None => name.replacen(".lotse.", "crate::", 1).replace('.', "::"),
    };
    // The code of a nested message would be in a module of its own.
    let nested =
        path.split("::").filter(|part| part.starts_with(|letter: char| letter.is_ascii_uppercase())).count() > 1;
    if nested { Err(format!("{name}: nested messages are not used here").into()) } else { Ok(path) }
}

/// Turns `.lotse.exchange.v1.CardKey` into `LOTSE_EXCHANGE_V1_CARD_KEY`.
fn constant(name: &str) -> String {
    let mut text = String::new();
    for letter in name[1..].chars() {
        if letter.is_ascii_uppercase() && text.ends_with(|last: char| last.is_ascii_lowercase()) {
            text.push('_');
        }
        text.push(if letter == '.' { '_' } else { letter });
    }
    text.to_ascii_uppercase()
}
