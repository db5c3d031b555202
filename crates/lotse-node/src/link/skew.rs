//! The clocks of peers against this node's: how far apart they are, what follows, and which of the two is probably wrong.

use lotse_core::reason::Reason;

/// Difference of clocks from which an alarm is raised, microseconds.
const SKEW_ALARM_US: u64 = 30_000_000;

/// Difference of clocks from which nothing is released, microseconds.
const SKEW_LIMIT_US: u64 = 120_000_000;

/// The difference between two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkewLevel {
    /// As near as clocks kept by NTP are.
    #[default]
    Near,
    /// An alarm: one of the two is not kept.
    Apart,
    /// Too far: nothing is released.
    TooFar,
}

impl SkewLevel {
    /// Judges a difference, microseconds.
    pub const fn of(difference_us: i64) -> SkewLevel {
        let apart_us = difference_us.unsigned_abs();
        if apart_us <= SKEW_ALARM_US {
            SkewLevel::Near
        } else if apart_us <= SKEW_LIMIT_US {
            SkewLevel::Apart
        } else {
            SkewLevel::TooFar
        }
    }
}

/// Says how far a peer's clock is from this node's, if that is too far, and what follows.
pub fn skew_sentence(difference_us: i64) -> Option<String> {
    let side = if difference_us > 0 { "ahead of" } else { "behind" };
    let apart = format!("its clock is {} s {side} this node's", difference_us.unsigned_abs() / 1_000_000);
    let limit_s = SKEW_LIMIT_US / 1_000_000;
    match SkewLevel::of(difference_us) {
        SkewLevel::Near => None,
        SkewLevel::Apart => Some(format!("{apart}; from {limit_s} s on nothing is released to it")),
        SkewLevel::TooFar => Some(format!(
            "{apart}: nothing is released to it until that is less than {limit_s} s ({})",
            Reason::ClockSkew
        )),
    }
}

/// Says what to do about a clock that is apart, by what the clocks of all other peers show.
pub fn skew_advice(difference_us: i64, others: impl Iterator<Item = i64>) -> String {
    let (mut near, mut alike) = (0, 0);
    for other in others {
        match SkewLevel::of(other) {
            SkewLevel::Near => near += 1,
            _ if (other > 0) == (difference_us > 0) => alike += 1,
            _ => {}
        }
    }
    if near > alike {
        format!(
            "this node agrees with {near} other peers, so that clock is probably wrong: ask the agency to set it by NTP"
        )
    } else if alike > near {
        format!(
            "{alike} other peers differ in the same way, so this node's clock is probably wrong: set it by NTP (`timedatectl status`)"
        )
    } else {
        "compare both with a time source (`timedatectl status`), and set the wrong one by NTP".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn clocks_that_are_apart_are_said_before_releases_stop_with_the_side() {
        assert_eq!(skew_sentence(30 * SECOND), None);
        let apart = skew_sentence(-31 * SECOND).unwrap();
        assert_eq!(apart, "its clock is 31 s behind this node's; from 120 s on nothing is released to it");
        let too_far = skew_sentence(299 * SECOND).unwrap();
        assert!(too_far.starts_with("its clock is 299 s ahead of this node's: nothing is released to it"), "{too_far}");
        assert!(too_far.ends_with("(CLOCK_SKEW)"), "{too_far}");
        assert!(skew_sentence(i64::MIN).is_some());
    }

    #[test]
    fn the_clocks_of_other_peers_say_which_side_is_probably_wrong() {
        let advice = |others: &[i64]| skew_advice(299 * SECOND, others.iter().map(|seconds| seconds * SECOND));
        assert!(advice(&[]).starts_with("compare both with a time source"));
        assert!(advice(&[1, -2, 290]).starts_with("this node agrees with 2 other peers"));
        assert!(advice(&[300, 298, 1]).contains("this node's clock is probably wrong"));
        assert!(advice(&[-299]).starts_with("compare both"), "one that differs the other way says nothing");
    }
}
