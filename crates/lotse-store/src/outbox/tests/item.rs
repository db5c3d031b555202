//! Items as they are shown: what an answered batch says of them, lists, and what has run out of time.

use super::*;
use crate::testing::tamper;

on_both_engines! {
    what_is_in_doubt_in_an_answered_batch_is_taken_wherever_it_is_shown
    answers_of_a_thread_come_in_the_order_of_submission
    referrals_are_listed_newest_first_in_pages
    the_newest_referrals_of_persons_are_found
    only_what_is_due_expires_and_the_longest_over_comes_first
    the_next_attempt_is_the_earliest_of_what_waits_for_that_peer
    what_waits_is_counted_by_its_first_reason
    an_item_that_cannot_be_read_is_named_and_hides_no_other
    record_ids_that_two_items_have_are_counted
}

async fn what_is_in_doubt_in_an_answered_batch_is_taken_wherever_it_is_shown(database: Database) {
    let store = database.open().await;
    let items = || vec![released(1, 8), released(2, 9), due(3, "b.example", 10)];
    writing!(store, tx => insert(tx, items())).unwrap();
    for number in [8, 9] {
        writing!(store, tx => batch::insert(tx, &batch(number, &[number - 7]))).unwrap();
    }
    writing!(store, tx => batch::answer(tx, id(8), vec![7], at(30))).unwrap();
    let expected = [DeliveryState::Taken, DeliveryState::InDoubt, DeliveryState::Due];
    let asked = || ids(&[3, 1, 77, 2]);
    let shown = reading!(store, tx => find(tx, &asked()));
    assert_eq!(shown.iter().map(|item| item.record_id).collect::<Vec<_>>(), ids(&[1, 2, 3]));
    assert_eq!(shown.iter().map(|item| item.delivery).collect::<Vec<_>>(), expected);
    let referral: Vec<_> = shown.iter().map(|item| item.referral_state).collect();
    assert_eq!(referral, [ReferralState::Received, ReferralState::Offered, ReferralState::Offered]);
    assert_eq!(shown[2].categories, due(3, "b.example", 10).present, "what was handed over, while it is due");

    let mut told = reading!(store, tx => delivered(tx, &asked()));
    told.sort_by_key(|item| item.record_id);
    assert_eq!(told.iter().map(|item| item.delivery).collect::<Vec<_>>(), expected);
    let first = &told[0];
    assert_eq!((first.record_id, first.thread_id), (id(1), id(1)));
    assert_eq!((first.system.as_str(), first.idempotency_key.as_str(), &first.reasons[..]), ("akte", "1", &[][..]));

    let mut known = reading!(store, tx => known(tx, &asked())).rows;
    known.sort_by_key(|(record_id, _)| *record_id);
    assert_eq!(known.iter().map(|(_, known)| known.state).collect::<Vec<_>>(), expected);
    assert_eq!((known[0].0, known[0].1.content_digest), (id(1), Digest::of(&[1])));
    assert_eq!((known[0].1.left_out, known[0].1.kind), (release_in(8, 1).left_out, ItemKind::Referral));
    assert_eq!(known.iter().map(|(_, known)| known.referral_state).collect::<Vec<_>>(), referral);
}

async fn answers_of_a_thread_come_in_the_order_of_submission(database: Database) {
    let store = database.open().await;
    let items = || vec![due(7, "b.example", 10), answer_in(7, 3), answer_in(8, 2), answer_in(7, 1)];
    writing!(store, tx => insert(tx, items())).unwrap();
    let found = reading!(store, tx => answers(tx, id(7)));
    let content = |content: &Option<Sealed>| content.as_ref().unwrap().ciphertext.to_vec();
    let told: Vec<_> = found.rows.iter().map(|answer| (answer.item.record_id, content(&answer.content))).collect();
    assert_eq!(told, [(id(3), vec![2]), (id(1), vec![2])]);
    assert!(
        found.rows.iter().all(|answer| answer.request == answer_in(7, 3).request && answer.item.consent_id.is_none())
    );
    assert!(reading!(store, tx => answers(tx, id(3))).rows.is_empty());
}

async fn referrals_are_listed_newest_first_in_pages(database: Database) {
    let store = database.open().await;
    let items = || vec![due(1, "b.example", 10), answer_in(7, 2), released(3, 9), due(4, "c.example", 10)];
    writing!(store, tx => insert(tx, items())).unwrap();
    let first = reading!(store, tx => list_referrals(tx, u64::MAX, 2)).found.rows;
    assert_eq!(first.iter().map(|item| item.record_id).collect::<Vec<_>>(), ids(&[4, 3]));
    let before = first[1].seq;
    let rest = reading!(store, tx => list_referrals(tx, before, 2)).found.rows;
    assert_eq!(rest.iter().map(|item| item.record_id).collect::<Vec<_>>(), ids(&[1]));
}

async fn an_item_that_cannot_be_read_is_named_and_hides_no_other(database: Database) {
    let store = database.open().await;
    let items = || (1..5).map(|number| due(number, "b.example", 10)).collect();
    writing!(store, tx => insert(tx, items())).unwrap();
    let broken = reading!(store, tx => find(tx, &ids(&[2])))[0].seq as i64;
    let sql = "UPDATE outbox SET purpose = 99, state = 77 WHERE seq = $1";
    writing!(store, tx => tx.execute(sql, [broken.into()])).unwrap();
    let found = reading!(store, tx => find_readable(tx, &ids(&[1, 2, 3])));
    assert_eq!(found.rows.iter().map(|item| item.record_id).collect::<Vec<_>>(), ids(&[1, 3]));
    assert_eq!(found.broken, ids(&[2]));
    assert_eq!(reading!(store, tx => known(tx, &ids(&[2, 3]))).broken, ids(&[2]));
    assert_eq!(reading!(store, tx => delivered(tx, &ids(&[2, 3]))).len(), 1);
    let page = reading!(store, tx => list_referrals(tx, u64::MAX, 4));
    assert_eq!((page.found.rows.len(), page.found.broken), (3, ids(&[2])));
    let page = reading!(store, tx => list_referrals(tx, 3, 1));
    assert_eq!((page.found.rows.len(), page.last_seq), (0, Some(2)), "so that the list goes on");
}

