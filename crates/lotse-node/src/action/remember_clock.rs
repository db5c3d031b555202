//! Remembers until when nothing spoke against the clock: the next start compares its clock with that.

use std::sync::Arc;

use lotse_store::meta;

use crate::failure::Failure;
use crate::hold::ProvenTime;
use crate::node::Node;

/// Writes a time that is trusted.
pub async fn remember_clock(node: &Arc<Node>, now: ProvenTime) -> Result<(), Failure> {
    let write = node.store.transact("remember clock", move |tx| Box::pin(meta::set_clock_trusted_at(tx, now.at())));
    Ok(write.await?)
}
