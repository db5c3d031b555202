//! Holds stop releases at this node: doubt about the log, or about the clock. Duties go on. An act that cannot be undone and follows
//! from the time alone waits for a time that nothing speaks against.

mod clock;

use std::sync::Mutex;

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::time::{Reading, Timestamp};

use clock::ClockWatch;
pub use clock::{ClockDoubt, MAX_STEP_BACK, PeerClock, ProvenTime};

/// What stops releases.
#[derive(Default)]
pub struct Holds(Mutex<State>);

#[derive(Default)]
struct State {
    log: Option<String>,
    clock: ClockWatch,
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

    /// Compares the clock at a start with the newest entry of the log, and with the last time at which it was trusted.
    pub fn begin(&self, newest_entry: Option<Timestamp>, trusted: Option<Timestamp>, now: Reading) {
        self.lock().clock.begin(newest_entry, trusted, now);
    }

    /// Looks at the clock and notices when somebody has set it.
    pub fn observe(&self, now: Reading) {
        self.lock().clock.observe(now);
    }

    /// Compares the clock with a peer's.
    pub fn compare(&self, peer: &AgencyId, its: PeerClock, now: Reading) {
        let mut state = self.lock();
        state.clock.observe(now);
        state.clock.compare(peer, its, now);
    }

    /// Returns what speaks against the clock.
    pub fn clock_doubt(&self) -> Option<ClockDoubt> {
        self.lock().clock.doubt()
    }

    /// Returns the present time for what cannot be undone; none while the clock may run ahead. The only way to such a time.
    pub fn prove(&self, now: Reading) -> Option<ProvenTime> {
        let mut state = self.lock();
        state.clock.observe(now);
        state.clock.prove(now)
    }

    /// Takes the present time as right.
    pub fn confirm_clock(&self, now: Reading) {
        self.lock().clock.confirm(now);
    }

    /// Tells once after a doubt about the clock has ended: what got its next time from a wrong clock is to be looked at again.
    pub fn take_ended_doubt(&self) -> bool {
        self.lock().clock.take_ended_doubt()
    }

    /// Says why nothing may be released now, if so.
    pub fn objection(&self, now: Reading) -> Option<Reason> {
        let mut state = self.lock();
        state.clock.observe(now);
        if state.log.is_some() { Some(Reason::LogHold) } else { state.clock.objection() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_doubt_stops_releases() {
        let (holds, now) =
            (Holds::default(), Reading { wall: Timestamp::from_micros(1), uptime: std::time::Duration::ZERO });
        holds.hold_log("root differs".into());
        holds.hold_log("later".into());
        assert_eq!(holds.objection(now), Some(Reason::LogHold));
        assert_eq!(holds.log_hold().as_deref(), Some("root differs"));
    }
}
