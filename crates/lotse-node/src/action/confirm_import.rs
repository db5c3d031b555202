//! Confirms that a system has stored what it fetched.

use std::sync::Arc;

use lotse_core::id::Id;
use lotse_store::import;

use crate::failure::Failure;
use crate::node::Node;

/// Confirms tokens of a system; returns how many of them are its own.
pub async fn confirm_import(node: &Arc<Node>, system: &str, tokens: Vec<Id>) -> Result<u64, Failure> {
    let at = node.now();
    let job = Arc::new((system.to_string(), tokens));
    let confirmed = node
        .store
        .transact("confirm import", move |tx| {
            let job = job.clone();
            Box::pin(async move { import::confirm(tx, &job.0, &job.1, at).await })
        })
        .await?;
    Ok(confirmed)
}
