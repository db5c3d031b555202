//! How the node is: what an administrator looks at first.

mod alarms;
mod said;

use std::collections::BTreeMap;
use std::sync::Arc;

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::outbox::{self, Waiting};
use lotse_store::{StoreError, Tx};

use crate::action::compare_numbers::{knows_less, runs_twice};
use crate::failure::Failure;
use crate::hold::ClockDoubt;
use crate::node::Node;

use alarms::alarms;
pub use alarms::{DISK_FULL, unlogged_alarms};
pub use said::SaidAlarms;

/// How a node is.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Version of the installed card and until when it is valid, if one is installed.
    pub card: Option<(u64, Timestamp)>,
    /// Entries of the log.
    pub log_size: u64,
    /// Entries covered by the newest checkpoint.
    pub checkpoint_size: u64,
    /// Why the log is on hold.
    pub log_hold: Option<String>,
    /// What speaks against the clock.
    pub clock_doubt: Option<ClockDoubt>,
    /// Items that wait, by peer.
    pub waiting: BTreeMap<AgencyId, Waiting>,
    /// What needs a human, a sentence each.
    pub alarms: Vec<String>,
}

/// Looks how the node is.
pub async fn get_status(node: &Arc<Node>) -> Result<NodeStatus, Failure> {
    let generation = node.generation;
    let read = node.store.read("get_status", move |tx| Box::pin(read(tx, generation)));
    let (log_size, checkpoint_size, waiting) = read.await?;
    node.observe_clock();
    let card = node.federation.get().own.as_ref().map(|own| (own.card.version, own.card.valid_until));
    Ok(NodeStatus {
        card,
        log_size,
        checkpoint_size,
        log_hold: node.holds.log_hold(),
        clock_doubt: node.holds.clock_doubt(),
        alarms: alarms(node, &waiting),
        waiting,
    })
}

/// Counts what waits for each peer.
pub async fn waiting(node: &Node) -> Result<BTreeMap<AgencyId, Waiting>, Failure> {
    let waiting = node.store.read("waiting", move |tx| Box::pin(outbox::waiting(tx))).await?;
    Ok(by_peer(waiting))
}

async fn read(tx: &mut Tx, generation: u32) -> Result<(u64, u64, BTreeMap<AgencyId, Waiting>), StoreError> {
    let size = counter::read(tx, &Counter::Leaf).await?;
    let checkpoint = lotse_store::log::newest_checkpoint(tx, generation).await?;
    let waiting = outbox::waiting(tx).await?;
    Ok((size, checkpoint.map_or(0, |checkpoint| checkpoint.head.size), by_peer(waiting)))
}

fn by_peer(waiting: Vec<Waiting>) -> BTreeMap<AgencyId, Waiting> {
    waiting.into_iter().map(|waiting| (waiting.peer.clone(), waiting)).collect()
}

/// Returns why the exchange with a peer is stopped, if the state of one of the two nodes is in doubt.
pub fn state_in_doubt(node: &Node, peer: &AgencyId) -> Option<Failure> {
    if node.federation.get().peers.get(peer).is_some_and(|known| known.stopped) {
        Some(knows_less(peer))
    } else {
        node.instances.run_twice(peer).then(|| runs_twice(peer))
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;

    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn the_status_counts_the_log_and_warns_of_what_ends_soon() {
        let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
        one.accept(&two).await;
        let status = get_status(&one).await.unwrap();
        assert_eq!((status.log_size, status.checkpoint_size, status.alarms.len()), (2, 0, 0));
        one.clock.turn(340 * DAY);
        assert!(get_status(&one).await.unwrap().alarms[0].contains("ends on"));
        one.clock.turn(30 * DAY);
        let alarms = get_status(&one).await.unwrap().alarms;
        assert!(alarms[0].contains("has expired") && alarms[1].contains("two.example"), "{alarms:?}");
    }
}
