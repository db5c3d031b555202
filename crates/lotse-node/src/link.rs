//! What is known of the connections to peers at this moment. Not stored: it is learned again after a start.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;

/// Difference of clocks from which an alarm is raised, microseconds.
pub const SKEW_ALARM_US: u64 = 30_000_000;

/// Difference of clocks from which nothing is released, microseconds.
pub const SKEW_LIMIT_US: u64 = 120_000_000;

/// The connection to one peer.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Whether a stream is open.
    pub connected: bool,
    /// When the peer last answered.
    pub last_seen: Option<Timestamp>,
    /// The peer's clock less this node's, microseconds.
    pub clock_difference_us: i64,
    /// Highest version of the peer's card that it has spoken of.
    pub card_version: u64,
    /// Last problem in talking to it.
    pub problem: Option<String>,
}

/// The connections to all peers.
#[derive(Default)]
pub struct Links(Mutex<HashMap<AgencyId, Link>>);

impl Links {
    /// Returns the connection to a peer.
    pub fn get(&self, peer: &AgencyId) -> Link {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    /// Changes what is known of a connection.
    pub fn update(&self, peer: &AgencyId, change: impl FnOnce(&mut Link)) {
        change(self.lock().entry(peer.clone()).or_default());
    }

    /// Tells whether a peer's clock is so far from this node's that nothing may be released to it.
    pub fn skewed(&self, peer: &AgencyId) -> bool {
        self.lock().get(peer).is_some_and(|link| link.clock_difference_us.unsigned_abs() > SKEW_LIMIT_US)
    }

    /// Returns the peers with whom the exchange has an open alarm, with its sentence.
    pub fn alarms(&self) -> Vec<String> {
        let links = self.lock();
        let mut alarms: Vec<String> = links
            .iter()
            .filter(|(_, link)| link.clock_difference_us.unsigned_abs() > SKEW_ALARM_US)
            .map(|(peer, link)| format!("the clock of {peer} differs by {} s", link.clock_difference_us / 1_000_000))
            .collect();
        alarms.extend(
            links.iter().filter_map(|(peer, link)| link.problem.as_ref().map(|problem| format!("{peer}: {problem}"))),
        );
        alarms.sort();
        alarms
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgencyId, Link>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
