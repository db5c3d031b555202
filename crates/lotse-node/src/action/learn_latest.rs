//! Learns at a start which referrals of each person are the newest: memory alone knows them.

use lotse_store::{StoreError, custody, outbox};

use crate::latest::KEPT_PERSONS;
use crate::node::Node;

/// Reads the newest referrals that were sent and received, and notes them.
pub async fn learn_latest(node: &Node) -> Result<(), StoreError> {
    let limit = KEPT_PERSONS as u32;
    let sent = node.store.read("learn sent", move |tx| Box::pin(outbox::newest(tx, limit))).await?;
    for latest in sent.into_iter().rev() {
        node.latest_sent.note(latest.person, &latest.agency, latest.record_id);
    }
    let held = node.store.read("learn received", move |tx| Box::pin(custody::newest(tx, limit))).await?;
    for latest in held.into_iter().rev() {
        node.latest_held.note(latest.person, &latest.agency, latest.record_id);
    }
    Ok(())
}
