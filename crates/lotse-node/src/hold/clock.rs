//! The clock as far as a node can judge it: against the machine's uptime, against its last run, and against its peers' clocks.
//!
//! A clock that runs ahead for a minute would destroy for good: consents expire, items end, content goes. So a jump ahead stops
//! releases and all of this until the time is right again, peers agree with the new one, or an administrator confirms it. After
//! a long stop of the node a step ahead is usual: only what cannot be undone waits then, for one peer that agrees, and no longer
//! than a day if no peer contradicts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::time::{DAY, Reading, Timestamp};

/// Longest step back of the clock at which releases go on.
pub const MAX_STEP_BACK: Duration = Duration::from_secs(120);

/// Longest lead of the clock over the machine's uptime at which releases go on.
const MAX_JUMP_AHEAD: Duration = Duration::from_secs(120);

/// Longest stop of the node after which the clock is trusted without a peer.
const MAX_UNCOMPARED_STOP: Duration = Duration::from_secs(60 * 60);

/// Longest wait after a start for a peer to compare the clock with, while none contradicts.
const LONGEST_COMPARISON: Duration = DAY;

/// How long one trusted reading is the yardstick. Many small jumps within it count together; slow drift does not.
const YARDSTICK_LIFE: Duration = Duration::from_secs(60 * 60);

/// Peers that must agree after a jump. Where only one has spoken since the start it suffices: an administrator is not to be called
/// for each machine that was paused, and a wrong clock would have to meet a peer with the same wrong time.
const AGREEING_PEERS: usize = 2;

/// A time for what cannot be undone: nothing says that the clock runs ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenTime(Timestamp);

impl ProvenTime {
    /// Returns the time.
    pub const fn at(self) -> Timestamp {
        self.0
    }
}

/// A reason to doubt the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockDoubt {
    /// It stepped back: nothing is released until it is confirmed.
    SteppedBack,
    /// It jumped ahead: nothing is released and nothing expires.
    JumpedAhead,
    /// The node was stopped for long, and no peer's clock has been compared since: nothing expires.
    Uncompared,
}

impl ClockDoubt {
    /// Returns what is wrong and what to do.
    pub fn sentence(self) -> String {
        format!("{}: set it by NTP; if it is right, `lotse clock confirm --reason 'compared with NTP'`", self.seen())
    }

    /// Returns what is wrong, and what follows.
    pub const fn seen(self) -> &'static str {
        match self {
            ClockDoubt::SteppedBack => "the clock stepped back, nothing is released",
            ClockDoubt::JumpedAhead => "the clock jumped ahead, nothing is released and nothing expires",
            ClockDoubt::Uncompared => {
                "the node was stopped for long and no peer has confirmed its clock yet, nothing expires"
            }
        }
    }
}

/// A peer's clock compared with the own one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerClock {
    /// It shows the same time within the limit for releases.
    Agrees,
    /// It shows another time.
    Differs,
    /// The peer itself is in doubt about it.
    InDoubt,
}

/// The facts from which doubt about the clock begins and ends.
#[derive(Default)]
pub(super) struct ClockWatch {
    /// Latest time seen while the clock was trusted.
    latest: Option<Timestamp>,
    /// Reading by which later ones are judged.
    yardstick: Option<Reading>,
    stepped_back: bool,
    jumped_ahead: bool,
    /// Uptime of the start after a long stop, until the clock has been compared.
    uncompared_since: Option<Duration>,
    /// Peers whose clocks have been seen since the start.
    heard: BTreeSet<AgencyId>,
    /// What peers' clocks have shown since the doubt began.
    shown: BTreeMap<AgencyId, PeerClock>,
    has_ended_doubt: bool,
}

impl ClockWatch {
    pub(super) fn begin(&mut self, newest_entry: Option<Timestamp>, trusted: Option<Timestamp>, now: Reading) {
        self.latest = newest_entry;
        let last_run = trusted.or(newest_entry);
        if last_run.is_some_and(|last_run| now.wall.since(last_run) > MAX_UNCOMPARED_STOP) {
            tracing::info!(
                "the node was stopped for more than an hour: nothing expires until a peer's clock agrees, or for a day"
            );
            self.uncompared_since = Some(now.uptime);
        }
        self.observe(now);
    }

