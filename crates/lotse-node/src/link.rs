//! What is known of the connections to peers at this moment. Not stored: it is learned again after a start.

mod skew;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::time::{DAY, Timestamp};

use crate::federation::Throttle;
use crate::shipment::LEASE;
use crate::wire::batch::MAX_BATCH;

pub use skew::{SkewLevel, skew_advice, skew_sentence};

/// The reason why items that are due to a peer wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// This node releases nothing for this reason.
    Here(Reason),
    /// The peer does not take it for this reason. One item is sent from time to time to see whether it is gone.
    There(Reason),
}

impl WaitCause {
    /// Returns a sentence for administrators, without a full stop.
    pub fn sentence(self) -> String {
        match self {
            WaitCause::Here(reason) => format!("what is due waits: {} ({reason})", reason.sentence()),
            WaitCause::There(reason) => {
                format!("what is due waits: the peer answers that {} ({reason})", reason.sentence())
            }
        }
    }
}

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
    /// Why no stream to it is open, as the last attempt found.
    pub problem: Option<String>,
    /// Why cards and agreements wait for it, as the last attempt found.
    pub duty_problem: Option<String>,
    /// Why its newer card was refused.
    pub card_problem: Option<String>,
    /// Most items of a batch that the line to it carries within a lease; none while a full batch is not known to be too much.
    pub batch_limit: Option<usize>,
    /// Why what is due to it waits, as the last claim found.
    pub waits_for: Option<WaitCause>,
    /// The last batch or receipt of it that was refused.
    pub refused: Option<RefusedWhole>,
}

/// How long an alarm about something refused is shown.
const REFUSED_SHOWN: Duration = DAY;

/// A batch or a receipt that was refused as a whole.
#[derive(Clone, Debug)]
pub struct RefusedWhole {
    /// When.
    pub at: Timestamp,
    /// What, and why.
    pub sentence: String,
}

impl Link {
    /// Returns how far the peer's clock is from this node's.
    pub fn skew(&self) -> SkewLevel {
        SkewLevel::of(self.clock_difference_us)
    }

    /// Returns what is wrong with the connection, for a peer to which so many items wait.
    fn problems(&self, waiting: u64) -> Vec<String> {
        // Of clocks that are apart more is said beside it.
        let waits = self.waits_for.filter(|cause| waiting > 0 && *cause != WaitCause::Here(Reason::ClockSkew));
        let problems = [&self.problem, &self.duty_problem, &self.card_problem].into_iter().flatten().cloned();
        let mut said: Vec<String> = Vec::new();
        for problem in problems.chain(waits.map(WaitCause::sentence)) {
            if !said.contains(&problem) {
                said.push(problem);
            }
        }
        said
    }

    /// Returns whether the last attempt to reach the peer failed.
    pub fn is_failing(&self) -> bool {
        self.problem.is_some() || self.duty_problem.is_some()
    }
}

/// The connections to all peers.
#[derive(Default)]
pub struct Links {
    links: Mutex<HashMap<AgencyId, Link>>,
    /// Problems that were logged in the last minute.
    pub said: Throttle,
}

impl Links {
    /// Returns the connection to a peer.
    pub fn get(&self, peer: &AgencyId) -> Link {
        self.lock().get(peer).cloned().unwrap_or_default()
    }

    /// Changes what is known of a connection.
    pub fn update(&self, peer: &AgencyId, change: impl FnOnce(&mut Link)) {
        change(self.lock().entry(peer.clone()).or_default());
    }

    /// Returns how many items one batch to a peer may have.
    pub fn batch_limit(&self, peer: &AgencyId) -> usize {
        self.lock().get(peer).and_then(|link| link.batch_limit).unwrap_or(MAX_BATCH)
    }

    /// Halves the batches to a peer: the lease of one with so many items ended while it was on its way.
    pub fn shrink_batches(&self, peer: &AgencyId, items: usize) {
        self.update(peer, |link| {
            let limit = link.batch_limit.unwrap_or(MAX_BATCH).min(items.max(1));
            link.batch_limit = Some((limit / 2).max(1));
        });
    }

    /// Doubles the batches to a peer up to full ones, if the receipt of one as large as they may be came early in its lease.
    pub fn grow_batches(&self, peer: &AgencyId, items: usize, took: Duration) {
        let mut links = self.lock();
        let Some(link) = links.get_mut(peer) else { return };
        let Some(limit) = link.batch_limit.filter(|&limit| items >= limit && took <= LEASE / 4) else { return };
        link.batch_limit = Some(limit * 2).filter(|&limit| limit < MAX_BATCH);
    }

