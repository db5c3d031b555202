//! What is read from time to time: what waits, how the log stands, what ends soon.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::time::{DAY, Timestamp};
use lotse_store::outbox::{self, Oldest};
use opentelemetry::KeyValue;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::Instruments;
use crate::action::get_status::{NodeStatus, get_status};
use crate::edge::Limit;
use crate::failure::Failure;
use crate::hold::ClockDoubt;
use crate::node::Node;
use crate::tls::Credentials;

/// Reads until the node stops.
pub async fn run(node: Arc<Node>, credentials: Arc<Credentials>, stop: CancellationToken) {
    let every = Duration::from_secs(node.config.telemetry.interval_seconds.get().into());
    let (mut ticks, mut commits, mut refused) = (interval(every), 0, HashMap::new());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(instruments) = node.telemetry.instruments() else { continue };
        let total = node.store.counters().commits;
        instruments.commits.add(total.saturating_sub(commits), &[]);
        commits = total;
        connections(instruments, &node, &mut refused);
        certificates(instruments, &credentials, node.now());
        if let Err(failure) = look(&node, instruments).await {
            tracing::warn!(%failure, "the state of the node could not be read for its metrics");
        }
    }
}

fn certificates(instruments: &Instruments, credentials: &Credentials, now: Timestamp) {
    let own = credentials.ends();
    ends(instruments, "certificate", credentials.identity().not_after(), now);
    own.authorities.into_iter().min().into_iter().for_each(|end| ends(instruments, "authority", end, now));
    own.lists.into_iter().for_each(|end| ends(instruments, "revocation_list", end, now));
}

/// Adds what the ports refused since the last look.
fn connections(instruments: &Instruments, node: &Node, before: &mut HashMap<(&'static str, Limit), u64>) {
    for (port, limit, total) in node.ports.refused() {
        let seen = before.insert((port, limit), total).unwrap_or(0);
        let labels = [KeyValue::new("port", port), KeyValue::new("limit", limit.name())];
        instruments.connections_refused.add(total - seen, &labels);
    }
}

async fn look(node: &Arc<Node>, instruments: &Instruments) -> Result<(), Failure> {
    let status = get_status(node).await?;
    let oldest = node.store.read("oldest", |tx| Box::pin(outbox::oldest(tx))).await?;
    let now = node.now();
    waiting(instruments, node, &status, &oldest);
    instruments.log_size.record(status.log_size, &[]);
    instruments.log_signed_size.record(status.checkpoint_size, &[]);
    let stops_releases = matches!(status.clock_doubt, Some(ClockDoubt::SteppedBack | ClockDoubt::JumpedAhead));
    for (cause, holds) in
        [("log", status.log_hold.is_some()), ("clock", stops_releases), ("disk", node.store.is_disk_full())]
    {
        instruments.holds.record(holds.into(), &[KeyValue::new("cause", cause)]);
    }
    instruments.alarms.record(status.alarms.len() as u64, &[]);
    status.card.into_iter().for_each(|(_, until)| ends(instruments, "card", until, now));
    Ok(())
}

/// Records a number for every peer, so that it falls to zero when nothing waits.
fn waiting(instruments: &Instruments, node: &Node, status: &NodeStatus, oldest: &[Oldest]) {
    let federation = node.federation.get();
    let peers: BTreeSet<&AgencyId> = federation.peers.keys().chain(status.waiting.keys()).collect();
    for peer in peers {
        let label = [KeyValue::new("peer", peer.to_string())];
        let waiting = status.waiting.get(peer);
        instruments.due.record(waiting.map_or(0, |waiting| waiting.due), &label);
        instruments.in_doubt.record(waiting.map_or(0, |waiting| waiting.in_doubt), &label);
        let since = oldest.iter().find(|oldest| oldest.peer == *peer).map(|oldest| oldest.since);
        let age = since.map_or(Duration::ZERO, |since| node.now().since(since));
        instruments.oldest.record(age.as_secs_f64(), &label);
        let apart = node.links.get(peer).clock_difference_us;
        instruments.clock_difference.record(apart as f64 / 1e6, &label);
    }
}

fn ends(instruments: &Instruments, what: &'static str, until: Timestamp, now: Timestamp) {
    let days = (until.micros() - now.micros()) as f64 / 1e6 / DAY.as_secs_f64();
    instruments.days_left.record(days, &[KeyValue::new("what", what)]);
}
