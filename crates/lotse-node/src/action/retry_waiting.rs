//! Looks again at once at everything that waits for peers: its next attempt may have got a time from a clock that was wrong, weeks
//! away from the right one.

use std::sync::Arc;

use lotse_core::id::AgencyId;
use lotse_store::{batch, outbox};

use crate::failure::Failure;
use crate::node::Node;

/// Lets what is due and what is in doubt towards every peer be tried again now.
pub async fn retry_waiting(node: &Arc<Node>) -> Result<(), Failure> {
    let peers: Vec<AgencyId> = node.federation.get().peers.keys().cloned().collect();
    for peer in peers {
        while retry(node, &peer).await? > 0 {}
    }
    node.signals.all_due();
    Ok(())
}

/// Returns how many due items waited for a later time.
async fn retry(node: &Arc<Node>, peer: &AgencyId) -> Result<u64, Failure> {
    let (at, peer) = (node.now(), peer.clone());
    let retry = node.store.transact("retry waiting", move |tx| {
        let peer = peer.clone();
        Box::pin(async move {
            batch::retry_now(tx, &peer).await?;
            outbox::retry_now(tx, &peer, at).await
        })
    });
    Ok(retry.await?)
}
