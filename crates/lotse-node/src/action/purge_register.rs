//! Deletes the rows of the disclosure register whose time is over: the clause under which each was released says how long it is kept.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotse_store::register;

use crate::failure::Failure;
use crate::hold::ProvenTime;
use crate::node::Node;

/// Rows that one transaction deletes.
const AT_ONCE: u32 = 256;

/// Transactions of one run: what is left is for the next one.
const STEPS: usize = 256;

/// Deletes the rows and returns how many. The old bytes go when the write-ahead log is emptied. While the clock may run ahead no row
/// is deleted.
pub async fn purge_register(node: &Arc<Node>) -> Result<u64, Failure> {
    let mut deleted = 0;
    for _ in 0..STEPS {
        let Some(now) = node.proven_now() else { break };
        let step = step(node, now).await?;
        deleted += step;
        if step < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(deleted)
}

async fn step(node: &Arc<Node>, now: ProvenTime) -> Result<u64, Failure> {
    let job = node.clone();
    let step = node.store.transact("purge register", move |tx| {
        let node = job.clone();
        Box::pin(async move {
            let deleted = register::delete_ended(tx, now.at(), AT_ONCE).await?;
            if deleted > 0 {
                node.signals.content_gone.store(true, Ordering::Release);
            }
            Ok(deleted)
        })
    });
    Ok(step.await?)
}
