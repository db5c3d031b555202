//! When the content of a held copy goes, and how copies are found.

use lotse_core::reason::Reason;

use super::*;
use crate::Store;
use crate::import::{self, Fetched, Imported};
use crate::testing::{Database, on_both_engines, reading, writing};

on_both_engines! {
    a_copy_is_told_with_the_systems_that_confirmed_this_very_revision
    content_goes_with_the_lease_or_by_age_and_the_row_stays
    leases_that_end_together_are_purged_in_steps
    what_brought_no_record_is_found_by_its_envelope_alone
    answers_of_a_thread_come_in_its_order
    received_referrals_are_listed_newest_first_in_pages
    where_a_received_referral_stands_is_told_with_it_alone
    a_copy_that_cannot_be_read_is_named_and_hides_no_other
    the_newest_referrals_of_persons_are_found_and_where_they_stand
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
        let purge = store.transact("purge", move |tx| Box::pin(purge_ended(tx, at(now), at(taken_until), 256)));
        assert_eq!(purge.await.unwrap(), purged);
        assert_eq!(with_content(&store).await, left);
    }
    let rows =
        store.read("find", |tx| Box::pin(async { remembered(tx, &[id(1), id(2)], &[]).await.map(|found| found.rows) }));
    assert_eq!(rows.await.unwrap().len(), 2, "what was done with them is remembered");
}

async fn leases_that_end_together_are_purged_in_steps(database: Database) {
    let store = database.open().await;
    take(&store, (1..=5).map(|number| arrival(number, 10, if number == 5 { 900 } else { 100 })).collect()).await;
    for purged in [2, 2, 1, 0] {
        let purge = store.transact("purge", |tx| Box::pin(purge_ended(tx, at(100), at(10), 2)));
        assert_eq!(purge.await.unwrap(), purged);
    }
    assert_eq!(with_content(&store).await, []);
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
            let by_record = remembered(tx, &[], &[Id::NIL, id(2)]).await?.rows;
            let by_envelope = remembered(tx, &[id(1), id(3)], &[Id::NIL]).await?.rows;
            Ok((by_record, by_envelope, find(tx, &[Id::NIL]).await?.len() + received(tx, &[Id::NIL]).await?.len()))
        })
    });
    let (by_record, by_envelope, taken) = found.await.unwrap();
    assert_eq!(by_record.iter().map(|known| known.record_id).collect::<Vec<_>>(), [Some(id(2))]);
    assert_eq!(by_envelope.iter().map(|known| known.envelope_id).collect::<Vec<_>>(), [id(1), id(3)]);
    assert_eq!(taken, 0);
}

/// An answer in the thread of a referral.
fn answer_in(thread: u8, number: u8, sequence: u64) -> Arrival {
    let mut arrival = arrival(number, 10, 900);
    let copy = arrival.copy.as_mut().unwrap();
    (copy.kind, copy.thread_id, copy.thread_sequence) = (ItemKind::Answer, id(thread), sequence);
    arrival
}

/// An envelope that was refused: a row without a copy.
fn refused(number: u8) -> Arrival {
    Arrival { outcome: Outcome::Refused(Reason::EnvelopeExpired), copy: None, ..arrival(number, 10, 900) }
}

fn records(held: &[Held]) -> Vec<Id> {
    held.iter().map(|held| held.record_id).collect()
}

async fn answers_of_a_thread_come_in_its_order(database: Database) {
    let store = database.open().await;
    let answers_of_one = [answer_in(1, 3, 2), answer_in(1, 5, 1), answer_in(2, 4, 1)];
    take(&store, [vec![arrival(1, 10, 900), refused(6)], answers_of_one.to_vec()].concat()).await;
    let found = reading!(store, tx => answers(tx, id(1)));
    assert_eq!((records(&found), found[0].thread_sequence), (vec![id(5), id(3)], 1));
    assert!(reading!(store, tx => answers(tx, id(3))).is_empty());
}

