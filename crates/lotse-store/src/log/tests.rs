use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::Tile;
use lotse_core::log::tree::{Frontier, root};
use lotse_core::time::Timestamp;

use super::*;
use crate::counter::{self, Counter};
use crate::testing::{Database, on_both_engines, reading, writing};
use crate::{Store, StoreError, meta};

on_both_engines! {
    entries_are_read_in_order_and_listed_newest_first
    a_filter_narrows_by_every_field
    carried_entries_keep_their_order_in_the_next_generation
    tiles_grow_in_place_and_load_the_tree_again
    checkpoints_are_kept_one_per_size
    facts_read_as_they_were_written
    a_new_generation_counts_from_the_beginning
}

fn entry(number: u64) -> Entry {
    Entry {
        at: Timestamp::from_micros(number as i64),
        kind: 1 + (number % 3) as i32,
        direction: if number < 10 { 1 } else { 2 },
        peer: if number.is_multiple_of(2) { "even.example".into() } else { "odd.example".into() },
        decision: (number % 2) as i32,
        record_id: number.is_multiple_of(5).then(|| Id::from_bytes([number as u8; 16])),
        bytes: number.to_string().into_bytes(),
    }
}

async fn store_with(database: &Database, count: u64) -> Store {
    let store = database.open().await;
    store
        .transact("append", move |tx| {
            Box::pin(async move {
                let taken = counter::take(tx, &[(Counter::Leaf, count as i64)]).await?;
                append(tx, 1, taken.first(&Counter::Leaf, count as usize), (0..count).map(entry).collect()).await
            })
        })
        .await
        .unwrap();
    store
}

fn indices(leaves: &[Leaf]) -> Vec<u64> {
    leaves.iter().map(|leaf| leaf.index).collect()
}

async fn entries_are_read_in_order_and_listed_newest_first(database: Database) {
    let store = store_with(&database, 20).await;
    assert_eq!(indices(&reading!(store, tx => read(tx, 1, 3, 4))), [3, 4, 5, 6]);
    assert_eq!(indices(&reading!(store, tx => list(tx, 1, &Filter::default(), 0..u64::MAX, 3))), [19, 18, 17]);
    assert_eq!(indices(&reading!(store, tx => list(tx, 1, &Filter::default(), 0..2, 9))), [1, 0]);
    assert_eq!(indices(&reading!(store, tx => list(tx, 1, &Filter::default(), 17..19, 9))), [18, 17]);
    assert_eq!((reading!(store, tx => end(tx, 1)), reading!(store, tx => end(tx, 2))), (20, 0));
    assert!(reading!(store, tx => read(tx, 2, 0, 4)).is_empty());
    let found = reading!(store, tx => find(tx, 1, 7)).unwrap();
    assert_eq!((found.index, found.entry.bytes), (7, b"7".to_vec()));
    assert!(reading!(store, tx => find(tx, 1, u64::MAX)).is_none());
    let all = Extent { count: 20, lowest: Some(0), highest: Some(19) };
    assert_eq!(reading!(store, tx => extent(tx, 1)), all);
    assert_eq!(reading!(store, tx => generations(tx)), [1]);
    assert_eq!(reading!(store, tx => outside(tx, 1, 18, 9)), [18, 19]);
    assert_eq!(reading!(store, tx => read_unchecked(tx, 1, 5, 8)).len(), 3);
}

async fn a_filter_narrows_by_every_field(database: Database) {
    let store = store_with(&database, 20).await;
    let even: AgencyId = "even.example".parse().unwrap();
    let at = Timestamp::from_micros;
    let narrowed = [
        (Filter { kind: Some(1), ..Filter::default() }, vec![18, 15, 12, 9, 6, 3, 0]),
        (Filter { kind: Some(1), direction: Some(2), ..Filter::default() }, vec![18, 15, 12]),
        (Filter { peer: Some(even), kind: Some(1), ..Filter::default() }, vec![18, 12, 6, 0]),
        (Filter { record_id: Some(Id::from_bytes([5; 16])), ..Filter::default() }, vec![5]),
        (Filter { decision: Some(1), from: Some(at(15)), ..Filter::default() }, vec![19, 17, 15]),
        (Filter { from: Some(at(3)), until: Some(at(5)), ..Filter::default() }, vec![4, 3]),
    ];
    for (filter, expected) in narrowed {
        let listed = reading!(store, tx => list(tx, 1, &filter, 0..u64::MAX, 100));
        assert_eq!(indices(&listed), expected);
    }
}

async fn carried_entries_keep_their_order_in_the_next_generation(database: Database) {
    let store = store_with(&database, 10).await;
    let carried = writing!(store, tx => carry(tx, (1, 7), (2, 1))).unwrap();
    assert_eq!(carried, 3);
    let moved = reading!(store, tx => read(tx, 2, 0, 10));
    assert_eq!(indices(&moved), [1, 2, 3]);
    assert_eq!(moved[0].entry.bytes, b"7");
    assert_eq!(reading!(store, tx => extent(tx, 1)).count, 7);
    assert_eq!(reading!(store, tx => generations(tx)), [1, 2]);
}

