//! The courier: the outbox at work. One task per peer keeps a stream to it, claims what waits, writes it while the claim's
//! lease runs, and records what came back. A stream whose lease ends without a receipt is reset, so that nothing that was queued
//! can leave later.

pub mod duty;
mod room;
mod session;

use std::sync::Arc;
use std::time::Duration;

use lotse_core::agreement::KnownAgreement;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_store::batch;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::action::claim::pause;
use crate::action::end_leases::end_leases;
use crate::edge::Connector;
use crate::federation::Federation;
use crate::link::WaitCause;
use crate::node::Node;
use crate::shipment::Shipment;

pub use room::{Couriers, Loaded, Room};

/// Longest pause between two attempts to reach a peer.
const LONGEST_CONNECT_PAUSE: Duration = Duration::from_secs(15);

/// Shortest pause between two attempts, when the peer has just spoken.
const SHORTEST_CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// Pause after the database could not be written at start, because somebody else does for instance.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);

/// Keeps a courier for every accepted peer until the node stops.
pub async fn run(node: Arc<Node>, couriers: Arc<Couriers>, connector: Connector, stop: CancellationToken) {
    end_last_run(&node, &stop).await;
    let (tasks, mut changes) = (TaskTracker::new(), node.federation.watch());
    while !stop.is_cancelled() {
        changes.mark_unchanged();
        let federation = node.federation.get();
        for peer in federation.peers.keys() {
            if let Some(shipments) = couriers.enlist(peer) {
                let courier = Courier {
                    node: node.clone(),
                    peer: peer.clone(),
                    couriers: couriers.clone(),
                    connector: connector.clone(),
                    shipments,
                    stop: stop.clone(),
                };
                tasks.spawn(courier.run());
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = changes.changed() => if changed.is_ok() { node.signals.all_due() } else { break },
        }
    }
    tasks.close();
    tasks.wait().await;
}

/// Ends the leases of the last run as soon as the database can be written, or returns when told to stop.
async fn end_last_run(node: &Node, stop: &CancellationToken) {
    while let Err(error) = end_leases(node).await {
        tracing::error!(%error, "the leases of the last run cannot be ended; nothing is sent before they are");
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(DATABASE_PAUSE) => {}
        }
    }
}

/// The courier to one peer.
struct Courier {
    node: Arc<Node>,
    peer: AgencyId,
    couriers: Arc<Couriers>,
    connector: Connector,
    shipments: mpsc::Receiver<Loaded>,
    stop: CancellationToken,
}

impl Courier {
    async fn run(mut self) {
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            if !self.awaited().await {
                break;
            }
            match self.session().await {
                Ok(()) => failures = 0,
                Err(problem) => {
                    failures += 1;
                    self.note(problem.to_string());
                }
            }
            self.node.links.update(&self.peer, |link| link.connected = false);
            self.couriers.disconnected(&self.peer);
            self.rest(failures).await;
        }
        self.lapse_waiting().await;
    }

    /// Waits until there is an agreement under which something could go to the peer; false if the node stops before. Without one
    /// the peer would refuse the stream.
    async fn awaited(&self) -> bool {
        let mut changes = self.node.federation.watch();
        loop {
            changes.mark_unchanged();
            if has_agreement(&self.node.federation.get(), &self.peer) {
                return true;
            }
            self.node.links.set_wait(&self.peer, Some(WaitCause::Here(Reason::NoAgreement)));
            tokio::select! {
                () = self.stop.cancelled() => return false,
                _ = changes.changed() => {}
            }
        }
    }

    /// Notes why a stream ended, and logs it once a minute as long as it is the same.
    fn note(&self, problem: String) {
        let Courier { node, peer, .. } = self;
        if let Some(times) = node.links.said.count(&format!("{peer} {problem}"), node.now()) {
            tracing::info!(%peer, %problem, times, "the stream to the peer ended");
        }
        node.links.update(peer, |link| link.problem = Some(problem));
    }

    /// Waits before the next attempt; what was claimed for the stream that ended is in doubt.
    async fn rest(&mut self, failures: u32) {
        let longest = if failures == 0 { Duration::ZERO } else { LONGEST_CONNECT_PAUSE };
        let begun = Instant::now();
        let mut until = begun + pause(&*self.node.random, failures).min(longest);
        let mut changes = self.node.federation.watch();
        changes.mark_unchanged();
        let reachable = self.node.signals.reachable(&self.peer);
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                _ = changes.changed() => return,
                () = reachable.notified() => until = until.min(begun + SHORTEST_CONNECT_PAUSE),
                () = self.stop.cancelled() => return,
                Some(loaded) = self.shipments.recv() => self.lapse(&loaded.shipment).await,
            }
        }
    }

    async fn lapse_waiting(&mut self) {
        while let Ok(loaded) = self.shipments.try_recv() {
            self.lapse(&loaded.shipment).await;
        }
    }

    /// Ends a claim without a receipt: its items are in doubt and may be claimed again.
    async fn lapse(&self, shipment: &Shipment) {
        let (batch_id, at) = (shipment.batch_id, self.node.now());
        let ended = self.node.store.transact("lapse", move |tx| Box::pin(batch::lapse(tx, batch_id, at))).await;
        if let Err(error) = ended {
            tracing::error!(%error, peer = %self.peer, "a claim could not be ended; housekeeping ends it");
        }
    }
}

/// Returns whether an agreement with a peer is complete, or was once. When it was completed does not matter: a clock that was ahead then
/// may be right now.
fn has_agreement(federation: &Federation, peer: &AgencyId) -> bool {
    let with_peer = |known: &KnownAgreement| known.completed_at.is_some() && known.agreement.party(peer).is_some();
    federation.agreements.iter().any(with_peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestNode, agree, introduce};

    #[tokio::test]
    async fn an_agreement_that_was_sealed_while_the_clock_was_ahead_opens_the_stream_when_it_is_right() {
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        assert!(!has_agreement(&one.federation.get(), &two.agency));
        agree(&[&one, &two]).await;
        one.clock.turn_back(Duration::from_secs(5 * 60));
        let one = one.restart().await;
        assert!(one.federation.get().agreements[0].completed_at > Some(one.now()));
        assert!(has_agreement(&one.federation.get(), &two.agency));
    }

    #[tokio::test]
    async fn nothing_is_sent_before_the_leases_of_the_last_run_are_ended() {
        let (node, stop) = (TestNode::new("jc.example").await, CancellationToken::new());
        end_last_run(&node, &stop).await;
        node.store.clone().close().await;
        let (shared, told) = (node.node.clone(), stop.clone());
        let waiting = tokio::spawn(async move { end_last_run(&shared, &told).await });
        let early = tokio::time::timeout(Duration::from_millis(100), async {
            while !waiting.is_finished() {
                tokio::task::yield_now().await
            }
        });
        assert!(early.await.is_err(), "it does not go on without");
        stop.cancel();
        waiting.await.unwrap();
    }
}
