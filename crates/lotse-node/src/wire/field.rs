//! Checks of single fields: each finding names the field and says what is allowed. All findings of a message are collected.

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;

use crate::failure::{Cause, ErrorKind, Failure};
use crate::wire::text::{hidden, is_plainly_visible};
use crate::wire::time::parse_date;
use crate::wording::Wording;

/// Longest ordinary text, in characters.
pub const MAX_TEXT: usize = 200;

/// Most items of a list.
pub const MAX_ITEMS: usize = 50;

/// Collects what is wrong with the fields of a message.
#[derive(Default)]
pub struct Findings(Vec<Cause>);

impl Findings {
    /// Notes that a field has a value that is not allowed.
    pub fn invalid(&mut self, field: &str, wording: impl Into<Wording>) {
        self.0.push(Cause::of_field(Reason::FieldInvalid, field, wording));
    }

    /// Notes that a required field is missing.
    pub fn missing(&mut self, field: &str) {
        self.missing_with(field, ("ist nötig", "is required"));
    }

    /// Notes that a required field is missing, and what to do.
    pub fn missing_with(&mut self, field: &str, wording: impl Into<Wording>) {
        self.0.push(Cause::of_field(Reason::FieldMissing, field, wording));
    }

    /// Notes that a field is too large.
    pub fn too_large(&mut self, field: &str, wording: impl Into<Wording>) {
        self.0.push(Cause::of_field(Reason::TooLarge, field, wording));
    }

    /// Checks a text that may be empty: at most so many characters, each of which can be seen, no space at its ends.
    pub fn text(&mut self, field: &str, text: &str, most: usize) {
        // No text has more characters than bytes: most need not be counted.
        if text.len() <= most && is_plain(text) {
            return;
        }
        if text.len() > most && text.chars().count() > most {
            self.too_large(field, (format!("höchstens {most} Zeichen"), format!("at most {most} characters")));
        } else if let Some(wrong) = wrong_characters(text) {
            self.invalid(field, wrong);
        }
    }

    /// Checks a text that must not be empty.
    pub fn required_text(&mut self, field: &str, text: &str, most: usize) {
        if text.is_empty() { self.missing(field) } else { self.text(field, text, most) }
    }

    /// Checks a day that may be empty.
    pub fn date(&mut self, field: &str, text: &str) {
        if !text.is_empty() && parse_date(text).is_none() {
            let german = "einen Tag schreiben, den es gibt, als JJJJ-MM-TT";
            self.invalid(field, (german, "write a day that exists as YYYY-MM-DD"));
        }
    }

    /// Checks a day that must not be empty.
    pub fn required_date(&mut self, field: &str, text: &str) {
        if text.is_empty() { self.missing(field) } else { self.date(field, text) }
    }

    /// Checks a code that may be zero: it must be in the list.
    pub fn code(&mut self, field: &str, known: bool) {
        if !known {
            self.invalid(field, ("unbekannter Code", "unknown code"));
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
            let (least, most) = (lengths.start(), lengths.end());
            self.invalid(field, (format!("{least} bis {most} Ziffern"), format!("{least} to {most} digits")));
        }
    }

    /// Checks the length of a list.
    pub fn items(&mut self, field: &str, count: usize) {
        if count > MAX_ITEMS {
            self.too_large(field, (format!("höchstens {MAX_ITEMS} Einträge"), format!("at most {MAX_ITEMS} items")));
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
            let german = "eine Sprache als Kürzel wie de, uk oder ar schreiben (BCP 47)";
            self.invalid(field, (german, "write a language tag such as de, uk or ar (BCP 47)"));
        }
    }

