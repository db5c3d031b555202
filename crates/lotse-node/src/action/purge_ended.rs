//! Destroys the content of copies whose lease has ended. Reading compares the lease too, so this only cleans.

use std::sync::Arc;

use lotse_store::custody;

use crate::failure::Failure;
use crate::node::Node;

/// Purges what may no longer be held; returns how many copies went. When it returns, the old bytes are gone from the
/// write-ahead log too.
pub async fn purge_ended(node: &Arc<Node>) -> Result<u64, Failure> {
    let at = node.now();
    let purged =
        node.store.transact("purge", move |tx| Box::pin(async move { custody::purge_ended(tx, at).await })).await?;
    if purged > 0 {
        node.store.empty_log().await?;
    }
    Ok(purged)
}
