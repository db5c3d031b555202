//! What happened at a port since it was opened, and who met a limit lately.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::Timestamp;

/// How long a caller that met a limit is named afterwards.
const LATELY: Duration = Duration::from_secs(600);

/// Callers that are named at the same time; more share one line.
const MAX_NAMED: usize = 64;

/// A limit by which connections are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// Connections of a port (`connections`).
    Connections,
    /// Connections of one caller (`connections_per_caller`).
    Caller,
    /// Connections without a certificate from one network.
    Network,
    /// Handshakes that have not ended, of one network or of all.
    Handshakes,
}

impl Limit {
    /// All limits.
    pub const ALL: [Limit; 4] = [Limit::Connections, Limit::Caller, Limit::Network, Limit::Handshakes];

    /// Returns the name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::Caller => "connections_per_caller",
            Limit::Network => "connections_per_network",
            Limit::Handshakes => "handshakes",
        }
    }

    /// Says what there were too many of.
    const fn sentence(self) -> &'static str {
        match self {
            Limit::Connections => "the port has as many connections as it may (`connections` below [listen])",
            Limit::Caller => "this caller has as many connections as it may (`connections_per_caller` below [listen])",
            Limit::Network => "this network has as many connections without a certificate as it may",
            Limit::Handshakes => "too many connections say nothing, or not enough",
        }
    }
}

/// What happened at a port since it was opened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that passed the handshake.
    pub accepted: AtomicU64,
    /// Handshakes that failed or took too long.
    pub failed: AtomicU64,
    over_limit: [AtomicU64; Limit::ALL.len()],
    lately: Mutex<HashMap<(Limit, Box<str>), Spell>>,
}

/// How often one caller met a limit, and when.
#[derive(Clone, Copy, Debug)]
struct Spell {
    times: u64,
    since: Timestamp,
    last: Timestamp,
}

/// A caller that met a limit lately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OverLimit {
    /// Name of the port.
    pub port: &'static str,
    /// The limit.
    pub limit: Limit,
    /// Who: an agency, the identity in a certificate, or a network.
    pub caller: Box<str>,
    /// How often.
    pub times: u64,
    /// Since when.
    pub since: Timestamp,
}

impl OverLimit {
    /// Says it in a sentence, for an administrator.
    pub fn sentence(&self) -> String {
        let OverLimit { port, limit, caller, times, since } = self;
        let connections = if *times == 1 { "a connection was refused" } else { "connections were refused" };
        format!("{port}: {connections} to {caller}, {times} since {since}: {}", limit.sentence())
    }
}

impl Counts {
    /// Counts a connection that a limit refused.
    pub(super) fn refuse(&self, limit: Limit, caller: &str, now: Timestamp) {
        self.over_limit[limit as usize].fetch_add(1, Ordering::Relaxed);
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, spell| is_lately(spell, now));
        let is_named = lately.len() < MAX_NAMED || lately.contains_key(&(limit, caller.into()));
        let caller = if is_named { caller } else { "others" };
        let spell = lately.entry((limit, caller.into())).or_insert(Spell { times: 0, since: now, last: now });
        spell.times += 1;
        spell.last = now;
    }

    /// Returns how many connections a limit refused.
    pub fn refused(&self, limit: Limit) -> u64 {
        self.over_limit[limit as usize].load(Ordering::Relaxed)
    }

    /// Returns how many connections all limits refused.
    pub fn over_limit(&self) -> u64 {
        Limit::ALL.into_iter().map(|limit| self.refused(limit)).sum()
    }

    fn lately(&self, port: &'static str, now: Timestamp) -> Vec<OverLimit> {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = lately.iter().filter(|(_, spell)| is_lately(spell, now));
        let named = |((limit, caller), spell): (&(Limit, Box<str>), &Spell)| OverLimit {
            port,
            limit: *limit,
            caller: caller.clone(),
            times: spell.times,
            since: spell.since,
        };
        recent.map(named).collect()
    }
}

fn is_lately(spell: &Spell, now: Timestamp) -> bool {
    now.since(spell.last) < LATELY
}

/// The counts of all ports of a node, by name of the port.
#[derive(Debug, Default)]
pub struct PortCounts(Mutex<Vec<(&'static str, Arc<Counts>)>>);

impl PortCounts {
    /// Adds a port.
    pub fn add(&self, port: &'static str, counts: Arc<Counts>) {
        self.lock().push((port, counts));
    }

    /// Returns the callers that met a limit lately.
    pub fn over_limit(&self, now: Timestamp) -> Vec<OverLimit> {
        let mut found: Vec<OverLimit> =
            self.lock().iter().flat_map(|(port, counts)| counts.lately(port, now)).collect();
        found.sort();
        found
    }

    /// Returns how many connections each limit of each port has refused since the start.
    pub fn refused(&self) -> Vec<(&'static str, Limit, u64)> {
        let of_port = |(port, counts): &(&'static str, Arc<Counts>)| {
            Limit::ALL.map(|limit| (*port, limit, counts.refused(limit)))
        };
        self.lock().iter().flat_map(of_port).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(&'static str, Arc<Counts>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn who_met_a_limit_is_named_for_ten_minutes_with_the_limit_and_how_often() {
        let (ports, counts) = (PortCounts::default(), Arc::new(Counts::default()));
        ports.add("peer port", counts.clone());
        counts.refuse(Limit::Caller, "two.example", at(0));
        counts.refuse(Limit::Caller, "two.example", at(60));
        counts.refuse(Limit::Handshakes, "192.0.2.1", at(60));
        let named = |now| ports.over_limit(now).into_iter().map(|over| (over.caller, over.times)).collect::<Vec<_>>();
        assert_eq!(named(at(61)), [("two.example".into(), 2), ("192.0.2.1".into(), 1)]);
        assert!(ports.over_limit(at(61))[0].sentence().contains("connections_per_caller"));
        assert!(named(at(660)).is_empty());
        let refused = ports.refused();
        assert!(
            refused.contains(&("peer port", Limit::Caller, 2)) && refused.contains(&("peer port", Limit::Network, 0))
        );
        assert_eq!(counts.over_limit(), 3);
    }

    #[test]
    fn many_callers_do_not_fill_the_memory() {
        let counts = Counts::default();
        (0..1000).for_each(|number| counts.refuse(Limit::Network, &number.to_string(), at(0)));
        assert!(counts.lately("peer port", at(0)).len() <= MAX_NAMED + 1);
        assert_eq!(counts.refused(Limit::Network), 1000);
    }
}
