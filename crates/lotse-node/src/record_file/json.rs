//! One line of NDJSON: a message as proto JSON. Unknown fields and codes are refused; `null` is not given, `2.0` is 2.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

use super::Flaw;
use super::column::{Column, Kind};
use crate::wording::Wording;

/// Reads a line of messages that these columns describe, too. The finding names the field; what stands in it is not repeated.
pub(super) fn read<M: DeserializeOwned>(columns: &'static [Column], line: &str) -> Result<M, Flaw> {
    check_begin(line)?;
    // Nearly every line is read at once; the others once more, as proto3 JSON allows them.
    if let Ok(message) = serde_json::from_str(line) {
        return Ok(message);
    }
    let PlainValue(value) = serde_json::from_str(line).map_err(|error| flaw(line, &error))?;
    let plain = value.to_string();
    serde_json::from_str(&plain).map_err(|error| misfit(columns, &value).unwrap_or_else(|| flaw(&plain, &error)))
}

/// Reads a message that was built from cells.
pub(super) fn from_value<M: DeserializeOwned>(value: Value) -> Result<M, Flaw> {
    serde_json::from_value(value).map_err(|_| {
        Flaw::line(("passt nicht zusammen: bitte melden", "its cells do not fit together: please report this"))
    })
}

fn check_begin(line: &str) -> Result<(), Flaw> {
    match line.trim_start().bytes().next() {
        Some(b'{') => Ok(()),
        Some(b'[') => {
            let german = "ist eine JSON-Liste: jede Nachricht in eine eigene Zeile schreiben, ohne [ ] und Kommas";
            let english = "is a JSON array: write each message on a line of its own, without [ ] and commas";
            Err(Flaw::line((german, english)))
        }
        _ => {
            let german = "ist kein JSON-Objekt, wie es jede Zeile von NDJSON ist: ist es eine Tabelle? (--format csv)";
            let english = "is no JSON object, as each line of NDJSON is: is it a table? (--format csv)";
            Err(Flaw::line((german, english)))
        }
    }
}

/// Explains what is wrong in own words: a parser's sentences repeat values, and know nothing of the field.
fn flaw(line: &str, error: &serde_json::Error) -> Flaw {
    let field = field_at(line, error.column());
    let message = error.to_string();
    let name = message.split('`').nth(1).unwrap_or_default();
    let wording: Wording = if error.is_eof() {
        let german = "das Objekt endet nicht auf seiner Zeile: in eine Zeile schreiben";
        (german, "the object does not end on its line: write it on one").into()
    } else if message.starts_with("unknown field") {
        unknown_field(&message, name)
    } else if message.starts_with("duplicate field") {
        (format!("`{name}` ist doppelt angegeben"), format!("`{name}` is given twice")).into()
    } else if error.is_data() {
        let german = "hat einen Wert, der nicht zu dem Feld passt: siehe proto/schema";
        (german, "has a value that does not fit the field: see proto/schema").into()
    } else {
        let column = error.column();
        (format!("ist kein JSON (Zeichen {column})"), format!("is no JSON (character {column})")).into()
    };
    Flaw { field, wording }
}

/// Names a field that there is not, and those that there are.
fn unknown_field(message: &str, name: &str) -> Wording {
    let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let known = known.join(", ");
    (format!("unbekanntes Feld `{name}`; es gibt {known}"), format!("unknown field `{name}`; there are {known}")).into()
}

/// Finds the first value that does not fit the kind of its column, and explains what is allowed.
fn misfit(columns: &'static [Column], message: &Value) -> Option<Flaw> {
    columns.iter().find_map(|column| {
        let mut paths = [Some(column.path), column.partial_path].into_iter().flatten();
        let path = paths.find(|path| !fits(message, path, column.kind))?;
        Some(Flaw::field(path.replace(".#", ""), allowed(column.kind)))
    })
}

/// Returns whether the values at a path are of a kind. What is not there fits, and what lies across the path is no matter of this kind.
fn fits(value: &Value, path: &str, kind: Kind) -> bool {
    let (part, rest) = path.split_once('.').map_or((path, None), |(part, rest)| (part, Some(rest)));
    let go_on = |value: &Value| rest.map_or_else(|| is_of_kind(value, kind), |rest| fits(value, rest, kind));
    match (part, value) {
        ("#", Value::Array(items)) => items.iter().all(go_on),
        (_, Value::Object(fields)) => fields.get(part).is_none_or(go_on),
        _ => true,
    }
}

fn is_of_kind(value: &Value, kind: Kind) -> bool {
    let all = |fits: &dyn Fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(fits));
    match kind {
        Kind::Text | Kind::Day | Kind::BirthDay => value.is_string(),
        Kind::From | Kind::Until | Kind::OptionalUntil => pbjson_types::Timestamp::deserialize(value).is_ok(),
        Kind::Flag => value.is_boolean(),
        Kind::Number => {
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).is_some_and(|n| u32::try_from(n).is_ok())
        }
        Kind::Code(list) => list.has_code(value),
        Kind::Codes(list) => all(&|item| list.has_code(item)),
        Kind::Texts => all(&Value::is_string),
        Kind::Languages => all(&Value::is_object),
    }
}