    pub(super) fn observe(&mut self, now: Reading) {
        let yardstick = *self.yardstick.get_or_insert(now);
        let passed = now.uptime.saturating_sub(yardstick.uptime);
        let is_ahead = now.wall > yardstick.wall.plus(passed).plus(MAX_JUMP_AHEAD);
        if is_ahead && !self.jumped_ahead {
            tracing::error!(
                "the clock jumped ahead by more than 120 seconds: no releases, and nothing expires, until it is right or `lotse clock confirm --reason 'compared with NTP'`"
            );
            self.jumped_ahead = true;
            self.shown.clear();
        } else if !is_ahead && self.jumped_ahead {
            tracing::warn!("the clock that had jumped ahead is right again: releases go on");
            self.jumped_ahead = false;
            self.has_ended_doubt = true;
        }
        if self.jumped_ahead {
            // A wrong time must not make the right one look like a step back.
            return;
        }
        let latest = self.latest.map_or(now.wall, |latest| latest.max(now.wall));
        if now.wall.plus(MAX_STEP_BACK) < latest && !self.stepped_back {
            tracing::error!(
                "the clock stepped back by more than 120 seconds: no releases until `lotse clock confirm --reason 'compared with NTP'`"
            );
            self.stepped_back = true;
        }
        self.latest = Some(latest);
        if !self.stepped_back && passed >= YARDSTICK_LIFE {
            self.yardstick = Some(now);
        }
        self.end_comparison(now);
    }

    /// Trusts the clock when no peer has spoken for long enough. A peer that contradicts keeps it in doubt.
    fn end_comparison(&mut self, now: Reading) {
        let Some(since) = self.uncompared_since else { return };
        let is_over = now.uptime.saturating_sub(since) >= LONGEST_COMPARISON;
        if is_over && self.count(PeerClock::Differs) == 0 {
            tracing::warn!("no peer's clock could be compared for a day: the own one is trusted");
            self.uncompared_since = None;
            self.has_ended_doubt = true;
        }
    }

    pub(super) fn compare(&mut self, peer: &AgencyId, its: PeerClock, now: Reading) {
        self.heard.insert(peer.clone());
        if !self.jumped_ahead && self.uncompared_since.is_none() {
            return;
        }
        self.shown.insert(peer.clone(), its);
        let needed = if self.jumped_ahead { self.heard.len().min(AGREEING_PEERS) } else { 1 };
        let agreeing = self.count(PeerClock::Agrees);
        if agreeing >= needed && agreeing > self.count(PeerClock::Differs) {
            tracing::info!(agreeing, "the clock agrees with the peers' clocks");
            self.trust(now);
        }
    }

    fn count(&self, wanted: PeerClock) -> usize {
        self.shown.values().filter(|&&its| its == wanted).count()
    }

    /// Takes the time as not ahead. A step back stays: peers do not know what this node has written.
    fn trust(&mut self, now: Reading) {
        self.jumped_ahead = false;
        self.uncompared_since = None;
        self.shown.clear();
        self.has_ended_doubt = true;
        if !self.stepped_back {
            self.yardstick = Some(now);
            self.latest = Some(self.latest.map_or(now.wall, |latest| latest.max(now.wall)));
        }
    }

    pub(super) fn confirm(&mut self, now: Reading) {
        self.stepped_back = false;
        self.latest = Some(now.wall);
        self.trust(now);
    }

    pub(super) fn doubt(&self) -> Option<ClockDoubt> {
        if self.stepped_back {
            Some(ClockDoubt::SteppedBack)
        } else if self.jumped_ahead {
            Some(ClockDoubt::JumpedAhead)
        } else {
            self.uncompared_since.map(|_| ClockDoubt::Uncompared)
        }
    }

    pub(super) fn objection(&self) -> Option<Reason> {
        match self.doubt()? {
            ClockDoubt::SteppedBack => Some(Reason::ClockSteppedBack),
            ClockDoubt::JumpedAhead => Some(Reason::ClockJumpedAhead),
            ClockDoubt::Uncompared => None,
        }
    }

    pub(super) fn prove(&self, now: Reading) -> Option<ProvenTime> {
        let may_be_ahead = self.jumped_ahead || self.uncompared_since.is_some();
        (!may_be_ahead).then_some(ProvenTime(now.wall))
    }

    pub(super) fn take_ended_doubt(&mut self) -> bool {
        std::mem::take(&mut self.has_ended_doubt)
    }
}

#[cfg(test)]
mod tests;