async fn the_newest_referrals_of_persons_are_found(database: Database) {
    let store = database.open().await;
    let of_person = |number: u8, person: u8| NewItem { subject: Some(id(person)), ..due(number, "b.example", 10) };
    let items = move || vec![of_person(1, 9), answer_in(7, 2), of_person(3, 8), due(4, "c.example", 10)];
    writing!(store, tx => insert(tx, items())).unwrap();
    let latest =
        |record: u8, person: u8| Latest { record_id: id(record), person: id(person), agency: peer("b.example") };
    assert_eq!(reading!(store, tx => newest(tx, 1)), [], "the newest row is about nobody");
    assert_eq!(reading!(store, tx => newest(tx, 2)), [latest(3, 8)]);
    assert_eq!(reading!(store, tx => newest(tx, 9)), [latest(3, 8), latest(1, 9)]);
}

async fn only_what_is_due_expires_and_the_longest_over_comes_first(database: Database) {
    let store = database.open().await;
    let until = |item: NewItem, expires_at: i64| NewItem { expires_at: at(expires_at), ..item };
    let items = move || {
        let due = |number| due(number, "b.example", 10);
        vec![until(due(1), 60), until(due(2), 50), until(due(3), 61), until(released(4, 9), 40)]
    };
    writing!(store, tx => insert(tx, items())).unwrap();
    let over = async |now: i64, limit: u32| {
        let found = reading!(store, tx => expired(tx, at(now), limit));
        found.iter().map(|item| item.record_id).collect::<Vec<_>>()
    };
    assert_eq!(over(49, 9).await, []);
    assert_eq!(over(60, 9).await, ids(&[2, 1]));
    assert_eq!(over(99, 2).await, ids(&[2, 1]), "no more than asked for");
}

async fn the_next_attempt_is_the_earliest_of_what_waits_for_that_peer(database: Database) {
    let store = database.open().await;
    let next = async |name: &'static str| reading!(store, tx => next_attempts(tx, &peer(name)));
    assert_eq!(next("b.example").await, NextAttempts::default());
    let items = || vec![due(1, "b.example", 40), due(2, "b.example", 30), due(3, "c.example", 10), released(4, 9)];
    writing!(store, tx => insert(tx, items())).unwrap();
    assert_eq!(next("b.example").await, NextAttempts { due: Some(at(30)), in_doubt: None });
    writing!(store, tx => batch::insert(tx, &batch(9, &[4]))).unwrap();
    assert_eq!(next("b.example").await.in_doubt, None, "its lease runs");
    writing!(store, tx => batch::lapse(tx, id(9), at(70))).unwrap();
    let lapsed = reading!(store, tx => next_attempts(tx, &batch(9, &[4]).peer));
    assert_eq!(lapsed.in_doubt, Some(at(70)));
    writing!(store, tx => batch::answer(tx, id(9), vec![7], at(80))).unwrap();
    let answered = reading!(store, tx => next_attempts(tx, &batch(9, &[4]).peer));
    assert_eq!(answered.in_doubt, None);
}

async fn what_waits_is_counted_by_its_first_reason(database: Database) {
    let store = database.open().await;
    let items = || (1..=4).map(|number| due(number, "b.example", 10)).collect();
    writing!(store, tx => insert(tx, items())).unwrap();
    let waits = |number: u8, reasons: &[Reason]| Settled {
        record_id: id(number),
        state: DeliveryState::Due,
        referral_state: ReferralState::Offered,
        next_attempt_at: at(15),
        attempts: 1,
        reasons: reasons.to_vec(),
    };
    const SUSPENDED: [Reason; 1] = [Reason::PeerSuspended];
    let waiting = move || [waits(1, &SUSPENDED), waits(2, &SUSPENDED), waits(3, &[Reason::ClockSkew, Reason::LogHold])];
    writing!(store, tx => settle(tx, DeliveryState::Due, &waiting())).unwrap();
    let found = reading!(store, tx => wait_reasons(tx));
    let counts: Vec<_> = found.iter().map(|found| (found.peer.as_str(), found.reason, found.items)).collect();
    assert_eq!(counts, [("b.example", Reason::PeerSuspended, 2), ("b.example", Reason::ClockSkew, 1)]);
    assert_eq!(reading!(store, tx => find(tx, &[id(1)])).remove(0).attempts, 1);
}

async fn record_ids_that_two_items_have_are_counted(database: Database) {
    let store = database.open().await;
    let items = || vec![due(1, "b.example", 10), due(2, "b.example", 10), due(3, "b.example", 10)];
    writing!(store, tx => insert(tx, items())).unwrap();
    assert_eq!(reading!(store, tx => repeated(tx)), 0);
    if database.url().starts_with("sqlite:") {
        tamper::repeat_item(database.url(), &id(1));
        tamper::repeat_item(database.url(), &id(3));
        assert_eq!(reading!(store, tx => repeated(tx)), 2);
    }
}
