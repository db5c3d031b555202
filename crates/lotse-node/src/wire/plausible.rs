//! Values that are well formed and cannot be meant: what a spreadsheet has damaged, days of birth that nobody has, and numbers of
//! persons, which are never sent.
//!
//! Only what an own system hands over is checked: another agency's node has checked its own.

use lotse_core::time::Date;
use lotse_proto::record::v1 as proto;

use crate::wire::field::Findings;
use crate::wire::partial_date::PartialDate;
use crate::wire::time::parse_date;
use crate::wording::Wording;

/// The first year in which somebody may be born.
const FIRST_YEAR: i16 = 1900;

/// Digits of a German postal code.
const POSTAL_CODE_DIGITS: usize = 5;

/// Fewest digits of a telephone number.
const MIN_PHONE_DIGITS: usize = 5;

/// Checks a referral that is handed over on a day.
pub fn check_referral(referral: &proto::Referral, today: Date, f: &mut Findings) {
    check_reference("referral.sender_reference", &referral.sender_reference, f);
    referral.identity.iter().for_each(|identity| check_birth(identity, today, f));
    referral.contact.iter().for_each(|contact| check_contact(contact, f));
}

/// Checks a reference: no number written in exponential form, and no number of a person.
pub fn check_reference(field: &str, text: &str, f: &mut Findings) {
    if is_exponential(text) {
        f.invalid(field, exponential());
    } else if is_customer_number(text) {
        let german = "sieht aus wie eine Kundennummer der Bundesagentur für Arbeit; solche Nummern nie angeben, sondern ein eigenes Zeichen";
        let english = "looks like a customer number of the Federal Employment Agency: never send one, use a reference of your own";
        f.invalid(field, (german, english));
    } else if is_pension_number(text) {
        let german =
            "sieht aus wie eine Rentenversicherungsnummer; solche Nummern nie angeben, sondern ein eigenes Zeichen";
        let english = "looks like a pension insurance number: never send one, use a reference of your own";
        f.invalid(field, (german, english));
    }
}

/// Returns whether a text is a number that a spreadsheet has rounded: `4,96E+12`.
pub fn is_exponential(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((number, exponent)) = text.split_once(['E', 'e']) else { return false };
    let (whole, fraction) = number.split_once([',', '.']).unwrap_or((number, "0"));
    exponent.strip_prefix(['+', '-']).is_some_and(is_number)
        && is_number(whole.strip_prefix('-').unwrap_or(whole))
        && is_number(fraction)
}

/// Returns the advice about such a number.
pub fn exponential() -> Wording {
    let german = "ist eine gerundete Zahl (1,23E+12): eine Tabellenkalkulation hat Ziffern weggelassen; die Spalte als Text ausgeben";
    let english = "is a rounded number (1.23E+12): a spreadsheet has dropped digits; export the column as text";
    (german, english).into()
}

/// Returns whether a text has the form of a customer number of the Federal Employment Agency: `123A456789`.
fn is_customer_number(text: &str) -> bool {
    has_form(text, "000A000000")
}

/// Returns whether a text has the form of a pension insurance number: area, day of birth, letter, serial number and check digit.
fn is_pension_number(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let number = |index: usize| digits.get(index).zip(digits.get(index + 1)).map_or(0, |(ten, one)| ten * 10 + one);
    has_form(text, "00000000A000") && (1..=31).contains(&number(2)) && (1..=12).contains(&number(4))
}

/// Returns whether a text, spaces left out, has digits where the form has `0` and letters where it has `A`.
fn has_form(text: &str, form: &str) -> bool {
    let letters: Vec<char> = text.chars().filter(|letter| !matches!(letter, ' ' | '\u{a0}')).collect();
    let fits = |(letter, wanted): (&char, char)| match wanted {
        '0' => letter.is_ascii_digit(),
        _ => letter.is_ascii_alphabetic(),
    };
    letters.len() == form.len() && letters.iter().zip(form.chars()).all(fits)
}

fn check_birth(identity: &proto::Identity, today: Date, f: &mut Findings) {
    const LATER: (&str, &str) = ("liegt nach dem heutigen Tag", "is later than today");
    if let Some(day) = parse_date(&identity.birth_date) {
        check_birth_year("referral.identity.birth_date", day.year(), f);
        if day > today {
            f.invalid("referral.identity.birth_date", LATER);
        }
    }
    let part = PartialDate::parse(&identity.partial_birth_date).and_then(PartialDate::year_and_month);
    if let Some((year, month)) = part {
        check_birth_year("referral.identity.partial_birth_date", year, f);
        if (year, month.unwrap_or(1)) > (today.year(), today.month()) {
            f.invalid("referral.identity.partial_birth_date", LATER);
        }
    }
}

fn check_birth_year(field: &str, year: i16, f: &mut Findings) {
    if year < FIRST_YEAR {
        let german = format!(
            "liegt vor {FIRST_YEAR}; ist der Tag nicht bekannt: 1988, 04.1988 oder unbekannt (partial_birth_date)"
        );
        let english = format!(
            "is before {FIRST_YEAR}; where the day is not known: 1988, 1988-04 or unknown in partial_birth_date"
        );
        f.invalid(field, (german, english));
    }
}