    /// Notes why what is due to a peer waits, or that nothing keeps it, and logs it if that is new.
    pub fn set_wait(&self, peer: &AgencyId, cause: Option<WaitCause>) {
        let before = std::mem::replace(&mut self.lock().entry(peer.clone()).or_default().waits_for, cause);
        match cause {
            _ if before == cause => {}
            Some(cause) => tracing::warn!(%peer, why = %cause.sentence(), "nothing goes to a peer for now"),
            None => tracing::info!(%peer, "what is due to a peer goes again"),
        }
    }

    /// Notes what a peer's clock shows beside this node's, and logs it if it comes nearer or goes farther than it was, once a minute at most.
    pub fn set_clock(&self, peer: &AgencyId, difference_us: i64, now: Timestamp) {
        let before = {
            let mut links = self.lock();
            let link = links.entry(peer.clone()).or_default();
            let before = link.skew();
            link.clock_difference_us = difference_us;
            before
        };
        let level = SkewLevel::of(difference_us);
        if level == before || self.said.count(&format!("{peer} clock {level:?}"), now).is_none() {
            return;
        }
        match skew_sentence(difference_us) {
            Some(sentence) => tracing::warn!(%peer, %sentence, "the clocks of the two nodes are apart"),
            None => tracing::info!(%peer, "the clocks of the two nodes agree again"),
        }
    }

    /// Tells whether a peer's clock is so far from this node's that nothing may be released to it.
    pub fn skewed(&self, peer: &AgencyId) -> bool {
        self.lock().get(peer).is_some_and(|link| link.skew() == SkewLevel::TooFar)
    }

    /// Returns what an administrator should know of the exchange with a peer to which so many items wait.
    pub fn trouble(&self, peer: &AgencyId, waiting: u64) -> Option<String> {
        trouble(&self.lock(), peer, waiting)
    }

    /// Returns the problem of a peer for the list of peers: its trouble, or why no stream is open although nothing is wrong.
    pub fn problem(&self, peer: &AgencyId, waiting: u64) -> Option<String> {
        let links = self.lock();
        let has_no_agreement =
            |link: &&Link| !link.connected && link.waits_for == Some(WaitCause::Here(Reason::NoAgreement));
        let sentence =
            || "no agreement with it is in force: write one (`lotse agreement new`), or sign the offered one";
        let idle = || links.get(peer).filter(has_no_agreement).map(|_| sentence().to_string());
        trouble(&links, peer, waiting).or_else(idle)
    }

    /// Returns the alarms about the exchange with peers, a sentence each. `waiting` counts what waits for a peer.
    pub fn alarms(&self, waiting: impl Fn(&AgencyId) -> u64) -> Vec<String> {
        let links = self.lock();
        let of_peer = |peer| trouble(&links, peer, waiting(peer)).map(|trouble| format!("{peer}: {trouble}"));
        let mut alarms: Vec<String> = links.keys().filter_map(of_peer).collect();
        alarms.sort();
        alarms
    }

    /// Notes that something of a peer was refused as a whole.
    pub fn refuse(&self, peer: &AgencyId, at: Timestamp, sentence: String) {
        self.update(peer, |link| link.refused = Some(RefusedWhole { at, sentence }));
    }