/// Explains what is allowed in a field.
fn allowed(kind: Kind) -> Wording {
    match kind {
        Kind::From | Kind::Until | Kind::OptionalUntil => {
            let german = "eine Zeit als 2026-04-01T10:30:00+02:00 schreiben";
            (german, "write a time as 2026-04-01T10:30:00+02:00").into()
        }
        Kind::Text | Kind::Day | Kind::BirthDay => {
            ("einen Text in Anführungszeichen schreiben", "write a text in quotation marks").into()
        }
        Kind::Flag => ("true oder false schreiben", "write true or false").into(),
        Kind::Number => ("eine ganze Zahl ab 0 schreiben", "write a whole number from 0 on").into(),
        Kind::Code(list) => {
            let names = list.names();
            (format!("unbekannter Code; es gibt {names}"), format!("unknown code; there are {names}")).into()
        }
        Kind::Codes(list) => {
            let names = list.names();
            (format!("eine Liste [ ] schreiben, aus {names}"), format!("write a list [ ] of {names}")).into()
        }
        Kind::Texts | Kind::Languages => ("eine Liste [ ] schreiben", "write a list [ ]").into(),
    }
}

/// A JSON value as proto3 JSON allows it, in one form: without fields that are null, whole numbers without fraction. A field that is
/// given twice is refused.
struct PlainValue(Value);

impl<'de> Deserialize<'de> for PlainValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PlainValue, D::Error> {
        deserializer.deserialize_any(PlainValueVisitor).map(PlainValue)
    }
}

struct PlainValueVisitor;

/// Largest number up to which every whole number has its own floating-point form.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Visitor<'de> for PlainValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        let is_whole = number.fract() == 0.0 && number.abs() <= LARGEST_EXACT;
        Ok(if is_whole { (number as i64).into() } else { number.into() })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(PlainValue(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let (mut object, mut empty) = (Map::new(), Vec::new());
        while let Some((name, PlainValue(value))) = fields.next_entry::<String, PlainValue>()? {
            if object.contains_key(&name) || empty.contains(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            if value.is_null() {
                empty.push(name);
            } else {
                object.insert(name, value);
            }
        }
        Ok(object.into())
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

#[cfg(test)]
mod tests {
    use lotse_core::agreement::words::Language;
    use lotse_proto::agency::v1::ReferralHandover;
    use lotse_proto::record::v1::Consent;

    use super::*;
    use crate::record_file::{CONSENT, REFERRAL};

    fn referral(json: &str) -> Result<ReferralHandover, String> {
        read(REFERRAL, json).map_err(in_english)
    }

    fn in_english(flaw: Flaw) -> String {
        flaw.to_malformed(Language::English).to_string()
    }

    #[test]
    fn null_is_not_given_and_a_whole_number_may_have_a_fraction_of_zero() {
        let json = r#"{"idempotencyKey":"k","agreementId":null,"expiresAt":null,"referral":{"requestedServices":null,
            "urgency":null,"identity":{"familyName":"A","birthName":null},"contact":null,
            "household":{"adults":2.0,"children":1e0,"singleParent":null}}}"#;
        let handover = referral(&json.replace('\n', " ")).unwrap();
        let plain = r#"{"idempotencyKey":"k","referral":{"identity":{"familyName":"A"},"household":{"adults":2,"children":1}}}"#;
        assert_eq!(handover, referral(plain).unwrap());
    }

    #[test]
    fn a_field_that_is_given_twice_is_refused_also_beside_null() {
        for json in [
            r#"{"idempotencyKey":"a","idempotencyKey":"b"}"#,
            r#"{"idempotencyKey":"a","referral":null,"idempotencyKey":"b"}"#,
            r#"{"idempotencyKey":null,"idempotencyKey":"b"}"#,
        ] {
            assert!(referral(json).unwrap_err().contains("`idempotencyKey` is given twice"), "{json}");
        }
    }

    #[test]
    fn a_wrong_value_is_never_repeated_and_what_is_allowed_is_said() {
        let consent = |json: &str| read::<Consent>(CONSENT, json).map_err(in_english).unwrap_err();
        assert_eq!(consent(r#"{"givenAt":"1.11.2026"}"#), "givenAt: write a time as 2026-04-01T10:30:00+02:00");
        assert_eq!(consent(r#"{"expiresAt":""}"#), "expiresAt: write a time as 2026-04-01T10:30:00+02:00");
        for (json, says) in [
            (r#"{"referral":{"urgency":"SCHULZE"}}"#, "referral.urgency: unknown code; there are URGENCY_ROUTINE, "),
            (r#"{"referral":{"urgency":99}}"#, "referral.urgency: unknown code; there are URGENCY_ROUTINE, "),
            (
                r#"{"referral":{"requestedServices":["SCHULZE"]}}"#,
                "referral.requestedServices: write a list [ ] of REQUESTED",
            ),
            (
                r#"{"referral":{"household":{"adults":"SCHULZE"}}}"#,
                "referral.household.adults: write a whole number from 0 on",
            ),
            (
                r#"{"referral":{"household":{"adults":2.5}}}"#,
                "referral.household.adults: write a whole number from 0 on",
            ),
            (
                r#"{"referral":{"household":{"adults":-1}}}"#,
                "referral.household.adults: write a whole number from 0 on",
            ),
            (
                r#"{"referral":{"identity":{"familyName":4711}}}"#,
                "referral.identity.familyName: write a text in quotation",
            ),
            (
                r#"{"referral":{"identity":{"partialBirthDate":88}}}"#,
                "referral.identity.partialBirthDate: write a text in",
            ),
            (
                r#"{"referral":{"education":{"items":[{"recognised":"SCHULZE"}]}}}"#,
                "referral.education.items.recognised: write",
            ),
            (r#"{"referral":{"identity":"SCHULZE"}}"#, "referral.identity: has a value that does not fit"),
            (r#"{"referral":SCHULZE}"#, "referral: is no JSON (character 13)"),
        ] {
            let wrong = referral(json).unwrap_err();
            assert!(wrong.starts_with(says), "{json}: {wrong}");
            let inner = ["SCHULZE", "4711", "99", "expected", "untagged", "variant"];
            assert!(inner.into_iter().all(|word| !wrong.contains(word)), "{json}: {wrong}");
        }
    }
}
