//! Who repeats a refused call does not fill the log: one entry a minute for each, which says how many it stands for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::Timestamp;

/// How long one entry stands for all that are alike.
const WINDOW: Duration = Duration::from_secs(60);

/// How many different ones are kept apart; what comes beyond shares one entry.
const MAX_KEYS: usize = 4096;

/// Refusals that were logged lately, by who and what.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<String, Logged>>);

#[derive(Debug)]
struct Logged {
    at: Timestamp,
    unlogged: u64,
}

impl Throttle {
    /// Counts a refusal. Returns how many an entry written now stands for, this one included; none if the last entry is
    /// not old enough.
    pub fn count(&self, who_and_what: &str, now: Timestamp) -> Option<u64> {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.len() >= MAX_KEYS {
            logged.retain(|_, entry| entry.unlogged > 0 || is_recent(entry, now));
        }
        let full = logged.len() >= MAX_KEYS && !logged.contains_key(who_and_what);
        let key = if full { "" } else { who_and_what };
        match logged.get_mut(key) {
            Some(entry) if is_recent(entry, now) => {
                entry.unlogged += 1;
                None
            }
            Some(entry) => {
                entry.at = now;
                Some(std::mem::take(&mut entry.unlogged) + 1)
            }
            None => {
                logged.insert(key.to_owned(), Logged { at: now, unlogged: 0 });
                Some(1)
            }
        }
    }
}

/// Also false after the clock stepped back: rather an entry too many.
fn is_recent(entry: &Logged, now: Timestamp) -> bool {
    entry.at <= now && now.since(entry.at) < WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn one_entry_a_minute_counts_all_that_are_alike() {
        let throttle = Throttle::default();
        assert_eq!(throttle.count("a GetCard", at(0)), Some(1));
        assert_eq!(throttle.count("b GetCard", at(0)), Some(1));
        for second in 1..60 {
            assert_eq!(throttle.count("a GetCard", at(second)), None);
        }
        assert_eq!(throttle.count("a GetCard", at(60)), Some(60));
        assert_eq!(throttle.count("a GetCard", at(121)), Some(1));
    }

    #[test]
    fn many_names_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        (0..MAX_KEYS).for_each(|name| assert_eq!(throttle.count(&name.to_string(), at(0)), Some(1)));
        assert_eq!(throttle.count("x", at(0)), Some(1));
        assert_eq!(throttle.count("y", at(0)), None, "x and y share an entry");
        assert!(throttle.0.lock().unwrap().len() <= MAX_KEYS + 1);
        assert_eq!(throttle.count("z", at(61)), Some(1), "old ones are forgotten");
    }
}
