//! What a claim finds and freezes, and what goes again.

use super::*;

on_both_engines! {
    what_is_due_is_found_in_the_order_of_submission_and_answers_wait_for_the_one_before
    an_item_in_doubt_is_found_frozen_in_its_own_batch_alone
    a_release_freezes_what_is_sent_and_leaves_nothing_due
    content_without_what_was_left_out_replaces_that_of_its_item_alone
    what_goes_again_is_the_same_bytes_in_another_batch
}

async fn due_at(store: &crate::Store, micros: i64) -> Vec<Id> {
    let found = reading!(store, tx => super::super::due(tx, &peer("b.example"), at(micros), 10)).rows;
    found.iter().map(|item| item.record_id).collect()
}

/// What is in doubt in a batch, by record id.
async fn doubtful(store: &crate::Store, batch: u8) -> Vec<Claimable> {
    let all = || ids(&[1, 2, 3, 4, 77]);
    let mut found = reading!(store, tx => in_doubt(tx, &all(), id(batch))).rows;
    found.sort_by_key(|item| item.record_id);
    found
}

fn record_ids(items: &[Claimable]) -> Vec<Id> {
    items.iter().map(|item| item.record_id).collect()
}

async fn what_is_due_is_found_in_the_order_of_submission_and_answers_wait_for_the_one_before(database: Database) {
    let store = database.open().await;
    let items = || vec![due(1, "b.example", 20), due(2, "c.example", 10), answer_in(7, 3), answer_in(7, 4)];
    writing!(store, tx => insert(tx, items())).unwrap();
    assert_eq!(due_at(&store, 19).await, ids(&[3]));
    assert_eq!(due_at(&store, 20).await, ids(&[3, 1]));
    writing!(store, tx => release(tx, &[(id(3), release_in(9, 3))])).unwrap();
    writing!(store, tx => batch::insert(tx, &batch(9, &[3]))).unwrap();
    assert_eq!(due_at(&store, 20).await, ids(&[1]), "the answer before it is in doubt");
    writing!(store, tx => batch::answer(tx, id(9), vec![7], at(30))).unwrap();
    assert_eq!(due_at(&store, 20).await, ids(&[4, 1]));
}

async fn an_item_in_doubt_is_found_frozen_in_its_own_batch_alone(database: Database) {
    let store = database.open().await;
    let items = || vec![released(1, 8), released(2, 8), released(3, 9), due(4, "b.example", 10)];
    writing!(store, tx => insert(tx, items())).unwrap();
    let found = doubtful(&store, 8).await;
    assert_eq!(record_ids(&found), ids(&[1, 2]));
    let (frozen, written) = (found[1].frozen.clone().unwrap(), release_in(8, 2));
    assert_eq!((frozen.envelope_id, frozen.envelope_digest), (written.envelope_id, written.envelope_digest));
    assert_eq!((frozen.head, frozen.sent), (written.head.to_vec(), written.sent));
    assert_eq!((frozen.consent_id, frozen.batch_id), (written.consent_id, written.batch_id));
    let content = found[1].content.as_ref().unwrap();
    assert_eq!(content.ciphertext, due(2, "b.example", 10).content.ciphertext);
    let refused = || Settled {
        record_id: id(2),
        state: DeliveryState::Refused,
        referral_state: ReferralState::Refused,
        next_attempt_at: at(0),
        attempts: 0,
        reasons: vec![],
    };
    writing!(store, tx => settle(tx, DeliveryState::InDoubt, &[refused()])).unwrap();
    assert_eq!(record_ids(&doubtful(&store, 8).await), ids(&[1]), "what was refused does not go again");
    assert_eq!(record_ids(&doubtful(&store, 9).await), ids(&[3]));
    assert_eq!(record_ids(&doubtful(&store, 7).await), []);
}

async fn a_release_freezes_what_is_sent_and_leaves_nothing_due(database: Database) {
    let store = database.open().await;
    let items = || (1..=3).map(|number| due(number, "b.example", 10)).collect();
    writing!(store, tx => insert(tx, items())).unwrap();
    let waits = || Settled {
        record_id: id(1),
        state: DeliveryState::Due,
        referral_state: ReferralState::Offered,
        next_attempt_at: at(15),
        attempts: 2,
        reasons: vec![Reason::PeerSuspended],
    };
    writing!(store, tx => settle(tx, DeliveryState::Due, &[waits()])).unwrap();
    writing!(store, tx => release(tx, &[(id(1), release_in(9, 1)), (id(2), release_in(9, 2))])).unwrap();
    assert_eq!(due_at(&store, 99).await, ids(&[3]));
    let found = doubtful(&store, 9).await;
    assert_eq!(record_ids(&found), ids(&[1, 2]));
    assert_eq!((found[0].attempts, found[0].left_out), (2, release_in(9, 1).left_out));
    let item = reading!(store, tx => find(tx, &[id(1)])).remove(0);
    assert_eq!((item.delivery, item.reasons), (DeliveryState::InDoubt, vec![]), "why it waited is forgotten");
    assert_eq!((item.hold_until, item.feedback), (Some(at(900)), Some(FeedbackLevel::Status)));
    assert_eq!((item.categories, item.head), (release_in(9, 1).sent, Some(vec![1; 3])));
}

async fn content_without_what_was_left_out_replaces_that_of_its_item_alone(database: Database) {
    let store = database.open().await;
    let full = |number| NewItem { present: Categories::from_bits(2 | 8 | 16), ..released(number, 9) };
    writing!(store, tx => insert(tx, vec![full(1), full(2)])).unwrap();
    let rest = || {
        let content = Sealed { key: vec![8].into(), ciphertext: vec![8, 8].into() };
        Rest { record_id: id(2), removed: Categories::from_bits(8), content }
    };
    writing!(store, tx => replace_content(tx, vec![rest()])).unwrap();
    let found = doubtful(&store, 9).await;
    let contents: Vec<&Sealed> = found.iter().map(|item| item.content.as_ref().unwrap()).collect();
    assert_eq!((&contents[0].key[..], &contents[0].ciphertext[..]), (&[1][..], &[2][..]));
    assert_eq!((&contents[1].key[..], &contents[1].ciphertext[..]), (&[8][..], &[8, 8][..]));
    let (before, after) = (&found[0], &found[1]);
    assert_eq!(after.present, before.present.without(rest().removed), "what went out cannot go later");
    assert_eq!(after.left_out, before.left_out.or(rest().removed), "and stays named");
    assert_ne!(after.present, before.present);
}

async fn what_goes_again_is_the_same_bytes_in_another_batch(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, vec![released(1, 8), released(2, 8)])).unwrap();
    writing!(store, tx => rebatch(tx, &[id(2)], id(9))).unwrap();
    assert_eq!(record_ids(&doubtful(&store, 8).await), ids(&[1]));
    let again = doubtful(&store, 9).await.remove(0);
    let (frozen, written) = (again.frozen.unwrap(), release_in(8, 2));
    assert_eq!((again.record_id, frozen.batch_id), (id(2), id(9)));
    assert_eq!((frozen.envelope_id, frozen.envelope_digest), (written.envelope_id, written.envelope_digest));
    assert_eq!((frozen.head, frozen.consent_id), (written.head.to_vec(), written.consent_id));
}
