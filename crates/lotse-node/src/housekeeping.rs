//! Work that only time brings: consents and items expire, leases end, a clock that somebody set is noticed, and withdrawals that a
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
use crate::action::get_status::{SaidAlarms, unlogged_alarms};
use crate::action::purge_ended::purge_ended;
use crate::action::purge_register::purge_register;
use crate::action::purge_sent::purge_sent;
use crate::action::remember_clock::remember_clock;
use crate::action::retry_waiting::retry_waiting;
use crate::action::withdraw_consent::{finish_overdue, finish_pending};
use crate::failure::Failure;
use crate::node::Node;
use crate::trouble::OwnWork;

/// How often time is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often content is destroyed whose lease has ended. Reading refuses it at once.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Interval at which the head store notes that the clock is trusted. A stop that looks longer by it is no harm.
const CLOCK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// Keeps house until the node stops.
pub async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut purged, mut leases, mut begun) = (Instant::now(), Leases::default(), false);
    let (mut clock, mut alarms) = (ClockRound::default(), SaidAlarms::default());
    alarms.log(unlogged_alarms(&node));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        node.observe_clock();
        let purge = purged.elapsed() >= PURGE_INTERVAL;
        if purge {
            purged = Instant::now();
            alarms.log(unlogged_alarms(&node));
        }
        node.note_work(OwnWork::ClockRound, clock.keep(&node).await);
        // Withdrawals that the last run left pending are finished first, while hardly anybody withdraws; later only those that their
        // callers did not finish.
        if !begun {
            let finished = finish_pending(&node).await;
            begun = finished.is_ok();
            node.note_work(OwnWork::PendingWithdrawals, finished.map(drop));
        }
        node.note_work(OwnWork::Housekeeping, keep(&node, &mut leases, purge).await);
    }
}

/// The work that waits for a clock that is trusted.
#[derive(Default)]
struct ClockRound {
    remembered: Option<Instant>,
    has_retried: bool,
}

impl ClockRound {
    /// Writes that the clock is trusted. At a start, and when a doubt has ended, what waits is tried again: the clock may have been
    /// wrong when its next attempt was written.
    async fn keep(&mut self, node: &Arc<Node>) -> Result<(), Failure> {
        if node.holds.take_ended_doubt() {
            (self.has_retried, self.remembered) = (false, None);
        }
        if !self.has_retried {
            retry_waiting(node).await?;
            self.has_retried = true;
        }
        let is_due = self.remembered.is_none_or(|at| at.elapsed() >= CLOCK_INTERVAL);
        if let Some(now) = node.proven_now().filter(|_| is_due && node.holds.clock_doubt().is_none()) {
            remember_clock(node, now).await?;
            self.remembered = Some(Instant::now());
        }
        Ok(())
    }
}

async fn keep(node: &Arc<Node>, leases: &mut Leases, purge: bool) -> Result<(), Failure> {
    end_lost_leases(node, leases, Instant::now).await?;
    // Its trouble may be the head store's, and must not keep consents from expiring.
    let finished = finish_overdue(node).await;
    expire_consents(node).await?;
    expire_items(node).await?;
    if purge {
        destroy(node).await?;
    }
    finished.map(drop)
}

/// Destroys the content that nobody may hold any longer, and then, once for all of it, its bytes in the write-ahead log.
async fn destroy(node: &Arc<Node>) -> Result<(), Failure> {
    let (copies, items, releases) = (purge_ended(node).await, purge_sent(node).await, purge_register(node).await);
    let emptied = empty_log(node).await?;
    let (copies, items, releases) = (copies?, items?, releases?);
    if copies > 0 {
        tracing::info!(copies, "copies whose lease has ended are destroyed");
    }
    if items > 0 {
        tracing::info!(items, "content of outgoing items that ended, or that nobody may hold any longer, is destroyed");
    }
    if releases > 0 {
        tracing::info!(releases, "rows of the disclosure register whose time is over are deleted");
    }
    if emptied == WriteAheadLog::KeptByReader {
        tracing::info!("bytes of destroyed content stay in the write-ahead log while somebody reads an old snapshot");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lotse_core::time::{DAY, Timestamp};
    use lotse_store::meta;

    use super::*;
    use crate::testing::TestNode;

    async fn trusted_at(node: &TestNode) -> Option<Timestamp> {
        node.store.read("trusted", |tx| Box::pin(meta::clock_trusted_at(tx))).await.unwrap()
    }

    #[tokio::test]
    async fn only_a_time_that_is_trusted_is_remembered_for_the_next_start() {
        let (node, mut clock) = (TestNode::new("jc.example").await, ClockRound::default());
        let first = node.now();
        clock.keep(&node).await.unwrap();
        assert_eq!(trusted_at(&node).await, Some(first));
        node.clock.jump(DAY);
        node.observe_clock();
        ClockRound::default().keep(&node).await.unwrap();
        assert_eq!(trusted_at(&node).await, Some(first), "another start of the wrong clock finds the last good time");
        node.clock.turn_back(DAY);
        node.clock.turn(Duration::from_secs(5));
        node.observe_clock();
        clock.keep(&node).await.unwrap();
        let right = node.now();
        assert_eq!(trusted_at(&node).await, Some(right), "the end of the doubt is remembered at once");
        node.clock.turn_back(DAY);
        node.observe_clock();
        ClockRound::default().keep(&node).await.unwrap();
        assert_eq!(trusted_at(&node).await, Some(right), "nor is a clock trusted that stepped back");
    }
}
