//! Waits for what was claimed before something changed: until it is answered, taken back, or its lease is over. Whoever
//! stops releases is answered only after it, so that no transmission of the old bytes starts then.

use std::time::Duration;

use lotse_core::id::{AgencyId, Id};
use lotse_store::{StoreError, batch};
use tokio::time::Instant;

use crate::node::Node;
use crate::shipment::LEASE;

/// How often the batches on their way are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Time for a courier to cut the stream whose lease is over, and to write that the batch lapsed.
pub const CUT: Duration = Duration::from_secs(1);

/// Returns when the leases that run now are over at the latest and their streams are cut: after that no byte of their batches
/// leaves.
pub fn leases_end() -> Instant {
    Instant::now() + LEASE + CUT
}

/// Waits until the batches are answered, taken back or lapsed, or until the leases are over.
pub async fn wait_for(node: &Node, mut batches: Vec<Id>, leases_end: Instant) -> Result<(), StoreError> {
    while !batches.is_empty() && Instant::now() < leases_end {
        let asked = batches.clone();
        let look =
            node.store.read("lease_wait", move |tx| Box::pin(async move { batch::still_leased(tx, &asked).await }));
        batches = look.await?;
        if !batches.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// Waits for whatever is on its way to these peers.
pub async fn wait_for_peers(node: &Node, peers: Vec<AgencyId>) -> Result<(), StoreError> {
    if peers.is_empty() {
        return Ok(());
    }
    let leases_end = leases_end();
    let leased = node.store.read("leased", |tx| Box::pin(batch::leased(tx))).await?;
    let to_them = leased.rows.into_iter().filter(|batch| peers.contains(&batch.peer)).map(|batch| batch.batch_id);
    // Of a batch that cannot be read nobody knows to whom it goes.
    wait_for(node, to_them.chain(leased.broken).collect(), leases_end).await
}
