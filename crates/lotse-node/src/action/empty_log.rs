//! Empties the database's write-ahead log of content that was destroyed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_store::{StoreError, WriteAheadLog};

use crate::node::Node;

/// Attempts of one call: a short read that is in the way has ended at the next one.
const ATTEMPTS: usize = 10;

/// The pause between two of them, in which others write.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the old bytes of what was destroyed out of the write-ahead log, if anything was. While somebody reads what was there before,
/// they stay; the next call tries it again.
pub async fn empty_log(node: &Node) -> Result<WriteAheadLog, StoreError> {
    // Taken before the log is emptied: what goes meanwhile asks for the next time.
    if !node.signals.content_gone.swap(false, Ordering::AcqRel) {
        return Ok(WriteAheadLog::Empty);
    }
    let emptied = attempt(node).await;
    if emptied != Ok(WriteAheadLog::Empty) {
        node.signals.content_gone.store(true, Ordering::Release);
    }
    emptied
}

async fn attempt(node: &Node) -> Result<WriteAheadLog, StoreError> {
    for _ in 1..ATTEMPTS {
        if node.store.empty_log().await? == WriteAheadLog::Empty {
            return Ok(WriteAheadLog::Empty);
        }
        tokio::time::sleep(PAUSE).await;
    }
    node.store.empty_log().await
}