async fn a_copy_that_cannot_be_read_is_named_and_hides_no_other(database: Database) {
    let store = database.open().await;
    take(&store, vec![arrival(1, 10, 900), answer_in(3, 2, 1), arrival(3, 10, 900), answer_in(3, 4, 2)]).await;
    let broken: Vec<i64> =
        reading!(store, tx => find(tx, &[id(1), id(2)])).iter().map(|copy| copy.seq as i64).collect();
    for seq in broken {
        let sql = "UPDATE custody SET feedback = 99, reason = 9999, referral_state = 99 WHERE seq = $1";
        writing!(store, tx => tx.execute(sql, [seq.into()])).unwrap();
    }
    let found = reading!(store, tx => find_readable(tx, &[id(1), id(2), id(3)]));
    assert_eq!((records(&found.rows), found.broken), (vec![id(3)], vec![id(1), id(2)]));
    assert_eq!(records(&reading!(store, tx => find(tx, &[id(1), id(3)]))), [id(3)]);
    let usable_copies = reading!(store, tx => usable(tx, &[id(1), id(3)]));
    let holds: Vec<_> = usable_copies.rows.iter().map(|copy| (copy.record_id, copy.purpose)).collect();
    assert_eq!(
        (holds.len(), usable_copies.broken),
        (2, vec![]),
        "what is broken is not what it may be used for: {holds:?}"
    );
    assert_eq!(records(&reading!(store, tx => answers(tx, id(3)))), [id(4)]);
    assert_eq!(reading!(store, tx => received(tx, &[id(1), id(3)])).len(), 1);
    let page = reading!(store, tx => list_referrals(tx, u64::MAX, 2));
    assert_eq!((records(&page.found.rows), page.found.broken), (vec![id(3)], vec![id(1)]));
    assert_eq!(page.last_seq, Some(1), "so that the list goes on");
    // A place in a thread from before it was bounded is stored as a negative number.
    let seq = reading!(store, tx => answers(tx, id(3)))[0].seq as i64;
    let sql = "UPDATE custody SET thread_sequence = -9223372036854775808 WHERE seq = $1";
    writing!(store, tx => tx.execute(sql, [seq.into()])).unwrap();
    assert_eq!(reading!(store, tx => answers(tx, id(3)))[0].thread_sequence, 1 << 63);
}

async fn received_referrals_are_listed_newest_first_in_pages(database: Database) {
    let store = database.open().await;
    take(&store, vec![arrival(1, 10, 900), answer_in(1, 2, 1), arrival(3, 10, 900), refused(4), arrival(5, 10, 900)])
        .await;
    let first = reading!(store, tx => list_referrals(tx, u64::MAX, 2)).found.rows;
    assert_eq!(records(&first), [id(5), id(3)]);
    let before = first[1].seq;
    assert_eq!(records(&reading!(store, tx => list_referrals(tx, before, 2)).found.rows), [id(1)]);
}

async fn where_a_received_referral_stands_is_told_with_it_alone(database: Database) {
    let store = database.open().await;
    take(&store, vec![arrival(1, 10, 900), answer_in(1, 2, 1), arrival(3, 10, 900), refused(4)]).await;
    for number in [1, 2, 77] {
        writing!(store, tx => set_referral_state(tx, id(number), ReferralState::Accepted)).unwrap();
    }
    let mut told = reading!(store, tx => received(tx, &[id(1), id(2), id(3), id(77)]));
    told.sort_by_key(|told| told.record_id);
    let states: Vec<_> = told.iter().map(|told| (told.record_id, told.kind, told.referral_state)).collect();
    let (referral, answer) = (ItemKind::Referral, ItemKind::Answer);
    let (accepted, still) = (ReferralState::Accepted, ReferralState::Received);
    assert_eq!(states, [(id(1), referral, accepted), (id(2), answer, still), (id(3), referral, still)]);
    assert_eq!((told[1].thread_id, told[1].purpose), (id(1), Purpose::Orientation));
}

async fn the_newest_referrals_of_persons_are_found_and_where_they_stand(database: Database) {
    let store = database.open().await;
    let of_person = |number: u8, person: u8| {
        let mut arrival = arrival(number, 1, 100);
        arrival.copy.as_mut().unwrap().subject_ref = Some(id(person));
        arrival
    };
    let arrivals = move || vec![of_person(1, 9), arrival(2, 1, 100), of_person(3, 8), of_person(4, 9)];
    writing!(store, tx => insert(tx, &arrivals())).unwrap();
    let owner: AgencyId = "jc.example".parse().unwrap();
    let latest = |record: u8, person: u8| Latest { record_id: id(record), person: id(person), agency: owner.clone() };
    assert_eq!(reading!(store, tx => newest(tx, 2)), [latest(4, 9), latest(3, 8)]);
    assert_eq!(reading!(store, tx => newest(tx, 9)).len(), 3, "without a person it is nobody's");
    writing!(store, tx => set_referral_state(tx, id(4), ReferralState::Declined)).unwrap();
    let found = reading!(store, tx => standing(tx, &[id(1), id(4), id(7)]));
    let states: Vec<_> = found.iter().map(|found| (found.record_id, found.subject_ref, found.state)).collect();
    assert_eq!(states, [(id(1), Some(id(9)), ReferralState::Received), (id(4), Some(id(9)), ReferralState::Declined)]);
    assert_eq!((&found[0].owner, found[0].purpose, found[0].hold_until), (&owner, Purpose::Orientation, at(100)));
}
