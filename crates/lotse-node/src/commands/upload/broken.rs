//! Broken streams: which may be opened again, and when.

use std::time::Duration;

use anyhow::Error;
use lotse_core::random::{self, Random};
use tonic::{Code, Status};

use crate::commands::client;

/// Why a stream ended before its time.
pub(in crate::commands) enum Broken {
    /// Another try may succeed.
    ForNow(Error),
    /// No other try would.
    ForGood(Error),
}

impl Broken {
    /// Tells by a status which it is.
    pub(in crate::commands) fn of(status: Status) -> Broken {
        let for_now = matches!(
            status.code(),
            Code::Unavailable
                | Code::Unknown
                | Code::Cancelled
                | Code::Internal
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
        );
        let error = client::explained(status);
        if for_now { Broken::ForNow(error) } else { Broken::ForGood(error) }
    }
}

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses between tries: each twice as long as the one before, of which a random half.
#[derive(Default)]
pub(in crate::commands) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// Returns how long to wait before the next try.
    pub(in crate::commands) fn next(&mut self, random: &dyn Random) -> Duration {
        let full = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries += 1;
        let [part] = random::bytes::<1>(random);
        full.mul_f64(0.5 + f64::from(part) / 512.0)
    }
}
