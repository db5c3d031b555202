//! What becomes of a batch: on its way, in doubt, sent again, answered.

use super::*;
use crate::testing::{Database, on_both_engines, reading, writing};
use crate::{Store, StoreError};

on_both_engines! {
    seals_are_read_with_the_receipt_once_it_is_here
    a_lapsed_batch_is_in_doubt_and_found_when_its_next_attempt_is_due
    only_a_lease_that_runs_lapses
    every_lease_of_the_last_run_lapses_at_once_and_nothing_else_changes
    the_batch_that_waited_longest_is_found_first_and_only_for_its_peer
    what_stays_in_doubt_waits_and_a_batch_that_moved_is_not_found_again
    nothing_is_left_of_a_batch_that_is_not_in_doubt
    what_is_in_doubt_towards_a_peer_is_looked_at_again_at_once
    a_receipt_counts_once_whatever_became_of_the_batch
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn peer(name: &str) -> AgencyId {
    name.parse().unwrap()
}

/// A batch to `b.example` with these records, sent once before.
pub(crate) fn batch(number: u8, records: &[u8]) -> NewBatch {
    let item = |&number: &u8| BatchItem { record_id: id(number), digest: Digest::of(&[number]) };
    NewBatch {
        batch_id: id(number),
        peer: peer("b.example"),
        created_at: at(10),
        root: Digest::of(&[number]),
        seal: vec![number],
        items: records.iter().map(item).collect(),
        attempts: 1,
        content_until: None,
    }
}

/// Writes batches of one item each.
async fn store_with(database: &Database, batches: &[u8]) -> Store {
    let (store, batches) = (database.open().await, batches.to_vec());
    let written = store.transact("insert", move |tx| {
        let batches = batches.clone();
        Box::pin(async move {
            for number in batches {
                insert(tx, &batch(number, &[number])).await?;
            }
            Ok::<(), StoreError>(())
        })
    });
    written.await.unwrap();
    store
}

/// The batch to `b.example` that may be claimed again at a time.
async fn lapsed_at(store: &Store, micros: i64) -> Option<OpenBatch> {
    reading!(store, tx => lapsed(tx, &peer("b.example"), at(micros)))
}

async fn lapsed_id(store: &Store, micros: i64) -> Option<Id> {
    lapsed_at(store, micros).await.map(|batch| batch.batch_id)
}

async fn leased_ids(store: &Store) -> Vec<Id> {
    let mut ids: Vec<Id> = reading!(store, tx => leased(tx)).rows.iter().map(|batch| batch.batch_id).collect();
    ids.sort_unstable();
    ids
}

async fn seals_are_read_with_the_receipt_once_it_is_here(database: Database) {
    let store = store_with(&database, &[2, 1]).await;
    assert!(writing!(store, tx => answer(tx, id(2), vec![7], at(20))).unwrap());
    let seals = reading!(store, tx => seals(tx, &[id(2), id(3), id(1)]));
    let expected = |number: u8, receipt| BatchSeals { batch_id: id(number), seal: vec![number], receipt };
    assert_eq!(seals, [expected(1, None), expected(2, Some(vec![7]))]);
}

async fn a_lapsed_batch_is_in_doubt_and_found_when_its_next_attempt_is_due(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, &batch(1, &[4, 5]))).unwrap();
    assert_eq!((leased_ids(&store).await, lapsed_id(&store, 99).await), (vec![id(1)], None), "its lease runs");
    writing!(store, tx => lapse(tx, id(1), at(50))).unwrap();
    assert_eq!((leased_ids(&store).await, lapsed_id(&store, 49).await), (vec![], None));
    let found = lapsed_at(&store, 50).await.unwrap();
    let written = batch(1, &[4, 5]);
    assert_eq!((found.batch_id, found.peer, found.root), (written.batch_id, written.peer, written.root));
    assert_eq!((found.items, found.attempts, found.moved), (written.items, 1, false));
}

async fn only_a_lease_that_runs_lapses(database: Database) {
    let store = store_with(&database, &[1, 2]).await;
    writing!(store, tx => answer(tx, id(2), vec![7], at(20))).unwrap();
    for (number, next) in [(1, 30), (1, 90), (2, 30), (3, 30)] {
        writing!(store, tx => lapse(tx, id(number), at(next))).unwrap();
    }
    assert_eq!(lapsed_id(&store, 30).await, Some(id(1)), "a second lapse puts nothing off");
    writing!(store, tx => leave(tx, id(1), 0, at(30))).unwrap();
    writing!(store, tx => lapse(tx, id(1), at(30))).unwrap();
    assert_eq!(lapsed_id(&store, 99).await, None, "neither what was answered nor what moved is in doubt again");
}

