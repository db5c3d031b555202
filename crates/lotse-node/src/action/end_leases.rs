//! Ends the leases of the last run: no byte of them is on its way any more. Only before the first claim of this one.

use lotse_store::{StoreError, batch};

use crate::node::Node;

/// Ends every lease; the batches are in doubt and will be sent again. Twice has one effect.
pub async fn end_leases(node: &Node) -> Result<(), StoreError> {
    let lapsed = node.store.transact("lapse all", |tx| Box::pin(batch::lapse_all(tx))).await?;
    if lapsed > 0 {
        tracing::info!(lapsed, "batches of the last run are in doubt and will be sent again");
    }
    Ok(())
}
