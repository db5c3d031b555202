//! Days and times as people and spreadsheets write them.

use std::ops::RangeInclusive;

use jiff::civil::{Date, DateTime, Time};
use lotse_core::agreement::words::Language;
use lotse_core::time::{Calendar, Timestamp};

use super::word::fold;
use crate::wire::consent::NO_END_YEAR;
use crate::wire::partial_date::PartialDate;
use crate::wording::Wording;

/// A day of birth as a cell gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Birth {
    Day(Date),
    Part(PartialDate),
}

/// Reads a day, also in its German form; else says what is allowed.
pub fn day(text: &str) -> Result<Date, String> {
    read_day(text).map_err(|wording| wording.text(Language::English).to_string())
}

/// Reads a day. A time of day is dropped if it is midnight: so databases write a day.
pub(super) fn read_day(text: &str) -> Result<Date, Wording> {
    if let Some(day) = written_day(text) {
        return Ok(day);
    }
    let with_clock = text.split_once([' ', 'T']).and_then(|(day, clock)| Some((written_day(day)?, clock)));
    match with_clock {
        Some((day, clock)) if is_midnight(clock) => Ok(day),
        Some(_) => Err(("ist eine Zeit: nur den Tag schreiben", "is a time: write the day alone").into()),
        None => Err(wrong_day(text)),
    }
}

/// Reads the day of birth, or what is known of it: `00.00.1988`, `00.04.1988`, `04.1988`, `1988`, `unbekannt`.
pub(super) fn read_birth(text: &str) -> Result<Birth, Wording> {
    let part = match matches!(fold(text).as_str(), "unbekannt" | "unknown" | "00_00_0000") {
        true => Some(PartialDate::Unknown),
        false => part_of_day(text),
    };
    match part {
        Some(part) => Ok(Birth::Part(part)),
        None => read_day(text).map(Birth::Day),
    }
}

/// Writes what is known of a day as German registers do: a spreadsheet takes it for text.
pub(super) fn german_part(part: PartialDate) -> String {
    match part.year_and_month() {
        None => "unbekannt".to_string(),
        Some((year, month)) => format!("00.{:02}.{year:04}", month.unwrap_or(0)),
    }
}

/// Writes a day of proto JSON as people in Germany do; what is no whole day stays as it is.
pub fn german_day(text: &str) -> String {
    text.parse::<Date>().map_or_else(|_| text.to_string(), |day| day.strftime("%d.%m.%Y").to_string())
}

/// Writes a time of proto JSON as people in Germany do, in German time; what is no time stays as it is.
pub fn german_time(text: &str) -> String {
    let at = text.parse::<jiff::Timestamp>().map(|at| at.to_zoned(Calendar::Germany.zone()));
    at.map_or_else(|_| text.to_string(), |at| at.strftime("%d.%m.%Y %H:%M").to_string())
}

fn part_of_day(text: &str) -> Option<PartialDate> {
    let number = |text: &str, lengths: RangeInclusive<usize>| digits(text, lengths)?.parse::<i16>().ok();
    let (day, month, year) = match text.split(['.', '-']).collect::<Vec<_>>()[..] {
        [year] => (0, 0, number(year, 4..=4)?),
        [month, year] if text.contains('.') => (0, number(month, 1..=2)?, number(year, 4..=4)?),
        [year, month] => (0, number(month, 2..=2)?, number(year, 4..=4)?),
        [day, month, year] if text.contains('.') => (number(day, 1..=2)?, number(month, 1..=2)?, number(year, 4..=4)?),
        [year, month, day] => (number(day, 2..=2)?, number(month, 2..=2)?, number(year, 4..=4)?),
        _ => return None,
    };
    match (day, month) {
        (0, 0) => Some(PartialDate::Year(year)),
        (0, month) => PartialDate::of_month(year, month),
        _ => None,
    }
}

fn digits(text: &str, lengths: RangeInclusive<usize>) -> Option<&str> {
    let fits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(text)
}

/// Reads `01.04.1990`, `1.4.1990` or `1990-04-01`. The year has four digits: two could mean either century.
fn written_day(text: &str) -> Option<Date> {
    match text.split('.').collect::<Vec<_>>()[..] {
        [day, month, year] => {
            let (day, month, year) = (digits(day, 1..=2)?, digits(month, 1..=2)?, digits(year, 4..=4)?);
            Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
        }
        _ => text.parse::<Date>().ok().filter(|date| date.to_string() == text),
    }
}

