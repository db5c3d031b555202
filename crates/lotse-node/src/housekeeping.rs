//! What time does by itself: consents and items expire, leases end, a clock that steps back is noticed, and withdrawals that a
//! crash interrupted take effect.

use std::sync::Arc;
use std::time::Duration;

use lotse_store::WriteAheadLog;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::action::empty_log::empty_log;
use crate::action::end_leases::{Leases, end_lost_leases};
use crate::action::expire_consents::expire_consents;
use crate::action::expire_items::expire_items;
use crate::action::purge_ended::purge_ended;
use crate::action::purge_sent::purge_sent;
use crate::action::withdraw_consent::finish_pending;
use crate::failure::Failure;
use crate::node::Node;

/// How often time is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often content is destroyed whose lease has ended. Reading refuses it at once.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Keeps house until the node stops.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut purged, mut leases) = (Instant::now(), Leases::default());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        node.holds.observe(node.now());
        let purge = purged.elapsed() >= PURGE_INTERVAL;
        if purge {
            purged = Instant::now();
        }
        if let Err(failure) = keep(&node, &mut leases, purge).await {
            tracing::error!(%failure, "housekeeping did not finish; it goes on in a second");
        }
    }
}

async fn keep(node: &Arc<Node>, leases: &mut Leases, purge: bool) -> Result<(), Failure> {
    end_lost_leases(node, leases, Instant::now).await?;
    // Its trouble may be the head store's, and must not keep consents from expiring.
    let finished = finish_pending(node).await;
    expire_consents(node).await?;
    expire_items(node).await?;
    if purge {
        destroy(node).await?;
    }
    finished.map(drop)
}

/// Destroys the content that nobody may hold any longer, and then, once for all of it, its bytes in the write-ahead log.
async fn destroy(node: &Arc<Node>) -> Result<(), Failure> {
    let (copies, items) = (purge_ended(node).await, purge_sent(node).await);
    let emptied = empty_log(node).await?;
    let (copies, items) = (copies?, items?);
    if copies > 0 {
        tracing::info!(copies, "copies whose lease has ended are destroyed");
    }
    if items > 0 {
        tracing::info!(items, "content of outgoing items that ended, or that nobody may hold any longer, is destroyed");
    }
    if emptied == WriteAheadLog::KeptByReader {
        tracing::info!("bytes of destroyed content stay in the write-ahead log while somebody reads an old snapshot");
    }
    Ok(())
}
