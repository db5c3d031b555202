//! Ends due items whose time is over, also those to peers that cannot be reached. What was released cannot expire: it stays in
//! doubt until its recipient has spoken.

use std::sync::Arc;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::{AgencyId, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::inbox::{self, Event, EventKind};
use lotse_store::outbox::{self, Item, ItemKind, Settled};
use lotse_store::{StoreError, Tx, log};

use crate::action::thread_state;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::Failure;
use crate::hold::ProvenTime;
use crate::node::Node;

/// Items that one transaction ends.
const AT_ONCE: u32 = 256;

/// Ends items whose time is over; returns how many. None while the clock may run ahead.
pub async fn expire_items(node: &Arc<Node>) -> Result<usize, Failure> {
    let mut ended = 0;
    while let Some(now) = node.proven_now() {
        let shared = node.clone();
        let (found, newest) = node
            .store
            .transact("expire_items", move |tx| {
                let node = shared.clone();
                Box::pin(async move { expire(tx, &node, now).await })
            })
            .await?;
        ended += found;
        newest.into_iter().for_each(|seq| node.signals.inbox_changed(seq));
        if found > 0 {
            node.signals.log.notify_one();
        }
        if found < AT_ONCE as usize {
            break;
        }
    }
    Ok(ended)
}

async fn expire(tx: &mut Tx, node: &Node, now: ProvenTime) -> Result<(usize, Option<u64>), StoreError> {
    let at = now.at();
    let items = outbox::expired(tx, at, AT_ONCE).await?;
    if items.is_empty() {
        return Ok((0, None));
    }
    let by_peer = by_peer(&items);
    let wanted = [(Counter::Leaf, items.len() as i64), (Counter::Event, by_peer.len() as i64)];
    let counters = counter::take(tx, &wanted).await?;
    outbox::settle(tx, DeliveryState::Due, &items.iter().map(|item| settled(item, at)).collect::<Vec<_>>()).await?;
    let answers = items.iter().filter(|item| item.kind == ItemKind::Answer);
    thread_state::derive(tx, &answers.map(|item| item.thread_id).collect::<Vec<_>>()).await?;
    let entries = items.iter().map(|item| draft(item).entry(EntryKind::ItemEnded, at, &*node.random)).collect();
    log::append(tx, node.generation, counters.first(&Counter::Leaf, items.len()), entries).await?;
    let first = counters.first(&Counter::Event, by_peer.len()) + 1;
    for (seq, (peer, ids)) in (first..).zip(by_peer) {
        inbox::append(tx, &Event { seq, at, kind: EventKind::Delivered, peer, items: ids }).await?;
    }
    Ok((items.len(), Some(counters.after(&Counter::Event))))
}

fn by_peer(items: &[Item]) -> std::collections::BTreeMap<AgencyId, Vec<Id>> {
    let mut by_peer = std::collections::BTreeMap::<AgencyId, Vec<Id>>::new();
    for item in items {
        by_peer.entry(item.recipient.clone()).or_default().push(item.record_id);
    }
    by_peer
}

fn settled(item: &Item, at: Timestamp) -> Settled {
    Settled {
        record_id: item.record_id,
        state: DeliveryState::Ended,
        referral_state: ReferralState::Expired,
        next_attempt_at: at,
        attempts: 0,
        reasons: vec![Reason::ItemExpired],
    }
}

fn draft(item: &Item) -> Draft {
    Draft {
        direction: Direction::Out,
        peer: Some(item.recipient.clone()),
        purpose: Some(item.purpose),
        record_id: Some(item.record_id),
        decision: Decision::Refuse,
        reasons: vec![Reason::ItemExpired],
        ..Draft::default()
    }
}
