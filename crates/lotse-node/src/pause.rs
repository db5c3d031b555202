//! Pauses: what a recipient does not take for now, and until when nothing of it is sent.
//!
//! A recipient may answer `again` with a reason that is about this whole node, or about an agreement. All else that waits for it would
//! get the same answer, and each answer is an entry in two logs for ever. So one item is sent after a pause that grows, and the rest
//! when that item was taken. Only memory knows of pauses: after a start the reasons that items were given begin them anew.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lotse_core::id::{AgencyId, Id};
use lotse_core::random::{self, Random};
use lotse_core::reason::{Reach, Reason};
use lotse_core::time::Timestamp;

/// Longest pause between two items that are sent to see whether a reason is gone.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Shortest time between two such items when something happens that may have ended the reason.
const HINT_PAUSE: Duration = Duration::from_secs(30);

/// The items that a pause keeps back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PauseScope {
    /// Everything to the peer.
    Peer,
    /// What rests on an agreement.
    Agreement(Id),
}

impl PauseScope {
    /// Returns what a reason pauses that was given for an item under an agreement; none if it is about that item alone.
    pub fn of(reason: Reason, agreement: Option<Id>) -> Option<PauseScope> {
        match reason.reach() {
            Reach::Record => None,
            Reach::Agreement => agreement.map(PauseScope::Agreement),
            Reach::Peer => Some(PauseScope::Peer),
        }
    }
}

/// A pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Reason that the recipient gave.
    pub reason: Reason,
    /// When the next item may be sent.
    pub until: Timestamp,
    /// Items that were sent in vain.
    attempts: u32,
    /// When the last of them was sent.
    attempted_at: Timestamp,
    /// Whether it was shortened, and items that wait for it still have the later time.
    shortened: bool,
}

impl Pause {
    fn new(reason: Reason, attempts: u32, at: Timestamp, random: &dyn Random) -> Pause {
        Pause { reason, until: at.plus(length(attempts, random)), attempts, attempted_at: at, shortened: false }
    }

    /// Returns the pause after another item is sent.
    fn next(&self, at: Timestamp, random: &dyn Random) -> Pause {
        Pause::new(self.reason, self.attempts.saturating_add(1), at, random)
    }

    /// Returns whether nothing may be sent yet. A clock that was set back since does not make a pause longer.
    fn runs(&self, at: Timestamp) -> bool {
        at < self.until && self.attempted_at <= at
    }
}

/// Returns how long a pause is: three quarters to the whole of a time that doubles with each attempt.
fn length(attempts: u32, random: &dyn Random) -> Duration {
    let whole = Duration::from_secs(1).saturating_mul(1 << attempts.min(12)).min(LONGEST_PAUSE);
    let [drawn] = random::bytes::<1>(random);
    whole.mul_f64(0.75 + f64::from(drawn) / 1024.0)
}

/// The pauses of one peer. None stands for a pause that has ended since the start.
type KnownPauses = HashMap<PauseScope, Option<Pause>>;

/// The pauses of all peers.
#[derive(Default)]
pub struct Pauses(Mutex<HashMap<AgencyId, KnownPauses>>);

impl Pauses {
    /// Returns the pauses of a peer as they are now.
    pub fn of(&self, peer: &AgencyId) -> PeerPauses {
        PeerPauses(self.lock().get(peer).cloned().unwrap_or_default())
    }

    /// Begins a pause: a recipient has given this reason. One that has begun goes on.
    pub fn begin(&self, peer: &AgencyId, scope: PauseScope, reason: Reason, at: Timestamp, random: &dyn Random) {
        let mut all = self.lock();
        let known = all.entry(peer.clone()).or_default().entry(scope).or_default();
        match known {
            Some(pause) => pause.reason = reason,
            None => *known = Some(Pause::new(reason, 1, at, random)),
        }
    }

    /// Writes down the items that were released to see whether a reason is gone.
    pub fn probed(&self, peer: &AgencyId, probes: &[Probe]) {
        if !probes.is_empty() {
            let mut all = self.lock();
            let known = all.entry(peer.clone()).or_default();
            known.extend(probes.iter().map(|probe| (probe.scope, Some(probe.pause))));
        }
    }

    /// Ends pauses: something was taken.
    pub fn end(&self, peer: &AgencyId, scopes: &[PauseScope]) {
        if !scopes.is_empty() {
            let mut all = self.lock();
            let known = all.entry(peer.clone()).or_default();
            known.extend(scopes.iter().map(|&scope| (scope, None)));
        }
    }

