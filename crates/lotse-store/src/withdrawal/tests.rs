//! What a withdrawal waits for.

use super::*;
use crate::batch::{self, tests::batch};
use crate::outbox::NewItem;
use crate::outbox::tests::{release_in, released};
use crate::testing::{Database, on_both_engines, reading, writing};

on_both_engines! {
    a_withdrawal_waits_for_the_batches_that_carry_something_under_its_consent
    a_batch_is_waited_for_while_its_lease_runs
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

/// Batch 21 carries records 1 and 2, batch 22 record 3, batch 23 the answer 4.
async fn a_withdrawal_waits_for_the_batches_that_carry_something_under_its_consent(database: Database) {
    let store = database.open().await;
    let under = |number: u8, batch: u8, consent_id: Option<Id>| {
        let release = outbox::Release { consent_id, ..release_in(batch, number) };
        NewItem { release: Some(release), ..released(number, batch) }
    };
    let items = move || {
        let (first, second) = (Some(id(51)), Some(id(52)));
        vec![under(1, 21, first), under(2, 21, second), under(3, 22, second), under(4, 23, None)]
    };
    writing!(store, tx => outbox::insert(tx, items())).unwrap();
    for (number, records) in [(21, &[1, 2][..]), (22, &[3]), (23, &[4]), (24, &[5])] {
        writing!(store, tx => batch::insert(tx, &batch(number, records))).unwrap();
    }
    let carriers_of = async |consents: &'static [u8], only: Option<u8>| {
        let consents: Vec<Id> = consents.iter().map(|&number| id(number)).collect();
        let mut leased = reading!(store, tx => batch::leased(tx)).rows;
        leased.retain(|batch| only.is_none_or(|only| batch.batch_id == id(only)));
        reading!(store, tx => carriers(tx, &consents, &leased))
    };
    assert_eq!(carriers_of(&[51], None).await, [id(21)]);
    assert_eq!(carriers_of(&[52], None).await, [id(21), id(22)], "each of them once");
    assert_eq!(carriers_of(&[51, 52], Some(22)).await, [id(22)], "only batches that were asked about");
    assert_eq!(carriers_of(&[53], None).await, []);
    assert_eq!(carriers_of(&[], None).await, []);
}

async fn a_batch_is_waited_for_while_its_lease_runs(database: Database) {
    let store = database.open().await;
    for number in [1, 2, 3, 4] {
        writing!(store, tx => batch::insert(tx, &batch(number, &[number]))).unwrap();
    }
    writing!(store, tx => batch::lapse(tx, id(2), Timestamp::from_micros(50))).unwrap();
    writing!(store, tx => batch::answer(tx, id(3), vec![7], Timestamp::from_micros(50))).unwrap();
    let asked = || [1, 2, 3, 77].map(id);
    assert_eq!(reading!(store, tx => batch::still_leased(tx, &asked())), [id(1)], "4 runs too, and nobody asked");
}
