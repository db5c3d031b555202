//! What stops releases at this node: doubt about the log, or a clock that stepped back. Duties go on.

use std::sync::Mutex;
use std::time::Duration;

use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

/// How far the clock may step back before releases stop.
pub const MAX_STEP_BACK: Duration = Duration::from_secs(120);

/// What stops releases.
#[derive(Default)]
pub struct Holds(Mutex<State>);

#[derive(Default)]
struct State {
    log: Option<String>,
    latest: Option<Timestamp>,
    stepped_back: bool,
}

impl Holds {
    /// Puts the log on hold: its integrity is in doubt. Only `lotse log resume` leads out.
    pub fn hold_log(&self, why: String) {
        tracing::error!(%why, "the log is on hold: no new releases and no checkpoints until `lotse log resume`");
        self.lock().log.get_or_insert(why);
    }

    /// Returns why the log is on hold.
    pub fn log_hold(&self) -> Option<String> {
        self.lock().log.clone()
    }

    /// Looks at the clock: remembers the latest time seen and notices a step back.
    pub fn observe(&self, now: Timestamp) {
        let mut state = self.lock();
        let latest = state.latest.map_or(now, |latest| latest.max(now));
        if now.plus(MAX_STEP_BACK) < latest && !state.stepped_back {
            tracing::error!("the clock stepped back by more than 120 seconds: no releases until `lotse clock confirm`");
            state.stepped_back = true;
        }
        state.latest = Some(latest);
    }

    /// Tells whether the clock stepped back.
    pub fn clock_stepped_back(&self) -> bool {
        self.lock().stepped_back
    }

    /// Takes the present time as right.
    pub fn confirm_clock(&self, now: Timestamp) {
        let mut state = self.lock();
        state.stepped_back = false;
        state.latest = Some(now);
    }

    /// Says why nothing may be released now, if so.
    pub fn objection(&self, now: Timestamp) -> Option<Reason> {
        self.observe(now);
        let state = self.lock();
        if state.log.is_some() {
            Some(Reason::LogHold)
        } else if state.stepped_back {
            Some(Reason::ClockSteppedBack)
        } else {
            None
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_that_steps_back_stops_releases_until_it_is_confirmed() {
        let holds = Holds::default();
        assert_eq!(holds.objection(at(1000)), None);
        assert_eq!(holds.objection(at(880)), None, "120 seconds are tolerated");
        assert_eq!(holds.objection(at(879)), Some(Reason::ClockSteppedBack));
        assert_eq!(holds.objection(at(2000)), Some(Reason::ClockSteppedBack));
        holds.confirm_clock(at(879));
        assert_eq!(holds.objection(at(879)), None);
    }

    #[test]
    fn a_log_in_doubt_stops_releases() {
        let holds = Holds::default();
        holds.hold_log("root differs".into());
        holds.hold_log("later".into());
        assert_eq!(holds.objection(at(1)), Some(Reason::LogHold));
        assert_eq!(holds.log_hold().as_deref(), Some("root differs"));
    }
}
