//! Times on pages: UTC, as the log has them, and beside them the legal time in Germany.

use jiff::tz::TimeZone;
use lotse_core::agreement::words::Language;
use lotse_core::time::{Calendar, Date, Timestamp};
use maud::{Markup, html};

use crate::record_file;

/// Central European time and summer time: from the last Sunday in March to the last Sunday in October, 1:00 UTC both
/// (Directive 2000/84/EC; in Germany since 1980, in these months since 1996). The names are those of the language.
const GERMAN_RULE: &str = "MEZ-1MESZ,M3.5.0,M10.5.0/3";

/// Shows a moment in UTC and in German time.
pub(super) fn both(at: Timestamp, language: Language) -> Markup {
    let form = language.choose(("%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"));
    html! {
        time datetime=(written(at, "%Y-%m-%dT%H:%M:%SZ", &TimeZone::UTC)) {
            span .utc { (written(at, form, &TimeZone::UTC)) " UTC" }
        }
        " "
        span .local { "= " (written(at, "%H:%M %Z", &local(language))) }
    }
}

/// Shows a moment to the second in UTC only.
pub(super) fn utc(at: Timestamp, language: Language) -> String {
    let form = language.choose(("%d.%m.%Y %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S UTC"));
    written(at, form, &TimeZone::UTC)
}

/// Shows the day of a moment, in UTC.
pub(super) fn day(at: Timestamp, language: Language) -> String {
    written(at, language.choose(("%d.%m.%Y", "%Y-%m-%d")), &TimeZone::UTC)
}

/// Shows a day.
pub(super) fn date(day: Date, language: Language) -> String {
    day.strftime(language.choose(("%d.%m.%Y", "%Y-%m-%d"))).to_string()
}

/// Reads the begin of a span of time: what a field of type `datetime-local` sends, which is UTC, or what `lotse log list --from` takes.
pub(super) fn begin(text: &str) -> Option<Timestamp> {
    field(text).or_else(|| record_file::begin(text).ok())
}

/// Reads the end of a span of time: what a field of type `datetime-local` sends, which is UTC, or what `lotse log list --until` takes.
pub(super) fn end(text: &str) -> Option<Timestamp> {
    field(text).or_else(|| record_file::end(text).ok())
}

fn field(text: &str) -> Option<Timestamp> {
    let full = if text.len() == 16 { format!("{text}:00Z") } else { format!("{text}Z") };
    full.parse().ok()
}

fn local(language: Language) -> TimeZone {
    match language {
        Language::German => TimeZone::posix(GERMAN_RULE).unwrap_or(TimeZone::UTC),
        Language::English => Calendar::Germany.zone(),
    }
}

fn written(at: Timestamp, form: &str, zone: &TimeZone) -> String {
    let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::MAX);
    at.to_zoned(zone.clone()).strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(at: &str, language: Language) -> String {
        both(at.parse().unwrap(), language).into_string()
    }

    #[test]
    fn summer_time_begins_and_ends_at_one_utc_on_the_last_sunday() {
        let cases = [
            ("2026-03-29T00:59:59Z", "01:59 MEZ"),
            ("2026-03-29T01:00:00Z", "03:00 MESZ"),
            ("2026-10-25T00:59:59Z", "02:59 MESZ"),
            ("2026-10-25T01:00:00Z", "02:00 MEZ"),
            ("2026-12-31T23:30:00Z", "00:30 MEZ"),
        ];
        for (at, local) in cases {
            assert!(shown(at, Language::German).contains(local), "{at}: {}", shown(at, Language::German));
        }
        assert!(shown("2026-07-01T10:00:00Z", Language::English).contains("12:00 CEST"));
    }

    #[test]
    fn a_moment_is_written_as_each_language_does_and_for_programs() {
        let german = shown("2026-11-02T08:05:09.5Z", Language::German);
        assert!(
            german.contains("02.11.2026 08:05:09 UTC") && german.contains("datetime=\"2026-11-02T08:05:09Z\""),
            "{german}"
        );
        assert!(shown("2026-11-02T08:05:09Z", Language::English).contains("2026-11-02 08:05:09 UTC"));
    }

    #[test]
    fn fields_of_browsers_are_read_as_utc_and_days_as_those_of_germany() {
        for (text, begins, ends) in [
            ("2026-11-02T08:05", "2026-11-02T08:05:00Z", "2026-11-02T08:05:00Z"),
            ("2026-11-02T08:05:09", "2026-11-02T08:05:09Z", "2026-11-02T08:05:09Z"),
            ("2026-11-02", "2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z"),
            ("02.11.2026", "2026-11-01T23:00:00Z", "2026-11-02T23:00:00Z"),
        ] {
            let (begins, ends) = (begins.parse().unwrap(), ends.parse().unwrap());
            assert_eq!((begin(text), end(text)), (Some(begins), Some(ends)), "{text}");
        }
        for wrong in ["", "yesterday", "2026-13-01", "2026-11-02T25:00", "32.11.2026"] {
            assert_eq!((begin(wrong), end(wrong)), (None, None), "{wrong}");
        }
    }
}
