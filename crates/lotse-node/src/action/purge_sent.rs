//! Destroys the content of what this agency handed over, here at its owner: of items that were refused or ended, and of what was
//! released, taken or in doubt, once nobody may hold it any longer. What was withdrawn goes with the withdrawal. Rows and digests stay.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotse_store::outbox::{self, Overdue};

use crate::failure::Failure;
use crate::node::Node;

/// Items that were refused or ended, of which one transaction destroys the content.
const ENDED_AT_ONCE: u32 = 256;

/// Batches in which one transaction looks for content that is overdue.
const BATCHES_AT_ONCE: u32 = 16;

/// Transactions of one run: what is left is for the next one.
const STEPS: usize = 256;

/// Purges what is not needed any more; returns of how many items. The old bytes go when the write-ahead log is emptied.
/// Content that goes by time stays while the clock may run ahead.
pub async fn purge_sent(node: &Arc<Node>) -> Result<u64, Failure> {
    let mut purged = 0;
    for _ in 0..STEPS {
        let step = step(node).await?;
        purged += step.purged;
        if step.is_last {
            break;
        }
    }
    Ok(purged)
}

struct Step {
    purged: u64,
    is_last: bool,
}

async fn step(node: &Arc<Node>) -> Result<Step, Failure> {
    let (now, job) = (node.proven_now(), node.clone());
    let step = node.store.transact("purge sent", move |tx| {
        let node = job.clone();
        Box::pin(async move {
            let ended = outbox::purge_ended(tx, ENDED_AT_ONCE).await?;
            let overdue = match now {
                Some(now) => outbox::purge_overdue(tx, now.at(), BATCHES_AT_ONCE).await?,
                None => Overdue::default(),
            };
            let purged = ended + overdue.purged;
            if purged > 0 {
                node.signals.content_gone.store(true, Ordering::Release);
            }
            let is_last = ended < u64::from(ENDED_AT_ONCE) && overdue.batches < BATCHES_AT_ONCE as usize;
            Ok(Step { purged, is_last })
        })
    });
    Ok(step.await?)
}
