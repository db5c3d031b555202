//! Reads the inbox as one system may see it: records of the purposes that it is granted, and deliveries of what it handed over.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Id};
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;
use lotse_store::custody::{self, Received};
use lotse_store::inbox::{self, EventKind};
use lotse_store::outbox::{self, Delivered};
use lotse_store::{StoreError, Tx};

use crate::failure::Failure;
use crate::node::Node;

/// Rows read at once.
const ROWS: u32 = 64;

/// Happenings of one page, so that one message holds them. A row tells of 256 at most, and is never divided: the cursor stands
/// behind it.
const MAX_HAPPENINGS: usize = 512;

/// Who reads.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Name of the system.
    pub system: String,
    /// Purposes that it is granted.
    pub purposes: Purposes,
}

/// What happened.
pub enum Happened {
    /// A record was received.
    Received(Received),
    /// A delivery ended or changed.
    Delivered(Delivered),
}

/// One thing that happened.
pub struct Happening {
    /// When.
    pub at: Timestamp,
    /// The other agency.
    pub peer: AgencyId,
    /// What.
    pub happened: Happened,
}

/// Some of the inbox and the cursor behind it.
pub struct Page {
    /// Cursor behind what was read, whether or not this system sees any of it.
    pub cursor: u64,
    /// What this system sees.
    pub happenings: Vec<Happening>,
}

/// Reads what comes after a cursor; none if nothing does.
pub async fn read_inbox(node: &Arc<Node>, reader: &Reader, after: u64) -> Result<Option<Page>, Failure> {
    match recent(node, reader, after) {
        Some(page) => Ok(Some(page)),
        None => read_stored(node, reader, after).await,
    }
}

/// Tells of deliveries of the last moments, if those are all that comes next.
fn recent(node: &Node, reader: &Reader, after: u64) -> Option<Page> {
    let mut batches = node.recent.after(after);
    batches.truncate(rows_of_a_page(batches.iter().map(|batch| batch.deliveries.len())));
    let cursor = batches.last()?.seq;
    let happenings = batches.iter().flat_map(|batch| {
        let own = batch.deliveries.iter().filter(|delivery| delivery.system == reader.system);
        own.map(|delivery| Happening {
            at: batch.at,
            peer: batch.peer.clone(),
            happened: Happened::Delivered(delivery.clone()),
        })
    });
    Some(Page { cursor, happenings: happenings.collect() })
}

pub(super) async fn read_stored(node: &Arc<Node>, reader: &Reader, after: u64) -> Result<Option<Page>, Failure> {
    let reader = reader.clone();
    let page = node.store.read("inbox", move |tx| Box::pin(async move { read(tx, &reader, after).await })).await?;
    Ok(page)
}

async fn read(tx: &mut Tx, reader: &Reader, after: u64) -> Result<Option<Page>, StoreError> {
    let mut events = inbox::after(tx, after, ROWS).await?;
    events.truncate(rows_of_a_page(events.iter().map(|event| event.items.len())));
    let Some(last) = events.last() else { return Ok(None) };
    let mut page = Page { cursor: last.seq, happenings: Vec::new() };
    let ids = |kind: EventKind| -> Vec<Id> {
        events.iter().filter(|event| event.kind == kind).flat_map(|event| event.items.iter().copied()).collect()
    };
    let received = find_received(tx, ids(EventKind::Received)).await?;
    let delivered = find_delivered(tx, ids(EventKind::Delivered)).await?;
    for event in &events {
        for id in &event.items {
            let happened = match event.kind {
                EventKind::Received => received
                    .get(id)
                    .filter(|record| reader.purposes.contains(record.purpose))
                    .map(|record| Happened::Received(record.clone())),
                EventKind::Delivered => delivered
                    .get(id)
                    .filter(|delivery| delivery.system == reader.system)
                    .map(|delivery| Happened::Delivered(delivery.clone())),
            };
            let seen = happened.map(|happened| Happening { at: event.at, peer: event.peer.clone(), happened });
            page.happenings.extend(seen);
        }
    }
    Ok(Some(page))
}

/// Counts the rows of a page, by how much each tells of: at least the first.
fn rows_of_a_page(items: impl Iterator<Item = usize>) -> usize {
    let behind = items.scan(0, |sum, items| {
        *sum += items;
        Some(*sum)
    });
    behind.take_while(|&sum| sum <= MAX_HAPPENINGS).count().max(1)
}

type Found<T> = std::collections::HashMap<Id, T>;

async fn find_received(tx: &mut Tx, ids: Vec<Id>) -> Result<Found<Received>, StoreError> {
    if ids.is_empty() {
        return Ok(Found::new());
    }
    Ok(custody::received(tx, &ids).await?.into_iter().map(|record| (record.record_id, record)).collect())
}

async fn find_delivered(tx: &mut Tx, ids: Vec<Id>) -> Result<Found<Delivered>, StoreError> {
    if ids.is_empty() {
        return Ok(Found::new());
    }
    Ok(outbox::delivered(tx, &ids).await?.into_iter().map(|delivery| (delivery.record_id, delivery)).collect())
}

/// Reads the cursor that a system has acknowledged.
pub async fn acknowledged(node: &Arc<Node>, system: &str) -> Result<u64, Failure> {
    let system = system.to_string();
    Ok(node.store.read("cursor", move |tx| Box::pin(async move { inbox::cursor(tx, &system).await })).await?)
}

/// Stores the cursor that a system has acknowledged; a lower one changes nothing.
pub async fn acknowledge(node: &Arc<Node>, system: &str, cursor: u64) -> Result<u64, Failure> {
    let system = Arc::new(system.to_string());
    let stored = node
        .store
        .transact("acknowledge", move |tx| {
            let system = system.clone();
            Box::pin(async move { inbox::acknowledge(tx, &system, cursor).await })
        })
        .await?;
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_whole_rows_until_the_next_would_be_too_much() {
        assert_eq!(rows_of_a_page([256, 256, 1].into_iter()), 2);
        assert_eq!(rows_of_a_page([256, 255, 1, 1].into_iter()), 3);
        assert_eq!(rows_of_a_page([1; 64].into_iter()), 64);
        assert_eq!(rows_of_a_page([MAX_HAPPENINGS + 1, 1].into_iter()), 1, "a row alone is never left out");
    }
}
