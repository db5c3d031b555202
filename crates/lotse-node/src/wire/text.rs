//! Text as it comes in: composed (Unicode NFC), so that the same name is the same bytes, and free of characters that cannot be seen.

use std::borrow::Cow;

use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// First byte of U+0300 in UTF-8, the first combining mark.
const FIRST_BYTE_OF_MARKS: u8 = 0xcc;

/// Returns a message with all its texts composed. A message that has an unknown code or no valid time stays as it is: it is refused
/// for that.
pub fn composed<M: Message + Clone + Serialize + DeserializeOwned>(message: &M) -> Cow<'_, M> {
    if is_composed(&message.encode_to_vec()) {
        return Cow::Borrowed(message);
    }
    let rewritten = serde_json::to_value(message).ok().and_then(|mut value| {
        compose_value(&mut value);
        serde_json::from_value(value).ok()
    });
    rewritten.map_or(Cow::Borrowed(message), Cow::Owned)
}

/// Returns a text composed.
pub fn composed_text(text: &str) -> Cow<'_, str> {
    match is_surely_composed(text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfc().collect()),
    }
}

/// Returns a text decomposed (Unicode NFD), as some systems write it.
pub fn decomposed_text(text: &str) -> String {
    text.nfd().collect()
}

/// Returns whether all texts of an encoded message are composed. Bytes that are no text may make it doubt, which only costs time.
pub fn is_composed(bytes: &[u8]) -> bool {
    are_before_marks(bytes) || bytes.utf8_chunks().all(|chunk| is_surely_composed(chunk.valid()))
}

fn is_surely_composed(text: &str) -> bool {
    are_before_marks(text.as_bytes()) || is_nfc_quick(text.chars()) == IsNormalized::Yes
}

/// Returns whether no character comes after U+02FF. Every one up to there is composed, whatever stands beside it.
fn are_before_marks(bytes: &[u8]) -> bool {
    // No early end: the compiler looks at many bytes at once.
    bytes.iter().fold(true, |are_before, &byte| are_before & (byte < FIRST_BYTE_OF_MARKS))
}

fn compose_value(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(composed) = composed_text(text) {
                *text = composed;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(compose_value),
        Value::Object(fields) => fields.values_mut().for_each(compose_value),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns whether every character of a text can be seen by its number alone: Latin, Greek, Cyrillic, Armenian and Hebrew have the
/// soft hyphen only. No space but the plain one is among them.
pub fn is_plainly_visible(text: &str) -> bool {
    let is_printable_ascii = |byte: u8| byte.wrapping_sub(b' ') <= b'~' - b' ';
    text.bytes().fold(true, |is_visible, byte| is_visible & is_printable_ascii(byte))
        || text.chars().all(|letter| matches!(letter, ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{5ff}'))
}

/// Finds the first character of a name or reference that nobody can see or that every reader sees differently: a format character,
/// one for private use, a separator of lines, a filler, or the mark of a lost letter. Joiners stay where a script needs them.
pub fn hidden(text: &str) -> Option<char> {
    let mut before = None;
    text.chars().find(|&letter| {
        let is_hidden = !letter.is_ascii() && is_hidden(letter, before);
        before = Some(letter);
        is_hidden
    })
}

fn is_hidden(letter: char, before: Option<char>) -> bool {
    match letter {
        '\u{200c}' | '\u{200d}' => !before.is_some_and(joins),
        '\u{2028}' | '\u{2029}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}' | '\u{fffd}' => true,
        _ => matches!(letter.general_category(), GeneralCategory::Format | GeneralCategory::PrivateUse),
    }
}

/// Returns whether a letter belongs to a script that is written with joiners: Arabic and Persian, Syriac, N'Ko, the scripts of India
/// and its neighbours, Mongolian.
fn joins(letter: char) -> bool {
    matches!(letter, '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{f00}'..='\u{109f}' | '\u{1780}'..='\u{18af}')
        && !matches!(letter.general_category(), GeneralCategory::Format)
}

#[cfg(test)]
mod tests {
    use lotse_proto::record::v1 as proto;

    use super::*;

    #[test]
    fn the_quick_looks_find_nothing_that_the_slow_ones_do_not() {
        for letter in '\0'..=char::MAX {
            let text = letter.to_string();
            if is_plainly_visible(&text) {
                assert!(hidden(&text).is_none() && !letter.is_control(), "{letter:?}");
                assert!(letter == ' ' || !letter.is_whitespace(), "{letter:?}");
            }
            assert_eq!(are_before_marks(text.as_bytes()), letter < '\u{300}', "{letter:?}");
            assert!(letter >= '\u{300}' || is_nfc_quick([letter].into_iter()) == IsNormalized::Yes, "{letter:?}");
        }
        assert!(is_plainly_visible("Jürgen Ковальчук"));
    }

    #[test]
    fn every_text_of_a_message_is_composed_and_nothing_else_changes() {
        let decomposed = "Jo\u{308}rg Nguye\u{302}\u{303}n";
        let referral = proto::Referral {
            r#type: 1,
            purpose: 1,
            requested_services: vec![6, 1],
            identity: Some(proto::Identity { given_names: decomposed.into(), sex: 2, ..proto::Identity::default() }),
            skills: Some(proto::Skills { labels: vec!["a".into(), decomposed.into()], ..proto::Skills::default() }),
            note: Some(proto::Note { text: format!("a\n{decomposed}") }),
            ..proto::Referral::default()
        };
        let composed = composed(&referral).into_owned();
        let nfc = "Jörg Nguyễn";
        assert_eq!(composed.identity.as_ref().unwrap().given_names, nfc);
        assert_eq!(composed.skills.as_ref().unwrap().labels, ["a", nfc]);
        assert_eq!(composed.note.as_ref().unwrap().text, format!("a\n{nfc}"));
        let back = composed.encode_to_vec();
        let expected: String = serde_json::to_string(&referral).unwrap().nfc().collect();
        assert_eq!(back, serde_json::from_str::<proto::Referral>(&expected).unwrap().encode_to_vec());
    }

    #[test]
    fn a_composed_message_is_not_copied() {
        let note = proto::Note { text: "Müßiggänger, Nguyễn, Київ".into() };
        assert!(matches!(composed(&note), Cow::Borrowed(_)));
    }

    #[test]
    fn a_letter_that_cannot_be_seen_is_found_and_a_joiner_where_a_script_needs_it_is_not() {
        for (text, found) in [
            ("An\u{200b}na", '\u{200b}'),
            ("\u{feff}Anna", '\u{feff}'),
            ("Anna\u{200f}", '\u{200f}'),
            ("\u{202e}annA", '\u{202e}'),
            ("An\u{ad}na", '\u{ad}'),
            ("An\u{200d}na", '\u{200d}'),
            ("\u{200c}رضا", '\u{200c}'),
            ("رضا\u{200c}\u{200c}", '\u{200c}'),
            ("M\u{e00e}ller", '\u{e00e}'),
            ("M\u{fffd}ller", '\u{fffd}'),
            ("Anna\u{2028}", '\u{2028}'),
            ("\u{3164}", '\u{3164}'),
            ("A\u{e0041}", '\u{e0041}'),
        ] {
            assert_eq!(hidden(text), Some(found), "{text:?}");
        }
        for text in
            ["Jörg", "Nguyễn", "Київ", "محمد رضا", "می\u{200c}خواهم", "ക്\u{200d}", "क्\u{200d}ष", "李", "O’Brien"]
        {
            assert_eq!(hidden(text), None, "{text:?}");
        }
    }
}
