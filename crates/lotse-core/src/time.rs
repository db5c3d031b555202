//! Time: UTC microseconds, calendar days, and where "now" comes from.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

pub use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// One second in microseconds.
const SECOND: i64 = 1_000_000;

/// One day.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A card or a leaf certificate that ends within this time is said to end soon: it is time to make the next one.
pub const ENDS_SOON: Duration = DAY.saturating_mul(30);

/// How far the validity of a card, certificate or revocation list begins before it is made, for clocks that lag.
pub const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// Legal time in Germany (CET and CEST; in these months since 1996) as a POSIX text: no time zone database is needed.
const GERMAN_TIME: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

static GERMAN_ZONE: LazyLock<TimeZone> = LazyLock::new(|| TimeZone::posix(GERMAN_TIME).unwrap_or(TimeZone::UTC));

/// The time zone in which a calendar day begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Calendar {
    /// Coordinated universal time.
    #[serde(rename = "UTC")]
    Utc,
    /// Legal time in Germany.
    #[serde(rename = "Europe/Berlin")]
    Germany,
}

impl Calendar {
    /// Returns the calendar in which a moment begins a day; no midnight in Germany is one in UTC, and any other moment is UTC's.
    pub fn beginning_at(moment: Timestamp) -> Calendar {
        let begins_here = Calendar::Germany.beginning_of(Calendar::Germany.day_of(moment)) == moment;
        if begins_here { Calendar::Germany } else { Calendar::Utc }
    }

    /// Returns the time zone.
    pub fn zone(self) -> TimeZone {
        match self {
            Calendar::Utc => TimeZone::UTC,
            Calendar::Germany => GERMAN_ZONE.clone(),
        }
    }

    /// Returns the day on which a moment falls.
    pub fn day_of(self, at: Timestamp) -> Date {
        at.jiff().to_zoned(self.zone()).date()
    }

    /// Returns the first moment of a day.
    pub fn beginning_of(self, day: Date) -> Timestamp {
        let seconds = day.to_zoned(self.zone()).map(|zoned| zoned.timestamp().as_second());
        Timestamp(seconds.unwrap_or(i64::MAX / SECOND).saturating_mul(SECOND))
    }

    /// Returns the first moment after a day.
    pub fn end_of(self, day: Date) -> Timestamp {
        day.tomorrow().map_or(Timestamp(i64::MAX), |next| self.beginning_of(next))
    }
}

impl Timestamp {
    /// Takes microseconds since 1970, UTC.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Returns microseconds since 1970, UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Returns the time a while later.
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the time a while earlier.
    pub fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns how long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns midnight UTC at the beginning of a day.
    pub fn from_date(day: Date) -> Timestamp {
        Calendar::Utc.beginning_of(day)
    }

    /// Returns the calendar day in UTC.
    pub fn date(self) -> Date {
        Calendar::Utc.day_of(self)
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.jiff())
    }
}

impl std::str::FromStr for Timestamp {
    type Err = jiff::Error;

    /// Reads RFC 3339.
    fn from_str(text: &str) -> Result<Timestamp, jiff::Error> {
        text.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_microsecond()))
    }
}

/// Where "now" comes from. The only implementations read the system clock (in the node) and a hand-turned one (in tests).
pub trait Clock: Send + Sync {
    /// Returns the present time.
    fn now(&self) -> Timestamp;

    /// Returns how long the machine has been up, its sleep included. Nobody sets it, and a start of the machine begins it anew.
    fn uptime(&self) -> Duration;

    /// Reads both at one moment, as far as the machine lets it.
    fn reading(&self) -> Reading {
        let mut reading = Reading { wall: self.now(), uptime: self.uptime() };
        for _ in 0..READING_ATTEMPTS {
            let begun = self.uptime();
            reading = Reading { wall: self.now(), uptime: self.uptime() };
            if reading.uptime.saturating_sub(begun) < READING_TOLERANCE {
                break;
            }
        }
        reading
    }
}

/// Attempts to read a clock so that nothing comes between time and uptime.
const READING_ATTEMPTS: u32 = 8;

/// Longest time between the time and the uptime of one reading.
const READING_TOLERANCE: Duration = Duration::from_secs(1);

/// A reading of a clock: a clock that somebody set moves the time and leaves the uptime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The time.
    pub wall: Timestamp,
    /// How long the machine has been up.
    pub uptime: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_what_it_writes() {
        let at = Timestamp::from_micros(1_764_000_000_123_456);
        assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        assert_eq!(Timestamp::from_date(at.date()).date(), at.date());
        assert!(Timestamp::from_date(at.date()) <= at);
    }

    #[test]
    fn a_german_day_begins_at_midnight_in_germany_summer_and_winter() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        for (german, begins, ends) in [
            ("2026-01-15", "2026-01-14T23:00:00Z", "2026-01-15T23:00:00Z"),
            ("2026-07-15", "2026-07-14T22:00:00Z", "2026-07-15T22:00:00Z"),
            ("2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ] {
            let (first, after) = (Calendar::Germany.beginning_of(day(german)), Calendar::Germany.end_of(day(german)));
            assert_eq!((first.to_string(), after.to_string()), (begins.to_string(), ends.to_string()));
            let last = after.minus(Duration::from_micros(1));
            assert_eq!([first, last].map(|at| Calendar::Germany.day_of(at)), [day(german); 2]);
            assert_ne!(Calendar::Utc.day_of(first), day(german));
        }
    }
}
