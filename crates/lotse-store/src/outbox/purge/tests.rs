//! When the content of outgoing items goes.

use bytes::Bytes;
use lotse_core::delivery::DeliveryState;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::Digest;
use lotse_core::referral::ReferralState;

use super::*;
use crate::Store;
use crate::batch::{BatchItem, NewBatch};
use crate::outbox::tests::due;
use crate::outbox::{ItemKind, NewItem, Release, Settled, answers, in_doubt, insert, settle};
use crate::testing::{Database, on_both_engines};

on_both_engines! {
    content_of_what_was_refused_or_ended_goes_so_many_at_a_time_and_of_nothing_else
    content_of_what_was_released_goes_when_nobody_may_hold_it_any_longer
    what_is_due_again_keeps_its_content_and_goes_with_the_batch_in_which_it_is_released_again
    content_released_under_a_consent_is_found_and_purged
    an_answer_without_content_is_still_told
}

const BATCH: u8 = 100;

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// An item of the batch, to be held until a time, under the consent of this number.
fn released(number: u8, hold_until: i64, consent: u8) -> NewItem {
    let release = Release {
        batch_id: id(BATCH),
        envelope_id: id(number),
        envelope_digest: Digest::of(&[number]),
        consent_id: Some(id(consent)),
        sent: Categories::from_bits(0),
        left_out: Categories::from_bits(0),
        hold_until: at(hold_until),
        feedback: FeedbackLevel::Status,
        head: Bytes::from_static(b"head"),
    };
    NewItem { release: Some(release), ..due(number, "aa.example", 1) }
}

fn batch(batch_id: u8, records: &[u8], content_until: i64) -> NewBatch {
    let item = |&number: &u8| BatchItem { record_id: id(number), digest: Digest::of(&[number]) };
    NewBatch {
        batch_id: id(batch_id),
        peer: "aa.example".parse().unwrap(),
        created_at: at(1),
        root: Digest::of(b"root"),
        seal: Vec::new(),
        items: records.iter().map(item).collect(),
        attempts: 0,
        content_until: Some(at(content_until)),
    }
}

async fn write(store: &Store, items: Vec<NewItem>, batches: Vec<NewBatch>) {
    let written = store.transact("write", move |tx| {
        let (items, batches) = (items.clone(), batches.clone());
        Box::pin(async move {
            insert(tx, items).await?;
            for batch in &batches {
                crate::batch::insert(tx, batch).await?;
            }
            Ok(())
        })
    });
    written.await.unwrap();
}

async fn set(store: &Store, from: DeliveryState, number: u8, state: DeliveryState) {
    let item = Settled {
        record_id: id(number),
        state,
        referral_state: ReferralState::Offered,
        next_attempt_at: at(1),
        attempts: 0,
        reasons: Vec::new(),
    };
    let set = store.transact("settle", move |tx| {
        let item = item.clone();
        Box::pin(async move { settle(tx, from, &[item]).await })
    });
    assert_eq!(set.await.unwrap(), 1);
}

async fn with_content(store: &Store) -> Vec<u8> {
    let sql =
        "SELECT record_id FROM outbox WHERE seq < 99 AND content IS NOT NULL AND content_key IS NOT NULL ORDER BY seq";
    let rows = store.read("look", move |tx| Box::pin(tx.fetch(sql, [])));
    rows.await.unwrap().iter().map(|row| row.get::<Id>(0).unwrap().as_bytes()[0]).collect()
}

async fn overdue(store: &Store, now: i64, batches: u32) -> (usize, u64) {
    let purge = store.transact("purge", move |tx| Box::pin(purge_overdue(tx, at(now), batches)));
    let Overdue { batches, purged } = purge.await.unwrap();
    (batches, purged)
}

async fn content_of_what_was_refused_or_ended_goes_so_many_at_a_time_and_of_nothing_else(database: Database) {
    let store = database.open().await;
    let items = vec![
        due(1, "aa.example", 1),
        due(2, "aa.example", 1),
        released(3, 900, 1),
        released(4, 900, 1),
        due(5, "aa.example", 1),
    ];
    write(&store, items, vec![]).await;
    set(&store, DeliveryState::Due, 2, DeliveryState::Ended).await;
    set(&store, DeliveryState::InDoubt, 4, DeliveryState::Refused).await;
    set(&store, DeliveryState::Due, 5, DeliveryState::Ended).await;
    for (purged, left) in [(2, 3), (1, 2), (0, 2)] {
        let purge = store.transact("purge", |tx| Box::pin(purge_ended(tx, 2)));
        assert_eq!(purge.await.unwrap(), purged);
        assert_eq!(with_content(&store).await.len(), left);
    }
    assert_eq!(with_content(&store).await, [1, 3]);
}

