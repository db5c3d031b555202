//! When the content of a held copy goes.

use super::*;
use crate::Store;
use crate::import::{self, Fetched, Imported};
use crate::testing::{Database, on_both_engines};

on_both_engines! {
    a_copy_is_told_with_the_systems_that_confirmed_this_very_revision
    content_goes_with_the_lease_or_by_age_and_the_row_stays
    what_brought_no_record_is_found_by_its_envelope_alone
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A copy of record `number`, brought by the envelope of the same number.
pub(crate) fn arrival(number: u8, taken_at: i64, hold_until: i64) -> Arrival {
    let copy = Copy {
        record_id: id(number),
        kind: ItemKind::Referral,
        thread_id: id(number),
        thread_sequence: 0,
        revision: Sequence::new(1, 2),
        consent_ref: id(1),
        subject_ref: None,
        epoch: Sequence::new(1, 1),
        agreement_id: id(2),
        clause_id: "1".into(),
        purpose: Purpose::Orientation,
        present: Categories::from_bits(0),
        covered: Categories::from_bits(0),
        feedback: FeedbackLevel::Status,
        hold_until: at(hold_until),
        referral_state: ReferralState::Received,
        content: Sealed { key: vec![1].into(), ciphertext: vec![2].into() },
    };
    Arrival {
        envelope_id: id(number),
        digest: Digest::of(&[number]),
        owner: "jc.example".parse().unwrap(),
        sender_generation: 1,
        recipient_generation: 1,
        outcome: Outcome::Taken,
        at: at(taken_at),
        leaf_hash: Digest::of(&[number]),
        expires_at: at(1000),
        copy: Some(copy),
    }
}

async fn take(store: &Store, arrivals: Vec<Arrival>) {
    let insert = store.transact("insert", move |tx| {
        let arrivals = arrivals.clone();
        Box::pin(async move { insert(tx, &arrivals).await })
    });
    insert.await.unwrap();
}

async fn with_content(store: &Store) -> Vec<Id> {
    let found = store.read("find", |tx| Box::pin(async { find(tx, &[id(1), id(2), id(3)]).await }));
    found.await.unwrap().iter().filter(|held| held.content.is_some()).map(|held| held.record_id).collect()
}

async fn confirm(store: &Store, system: &'static str, token: u8) -> Vec<Imported> {
    let told = store.transact("confirm", move |tx| {
        Box::pin(async move {
            import::confirm(tx, system, &[id(token)], at(30)).await?;
            import::imported(tx, &[id(token)]).await
        })
    });
    told.await.unwrap()
}

async fn a_copy_is_told_with_the_systems_that_confirmed_this_very_revision(database: Database) {
    let store = database.open().await;
    take(&store, vec![arrival(1, 10, 900), arrival(2, 10, 900)]).await;
    let fetched = |token: u8, record: u8, counter: u32, system: &str| Fetched {
        token: id(token),
        record_id: id(record),
        revision: Sequence::new(1, counter),
        system: system.into(),
        at: at(20),
    };
    let fetches = [
        fetched(11, 1, 2, "akte"),
        fetched(12, 1, 2, "archiv"),
        fetched(13, 1, 1, "archiv"),
        fetched(14, 2, 2, "archiv"),
    ];
    let written = store.transact("insert", move |tx| {
        let fetches = fetches.clone();
        Box::pin(async move { import::insert(tx, &fetches).await })
    });
    written.await.unwrap();
    let by = |systems: &[&str]| Imported {
        envelope_id: id(1),
        purpose: Purpose::Orientation,
        systems: systems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(confirm(&store, "archiv", 13).await, [], "an older revision is not this copy");
    assert_eq!(confirm(&store, "akte", 11).await, [by(&["akte"])]);
    assert_eq!(confirm(&store, "archiv", 12).await, [by(&["akte", "archiv"])]);
    let purged = store.transact("purge", |tx| Box::pin(async { purge(tx, &[id(1)]).await }));
    assert_eq!(purged.await.unwrap(), 1);
    assert_eq!(with_content(&store).await, [id(2)]);
    assert_eq!(confirm(&store, "archiv", 12).await, [], "what is gone is not told again");
}

async fn content_goes_with_the_lease_or_by_age_and_the_row_stays(database: Database) {
    let store = database.open().await;
    take(&store, vec![arrival(1, 10, 100), arrival(2, 20, 900), arrival(3, 21, 900)]).await;
    for (now, taken_until, purged, left) in
        [(99, 9, 0, vec![id(1), id(2), id(3)]), (100, 9, 1, vec![id(2), id(3)]), (101, 20, 1, vec![id(3)])]
    {
        let purge = store.transact("purge", move |tx| Box::pin(purge_ended(tx, at(now), at(taken_until))));
        assert_eq!(purge.await.unwrap(), purged);
        assert_eq!(with_content(&store).await, left);
    }
    let rows = store.read("find", |tx| Box::pin(async { remembered(tx, &[id(1), id(2)], &[]).await }));
    assert_eq!(rows.await.unwrap().len(), 2, "what was done with them is remembered");
}

async fn what_brought_no_record_is_found_by_its_envelope_alone(database: Database) {
    let store = database.open().await;
    let refused = |number| Arrival {
        outcome: Outcome::Refused(lotse_core::reason::Reason::EnvelopeInvalid),
        copy: None,
        ..arrival(number, 10, 100)
    };
    take(&store, vec![refused(1), arrival(2, 10, 100), refused(3)]).await;
    store.close().await;
    let store = database.open().await; // what memory has is read anew
    let found = store.read("find", |tx| {
        Box::pin(async {
            let by_record = remembered(tx, &[], &[Id::NIL, id(2)]).await?;
            let by_envelope = remembered(tx, &[id(1), id(3)], &[Id::NIL]).await?;
            Ok((by_record, by_envelope, find(tx, &[Id::NIL]).await?.len() + received(tx, &[Id::NIL]).await?.len()))
        })
    });
    let (by_record, by_envelope, taken) = found.await.unwrap();
    assert_eq!(by_record.iter().map(|known| known.record_id).collect::<Vec<_>>(), [Some(id(2))]);
    assert_eq!(by_envelope.iter().map(|known| known.envelope_id).collect::<Vec<_>>(), [id(1), id(3)]);
    assert_eq!(taken, 0);
}
