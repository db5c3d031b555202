//! Checks of single fields: each finding names the field and says what is allowed. All findings of a message are collected.

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;

use crate::failure::{Cause, ErrorKind, Failure};
use crate::wire::time::parse_date;

/// Longest ordinary text, in characters.
pub const MAX_TEXT: usize = 200;

/// Most items of a list.
pub const MAX_ITEMS: usize = 50;

/// Collects what is wrong with the fields of a message.
#[derive(Default)]
pub struct Findings(Vec<Cause>);

impl Findings {
    /// Notes that a field has a value that is not allowed.
    pub fn invalid(&mut self, field: &str, message: impl AsRef<str>) {
        self.note(Reason::FieldInvalid, field, message.as_ref());
    }

    /// Notes that a required field is missing.
    pub fn missing(&mut self, field: &str) {
        self.note(Reason::FieldMissing, field, "is required");
    }

    /// Notes that a field is too large.
    pub fn too_large(&mut self, field: &str, message: &str) {
        self.note(Reason::TooLarge, field, message);
    }

    fn note(&mut self, reason: Reason, field: &str, message: &str) {
        let message = format!("{field}: {message}");
        self.0.push(Cause { reason, message, category: None, field: Some(field.to_string()) });
    }

    /// Checks a text that may be empty: at most so many characters, no control characters, no space at its ends.
    pub fn text(&mut self, field: &str, text: &str, most: usize) {
        // No text has more characters than bytes: most need not be counted.
        if text.len() <= most && is_plain(text) {
            return;
        }
        if text.len() > most && text.chars().count() > most {
            self.too_large(field, &format!("at most {most} characters"));
        } else if text.contains(char::is_control)
            || text.starts_with(char::is_whitespace)
            || text.ends_with(char::is_whitespace)
        {
            self.invalid(field, "no control characters, no space at either end");
        }
    }

    /// Checks a text that must not be empty.
    pub fn required_text(&mut self, field: &str, text: &str, most: usize) {
        if text.is_empty() { self.missing(field) } else { self.text(field, text, most) }
    }

    /// Checks a day that may be empty.
    pub fn date(&mut self, field: &str, text: &str) {
        if !text.is_empty() && parse_date(text).is_none() {
            self.invalid(field, "write a day as YYYY-MM-DD");
        }
    }

    /// Checks a day that must not be empty.
    pub fn required_date(&mut self, field: &str, text: &str) {
        if text.is_empty() { self.missing(field) } else { self.date(field, text) }
    }

    /// Checks a code that may be zero: it must be in the list.
    pub fn code(&mut self, field: &str, known: bool) {
        if !known {
            self.invalid(field, "unknown code");
        }
    }

    /// Checks a code that must not be zero.
    pub fn required_code(&mut self, field: &str, number: i32, known: bool) {
        if number == 0 { self.missing(field) } else { self.code(field, known) }
    }

    /// Checks digits: only digits, of one of the lengths; empty is allowed.
    pub fn digits(&mut self, field: &str, text: &str, lengths: std::ops::RangeInclusive<usize>) {
        let fits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if !text.is_empty() && !fits {
            self.invalid(field, format!("{} to {} digits", lengths.start(), lengths.end()));
        }
    }

    /// Checks the length of a list.
    pub fn items(&mut self, field: &str, count: usize) {
        if count > MAX_ITEMS {
            self.too_large(field, &format!("at most {MAX_ITEMS} items"));
        }
    }

    /// Checks each item of a list, as many as it may have; what is found names the item by its index.
    pub fn each<T>(&mut self, list: &str, items: &[T], mut check: impl FnMut(&mut Findings, &T)) {
        for (index, item) in items.iter().take(MAX_ITEMS).enumerate() {
            let before = self.0.len();
            check(self, item);
            self.0[before..].iter_mut().for_each(|cause| cause.name_item(list, index));
        }
    }

    /// Checks a language tag (BCP 47); empty is allowed.
    pub fn language(&mut self, field: &str, tag: &str) {
        let subtag =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let primary = |part: &str| (2..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let mut parts = tag.split('-');
        let fits = parts.next().is_some_and(primary) && parts.all(subtag) && tag.len() <= 35;
        if !tag.is_empty() && !fits {
            self.invalid(field, "write a language tag such as de, uk or ar (BCP 47)");
        }
    }

    /// Checks an opaque key or reference: letters, digits and `._:-`.
    pub fn key(&mut self, field: &str, key: &str, most: usize) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if key.len() > most || !key.bytes().all(allowed) {
            self.invalid(field, format!("at most {most} of letters, digits and . _ : -"));
        }
    }