fn is_midnight(clock: &str) -> bool {
    clock.parse::<Time>().is_ok_and(|time| time == Time::midnight())
}

/// Says why a text is no day.
fn wrong_day(text: &str) -> Wording {
    let parts: Vec<&str> = text.split(['.', '/', '-']).collect();
    if parts.len() == 3 && parts.iter().all(|part| digits(part, 1..=2).is_some()) {
        let german = "das Jahr mit vier Ziffern schreiben: 01.04.1990";
        return (german, "write the year with four digits: 01.04.1990").into();
    }
    if digits(text, 5..=5).is_some() {
        let german = "ist eine Zahl: so gibt eine Tabellenkalkulation einen Tag aus, dessen Spalte kein Datum ist; als 01.04.1990 ausgeben";
        let english = "is a number: so a spreadsheet exports a day whose column is no date; export it as 01.04.1990";
        return (german, english).into();
    }
    let german = "einen Tag schreiben, den es gibt: 01.04.1990 oder 1990-04-01";
    (german, "write a day that exists as 01.04.1990 or 1990-04-01").into()
}

/// Reads the begin of a span of time; a day begins with its midnight in Germany. Else says what is allowed.
pub fn begin(text: &str) -> Result<Timestamp, String> {
    read_time(text, 0).map_err(|wording| wording.text(Language::English).to_string())
}

/// Reads the end of a span of time, which lies before it; a day belongs to the span as a whole. Else says what is allowed.
pub fn end(text: &str) -> Result<Timestamp, String> {
    read_time(text, 1).map_err(|wording| wording.text(Language::English).to_string())
}

/// Reads when something begins; a day means the midnight in Germany with which it begins.
pub(super) fn read_begin(text: &str) -> Result<String, Wording> {
    read_time(text, 0).map(|at| at.to_string())
}

/// Reads when something ends; a day means the midnight in Germany with which it ends.
pub(super) fn read_end(text: &str) -> Result<String, Wording> {
    if is_endless(text) {
        let german = "31.12.9999 heißt: kein Ende; es braucht eines: den letzten Tag schreiben";
        return Err((german, "31.12.9999 means that there is no end, and one is needed: write the last day").into());
    }
    read_time(text, 1).map(|at| at.to_string())
}

/// Reads the same where an end may be left out.
pub(super) fn read_optional_end(text: &str) -> Result<String, Wording> {
    if is_endless(text) {
        let german = "31.12.9999 heißt: kein Ende; die Zelle leer lassen";
        return Err((german, "31.12.9999 means that there is no end: leave the cell empty").into());
    }
    read_end(text)
}

fn is_endless(text: &str) -> bool {
    text.split([' ', 'T']).next().and_then(written_day).is_some_and(|day| day.year() == NO_END_YEAR)
}

fn read_time(text: &str, days_later: i32) -> Result<Timestamp, Wording> {
    let midnight = |day: Date| day.checked_add(jiff::Span::new().days(days_later)).ok().map(|day| day.at(0, 0, 0, 0));
    let local = match (written_day(text), text.split_once(' ')) {
        (Some(day), _) => midnight(day),
        (None, Some((date, clock))) => {
            written_day(date).and_then(|day| Some(DateTime::from_parts(day, clock.parse().ok()?)))
        }
        (None, None) => return text.parse().map_err(|_| wrong_time(text)),
    };
    let at = local.and_then(|local| local.to_zoned(Calendar::Germany.zone()).ok());
    at.map(|at| Timestamp::from_micros(at.timestamp().as_microsecond())).ok_or_else(|| wrong_time(text))
}

