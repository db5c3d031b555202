//! The window of a closed loop: so many referrals are on their way between submission and delivery, and for each that comes home
//! another one sets out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long the last ones may take to come home.
const COMING_HOME: Duration = Duration::from_secs(60);

/// What one phase of load brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase {
    /// How long it lasted, without the time in which the last ones came home.
    pub(super) length: Duration,
    /// Referrals that came home within that time.
    pub(super) in_time: u64,
    /// How long each took from submission to the event of its delivery, sorted.
    pub(super) times: Vec<Duration>,
    /// Processor time of both nodes, until the last came home.
    pub(super) cpu: Duration,
}

impl Phase {
    /// Returns how many were delivered per second.
    pub(super) fn rate(&self) -> f64 {
        self.in_time as f64 / self.length.as_secs_f64()
    }

    /// Returns the mean time, seconds.
    pub(super) fn mean_seconds(&self) -> f64 {
        self.times.iter().map(Duration::as_secs_f64).sum::<f64>() / self.times.len().max(1) as f64
    }

    /// Returns the processor time per referral, microseconds.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.times.len().max(1) as f64
    }
}

/// The window of one phase.
pub(super) struct Window {
    in_flight: u32,
    room: Semaphore,
    begin: Instant,
    length: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    out: HashMap<u64, Instant>,
    times: Vec<Duration>,
    in_time: u64,
    failure: Option<anyhow::Error>,
}

impl Window {
    /// Opens a window; the phase begins now.
    pub(super) fn open(in_flight: u32, length: Duration) -> Arc<Window> {
        let room = Semaphore::new(in_flight as usize);
        Arc::new(Window { in_flight, room, begin: Instant::now(), length, state: Mutex::default() })
    }

    /// Waits for room and notes that a referral sets out; false when the phase is over.
    pub(super) async fn set_out(&self, number: u64) -> anyhow::Result<bool> {
        let Ok(permit) = self.room.acquire().await else { return Err(self.failure()) };
        let now = Instant::now();
        if now >= self.begin + self.length {
            return Ok(false);
        }
        permit.forget();
        self.lock().out.insert(number, now);
        Ok(true)
    }

    /// Notes that referrals were delivered. One that is not out is a repeated event.
    pub(super) fn came_home(&self, numbers: impl Iterator<Item = u64>) {
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.times.len();
        for number in numbers {
            if let Some(began) = state.out.remove(&number) {
                state.times.push(now - began);
            }
        }
        let home = state.times.len() - before;
        if now < self.begin + self.length {
            state.in_time += home as u64;
        }
        drop(state);
        self.room.add_permits(home);
    }

    /// Ends the phase because something went wrong.
    pub(super) fn fail(&self, failure: anyhow::Error) {
        self.lock().failure.get_or_insert(failure);
        self.room.close();
    }

    /// Waits until all have come home and returns what the phase brought, without processor time.
    pub(super) async fn close(&self) -> anyhow::Result<Phase> {
        match timeout(COMING_HOME, self.room.acquire_many(self.in_flight)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(self.failure()),
            Err(_) => bail!("{} referrals were not delivered within {COMING_HOME:?}", self.lock().out.len()),
        }
        let mut state = self.lock();
        let mut times = std::mem::take(&mut state.times);
        times.sort_unstable();
        Ok(Phase { length: self.length, in_time: state.in_time, times, cpu: Duration::ZERO })
    }

    fn failure(&self) -> anyhow::Error {
        let failure = self.lock().failure.take();
        failure.unwrap_or_else(|| anyhow!("the phase was given up")).context("the load was interrupted")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the number of a referral from its key.
pub(super) fn number(key: &str) -> anyhow::Result<u64> {
    let digits = key.strip_prefix(KEY);
    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("an event of another key: {key}"))
}

/// Writes the key of a referral.
pub(super) fn key(number: u64) -> String {
    format!("{KEY}{number}")
}

const KEY: &str = "b-";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_sets_out_for_each_that_comes_home_and_a_repeated_event_frees_nothing() {
        let window = Window::open(2, Duration::from_secs(60));
        assert!(window.set_out(1).await.unwrap() && window.set_out(2).await.unwrap());
        window.came_home([1, 1, 7].into_iter());
        assert_eq!(window.room.available_permits(), 1);
        window.came_home([2].into_iter());
        let phase = window.close().await.unwrap();
        assert_eq!((phase.in_time, phase.times.len()), (2, 2));
        assert_eq!(number(&key(12)).unwrap(), 12);
    }

    #[tokio::test]
    async fn a_failure_ends_the_phase_with_its_reason() {
        let window = Window::open(1, Duration::from_secs(60));
        assert!(window.set_out(1).await.unwrap());
        window.fail(anyhow!("refused"));
        assert!(format!("{:#}", window.set_out(2).await.unwrap_err()).contains("refused"));
        assert!(window.close().await.is_err());
    }
}
