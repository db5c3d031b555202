//! What is found about a record, and how much of the log is read for it.

use lotse_core::category::Categories;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::Digest;

use super::*;
use crate::batch::{self, NewBatch};
use crate::custody::tests::arrival;
use crate::log;
use crate::outbox::tests::due;
use crate::outbox::{ItemKind, Release};
use crate::testing::{Database, on_both_engines};

on_both_engines! {
    entries_about_a_record_are_found_around_the_times_that_its_rows_tell
    a_referral_leads_to_its_answers_and_to_the_receipt_for_its_batch
}

const HOUR: i64 = 3_600_000_000;

/// One entry an hour, each about a record of its own; every tenth one is of a kind that no row tells of.
fn entry(number: u64) -> Entry {
    Entry {
        at: Timestamp::from_micros(number as i64 * HOUR),
        kind: if number.is_multiple_of(10) { 4 } else { 6 },
        direction: 1,
        peer: "jc.example".into(),
        decision: 1,
        record_id: Some(Id::from_bytes([number as u8; 16])),
        bytes: number.to_string().into_bytes(),
    }
}

async fn entries_about_a_record_are_found_around_the_times_that_its_rows_tell(database: Database) {
    let store = database.open().await;
    let written = store.transact("test", |tx| {
        Box::pin(async {
            log::append(tx, 1, 0, (0..250).map(entry).collect()).await?;
            custody::insert(tx, &[arrival(101, 101 * HOUR, 0), arrival(249, 249 * HOUR, 0)]).await
        })
    });
    written.await.unwrap();
    for (record, read) in [(101, vec![101]), (249, vec![249]), (100, vec![])] {
        let id = Id::from_bytes([record; 16]);
        let asked = Filter { record_id: Some(id), ..Filter::default() };
        let found = store.read("test", move |tx| {
            Box::pin(async move {
                let nowhere = first_since(tx, 2, Timestamp::from_micros(0)).await?;
                let mut places_read = Vec::new();
                for trail in trails(tx, &[id]).await? {
                    places_read.extend(places(tx, 1, &trail).await?);
                }
                Ok((places_read, log::list(tx, 1, &asked, 0..u64::MAX, 9).await?, nowhere))
            })
        });
        let (places, listed, nowhere) = found.await.unwrap();
        assert_eq!(places, read, "so much of the log is read for record {record}");
        let indices: Vec<u64> = listed.iter().map(|leaf| leaf.index).collect();
        assert_eq!((indices, nowhere), (vec![u64::from(record)], 0));
    }
}

/// A referral (1) that went in batch 9, an answer to it that was taken (5) and one that was sent in batch 8 (7). Both batches were
/// answered at the same time.
async fn a_referral_leads_to_its_answers_and_to_the_receipt_for_its_batch(database: Database) {
    let id = |number: u8| Id::from_bytes([number; 16]);
    let at = |hour: i64| Timestamp::from_micros(hour * HOUR);
    let entry = move |hour: i64, kind: i32, about: Option<u8>, bytes: &[u8]| Entry {
        at: at(hour),
        kind,
        record_id: about.map(id),
        bytes: bytes.to_vec(),
        ..entry(0)
    };
    let receipt = move |number: u8| entry(12, 3, None, &[b"batch ".as_slice(), &[number; 16], b" of two"].concat());
    let batch = move |number: u8| NewBatch {
        batch_id: id(number),
        peer: "aa.example".parse().unwrap(),
        created_at: at(11),
        root: Digest::of(b"root"),
        seal: Vec::new(),
        items: Vec::new(),
        attempts: 1,
        content_until: None,
    };
    let released = move |number: u8, kind: ItemKind, batch: u8| {
        let release = Release {
            batch_id: id(batch),
            envelope_id: id(number),
            envelope_digest: Digest::of(&[number]),
            consent_id: None,
            sent: Categories::from_bits(0),
            left_out: Categories::from_bits(0),
            hold_until: at(1_000),
            feedback: FeedbackLevel::Status,
            head: Vec::new().into(),
        };
        let item = due(number, "aa.example", 10 * HOUR);
        outbox::NewItem { kind, thread_id: id(1), release: Some(release), ..item }
    };
    let store = database.open().await;
    let written = store.transact("test", move |tx| {
        Box::pin(async move {
            let entries = vec![
                entry(11, 2, Some(1), b"released"),
                entry(11, 2, Some(7), b"answered"),
                receipt(9),
                receipt(8),
                receipt(6),
                entry(13, 6, Some(3), b"another record taken"),
                entry(100, 6, Some(5), b"answer taken"),
                entry(101, 4, Some(5), b"something rare about it"),
            ];
            log::append(tx, 1, 0, entries).await?;
            for number in [8, 9] {
                batch::insert(tx, &batch(number)).await?;
                batch::answer(tx, id(number), Vec::new(), at(12)).await?;
            }
            outbox::insert(tx, vec![released(1, ItemKind::Referral, 9), released(7, ItemKind::Answer, 8)]).await?;
            let mut answer = arrival(5, 100 * HOUR, 0);
            let copy = answer.copy.as_mut().unwrap();
            (copy.kind, copy.thread_id) = (ItemKind::Answer, id(1));
            custody::insert(tx, &[answer]).await
        })
    });
    written.await.unwrap();
    let listed = async |about: u8, kind: Option<i32>, before: Option<u64>, limit: u32| {
        let filter = Filter { record_id: Some(id(about)), kind, ..Filter::default() };
        let list = store.read("test", move |tx| {
            let filter = filter.clone();
            Box::pin(async move { log::list(tx, 1, &filter, 0..before.unwrap_or(u64::MAX), limit).await })
        });
        list.await.unwrap().iter().map(|leaf| leaf.index).collect::<Vec<_>>()
    };
    assert_eq!(listed(1, None, None, 9).await, [7, 6, 3, 2, 1, 0]);
    assert_eq!(listed(1, None, Some(6), 2).await, [3, 2]);
    assert_eq!(listed(1, Some(3), None, 1).await, [3]);
    assert_eq!(listed(7, None, None, 9).await, [3, 1], "an answer leads to its own receipt, not to the referral's");
    assert_eq!(listed(5, None, None, 9).await, [7, 6]);
    assert_eq!(listed(3, None, None, 9).await, [0; 0], "no row tells of it");
}

#[tokio::test]
async fn what_is_read_about_a_record_is_searched_and_never_scanned_on_sqlite() {
    let database = Database::sqlite();
    let store = database.open().await;
    let searched = [
        (RARE, "SEARCH log_entry USING INDEX log_entry_record (record_id=?)"),
        (TOLD, "SEARCH log_entry USING PRIMARY KEY (generation=? AND leaf_index>? AND leaf_index<?)"),
    ];
    for (sql, step) in searched {
        let sql: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
        let values = || values(1, Id::from_bytes([1; 16]), &Filter::default(), 0..9, 9.into());
        let plan = store.read("plan", move |tx| {
            Box::pin(async move { tx.fetch(sql, values()).await?.iter().map(|row| row.get(3)).collect() })
        });
        let plan: Vec<String> = plan.await.unwrap();
        assert_eq!(plan[0], step);
        assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
    }
}
