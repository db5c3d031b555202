//! Destroys the content of copies whose lease has ended, which reading compares too, and of those older than
//! `custody.payload_days`, whoever has confirmed them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotse_store::custody;

use crate::failure::Failure;
use crate::hold::ProvenTime;
use crate::node::Node;

/// Copies of which one transaction destroys the content: leases end together, as consents do on the last day of a year.
const AT_ONCE: u32 = 256;

/// Transactions of one run: what is left is for the next one.
const STEPS: usize = 256;

/// Purges what may no longer be held; returns how many copies went. The old bytes go when the write-ahead log is emptied.
/// While the clock may run ahead no copy goes.
pub async fn purge_ended(node: &Arc<Node>) -> Result<u64, Failure> {
    let mut purged = 0;
    for _ in 0..STEPS {
        let Some(now) = node.proven_now() else { break };
        let step = step(node, now).await?;
        purged += step;
        if step < u64::from(AT_ONCE) {
            break;
        }
    }
    Ok(purged)
}

async fn step(node: &Arc<Node>, now: ProvenTime) -> Result<u64, Failure> {
    let at = now.at();
    let taken_until = at.minus(node.config.custody.payload_life());
    let job = node.clone();
    let purge = node.store.transact("purge", move |tx| {
        let node = job.clone();
        Box::pin(async move {
            let purged = custody::purge_ended(tx, at, taken_until, AT_ONCE).await?;
            if purged > 0 {
                node.signals.content_gone.store(true, Ordering::Release);
            }
            Ok(purged)
        })
    });
    Ok(purge.await?)
}