    /// Notes that what waits has been looked at since the pauses were as here, and has the time of those that were shortened.
    pub fn looked(&self, peer: &AgencyId, pauses: &PeerPauses) {
        let mut all = self.lock();
        for (scope, pause) in all.get_mut(peer).into_iter().flatten() {
            if pauses.0.get(scope) == Some(pause) {
                pause.iter_mut().for_each(|pause| pause.shortened = false);
            }
        }
    }

    /// Shortens the pauses of a peer: something came from it that may mean that their reason is gone.
    pub fn hint(&self, peer: &AgencyId, at: Timestamp) {
        self.lock().get_mut(peer).into_iter().for_each(|known| shorten(known, at));
    }

    /// Shortens all pauses: cards, agreements or suspensions have changed here.
    pub fn hint_all(&self, at: Timestamp) {
        self.lock().values_mut().for_each(|known| shorten(known, at));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgencyId, KnownPauses>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shorten(known: &mut KnownPauses, at: Timestamp) {
    for pause in known.values_mut().flatten() {
        let until = pause.attempted_at.plus(HINT_PAUSE).max(at);
        if until < pause.until {
            (pause.until, pause.shortened) = (until, true);
        }
    }
}

/// The pauses of one peer at a moment.
#[derive(Clone, Debug, Default)]
pub struct PeerPauses(KnownPauses);

impl PeerPauses {
    /// Returns whether anything is paused.
    pub fn any(&self) -> bool {
        self.0.values().any(Option::is_some)
    }

    /// Returns what is paused.
    pub fn scopes(&self) -> Vec<PauseScope> {
        self.0.iter().filter(|(_, pause)| pause.is_some()).map(|(scope, _)| *scope).collect()
    }

    /// Returns whether a pause was shortened since what waits was looked at: all of it is to be looked at again.
    pub fn are_shortened(&self) -> bool {
        self.0.values().flatten().any(|pause| pause.shortened)
    }

    /// Returns the pause of the whole peer while it runs.
    pub fn stops_all(&self, at: Timestamp) -> Option<Pause> {
        self.0.get(&PauseScope::Peer).copied().flatten().filter(|pause| pause.runs(at))
    }

    /// Decides about an item that got this reason before, if it got one.
    fn judge(&self, scope: PauseScope, before: Option<Reason>, at: Timestamp, random: &dyn Random) -> Pace {
        match (self.0.get(&scope).copied(), before) {
            (Some(Some(pause)), _) if pause.runs(at) => Pace::Wait(pause),
            (Some(Some(pause)), _) => Pace::Probe(Probe { scope, pause: pause.next(at, random) }),
            (None, Some(reason)) => Pace::Probe(Probe { scope, pause: Pause::new(reason, 1, at, random) }),
            (Some(None), _) | (None, None) => Pace::Go,
        }
    }
}

/// An item that is sent to see whether a reason is gone, and the pause after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What it is sent for.
    pub scope: PauseScope,
    /// The pause that then runs.
    pub pause: Pause,
}

enum Pace {
    Go,
    Probe(Probe),
    Wait(Pause),
}

/// Decides which of the items of one claim go while something is paused.
pub struct Pacer<'a> {
    pauses: &'a PeerPauses,
    at: Timestamp,
    random: &'a dyn Random,
    /// The items that go to see whether a reason is gone.
    pub probes: Vec<Probe>,
}

