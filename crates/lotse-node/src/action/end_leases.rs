//! Ends leases that nobody else will end: those of the last run, and those of batches that nobody holds.

use std::collections::HashMap;
use std::time::Duration;

use lotse_core::id::Id;
use lotse_store::{StoreError, batch};
use tokio::time::Instant;

use crate::node::Node;
use crate::shipment::LEASE;

/// After this a lease that was seen to run is over, and whoever holds its batch has had time to end it.
const LONG_OVER: Duration = LEASE.saturating_mul(2);

/// Leases that one transaction ends.
const AT_ONCE: u32 = 256;

/// Ends every lease: no byte is on its way any more. Only before the first claim of this run. The batches are in doubt and will be
/// sent again. Twice has one effect.
pub async fn end_leases(node: &Node) -> Result<(), StoreError> {
    let mut lapsed = 0;
    loop {
        let step = node.store.transact("lapse all", |tx| Box::pin(batch::lapse_all(tx, AT_ONCE))).await?;
        lapsed += step;
        if step < u64::from(AT_ONCE) {
            break;
        }
    }
    if lapsed > 0 {
        tracing::info!(lapsed, "batches of the last run are in doubt and will be sent again");
    }
    Ok(())
}

/// Leases that run, and since when this run knows of them, by the monotonic clock.
#[derive(Default)]
pub struct Leases(HashMap<Id, Instant>);

/// Ends leases that are long over. A claim whose commit was stored and reported failed leaves a batch that nobody holds, and a
/// courier may fail to end its own; without this their items would stay on their way until the next start. Returns how many.
pub async fn end_lost_leases(node: &Node, leases: &mut Leases, now: impl Fn() -> Instant) -> Result<usize, StoreError> {
    let running = node.store.read("leased", |tx| Box::pin(batch::leased(tx))).await?;
    // Asked after the reading, which may have waited: no lease that was found began later than this.
    let now = now();
    let since = |id: Id| (id, leases.0.get(&id).copied().unwrap_or(now));
    let ids = running.rows.iter().map(|batch| batch.batch_id).chain(running.broken);
    leases.0 = ids.map(since).collect();
    let is_over = |since: &Instant| now.saturating_duration_since(*since) >= LONG_OVER;
    let over: Vec<Id> = leases.0.iter().filter(|(_, since)| is_over(since)).map(|(id, _)| *id).collect();
    if over.is_empty() {
        return Ok(0);
    }
    let (lost, lost_ids, at) = (over.len(), over.clone(), node.now());
    let end = node.store.transact("lapse", move |tx| {
        let over = over.clone();
        Box::pin(async move {
            for batch_id in over {
                batch::lapse(tx, batch_id, at).await?;
            }
            Ok(())
        })
    });
    end.await?;
    let peers = running.rows.iter().filter(|batch| lost_ids.contains(&batch.batch_id)).map(|batch| &batch.peer);
    peers.for_each(|peer| node.signals.due(peer).notify_one());
    tracing::warn!(lost, "batches that nobody held are in doubt and will be sent again");
    Ok(lost)
}