    /// Parses an agency id; notes what is wrong.
    pub fn agency(&mut self, field: &str, text: &str) -> Option<AgencyId> {
        if text.is_empty() {
            self.missing(field);
            return None;
        }
        text.parse().map_err(|error: lotse_core::id::AgencyIdError| self.invalid(field, error.to_string())).ok()
    }

    /// Parses an identifier that may be empty; notes what is wrong.
    pub fn id(&mut self, field: &str, text: &str) -> Option<lotse_core::id::Id> {
        if text.is_empty() {
            return None;
        }
        text.parse().map_err(|error: lotse_core::id::IdError| self.invalid(field, error.to_string())).ok()
    }

    /// Returns the value if nothing was found, else everything that was found.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Failure> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ if self.0.is_empty() => Err(Failure::field(Reason::FieldInvalid, "message", "cannot be understood")),
            _ => Err(Failure { kind: ErrorKind::Invalid, causes: self.0 }),
        }
    }
}

/// Tells whether a text is printable ASCII without a space at either end, as most are: no other check can find anything in it.
fn is_plain(text: &str) -> bool {
    let space_at_end = text.starts_with(' ') || text.ends_with(' ');
    !space_at_end && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(check: impl FnOnce(&mut Findings)) -> Vec<Reason> {
        let mut findings = Findings::default();
        check(&mut findings);
        findings
            .finish(Some(()))
            .err()
            .map_or(vec![], |failure| failure.causes.iter().map(|cause| cause.reason).collect())
    }

    #[test]
    fn each_finding_names_its_field_and_all_are_collected() {
        let mut all = Findings::default();
        all.required_text("a", "", 10);
        all.text("b", "x\u{7}", 10);
        all.text("c", "äöüßäöüßäöü", 10);
        all.date("d", "2026-2-30");
        let failure = all.finish(Some(())).unwrap_err();
        let fields: Vec<_> = failure.causes.iter().map(|cause| cause.field.as_deref().unwrap()).collect();
        assert_eq!(fields, ["a", "b", "c", "d"]);
        assert_eq!(failure.reason(), Reason::FieldMissing);
    }

    #[test]
    fn what_is_wrong_with_an_item_of_a_list_names_its_index() {
        let mut all = Findings::default();
        all.each("a.items", &["good", "", "x\u{7}"], |f, item| f.required_text("a.items.title", item, 10));
        all.each("a.codes", &[1, 0], |f, &code| f.required_code("a.codes", code, true));
        all.text("a.items.title", "\u{7}", 10);
        let failure = all.finish(Some(())).unwrap_err();
        let fields: Vec<_> = failure.causes.iter().map(|cause| cause.field.as_deref().unwrap()).collect();
        assert_eq!(fields, ["a.items[1].title", "a.items[2].title", "a.codes[1]", "a.items.title"]);
        assert!(failure.causes.iter().all(|cause| cause.message.starts_with(cause.field.as_deref().unwrap())));
        let mut many = Findings::default();
        many.each("a.codes", &[0; 1000], |f, &code| f.required_code("a.codes", code, true));
        assert_eq!(many.0.len(), MAX_ITEMS, "what is beyond the limit is not looked at");
    }

    #[test]
    fn good_values_pass() {
        assert!(
            findings(|f| {
                f.text("a", "Müller-Lüdenscheidt", 200);
                f.text("as long as it may be, in characters", "äöüß", 4);
                f.date("b", "2026-02-28");
                f.digits("c", "06435014", 8..=8);
                f.language("d", "zh-Hans");
                f.key("e", "Akte_2026:17.b-3", 64);
            })
            .is_empty()
        );
    }

    #[test]
    fn bad_values_are_found() {
        for (name, check) in [
            ("space at the end", (|f| f.text("x", "a ", 9)) as fn(&mut Findings)),
            ("another space at the end", |f| f.text("x", "a\u{2003}", 9)),
            ("space at the begin", |f| f.text("x", "\u{a0}a", 9)),
            ("control in ASCII", |f| f.text("x", "a\u{7f}b", 9)),
            ("control beyond ASCII", |f| f.text("x", "a\u{85}b", 9)),
            ("control beside an umlaut", |f| f.text("x", "ä\u{7}ö", 9)),
            ("day that does not exist", |f| f.date("x", "2026-02-30")),
            ("digits with a letter", |f| f.digits("x", "0643501a", 8..=8)),
            ("language in capitals", |f| f.language("x", "DE")),
            ("key with a space", |f| f.key("x", "a b", 64)),
            ("agency", |f| assert!(f.agency("x", "JC").is_none())),
            ("id", |f| assert!(f.id("x", "12").is_none())),
        ] {
            assert_eq!(findings(check), [Reason::FieldInvalid], "{name}");
        }
    }
}