impl<'a> Pacer<'a> {
    /// Begins a claim.
    pub fn new(pauses: &'a PeerPauses, at: Timestamp, random: &'a dyn Random) -> Pacer<'a> {
        Pacer { pauses, at, random, probes: Vec::new() }
    }

    /// Lets an item under an agreement go, or returns the pause that keeps it, the whole peer's first. `before` is the reason that its
    /// recipient gave the last time.
    pub fn admit(&mut self, agreement: Id, before: Option<Reason>) -> Result<(), (PauseScope, Pause)> {
        let given = |scope| before.filter(|&reason| PauseScope::of(reason, Some(agreement)) == Some(scope));
        let mut probes = Vec::new();
        for scope in [PauseScope::Peer, PauseScope::Agreement(agreement)] {
            if let Some(sent) = self.probes.iter().find(|probe| probe.scope == scope) {
                return Err((scope, sent.pause));
            }
            match self.pauses.judge(scope, given(scope), self.at, self.random) {
                Pace::Go => {}
                Pace::Probe(probe) => probes.push(probe),
                Pace::Wait(pause) => return Err((scope, pause)),
            }
        }
        self.probes.extend(probes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SeededRandom;

    const AGREEMENT: Id = Id::from_bytes([1; 16]);
    const OTHER: Id = Id::from_bytes([2; 16]);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn peer() -> AgencyId {
        "b.example".parse().unwrap()
    }

    /// Returns which of three items go: two under one agreement, and one under another.
    fn going(pauses: &Pauses, at: Timestamp) -> [bool; 3] {
        let (of_peer, random) = (pauses.of(&peer()), SeededRandom::new("pace"));
        let mut pacer = Pacer::new(&of_peer, at, &random);
        let going = [AGREEMENT, AGREEMENT, OTHER].map(|agreement| pacer.admit(agreement, None).is_ok());
        let probes = pacer.probes;
        pauses.probed(&peer(), &probes);
        going
    }

    #[test]
    fn one_item_goes_after_a_pause_that_grows_and_all_when_it_is_taken() {
        let (pauses, random) = (Pauses::default(), SeededRandom::new("pause"));
        assert_eq!(going(&pauses, at(0)), [true; 3]);
        pauses.begin(&peer(), PauseScope::Peer, Reason::PeerSuspended, at(0), &random);
        let (mut now, mut sent) = (0, Vec::new());
        while now < 86_400 {
            if going(&pauses, at(now)) == [true, false, false] {
                sent.push(now);
            }
            now += 1;
        }
        assert!((280..=400).contains(&sent.len()), "{}", sent.len());
        assert!(sent[5] < 180, "the first follow soon: {sent:?}");
        assert!(sent.windows(2).all(|two| two[1] - two[0] <= 301), "{sent:?}");
        pauses.end(&peer(), &[PauseScope::Peer]);
        assert_eq!(going(&pauses, at(now)), [true; 3]);
    }

    #[test]
    fn an_agreement_pauses_nothing_of_another() {
        let (pauses, random) = (Pauses::default(), SeededRandom::new("pause"));
        pauses.begin(&peer(), PauseScope::Agreement(AGREEMENT), Reason::AgreementUnknown, at(0), &random);
        assert_eq!(going(&pauses, at(1)), [false, false, true]);
        assert_eq!(going(&pauses, at(3)), [true, false, true]);
    }

    #[test]
    fn a_hint_shortens_a_pause_and_many_hints_are_one() {
        let (pauses, random) = (Pauses::default(), SeededRandom::new("pause"));
        pauses.begin(&peer(), PauseScope::Peer, Reason::PeerSuspended, at(0), &random);
        let mut now = 0;
        while now < 3_600 {
            now += i64::from(going(&pauses, at(now))[0]) + 1;
        }
        let sent = (now..now + 900)
            .filter(|&second| {
                pauses.hint(&peer(), at(second));
                going(&pauses, at(second))[0]
            })
            .count();
        assert!((29..=31).contains(&sent), "one in thirty seconds: {sent}");
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_pause() {
        let (pauses, random) = (Pauses::default(), SeededRandom::new("pause"));
        pauses.begin(&peer(), PauseScope::Peer, Reason::CreatedInFuture, at(1_000_000), &random);
        assert_eq!(going(&pauses, at(1_000_000)), [false; 3]);
        assert_eq!(going(&pauses, at(10)), [true, false, false]);
    }

    #[test]
    fn a_reason_from_before_a_start_pauses_until_one_item_is_taken() {
        let (pauses, random) = (Pauses::default(), SeededRandom::new("pause"));
        let go = || {
            let of_peer = pauses.of(&peer());
            let mut pacer = Pacer::new(&of_peer, at(0), &random);
            let given = [Reason::EpochStale, Reason::PeerSuspended, Reason::PeerSuspended, Reason::AgreementUnknown];
            let going = given.map(|reason| pacer.admit(AGREEMENT, Some(reason)).is_ok());
            (going, pacer.probes)
        };
        let (going, probes) = go();
        assert_eq!(going, [true, true, false, false]);
        pauses.probed(&peer(), &probes);
        assert_eq!(go().0, [false; 4]);
        pauses.end(&peer(), &[PauseScope::Peer, PauseScope::Agreement(AGREEMENT)]);
        assert_eq!(go().0, [true; 4], "what they were given is old");
    }
}