async fn content_of_what_was_released_goes_when_nobody_may_hold_it_any_longer(database: Database) {
    let store = database.open().await;
    let items = vec![released(1, 100, 1), released(2, 200, 1), released(3, 300, 1), released(4, 150, 1)];
    write(&store, items, vec![batch(BATCH, &[1, 2, 3], 100), batch(101, &[4], 150)]).await;
    let answer = store.transact("answer", |tx| Box::pin(batch::answer(tx, id(BATCH), vec![1], at(9))));
    assert!(answer.await.unwrap(), "taken or in doubt");
    assert_eq!(overdue(&store, 99, 9).await, (0, 0));
    assert_eq!(overdue(&store, 100, 9).await, (1, 1));
    assert_eq!(overdue(&store, 100, 9).await, (0, 0), "looked at again when the next one goes");
    assert_eq!(with_content(&store).await, [2, 3, 4]);
    assert_eq!(overdue(&store, 300, 1).await, (1, 1), "no more batches than asked, the longest overdue first");
    assert_eq!(with_content(&store).await, [2, 3]);
    assert_eq!(overdue(&store, 300, 9).await, (1, 2));
    assert_eq!(overdue(&store, 900, 9).await, (0, 0));
    let doubtful =
        store.read("find", |tx| Box::pin(async { in_doubt(tx, &[id(1)], id(BATCH)).await.map(|found| found.rows) }));
    let row = doubtful.await.unwrap().remove(0);
    assert!(row.content.is_none() && row.frozen.is_some(), "row and digest stay");
}

async fn what_is_due_again_keeps_its_content_and_goes_with_the_batch_in_which_it_is_released_again(database: Database) {
    let store = database.open().await;
    write(&store, vec![released(1, 100, 1)], vec![batch(BATCH, &[1], 100)]).await;
    set(&store, DeliveryState::InDoubt, 1, DeliveryState::Due).await;
    assert_eq!(overdue(&store, 100, 9).await, (1, 0));
    assert_eq!(with_content(&store).await, [1]);
    set(&store, DeliveryState::Due, 1, DeliveryState::InDoubt).await;
    write(&store, vec![], vec![batch(101, &[1], 120)]).await;
    assert_eq!(overdue(&store, 120, 9).await, (1, 1));
}

async fn content_released_under_a_consent_is_found_and_purged(database: Database) {
    let store = database.open().await;
    write(&store, vec![released(1, 900, 7), released(2, 900, 8), released(3, 900, 7), released(4, 900, 7)], vec![])
        .await;
    set(&store, DeliveryState::InDoubt, 4, DeliveryState::Due).await;
    let kept = async || {
        let look = store.read("kept", |tx| {
            Box::pin(async { kept(tx, id(7), &[id(1), id(2), id(3), id(4)]).await.map(|found| found.rows) })
        });
        look.await.unwrap().iter().map(|item| item.record_id).collect::<Vec<_>>()
    };
    assert_eq!(kept().await, [id(1), id(3)], "what is due is decided again before it goes");
    let purge = store.transact("purge", |tx| Box::pin(async { purge(tx, &[id(1), id(4), id(9)]).await }));
    assert_eq!(purge.await.unwrap(), 1);
    assert_eq!(kept().await, [id(3)]);
    assert_eq!(with_content(&store).await, [2, 3, 4]);
}

async fn an_answer_without_content_is_still_told(database: Database) {
    let store = database.open().await;
    let answer = |number: u8| NewItem { kind: ItemKind::Answer, thread_id: id(50), ..released(number, 100, 1) };
    write(&store, vec![answer(1), answer(2)], vec![]).await;
    store.transact("purge", |tx| Box::pin(async { purge(tx, &[id(1)]).await })).await.unwrap();
    let told = store.read("answers", |tx| Box::pin(answers(tx, id(50)))).await.unwrap();
    assert_eq!(told.rows.iter().map(|answer| answer.content.is_some()).collect::<Vec<_>>(), [false, true]);
}
