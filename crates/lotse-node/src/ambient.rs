//! The edges to the machine: the system clock and the system's random source, read here and nowhere else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lotse_core::random::Random;
use lotse_core::time::{Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The system clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// Counts while the machine sleeps, as CLOCK_MONOTONIC does not: waking up is no jump of the clock.
    fn uptime(&self) -> Duration {
        let since = clock_gettime(ClockId::Boottime);
        let (seconds, nanoseconds) = (u64::try_from(since.tv_sec), u32::try_from(since.tv_nsec));
        Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
    }
}

/// The system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system for randomness")]
    #[expect(clippy::expect_used, reason = "a machine without randomness cannot run a node at all")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the system has a random source");
    }
}
