//! Items from submission to their end. What waits, for whom, and since when, stands here.

mod claim;
mod item;
mod settle;

use bytes::Bytes;
use lotse_core::category::Categories;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;

use super::*;
use crate::batch::tests::batch;
use crate::batch::{self, NewBatch};
use crate::testing::{Database, on_both_engines, reading, writing};
use crate::vault::Sealed;

on_both_engines! {
    what_waits_is_counted_for_each_peer_and_its_age_told
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
        submitted_at: at(submitted_at),
        expires_at: at(1_000),
        content: Sealed { key: vec![1].into(), ciphertext: vec![2].into() },
        release: None,
    }
}

/// What a claim into a batch freezes for an item.
pub(crate) fn release_in(batch: u8, number: u8) -> Release {
    Release {
        batch_id: id(batch),
        envelope_id: id(100 + number),
        envelope_digest: Digest::of(&[number]),
        consent_id: Some(id(50)),
        sent: Categories::from_bits(3),
        left_out: Categories::from_bits(4),
        hold_until: at(900),
        feedback: FeedbackLevel::Status,
        head: vec![number; 3].into(),
    }
}

/// A referral to `b.example` that was released in a batch.
pub(crate) fn released(number: u8, batch: u8) -> NewItem {
    NewItem { release: Some(release_in(batch, number)), ..due(number, "b.example", 10) }
}

/// An answer to `b.example` in the thread of a referral, due.
fn answer_in(thread: u8, number: u8) -> NewItem {
    NewItem { kind: ItemKind::Answer, thread_id: id(thread), ..due(number, "b.example", 10) }
}

fn ids(numbers: &[u8]) -> Vec<Id> {
    numbers.iter().map(|&number| id(number)).collect()
}

async fn what_waits_is_counted_for_each_peer_and_its_age_told(database: Database) {
    let store = database.open().await;
    let items = || vec![due(1, "a.example", 20), due(2, "a.example", 10), due(3, "b.example", 40)];
    writing!(store, tx => insert(tx, items())).unwrap();
    let in_doubt = || NewBatch { created_at: at(30), ..batch(9, &[7, 8]) };
    writing!(store, tx => batch::insert(tx, &in_doubt())).unwrap();
    let (waiting, oldest) = (reading!(store, tx => waiting(tx)), reading!(store, tx => oldest(tx)));
    let counts: Vec<_> = waiting.iter().map(|found| (found.peer.as_str(), found.due, found.in_doubt)).collect();
    assert_eq!(counts, [("a.example", 2, 0), ("b.example", 1, 2)]);
    let ages: Vec<_> = oldest.iter().map(|found| (found.peer.as_str(), found.since.micros())).collect();
    assert_eq!(ages, [("a.example", 10), ("b.example", 30)]);
}
