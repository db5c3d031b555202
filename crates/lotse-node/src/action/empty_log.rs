//! Empties the database's write-ahead log of content that was destroyed.

use std::sync::atomic::Ordering;

use lotse_store::StoreError;

use crate::node::Node;

/// Takes the old bytes of what was destroyed out of the write-ahead log, if anything was. If that fails, as it does while somebody
/// reads what was there before, the next call tries it again.
pub async fn empty_log(node: &Node) -> Result<(), StoreError> {
    // Taken before the log is emptied: what goes meanwhile asks for the next time.
    if !node.signals.content_gone.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    let emptied = node.store.empty_log().await;
    emptied.inspect_err(|_| node.signals.content_gone.store(true, Ordering::Release))
}
