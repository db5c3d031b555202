//! What waits, for whom, and since when.

use bytes::Bytes;
use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::time::Timestamp;

use super::*;
use crate::batch::{self, BatchItem, NewBatch};
use crate::testing::{Database, on_both_engines};
use crate::vault::Sealed;

on_both_engines! {
    what_waits_is_counted_for_each_peer_and_its_age_told
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

fn peer(name: &str) -> AgencyId {
    name.parse().unwrap()
}

/// A referral that is due.
pub(crate) fn due(number: u8, recipient: &str, submitted_at: i64) -> NewItem {
    NewItem {
        record_id: id(number),
        kind: ItemKind::Referral,
        recipient: peer(recipient),
        thread_id: id(number),
        system: "akte".into(),
        idempotency_key: number.to_string(),
        content_digest: Digest::of(&[number]),
        subject: None,
        purpose: Purpose::Orientation,
        present: Categories::from_bits(0),
        left_out: Categories::from_bits(0),
        request: Bytes::new(),
        submitted_at: Timestamp::from_micros(submitted_at),
        expires_at: Timestamp::from_micros(1_000),
        content: Sealed { key: vec![1].into(), ciphertext: vec![2].into() },
        release: None,
    }
}

async fn what_waits_is_counted_for_each_peer_and_its_age_told(database: Database) {
    let store = database.open().await;
    let written = store.transact("insert", |tx| {
        Box::pin(async {
            insert(tx, vec![due(1, "a.example", 20), due(2, "a.example", 10), due(3, "b.example", 40)]).await?;
            let item = |number: u8| BatchItem { record_id: id(number), digest: Digest::of(&[number]) };
            let batch = NewBatch {
                batch_id: id(9),
                peer: peer("b.example"),
                created_at: Timestamp::from_micros(30),
                root: Digest::of(b"root"),
                seal: Vec::new(),
                items: vec![item(7), item(8)],
                attempts: 1,
            };
            batch::insert(tx, &batch).await
        })
    });
    written.await.unwrap();
    let read = store.read("look", |tx| Box::pin(async { Ok((waiting(tx).await?, oldest(tx).await?)) }));
    let (waiting, oldest) = read.await.unwrap();
    let counts: Vec<_> = waiting.iter().map(|found| (found.peer.as_str(), found.due, found.in_doubt)).collect();
    assert_eq!(counts, [("a.example", 2, 0), ("b.example", 1, 2)]);
    let ages: Vec<_> = oldest.iter().map(|found| (found.peer.as_str(), found.since.micros())).collect();
    assert_eq!(ages, [("a.example", 10), ("b.example", 30)]);
}