async fn every_lease_of_the_last_run_lapses_at_once_and_nothing_else_changes(database: Database) {
    let store = store_with(&database, &[1, 2, 3, 4]).await;
    writing!(store, tx => lapse(tx, id(2), at(50))).unwrap();
    writing!(store, tx => answer(tx, id(3), vec![7], at(20))).unwrap();
    assert_eq!(writing!(store, tx => lapse_all(tx, 1)).unwrap(), 1);
    assert_eq!(writing!(store, tx => lapse_all(tx, 256)).unwrap(), 1);
    assert_eq!(leased_ids(&store).await, []);
    let mut found = Vec::new();
    while let Some(batch) = lapsed_id(&store, 10).await {
        writing!(store, tx => leave(tx, batch, 0, at(0))).unwrap();
        found.push(batch);
    }
    found.sort_unstable();
    assert_eq!(found, [id(1), id(4)], "due since they were made");
    assert_eq!((lapsed_id(&store, 49).await, lapsed_id(&store, 50).await), (None, Some(id(2))));
    assert_eq!(writing!(store, tx => lapse_all(tx, 256)).unwrap(), 0);
}

async fn the_batch_that_waited_longest_is_found_first_and_only_for_its_peer(database: Database) {
    let store = store_with(&database, &[1, 2]).await;
    writing!(store, tx => insert(tx, &NewBatch { peer: peer("c.example"), ..batch(3, &[3]) })).unwrap();
    for (number, next) in [(1, 60), (2, 50), (3, 40)] {
        writing!(store, tx => lapse(tx, id(number), at(next))).unwrap();
    }
    assert_eq!(lapsed_id(&store, 99).await, Some(id(2)));
    let other = reading!(store, tx => lapsed(tx, &peer("c.example"), at(99)));
    assert_eq!(other.map(|batch| batch.batch_id), Some(id(3)));
    assert!(reading!(store, tx => lapsed(tx, &peer("d.example"), at(99))).is_none());
}

async fn what_stays_in_doubt_waits_and_a_batch_that_moved_is_not_found_again(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, &batch(1, &[4, 5, 6]))).unwrap();
    writing!(store, tx => lapse(tx, id(1), at(10))).unwrap();
    writing!(store, tx => leave(tx, id(1), 1, at(70))).unwrap();
    assert_eq!(lapsed_id(&store, 69).await, None);
    let found = lapsed_at(&store, 70).await.unwrap();
    assert_eq!((found.attempts, found.moved, found.items.len()), (2, true, 3), "the list stays what was sealed");
    writing!(store, tx => leave(tx, id(1), 0, at(70))).unwrap();
    assert_eq!((lapsed_id(&store, 99).await, leased_ids(&store).await), (None, vec![]));
    assert!(reading!(store, tx => find(tx, id(1))).unwrap().moved, "and it is still known");
}

async fn nothing_is_left_of_a_batch_that_is_not_in_doubt(database: Database) {
    let store = store_with(&database, &[1, 2]).await;
    writing!(store, tx => answer(tx, id(2), vec![7], at(20))).unwrap();
    for number in [1, 2] {
        writing!(store, tx => leave(tx, id(number), 1, at(10))).unwrap();
        assert_eq!(reading!(store, tx => find(tx, id(number))).unwrap().attempts, 1);
    }
    assert_eq!((leased_ids(&store).await, lapsed_id(&store, 99).await), (vec![id(1)], None));
}

async fn what_is_in_doubt_towards_a_peer_is_looked_at_again_at_once(database: Database) {
    let store = store_with(&database, &[1, 2, 3, 4]).await;
    writing!(store, tx => insert(tx, &NewBatch { peer: peer("c.example"), ..batch(5, &[5]) })).unwrap();
    for number in [1, 3, 4, 5] {
        writing!(store, tx => lapse(tx, id(number), at(500))).unwrap();
    }
    writing!(store, tx => leave(tx, id(3), 0, at(500))).unwrap();
    writing!(store, tx => answer(tx, id(4), vec![7], at(20))).unwrap();
    writing!(store, tx => retry_now(tx, &peer("b.example"))).unwrap();
    assert_eq!(lapsed_id(&store, 0).await, Some(id(1)));
    assert!(reading!(store, tx => lapsed(tx, &peer("c.example"), at(499))).is_none(), "another peer's waits");
    writing!(store, tx => leave(tx, id(1), 0, at(0))).unwrap();
    assert_eq!((lapsed_id(&store, 499).await, leased_ids(&store).await), (None, vec![id(2)]), "and nothing else does");
}

async fn a_receipt_counts_once_whatever_became_of_the_batch(database: Database) {
    let store = store_with(&database, &[1, 2, 3]).await;
    writing!(store, tx => lapse(tx, id(2), at(10))).unwrap();
    writing!(store, tx => lapse(tx, id(3), at(10))).unwrap();
    writing!(store, tx => leave(tx, id(3), 0, at(10))).unwrap();
    for number in [1, 2, 3] {
        assert!(writing!(store, tx => answer(tx, id(number), vec![7], at(20))).unwrap());
        assert!(!writing!(store, tx => answer(tx, id(number), vec![8], at(30))).unwrap());
    }
    let receipts = reading!(store, tx => seals(tx, &[id(1), id(2), id(3)])).into_iter().map(|seals| seals.receipt);
    assert_eq!(receipts.collect::<Vec<_>>(), vec![Some(vec![7]); 3], "the first one stays");
    assert_eq!((lapsed_id(&store, 99).await, leased_ids(&store).await), (None, vec![]));
    assert!(!writing!(store, tx => answer(tx, id(4), vec![7], at(20))).unwrap(), "no such batch");
    assert!(reading!(store, tx => find(tx, id(4))).is_none());
}