async fn tiles_grow_in_place_and_load_the_tree_again(database: Database) {
    let store = database.open().await;
    let leaves: Vec<Digest> = (0..700u64).map(|number| entry(number).leaf_hash()).collect();
    let mut frontier = Frontier::empty();
    for batch in leaves.chunks(130) {
        let (grown, updates) = frontier.append(batch);
        store
            .transact("tiles", move |tx| {
                let updates = updates.clone();
                Box::pin(async move { write_tiles(tx, 1, &updates).await })
            })
            .await
            .unwrap();
        let edge = Tile::right_edge(grown.size());
        let tiles = reading!(store, tx => read_tiles(tx, 1, &edge));
        frontier = Frontier::load(grown.size(), |tile| tiles.get(tile)).unwrap();
        assert_eq!(frontier, grown);
    }
    assert_eq!(frontier.root(), root(&leaves));
    let stored = reading!(store, tx => stored_tiles(tx, 1, None, 100));
    assert_eq!(stored.len(), Tile::all(700).count());
    let (level, index) = (stored[1].level, stored[1].index);
    assert_eq!(reading!(store, tx => stored_tiles(tx, 1, Some((level, index)), 1)), [stored[2].clone()]);
    assert_eq!(reading!(store, tx => read_tiles(tx, 2, &Tile::right_edge(700))), Tiles::default());
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint {
        head: TreeHead { size, root: Digest::of(&size.to_be_bytes()) },
        signed_at: Timestamp::from_micros(size as i64),
        note: format!("note {size}"),
    }
}

async fn checkpoints_are_kept_one_per_size(database: Database) {
    let store = database.open().await;
    assert_eq!(reading!(store, tx => newest_checkpoint(tx, 1)), None);
    for size in [1, 5, 9] {
        let new = checkpoint(size);
        store
            .transact("test", move |tx| {
                let new = new.clone();
                Box::pin(async move { insert_checkpoint(tx, 1, &new).await })
            })
            .await
            .unwrap();
    }
    let again = writing!(store, tx => async { insert_checkpoint(tx, 1, &checkpoint(5)).await });
    assert!(matches!(again, Err(StoreError::Constraint { .. })), "{again:?}");
    assert_eq!(reading!(store, tx => newest_checkpoint(tx, 1)), Some(checkpoint(9)));
    assert_eq!(reading!(store, tx => count_checkpoints(tx, 1)), 3);
    let listed = reading!(store, tx => checkpoints(tx, 1, Some(1), 1));
    assert_eq!(listed, [(5, Ok(checkpoint(5)))]);
}

async fn facts_read_as_they_were_written(database: Database) {
    let store = database.open().await;
    assert_eq!(reading!(store, tx => meta::generation(tx)), None);
    assert_eq!(reading!(store, tx => meta::restore_point(tx)), None);
    for generation in [1, 7] {
        writing!(store, tx => meta::set_generation(tx, generation)).unwrap();
        assert_eq!(reading!(store, tx => meta::generation(tx)), Some(generation));
    }
    assert_eq!(reading!(store, tx => meta::grants(tx)), None);
    writing!(store, tx => meta::set_grants(tx, b"akte".to_vec())).unwrap();
    assert_eq!(reading!(store, tx => meta::grants(tx)), Some(b"akte".to_vec()));
    assert_eq!(reading!(store, tx => meta::certificate_acts(tx)), 0);
    writing!(store, tx => meta::set_certificate_acts(tx, 7)).unwrap();
    assert_eq!(reading!(store, tx => meta::certificate_acts(tx)), 7);
    writing!(store, tx => meta::probe(tx)).unwrap();
    assert_eq!(reading!(store, tx => meta::closed_checkpoints(tx, 1)), None);
    writing!(store, tx => meta::set_closed_checkpoints(tx, 1, 9)).unwrap();
    assert_eq!(reading!(store, tx => meta::closed_checkpoints(tx, 1)), Some(9));
    assert_eq!(reading!(store, tx => meta::closed_checkpoints(tx, 2)), None);
    let at = Timestamp::from_micros(-3);
    writing!(store, tx => meta::set_restore_point(tx, at)).unwrap();
    assert_eq!(reading!(store, tx => meta::restore_point(tx)), Some(at));
    assert_eq!(reading!(store, tx => meta::clock_trusted_at(tx)), None);
    for at in [at, Timestamp::from_micros(9)] {
        writing!(store, tx => meta::set_clock_trusted_at(tx, at)).unwrap();
        assert_eq!(reading!(store, tx => meta::clock_trusted_at(tx)), Some(at));
    }
}

async fn a_new_generation_counts_from_the_beginning(database: Database) {
    let store = database.open().await;
    let peer: AgencyId = "even.example".parse().unwrap();
    let counters = [Counter::Leaf, Counter::Revision(peer.clone()), Counter::Receipt(peer), Counter::Event];
    let all = counters.clone();
    let raised = store.transact("raise", move |tx| {
        let wanted: Vec<_> = all.iter().map(|counter| (counter.clone(), 7)).collect();
        Box::pin(async move { counter::take(tx, &wanted).await })
    });
    raised.await.unwrap();
    writing!(store, tx => counter::begin_generation(tx)).unwrap();
    let mut left = Vec::new();
    for counter in counters {
        left.push(reading!(store, tx => counter::read(tx, &counter)));
    }
    assert_eq!(left, [0, 0, 0, 7], "only what systems follow goes on");
}