fn check_contact(contact: &proto::Contact, f: &mut Findings) {
    let code = contact.postal_code.as_str();
    if is_exponential(code) {
        f.invalid("referral.contact.postal_code", exponential());
    } else if code.bytes().all(|byte| byte.is_ascii_digit()) && !matches!(code.len(), 0 | POSTAL_CODE_DIGITS) {
        let german = "eine deutsche Postleitzahl hat fünf Ziffern: hat eine Tabellenkalkulation die Null am Anfang weggelassen? \
                      (eine ausländische mit dem Land davor: AT-1010)";
        let english = "a German postal code has five digits: has a spreadsheet taken the zero at its begin? (a foreign one with \
                       its country before it: AT-1010)";
        f.invalid("referral.contact.postal_code", (german, english));
    }
    if is_exponential(&contact.phone) {
        f.invalid("referral.contact.phone", exponential());
    } else if !contact.phone.is_empty() && digits(&contact.phone) < MIN_PHONE_DIGITS {
        let german = "ist keine Telefonnummer; gibt es keine, das Feld leer lassen";
        f.invalid("referral.contact.phone", (german, "is no telephone number; where there is none, leave it empty"));
    }
    if !contact.email.is_empty() && !is_email(&contact.email) {
        let german = "ist keine E-Mail-Adresse; gibt es keine, das Feld leer lassen";
        f.invalid("referral.contact.email", (german, "is no e-mail address; where there is none, leave it empty"));
    }
}

fn digits(text: &str) -> usize {
    text.chars().filter(|letter| letter.is_numeric()).count()
}

/// Returns whether a text has the form of one e-mail address: something, `@`, and a host with a dot inside.
fn is_email(text: &str) -> bool {
    let is_host = |host: &str| host.split('.').all(|label| !label.is_empty()) && host.contains('.');
    let no_space = !text.contains([' ', ',', ';', '<', '>']);
    no_space
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.contains('@') && is_host(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    fn today() -> Date {
        "2026-12-01".parse().unwrap()
    }

    fn wrong(change: impl FnOnce(&mut proto::Referral)) -> Vec<String> {
        let mut referral = proto::Referral::default();
        change(&mut referral);
        let mut findings = Findings::default();
        check_referral(&referral, today(), &mut findings);
        fields(findings.finish(Some(())))
    }

    fn fields(checked: Result<(), Failure>) -> Vec<String> {
        checked.err().map_or(vec![], |failure| failure.causes.into_iter().filter_map(|cause| cause.field).collect())
    }

    fn contact(set: impl FnOnce(&mut proto::Contact)) -> Vec<String> {
        let mut contact = proto::Contact::default();
        set(&mut contact);
        wrong(|referral| referral.contact = Some(contact))
    }

    fn born(day: &str, part: &str) -> Vec<String> {
        let (birth_date, partial_birth_date) = (day.to_string(), part.to_string());
        let identity = proto::Identity { birth_date, partial_birth_date, ..proto::Identity::default() };
        wrong(|referral| referral.identity = Some(identity))
    }

    #[test]
    fn a_postal_code_that_lost_its_zero_is_refused_and_a_foreign_one_with_its_country_is_not() {
        for code in ["1067", "067", "010670", "1,067E+03"] {
            assert_eq!(contact(|c| c.postal_code = code.into()), ["referral.contact.postal_code"], "{code}");
        }
        for code in ["", "01067", "63450", "AT-1010", "CH 8001", "79-100"] {
            assert!(contact(|c| c.postal_code = code.into()).is_empty(), "{code}");
        }
    }

    #[test]
    fn a_telephone_number_and_an_address_that_cannot_be_meant_are_refused() {
        for phone in ["4,96E+12", "4.96181E+11", "keine", "-", "0"] {
            assert_eq!(contact(|c| c.phone = phone.into()), ["referral.contact.phone"], "{phone}");
        }
        for phone in ["", "+49 6181 123-0", "06181/1234 (Büro)", "(06181) 12345", "٠١٢٣٤٥"] {
            assert!(contact(|c| c.phone = phone.into()).is_empty(), "{phone}");
        }
        for email in ["keine", "a@b", "@b.de", "a b@c.de", "a@b.de; c@d.de", "a@b..de", "a@@b.de"] {
            assert_eq!(contact(|c| c.email = email.into()), ["referral.contact.email"], "{email}");
        }
        for email in ["", "j.özdemir@example.org", "a+b@sub.example.org"] {
            assert!(contact(|c| c.email = email.into()).is_empty(), "{email}");
        }
    }

    #[test]
    fn nobody_is_born_later_than_today_or_before_1900() {
        for day in ["2026-12-02", "2093-01-01", "1899-12-31", "0090-04-01"] {
            assert_eq!(born(day, ""), ["referral.identity.birth_date"], "{day}");
        }
        for part in ["2027", "2026-13", "2027-01", "1899", "1899-12"] {
            let expected: &[&str] = if part == "2026-13" { &[] } else { &["referral.identity.partial_birth_date"] };
            assert_eq!(born("", part), expected, "{part}");
        }
        for (day, part) in [("2026-12-01", ""), ("1900-01-01", ""), ("", "2026"), ("", "2026-12"), ("", "unknown")] {
            assert!(born(day, part).is_empty(), "{day}{part}");
        }
    }

    #[test]
    fn a_number_of_a_person_is_no_reference() {
        let reference = |text: &str| {
            let mut findings = Findings::default();
            check_reference("subject_reference", text, &mut findings);
            fields(findings.finish(Some(())))
        };
        for number in
            ["415D012345", "415d012345", "415 D 012345", "65170839J003", "15 070649 C 103", "4,96E+12", "1E+5"]
        {
            assert_eq!(reference(number), ["subject_reference"], "{number}");
        }
        for own in ["Akte-1", "415BG0012345", "415D01234", "41512345", "65990839J003", "2026E17", "E+5", "AK-1E+5"] {
            assert!(reference(own).is_empty(), "{own}");
        }
    }
}