    /// Checks an opaque key or reference: letters, digits and `._:-`.
    pub fn key(&mut self, field: &str, key: &str, most: usize) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        if key.len() > most || !key.bytes().all(allowed) {
            let german = format!("höchstens {most} Zeichen: a bis z, A bis Z, Ziffern und . _ : -");
            self.invalid(field, (german, format!("at most {most} of letters, digits and . _ : -")));
        }
    }

    /// Parses an agency id; notes what is wrong.
    pub fn agency(&mut self, field: &str, text: &str) -> Option<AgencyId> {
        if text.is_empty() {
            self.missing(field);
            return None;
        }
        let german = "ist keine Kennung einer Stelle; sie sieht so aus: jc-hanau.hessen.example";
        let wrong = |error: lotse_core::id::AgencyIdError| self.invalid(field, (german, error.to_string()));
        text.parse().map_err(wrong).ok()
    }

    /// Parses an identifier that may be empty; notes what is wrong.
    pub fn id(&mut self, field: &str, text: &str) -> Option<lotse_core::id::Id> {
        if text.is_empty() {
            return None;
        }
        let german = "ist keine UUID; sie sieht so aus: 0198c5a4-7d3e-7cc0-8000-000000000001";
        let wrong = |error: lotse_core::id::IdError| self.invalid(field, (german, error.to_string()));
        text.parse().map_err(wrong).ok()
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

/// Explains which character of a text is not allowed; none if all are.
fn wrong_characters(text: &str) -> Option<Wording> {
    if text.contains(['\n', '\r']) {
        return Some(
            ("hat einen Zeilenumbruch: in eine Zeile schreiben", "has a line break: write it on one line").into(),
        );
    }
    if text.contains(char::is_control) {
        return Some(("hat ein Steuerzeichen (Tabulator?)", "has a control character (a tab?)").into());
    }
    if text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace) {
        return Some(("hat ein Leerzeichen am Anfang oder am Ende", "has a space at its begin or end").into());
    }
    let number = u32::from(hidden(text)?);
    Some(
        (
            format!("hat das Zeichen U+{number:04X}, das niemand sieht oder jeder anders: neu schreiben"),
            format!("has the character U+{number:04X}, which nobody sees or everybody differently: write it anew"),
        )
            .into(),
    )
}

/// Returns whether no check can find anything in the characters of a text, as with most.
fn is_plain(text: &str) -> bool {
    !text.starts_with(' ') && !text.ends_with(' ') && is_plainly_visible(text)
}

#[cfg(test)]
mod tests {
    use lotse_core::agreement::words::Language;

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
    fn a_wrong_character_is_named_by_its_number_in_both_languages_and_the_text_is_not_repeated() {
        let wrong = |text: &str| {
            let mut findings = Findings::default();
            findings.text("city", text, 99);
            let cause = findings.finish(Some(())).unwrap_err().causes.remove(0);
            [Language::German, Language::English].map(|language| cause.text(language).to_string())
        };
        let [german, english] = wrong("Geheim\u{202e}");
        assert!(english.starts_with("city: has the character U+202E, "), "{english}");
        assert!(german.starts_with("city: hat das Zeichen U+202E, "), "{german}");
        assert!(![german, english].concat().contains("Geheim"));
        assert_eq!(wrong("Ha\nnau")[1], "city: has a line break: write it on one line");
        assert_eq!(wrong("Ha\tnau")[1], "city: has a control character (a tab?)");
        assert_eq!(wrong("Hanau ")[1], "city: has a space at its begin or end");
    }

    #[test]
    fn a_day_that_does_not_exist_is_called_so_in_both_languages() {
        let mut findings = Findings::default();
        findings.date("birth_date", "1990-02-31");
        let cause = findings.finish(Some(())).unwrap_err().causes.remove(0);
        assert_eq!(cause.text(Language::English), "birth_date: write a day that exists as YYYY-MM-DD");
        assert_eq!(cause.text(Language::German), "birth_date: einen Tag schreiben, den es gibt, als JJJJ-MM-TT");
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
            ("letter without width", |f| f.text("x", "Jo\u{200b}rg", 9)),
            ("letter that turns the text", |f| f.text("x", "\u{202e}groJ", 9)),
            ("letter for private use", |f| f.text("x", "J\u{e000}rg", 9)),
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
