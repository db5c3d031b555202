//! JSON Schema (draft 2020-12) of a message as proto3 JSON writes it, for those who write the file formats without
//! generated code.
//!
//! What `proto/` says in words becomes part of the schema where it has a fixed form: "Required." makes a property required,
//! "Not given: refused." leaves the zero value out of an enum.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use lotse_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::comment::comment;

/// Returns the schema of the message with this full name.
pub fn of_message(name: &str) -> Result<Value> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let message = pool.get_message_by_name(name).with_context(|| format!("{name} is not declared"))?;
    let mut definitions = BTreeMap::new();
    define_message(&message, &mut definitions)?;
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:lotse:schema:{name}"),
        "title": name,
        "$ref": reference(name),
        "$defs": definitions,
    }))
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

/// Adds a message and all that its fields name.
fn define_message(message: &MessageDescriptor, definitions: &mut BTreeMap<String, Value>) -> Result<()> {
    if definitions.contains_key(message.full_name()) {
        return Ok(());
    }
    definitions.insert(message.full_name().to_owned(), Value::Null); // ends the walk where messages contain each other
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for field in message.fields() {
        let text = comment(&field.parent_file(), field.path());
        if is_required(&text) {
            required.push(field.json_name().to_owned());
        }
        properties.insert(field.json_name().to_owned(), with_description(field_schema(&field, definitions)?, &text));
    }
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let schema = with_description(schema, &comment(&message.parent_file(), message.path()));
    definitions.insert(message.full_name().to_owned(), schema);
    Ok(())
}

fn is_required(text: &str) -> bool {
    text.contains("Required.") || text.contains("Required;")
}

fn with_description(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

fn field_schema(field: &FieldDescriptor, definitions: &mut BTreeMap<String, Value>) -> Result<Value> {
    if field.is_map() || field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
        bail!("{}: maps and oneofs have no place in the file formats yet", field.full_name());
    }
    let value = value_schema(&field.kind(), definitions)?;
    Ok(if field.is_list() { json!({ "type": "array", "items": value }) } else { value })
}

/// Returns the schema of one value, see "JSON mapping" in the protobuf documentation.
fn value_schema(kind: &Kind, definitions: &mut BTreeMap<String, Value>) -> Result<Value> {
    Ok(match kind {
        Kind::String => json!({ "type": "string" }),
        Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Uint32 | Kind::Fixed32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
        }
        Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]{1,20}$" }),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({ "type": "string", "pattern": "^-?[0-9]{1,19}$" }),
        Kind::Double | Kind::Float => json!({ "type": "number" }),
        Kind::Message(message) if message.full_name() == "google.protobuf.Timestamp" => {
            json!({ "type": "string", "format": "date-time" })
        }
        Kind::Message(message) => {
            define_message(message, definitions)?;
            json!({ "$ref": reference(message.full_name()) })
        }
        Kind::Enum(values) => {
            definitions.entry(values.full_name().to_owned()).or_insert_with(|| enum_schema(values));
            json!({ "$ref": reference(values.full_name()) })
        }
    })
}

fn enum_schema(values: &EnumDescriptor) -> Value {
    let file = values.parent_file();
    let mut text = format!("{}\n", comment(&file, values.path()));
    let mut names = Vec::new();
    for value in values.values() {
        let meaning = comment(&file, value.path());
        if meaning != "Not given: refused." {
            text += &format!("\n- `{}`: {meaning}", value.name());
            names.push(value.name().to_owned());
        }
    }
    json!({ "type": "string", "enum": names, "description": text })
}
