//! What recipients said is written once, and never unsaid.

use super::*;

on_both_engines! {
    an_item_is_settled_only_in_the_state_that_was_expected
    an_item_that_is_to_be_sent_again_is_due_when_it_was_said
    where_a_referral_stands_changes_nothing_else
    what_waits_for_a_peer_is_due_at_once_in_the_order_of_submission
}

const WHY: [Reason; 2] = [Reason::ConsentWithdrawn, Reason::ItemExpired];

fn settled(number: u8, state: DeliveryState, reasons: &[Reason]) -> Settled {
    Settled {
        record_id: id(number),
        state,
        referral_state: ReferralState::Refused,
        next_attempt_at: at(70),
        attempts: 3,
        reasons: reasons.to_vec(),
    }
}

async fn state_of(store: &crate::Store, number: u8) -> (DeliveryState, ReferralState, Vec<Reason>) {
    let item = reading!(store, tx => find(tx, &[id(number)])).remove(0);
    (item.delivery, item.referral_state, item.reasons)
}

async fn an_item_is_settled_only_in_the_state_that_was_expected(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, vec![released(1, 9), released(2, 9), due(3, "b.example", 10)])).unwrap();
    let refused = || [1, 3, 77].map(|number| settled(number, DeliveryState::Refused, &WHY));
    assert_eq!(writing!(store, tx => settle(tx, DeliveryState::InDoubt, &refused())).unwrap(), 1);
    let (delivery, referral) = (DeliveryState::Refused, ReferralState::Refused);
    assert_eq!(state_of(&store, 1).await, (delivery, referral, WHY.to_vec()));
    assert_eq!(state_of(&store, 2).await, (DeliveryState::InDoubt, ReferralState::Offered, vec![]), "not named");
    assert_eq!(state_of(&store, 3).await, (DeliveryState::Due, ReferralState::Offered, vec![]), "not in doubt");
    let ended = || [settled(1, DeliveryState::Ended, &[Reason::ItemExpired])];
    assert_eq!(writing!(store, tx => settle(tx, DeliveryState::InDoubt, &ended())).unwrap(), 0);
    assert_eq!(state_of(&store, 1).await, (delivery, referral, WHY.to_vec()), "what was said stays said");
}

async fn an_item_that_is_to_be_sent_again_is_due_when_it_was_said(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, vec![released(1, 9)])).unwrap();
    let again = || [settled(1, DeliveryState::Due, &[Reason::AgreementSuperseded])];
    assert_eq!(writing!(store, tx => settle(tx, DeliveryState::InDoubt, &again())).unwrap(), 1);
    for (now, found) in [(69, vec![]), (70, vec![3])] {
        let due = reading!(store, tx => super::super::due(tx, &peer("b.example"), at(now), 10)).rows;
        assert_eq!(due.iter().map(|item| item.attempts).collect::<Vec<_>>(), found);
    }
}

async fn where_a_referral_stands_changes_nothing_else(database: Database) {
    let store = database.open().await;
    writing!(store, tx => insert(tx, vec![released(1, 9), released(2, 9)])).unwrap();
    writing!(store, tx => set_referral_state(tx, id(1), ReferralState::Accepted)).unwrap();
    writing!(store, tx => set_referral_state(tx, id(77), ReferralState::Accepted)).unwrap();
    assert_eq!(state_of(&store, 1).await, (DeliveryState::InDoubt, ReferralState::Accepted, vec![]));
    assert_eq!(state_of(&store, 2).await, (DeliveryState::InDoubt, ReferralState::Offered, vec![]));
}

async fn what_waits_for_a_peer_is_due_at_once_in_the_order_of_submission(database: Database) {
    let store = database.open().await;
    let items = || {
        let to = |number, recipient| due(number, recipient, 10);
        let all = [to(1, "b.example"), to(2, "b.example"), to(3, "b.example"), to(4, "c.example"), released(5, 9)];
        all.to_vec()
    };
    writing!(store, tx => insert(tx, items())).unwrap();
    let waits = |number: u8, next: i64| Settled {
        next_attempt_at: at(next),
        ..settled(number, DeliveryState::Due, &[Reason::PeerSuspended])
    };
    let waiting = move || [waits(1, 500), waits(2, 400), waits(4, 500)];
    writing!(store, tx => settle(tx, DeliveryState::Due, &waiting())).unwrap();
    assert_eq!(writing!(store, tx => retry_now(tx, &peer("b.example"), at(20))).unwrap(), 2, "3 did not wait");
    let found = reading!(store, tx => super::super::due(tx, &peer("b.example"), at(20), 9)).rows;
    assert_eq!(found.iter().map(|item| item.record_id).collect::<Vec<_>>(), ids(&[3, 1, 2]));
    assert_eq!(found[1].attempts, 3, "how often it was tried is not forgotten");
    let other = reading!(store, tx => super::super::due(tx, &peer("c.example"), at(499), 9)).rows;
    assert!(other.is_empty(), "another peer's waits");
}
