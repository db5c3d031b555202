//! Runs of nodes: each start draws an id, which hellos name. A run that speaks again after another one is not gone: two nodes speak
//! under one identity, as a copied folder or a cloned machine does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::random::{self, Random};
use tokio::sync::watch;
use tokio::time::Instant;

/// Id of one run of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceId([u8; 16]);

impl InstanceId {
    /// Draws the id of a run that begins.
    pub fn draw(random: &dyn Random) -> InstanceId {
        InstanceId(random::bytes(random))
    }

    /// Reads it from a hello; none in that of a node that names none.
    pub fn parse(bytes: &[u8]) -> Option<InstanceId> {
        bytes.try_into().ok().map(InstanceId)
    }

    /// Returns its bytes for a hello.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Runs of one peer that are remembered, the newest ones.
const REMEMBERED: usize = 16;

/// So often a run must speak again after another one until two are alive for sure. A hello of a run that is gone may come late, once
/// or twice, from a queue.
const RETURNS: u32 = 3;

/// After so long without a return only one is alive: a node opens its streams anew within twelve minutes.
const QUIET: Duration = Duration::from_secs(15 * 60);

/// The runs of a peer's node, as its hello shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meeting {
    /// One node speaks.
    One,
    /// Two speak, and it has just become sure.
    FoundTwo,
    /// Two speak, as was known.
    Two,
}

/// Runs of a peer.
#[derive(Default)]
struct Runs {
    known: Vec<InstanceId>,
    current: Option<InstanceId>,
    returns: u32,
    returned_at: Option<Instant>,
}

impl Runs {
    fn meet(&mut self, instance: InstanceId, now: Instant) -> Meeting {
        let was_two = self.are_two(now);
        if self.current.replace(instance) != Some(instance) {
            if self.known.contains(&instance) {
                self.returns = if self.is_quiet(now) { 1 } else { self.returns + 1 };
                self.returned_at = Some(now);
            } else {
                self.known.push(instance);
                let surplus = self.known.len().saturating_sub(REMEMBERED);
                self.known.drain(..surplus);
            }
        }
        match (was_two, self.are_two(now)) {
            (_, false) => Meeting::One,
            (false, true) => Meeting::FoundTwo,
            (true, true) => Meeting::Two,
        }
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.returned_at.is_none_or(|at| now.saturating_duration_since(at) >= QUIET)
    }

    fn are_two(&self, now: Instant) -> bool {
        self.returns >= RETURNS && !self.is_quiet(now)
    }
}

/// This run, and the runs of all peers. Not stored: two that are alive are found again within seconds.
pub struct Instances {
    own: InstanceId,
    peers: Mutex<HashMap<AgencyId, Runs>>,
    met: watch::Sender<()>,
}

impl Instances {
    /// Begins a run.
    pub fn new(own: InstanceId) -> Instances {
        Instances { own, peers: Mutex::default(), met: watch::Sender::new(()) }
    }

    /// Returns the id of this run.
    pub const fn own(&self) -> InstanceId {
        self.own
    }

    /// Takes in the run that a peer's hello names. Streams of its other runs end, so that a run that is alive speaks again.
    pub fn meet(&self, peer: &AgencyId, instance: InstanceId, now: Instant) -> Meeting {
        let meeting = self.lock().entry(peer.clone()).or_default().meet(instance, now);
        self.met.send_replace(());
        meeting
    }

    /// Waits until another run of a peer has spoken than one whose stream is open.
    pub async fn replaced(&self, peer: &AgencyId, instance: Option<InstanceId>) {
        let mut met = self.met.subscribe();
        loop {
            met.mark_unchanged();
            let current = self.lock().get(peer).and_then(|runs| runs.current);
            if instance.is_some() && current != instance {
                return;
            }
            // Its sender is this one.
            let _ = met.changed().await;
        }
    }

    /// Tells whether two nodes speak under the identity of a peer.
    pub fn run_twice(&self, peer: &AgencyId) -> bool {
        self.lock().get(peer).is_some_and(|runs| runs.are_two(Instant::now()))
    }

    /// Forgets the runs of a peer: an administrator has found out which one counts.
    pub fn forget(&self, peer: &AgencyId) {
        self.lock().remove(peer);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AgencyId, Runs>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstanceId = InstanceId([1; 16]);
    const TWO: InstanceId = InstanceId([2; 16]);

    fn meetings(instances: &[InstanceId], pause: Duration) -> Vec<Meeting> {
        let (mut runs, mut now) = (Runs::default(), Instant::now());
        instances.iter().map(|&instance| (runs.meet(instance, now), now += pause).0).collect()
    }

    #[test]
    fn two_runs_that_speak_in_turns_are_two_nodes_and_one_after_the_other_is_one() {
        use Meeting::{FoundTwo, One, Two};
        let second = Duration::from_secs(1);
        assert_eq!(meetings(&[ONE, TWO, ONE, TWO, ONE, ONE, TWO], second), [One, One, One, One, FoundTwo, Two, Two]);
        let restarts: Vec<InstanceId> = (0..99).flat_map(|run| [InstanceId([run; 16]); 3]).collect();
        assert!(meetings(&restarts, second).iter().all(|meeting| *meeting == One));
        assert_eq!(meetings(&[ONE, TWO, ONE, TWO, TWO], second), [One; 5], "a hello of the last run came late");
        assert_eq!(meetings(&[ONE, TWO, ONE, TWO, ONE, TWO], QUIET), [One; 6]);
    }

    #[test]
    fn two_nodes_are_known_until_one_is_gone_or_an_administrator_says_so() {
        let (instances, peer) = (Instances::new(ONE), "aa.example".parse().unwrap());
        let now = Instant::now();
        let two = [TWO, ONE, TWO, ONE, TWO].map(|instance| instances.meet(&peer, instance, now));
        assert_eq!(two[4], Meeting::FoundTwo);
        assert!(instances.run_twice(&peer) && !instances.run_twice(&"bb.example".parse().unwrap()));
        assert!(!instances.lock()[&peer].are_two(now + QUIET), "after a quiet time one of them is gone");
        instances.forget(&peer);
        assert!(!instances.run_twice(&peer));
    }

    #[tokio::test]
    async fn a_stream_ends_when_another_run_of_its_peer_speaks() {
        let (instances, peer) = (Instances::new(ONE), "aa.example".parse().unwrap());
        instances.meet(&peer, ONE, Instant::now());
        let waits = tokio::time::timeout(Duration::from_millis(50), instances.replaced(&peer, Some(ONE))).await;
        assert!(waits.is_err());
        let (ended, _) = tokio::join!(instances.replaced(&peer, Some(ONE)), async {
            instances.meet(&peer, TWO, Instant::now());
        });
        ended
    }
}
