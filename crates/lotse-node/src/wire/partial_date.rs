//! A day of which only a part is known: the year, the year and the month, or nothing.

use std::fmt;

/// The known part of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialDate {
    /// Nothing.
    Unknown,
    /// The year.
    Year(i16),
    /// The year and the month.
    Month(i16, i8),
}

/// The text on the wire for a day of which nothing is known.
const UNKNOWN: &str = "unknown";

impl PartialDate {
    /// Reads `1988`, `1988-04` or `unknown`, and no other form.
    pub fn parse(text: &str) -> Option<PartialDate> {
        let number = |text: &str, length: usize| {
            let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| text.parse::<i16>().ok()).flatten()
        };
        match text.split_once('-') {
            None if text == UNKNOWN => Some(PartialDate::Unknown),
            None => number(text, 4).map(PartialDate::Year),
            Some((year, month)) => PartialDate::of_month(number(year, 4)?, number(month, 2)?),
        }
    }

    /// Makes a month; none if there is no such month.
    pub fn of_month(year: i16, month: i16) -> Option<PartialDate> {
        let month = i8::try_from(month).ok().filter(|month| (1..=12).contains(month))?;
        Some(PartialDate::Month(year, month))
    }

    /// Returns the year, and the month where it is known.
    pub fn year_and_month(self) -> Option<(i16, Option<i8>)> {
        match self {
            PartialDate::Unknown => None,
            PartialDate::Year(year) => Some((year, None)),
            PartialDate::Month(year, month) => Some((year, Some(month))),
        }
    }
}

impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartialDate::Unknown => f.write_str(UNKNOWN),
            PartialDate::Year(year) => write!(f, "{year:04}"),
            PartialDate::Month(year, month) => write!(f, "{year:04}-{month:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_date_reads_what_it_writes_and_has_one_form() {
        for date in [PartialDate::Unknown, PartialDate::Year(1988), PartialDate::Month(1988, 4)] {
            assert_eq!(PartialDate::parse(&date.to_string()), Some(date));
        }
        for text in ["", "88", "1988-4", "1988-13", "1988-00", "1988-04-01", "04.1988", "Unknown", "+988", "1988-"] {
            assert_eq!(PartialDate::parse(text), None, "{text}");
        }
    }
}