fn wrong_time(text: &str) -> Wording {
    let is_short = text.split(' ').next().is_some_and(|day| {
        let parts: Vec<&str> = day.split(['.', '/']).collect();
        parts.len() == 3 && parts.iter().all(|part| digits(part, 1..=2).is_some())
    });
    if is_short {
        return wrong_day("1.1.90");
    }
    let german = "einen Tag schreiben, den es gibt: 01.04.2026 oder 2026-04-01, oder eine Zeit: 01.04.2026 10:30 oder 2026-04-01T10:30:00+02:00";
    let english = "write a day that exists as 01.04.2026 or 2026-04-01, or a time as 01.04.2026 10:30 or 2026-04-01T10:30:00+02:00";
    (german, english).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn english(wording: Wording) -> String {
        wording.text(Language::English).to_string()
    }

    #[test]
    fn a_day_is_read_as_people_and_databases_write_it() {
        for text in
            ["01.04.1990", "1.4.1990", "1990-04-01", "01.04.1990 00:00:00", "01.04.1990 00:00", "1990-04-01T00:00:00"]
        {
            assert_eq!(read_day(text).unwrap().to_string(), "1990-04-01", "{text}");
        }
        for (text, says) in [
            ("01.04.90", "write the year with four digits"),
            ("1/4/90", "write the year with four digits"),
            ("01.04.1990 10:30", "is a time: write the day alone"),
            ("32964", "is a number: so a spreadsheet exports a day"),
            ("31.02.1990", "write a day that exists"),
            ("19900401", "write a day that exists"),
            ("1988", "write a day that exists"),
        ] {
            assert!(english(read_day(text).unwrap_err()).starts_with(says), "{text}");
        }
    }

    #[test]
    fn a_day_of_birth_is_read_as_far_as_it_is_known() {
        let (year, month) = (PartialDate::Year(1988), PartialDate::Month(1988, 4));
        for (text, part) in [
            ("1988", year),
            ("00.00.1988", year),
            ("0.0.1988", year),
            ("1988-00-00", year),
            ("04.1988", month),
            ("4.1988", month),
            ("1988-04", month),
            ("00.04.1988", month),
            ("1988-04-00", month),
            ("00.00.0000", PartialDate::Unknown),
            ("unbekannt", PartialDate::Unknown),
            ("Unknown", PartialDate::Unknown),
        ] {
            assert_eq!(read_birth(text), Ok(Birth::Part(part)), "{text}");
            assert_eq!(read_birth(&german_part(part)), Ok(Birth::Part(part)), "it reads what it writes");
        }
        let day = "1988-04-01".parse().unwrap();
        assert_eq!(read_birth("01.04.1988"), Ok(Birth::Day(day)));
        for text in ["88", "13.1988", "01.00.1988", "00.13.1988", "1988-4", "31.02.1988", "-", "?"] {
            assert!(read_birth(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_span_of_time_is_read_from_days_in_germany_and_from_times() {
        for (text, begins, ends) in [
            ("2026-12-01", "2026-11-30T23:00:00Z", "2026-12-01T23:00:00Z"),
            ("01.12.2026", "2026-11-30T23:00:00Z", "2026-12-01T23:00:00Z"),
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("01.07.2026 10:30", "2026-07-01T08:30:00Z", "2026-07-01T08:30:00Z"),
            ("2026-07-01T10:30:00+02:00", "2026-07-01T08:30:00Z", "2026-07-01T08:30:00Z"),
        ] {
            assert_eq!((begin(text), end(text)), (Ok(begins.parse().unwrap()), Ok(ends.parse().unwrap())), "{text}");
        }
        for wrong in ["yesterday", "", "2026-13-01", "2026-12-01T08:00"] {
            let refused = begin(wrong).unwrap_err();
            assert_eq!(end(wrong), Err(refused.clone()));
            assert!(refused.contains("2026-04-01,") && refused.ends_with("2026-04-01T10:30:00+02:00"), "{refused}");
        }
    }

    #[test]
    fn an_end_in_the_year_9999_is_called_no_end() {
        for text in ["31.12.9999", "9999-12-31", "31.12.9999 23:59:59", "9999-12-31T00:00:00Z", "01.01.9999"] {
            assert!(
                english(read_end(text).unwrap_err()).contains("means that there is no end, and one is needed"),
                "{text}"
            );
            let optional = english(read_optional_end(text).unwrap_err());
            assert_eq!(optional, "31.12.9999 means that there is no end: leave the cell empty", "{text}");
        }
        assert_eq!(read_end("31.12.2026").unwrap(), "2026-12-31T23:00:00Z");
        assert_eq!(read_optional_end("31.12.2026"), read_end("31.12.2026"));
        assert_eq!(read_begin("01.07.2026").unwrap(), "2026-06-30T22:00:00Z");
        assert!(english(read_begin("01.04.26").unwrap_err()).starts_with("write the year with four digits"));
        assert!(english(read_begin("1.4.26 10:30").unwrap_err()).starts_with("write the year with four digits"));
        for text in ["morgen", "31.02.2026", "2026-02-31", "31.02.2026 10:30"] {
            let wrong = read_begin(text).unwrap_err();
            let german = wrong.text(Language::German);
            assert!(german.starts_with("einen Tag schreiben, den es gibt: 01.04.2026"), "{text}: {german}");
            assert!(english(wrong).starts_with("write a day that exists as 01.04.2026"), "{text}");
        }
    }
}
