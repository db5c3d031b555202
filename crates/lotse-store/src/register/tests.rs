//! What is out under a consent.

use super::*;
use crate::batch::{self, tests::batch};
use crate::consent::tests::{consent, record};
use crate::outbox::tests::released;
use crate::outbox::{NewItem, Settled};
use crate::testing::{Database, on_both_engines, reading, writing};
use lotse_core::delivery::DeliveryState;
use lotse_core::referral::ReferralState;

on_both_engines! {
    what_is_out_under_a_consent_is_all_but_what_was_refused_or_cut_anew
    releases_are_deleted_when_their_time_is_over_so_many_at_a_time_and_the_newest_stays
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

/// The release of a record of subject 9 in batch 30, under the first recipient's reference of a consent.
fn disclosure(number: u8, consent: u8, envelope: u8) -> Disclosure {
    let mut consent_ref = [consent; 16];
    consent_ref[0] = 101;
    Disclosure {
        subject: id(9),
        recipient: "jc.example".parse().unwrap(),
        record_id: id(number),
        envelope_digest: Digest::of(&[envelope]),
        batch_id: id(30),
        consent_ref: Id::from_bytes(consent_ref),
        released_at: Timestamp::from_micros(10),
        keep_until: Timestamp::from_micros(900),
        content: vec![number],
    }
}

async fn what_is_out_under_a_consent_is_all_but_what_was_refused_or_cut_anew(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9), consent(2, 9), consent(3, 8)]).await;
    let items = || (11..=15).map(|number| released(number, 30)).collect::<Vec<NewItem>>();
    writing!(store, tx => outbox::insert(tx, items())).unwrap();
    writing!(store, tx => batch::insert(tx, &batch(30, &[11, 12, 13, 14, 15]))).unwrap();
    // 13 went before under another envelope; 15 went under the other consent.
    let releases = || {
        let [one, two, three] = [11, 12, 13].map(|number| disclosure(number, 1, number));
        vec![one, two, three, disclosure(13, 1, 99), disclosure(14, 1, 14), disclosure(15, 2, 15)]
    };
    writing!(store, tx => insert(tx, releases())).unwrap();
    let mut released: Vec<Id> = reading!(store, tx => under_consent(tx, id(1))).into_iter().map(|it| it.0).collect();
    released.sort_unstable();
    assert_eq!(released, [11, 12, 13, 13, 14].map(id));
    assert_eq!(reading!(store, tx => out_under_consent(tx, id(1))), 4, "in doubt counts as held");
    let refused = || Settled {
        record_id: id(12),
        state: DeliveryState::Refused,
        referral_state: ReferralState::Refused,
        next_attempt_at: Timestamp::from_micros(0),
        attempts: 0,
        reasons: vec![],
    };
    writing!(store, tx => outbox::settle(tx, DeliveryState::InDoubt, &[refused()])).unwrap();
    writing!(store, tx => batch::answer(tx, id(30), vec![7], Timestamp::from_micros(30))).unwrap();
    assert_eq!(reading!(store, tx => out_under_consent(tx, id(1))), 3);
    assert_eq!(reading!(store, tx => out_under_consent(tx, id(2))), 1);
    assert_eq!(reading!(store, tx => out_under_consent(tx, id(3))), 0, "nothing was released under it");
    assert_eq!(reading!(store, tx => out_under_consent(tx, id(77))), 0, "there is no such consent");
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

async fn releases_are_deleted_when_their_time_is_over_so_many_at_a_time_and_the_newest_stays(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9)]).await;
    let releases = || {
        let until = |number, until| Disclosure { keep_until: at(until), ..disclosure(number, 1, number) };
        vec![until(11, 300), until(12, 100), until(13, 900), until(14, 200), until(15, 100)]
    };
    writing!(store, tx => insert(tx, releases())).unwrap();
    let left = async || {
        let mut left: Vec<Id> = reading!(store, tx => under_consent(tx, id(1))).into_iter().map(|it| it.0).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(writing!(store, tx => delete_ended(tx, at(99), 9)).unwrap(), 0);
    assert_eq!(writing!(store, tx => delete_ended(tx, at(300), 2)).unwrap(), 2);
    assert_eq!(left().await, [11, 13, 15].map(id), "the oldest first");
    assert_eq!(writing!(store, tx => delete_ended(tx, at(300), 2)).unwrap(), 1);
    assert_eq!(left().await, [13, 15].map(id), "15 is the newest row");
    writing!(store, tx => insert(tx, vec![disclosure(16, 1, 16)])).unwrap();
    assert_eq!(writing!(store, tx => delete_ended(tx, at(300), 2)).unwrap(), 1);
    assert_eq!(left().await, [13, 16].map(id));
    store.close().await;
    let store = database.open().await;
    let left: Vec<Id> = reading!(store, tx => under_consent(tx, id(1))).into_iter().map(|it| it.0).collect();
    assert_eq!(left.len(), 2, "a start finds the same");
}