    /// Returns what was refused as a whole within a day, a sentence for each peer.
    pub fn refused(&self, now: Timestamp) -> Vec<String> {
        let links = self.lock();
        let recent = links.iter().filter_map(|(peer, link)| Some((peer, link.refused.as_ref()?)));
        let recent = recent.filter(|(_, refused)| now.since(refused.at) < REFUSED_SHOWN);
        let mut sentences: Vec<String> = recent
            .map(|(peer, refused)| {
                format!("{peer}: {}, last at {}: see `lotse log list`", refused.sentence, refused.at)
            })
            .collect();
        sentences.sort();
        sentences
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgencyId, Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn trouble(links: &HashMap<AgencyId, Link>, peer: &AgencyId, waiting: u64) -> Option<String> {
    let link = links.get(peer)?;
    let others = links.iter().filter(|(other, link)| *other != peer && link.last_seen.is_some());
    let clock = skew_sentence(link.clock_difference_us).map(|sentence| {
        let advice = skew_advice(link.clock_difference_us, others.map(|(_, link)| link.clock_difference_us));
        format!("{sentence}: {advice}")
    });
    let sentences: Vec<String> = clock.into_iter().chain(link.problems(waiting)).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stops_releases_is_a_trouble_of_the_peer_whether_or_not_something_waits() {
        let (links, peer) = (Links::default(), "b.example".parse::<AgencyId>().unwrap());
        let now = Timestamp::from_micros(0);
        links.set_clock(&peer, 299_000_000, now);
        links.set_wait(&peer, Some(WaitCause::Here(Reason::ClockSkew)));
        for waiting in [0, 1] {
            let trouble = links.trouble(&peer, waiting).unwrap();
            assert!(trouble.starts_with("its clock is 299 s ahead of this node's: nothing is released"), "{trouble}");
            assert!(trouble.contains("compare both with a time source"), "{trouble}");
            assert_eq!(trouble.matches("CLOCK_SKEW").count(), 1, "it is said once: {trouble}");
            assert_eq!(links.alarms(|_| waiting), [format!("b.example: {trouble}")]);
        }
        assert!(links.skewed(&peer));
        links.set_clock(&peer, 60_000_000, now);
        assert!(!links.skewed(&peer) && links.trouble(&peer, 0).unwrap().contains("60 s ahead"), "a warning before");
        links.set_clock(&peer, 1_000_000, now);
        links.set_wait(&peer, None);
        assert_eq!(links.trouble(&peer, 1), None);
    }

    #[test]
    fn a_peer_without_an_agreement_is_listed_with_what_to_do_and_raises_no_alarm() {
        let (links, peer) = (Links::default(), "b.example".parse::<AgencyId>().unwrap());
        links.set_wait(&peer, Some(WaitCause::Here(Reason::NoAgreement)));
        assert!(links.problem(&peer, 0).unwrap().contains("lotse agreement new"));
        assert_eq!(links.alarms(|_| 0), Vec::<String>::new());
        links.update(&peer, |link| link.problem = Some("nobody listens".into()));
        assert_eq!(links.problem(&peer, 0).as_deref(), Some("nobody listens"));
        links.update(&peer, |link| (link.problem, link.connected) = (None, true));
        assert_eq!(links.problem(&peer, 0), None);
    }

    #[test]
    fn batches_shrink_when_a_lease_ends_and_grow_while_receipts_come_early() {
        let (links, peer) = (Links::default(), "b.example".parse::<AgencyId>().unwrap());
        let limit = || links.batch_limit(&peer);
        links.grow_batches(&peer, MAX_BATCH, Duration::ZERO);
        assert_eq!(limit(), MAX_BATCH);
        links.shrink_batches(&peer, MAX_BATCH);
        links.shrink_batches(&peer, MAX_BATCH / 2);
        assert_eq!(limit(), MAX_BATCH / 4);
        links.grow_batches(&peer, 1, Duration::ZERO);
        links.grow_batches(&peer, MAX_BATCH / 4, LEASE);
        assert_eq!(limit(), MAX_BATCH / 4, "a small batch says nothing, and a late receipt nothing good");
        links.grow_batches(&peer, MAX_BATCH / 4, LEASE / 4);
        assert_eq!(limit(), MAX_BATCH / 2);
        links.grow_batches(&peer, MAX_BATCH / 2, Duration::ZERO);
        assert_eq!(limit(), MAX_BATCH);
        (0..20).for_each(|_| links.shrink_batches(&peer, 1));
        assert_eq!(limit(), 1);
    }

    #[test]
    fn why_something_waits_is_an_alarm_while_something_waits() {
        let (links, peer) = (Links::default(), "b.example".parse::<AgencyId>().unwrap());
        links.set_wait(&peer, Some(WaitCause::There(Reason::PeerSuspended)));
        assert!(links.alarms(|_| 0).is_empty());
        let alarms = links.alarms(|_| 1);
        assert!(alarms[0].starts_with("b.example: ") && alarms[0].contains("PEER_SUSPENDED"), "{alarms:?}");
        links.update(&peer, |link| link.problem = Some("nobody listens".into()));
        let trouble = links.trouble(&peer, 1).unwrap();
        assert!(trouble.contains("nobody listens") && trouble.contains("PEER_SUSPENDED"), "{trouble}");
        links.set_wait(&peer, None);
        assert_eq!(links.trouble(&peer, 1).as_deref(), Some("nobody listens"));
    }
}
