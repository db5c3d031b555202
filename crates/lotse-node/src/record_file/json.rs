//! One line of NDJSON: a message as proto JSON. Unknown fields and codes are refused.

use serde::de::DeserializeOwned;

use super::Malformed;

/// Reads a line. The finding names the field; what stands in it is not repeated.
pub(super) fn read<M: DeserializeOwned>(line: &str) -> Result<M, Malformed> {
    match line.trim_start().bytes().next() {
        Some(b'{') => {}
        Some(b'[') => {
            return Err(Malformed::line(
                "is a JSON array: write each message on a line of its own, without [ ] and commas",
            ));
        }
        _ => {
            return Err(Malformed::line("is no JSON object, as each line of NDJSON is: is it a table? (--format csv)"));
        }
    }
    serde_json::from_str(line).map_err(|error| {
        let column = error.column();
        let message = without_value(&error.to_string());
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = if error.is_eof() { "the object does not end on its line: write it on one" } else { message };
        Malformed::field(field_at(line, column), format!("{message} (character {column})"))
    })
}

/// Reads a message that was built from cells.
pub(super) fn from_value<M: DeserializeOwned>(value: serde_json::Value) -> Result<M, Malformed> {
    serde_json::from_value(value).map_err(|error| Malformed::line(without_value(&error.to_string())))
}

/// Takes out of a parser's sentence what stood in the file: it may be personal data. Names of fields and codes stay.
fn without_value(message: &str) -> String {
    let quotes_a_value = ["invalid type: ", "invalid value: "].into_iter().find(|start| message.starts_with(start));
    match (quotes_a_value, message.rfind(", expected")) {
        (Some(start), Some(end)) => format!("{}{}", start.trim_end_matches(": "), &message[end..]),
        (Some(start), None) => start.trim_end_matches(": ").to_string(),
        (None, _) => message.to_string(),
    }
}

/// Returns the path of the field that stands at a byte of a JSON text, as far as it can be told: `referral.identity.birthDate`.
fn field_at(line: &str, column: usize) -> String {
    let bytes = &line.as_bytes()[..column.min(line.len())];
    let (mut path, mut place): (Vec<String>, usize) = (Vec::new(), 0);
    let mut text = None;
    while let Some(&byte) = bytes.get(place) {
        place += 1;
        match byte {
            b'"' => {
                let end = end_of_text(bytes, place);
                text = Some(String::from_utf8_lossy(&bytes[place.min(end)..end]).into_owned());
                place = end + 1;
            }
            b'{' => path.push(String::new()),
            b'}' => {
                path.pop();
            }
            b':' => {
                if let (Some(last), Some(name)) = (path.last_mut(), text.take()) {
                    *last = name;
                }
            }
            _ => {}
        }
    }
    path.retain(|name| !name.is_empty());
    path.join(".")
}

/// Returns where a text ends that begins behind its quotation mark.
fn end_of_text(bytes: &[u8], mut place: usize) -> usize {
    while let Some(&byte) = bytes.get(place) {
        match byte {
            b'"' => return place,
            b'\\' => place += 2,
            _ => place += 1,
        }
    }
    bytes.len()
}
