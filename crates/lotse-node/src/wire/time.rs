//! Times and days on the wire.

use lotse_core::time::{Date, Timestamp};
use pbjson_types as well_known;

const MICROS: i64 = 1_000_000;
const NANOS_PER_MICRO: i32 = 1_000;

/// Writes a time.
pub fn message(at: Timestamp) -> well_known::Timestamp {
    let nanos = at.micros().rem_euclid(MICROS) as i32 * NANOS_PER_MICRO; // below 10^9
    well_known::Timestamp { seconds: at.micros().div_euclid(MICROS), nanos }
}

/// Reads a time; what is below a microsecond is dropped. None outside the years 0001 to 9999 of RFC 3339.
pub fn parse(message: &well_known::Timestamp) -> Option<Timestamp> {
    const YEARS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
    let in_range = YEARS.contains(&message.seconds) && (0..1_000_000_000).contains(&message.nanos);
    in_range.then(|| Timestamp::from_micros(message.seconds * MICROS + i64::from(message.nanos / NANOS_PER_MICRO)))
}

/// Returns whether a sealed document may name a time: from 2000, when no node ran, to the last year of RFC 3339.
pub fn is_sealable(at: Timestamp) -> bool {
    const YEARS: std::ops::RangeInclusive<i64> = 946_684_800 * MICROS..=253_402_300_799 * MICROS;
    YEARS.contains(&at.micros())
}

/// Reads microseconds since 1970 where 0 means "not given".
pub fn optional_micros(micros: i64) -> Option<Timestamp> {
    (micros != 0).then(|| Timestamp::from_micros(micros))
}

/// Reads a day `YYYY-MM-DD`, and no other form of ISO 8601.
pub fn parse_date(text: &str) -> Option<Date> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let year = number([y1, y2, y3, y4])?;
    let (month, day) = (number([m1, m2])?, number([d1, d2])?);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// Reads decimal digits, four at most.
fn number<const N: usize>(digits: [u8; N]) -> Option<i16> {
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    digits.into_iter().try_fold(0, |number, byte| Some(number * 10 + digit(byte)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_what_it_writes() {
        for micros in [0, 1, -1, 1_764_000_000_123_456, -62_135_596_800_000_000] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(parse(&message(at)), Some(at));
        }
    }

    #[test]
    fn a_time_outside_the_calendar_is_refused() {
        let of = |seconds, nanos| parse(&well_known::Timestamp { seconds, nanos });
        assert_eq!(of(i64::MAX, 0), None);
        assert_eq!(of(0, -1), None);
        assert_eq!(of(0, 1_000_000_000), None);
    }

    #[test]
    fn a_sealed_time_is_one_at_which_a_node_may_run() {
        let good = [946_684_800 * MICROS, 1_793_606_400 * MICROS, 253_402_300_799 * MICROS];
        assert!(good.into_iter().all(|micros| is_sealable(Timestamp::from_micros(micros))));
        let bad = [i64::MIN, -1, 0, 946_684_800 * MICROS - 1, 253_402_300_799 * MICROS + 1, 1 << 62, i64::MAX];
        assert!(bad.into_iter().all(|micros| !is_sealable(Timestamp::from_micros(micros))));
    }

    #[test]
    fn a_day_has_one_form() {
        assert_eq!(parse_date("2026-11-22"), Date::new(2026, 11, 22).ok());
        assert_eq!(parse_date("2024-02-29"), Date::new(2024, 2, 29).ok());
        assert!(
            ["2026-11-22T00:00", "20261122", "2026-13-01", "2026-02-30", "2026-11-2 ", "-00026-1-1", ""]
                .into_iter()
                .all(|text| parse_date(text).is_none())
        );
    }
}
