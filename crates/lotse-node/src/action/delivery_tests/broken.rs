//! Rows that a failing disk or a foreign hand broke, column by column: one that cannot be read stops nothing but itself.

use bytes::Bytes;
use lotse_core::category::Category;
use lotse_core::consent::ConsentForm;
use lotse_core::delivery::{DeliveryState, Outcome};
use lotse_core::id::{Digest, Id};
use lotse_core::purpose::{Purpose, Purposes};
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::set::Set;
use lotse_proto::exchange::v1::{Batch, Envelope};
use lotse_store::batch::BatchItem;
use lotse_store::testing::tamper::{blob_columns, break_column, break_number, replace_number};
use prost::Message as _;

use super::pair::Pair;
use crate::action::claim::{LONGEST_PAUSE, claim_due};
use crate::action::claim_again::claim_again;
use crate::action::cut;
use crate::action::fetch_records::fetch_records;
use crate::action::get_referral::get_referral;
use crate::action::list_referrals::{list_received, list_sent};
use crate::action::read_inbox::{Reader, read_stored};
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::Timing;
use crate::action::take_batch::take_batch;
use crate::action::thread_state::derive;
use crate::action::withdraw_consent::{carriers, finish_pending};
use crate::entry::EntryKind;
use crate::testing::TestNode;
use crate::wire::batch::parse_item;

fn all() -> Purposes {
    Set::from_bits(i64::MAX)
}

fn break_record(node: &TestNode, table: &str, column: &str, record_id: Id) {
    break_column(node.database.url(), table, column, ("record_id", record_id.as_bytes()));
}

fn columns(node: &TestNode, table: &str) -> Vec<String> {
    let columns = blob_columns(node.database.url(), table);
    assert!(columns.len() > 5, "{columns:?}");
    columns
}

/// Two people's referrals that wait at the owner.
async fn two_due(pair: &Pair, round: usize) -> [Id; 2] {
    let of = |person| pair.handover(&format!("key-{round}-{person}"), person);
    let outcome = pair.submit(&[of("person-1"), of("person-2")], Timing::Later).await;
    [0, 1].map(|place| outcome.results[place].clone().unwrap().record_id)
}

async fn pair_of_two() -> Pair {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.consent("person-2").await;
    pair
}

#[tokio::test]
async fn an_item_of_which_any_column_is_broken_is_claimed_by_nobody_and_its_neighbour_goes() {
    let pair = pair_of_two().await;
    for (round, column) in columns(&pair.owner, "outbox").iter().enumerate() {
        let [broken, good] = two_due(&pair, round).await;
        break_record(&pair.owner, "outbox", column, broken);
        let claimed = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
        let shipment = claimed.shipment.unwrap();
        assert!(shipment.items.iter().any(|item| item.record_id == good), "{column}");
        pair.deliver(&shipment).await;
        assert_eq!(pair.sent(good).await.delivery, DeliveryState::Taken, "{column}");
        let again = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
        assert!(again.shipment.is_none() && again.objection.is_none(), "{column}");
        list_sent(&pair.owner, all(), None, u64::MAX, 100).await.unwrap();
    }
    pair.clock.turn(LONGEST_PAUSE);
    assert!(claim_due(&pair.owner, &pair.holder.agency).await.is_ok());
}

#[tokio::test]
async fn an_item_in_doubt_of_which_any_column_is_broken_stays_so_and_its_neighbour_is_sent_again() {
    let pair = pair_of_two().await;
    for (round, column) in columns(&pair.owner, "outbox").iter().enumerate() {
        let [broken, good] = two_due(&pair, round).await;
        let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
        pair.lapse(shipment.batch_id).await;
        break_record(&pair.owner, "outbox", column, broken);
        let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
        let shipment = again.shipment.unwrap();
        assert!(shipment.items.iter().any(|item| item.record_id == good), "{column}");
        pair.deliver(&shipment).await;
        assert_eq!(pair.sent(good).await.delivery, DeliveryState::Taken, "{column}");
    }
}

#[tokio::test]
async fn a_subject_whose_key_is_broken_waits_and_another_persons_referral_goes() {
    let pair = pair_of_two().await;
    let [broken, good] = two_due(&pair, 0).await;
    let subject = lotse_store::subject::id(&pair.owner.vault, "person-1");
    break_column(pair.owner.database.url(), "subject", "subject_key", ("subject_id", subject.as_bytes()));
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_eq!(shipment.items.iter().map(|item| item.record_id).collect::<Vec<_>>(), [good]);
    assert_eq!(pair.sent(broken).await.delivery, DeliveryState::Due, "it waits for its key");

    let together = [pair.handover("key-3", "person-1"), pair.handover("key-4", "person-2")];
    let outcome = pair.submit(&together, Timing::AtOnce).await;
    assert_eq!(outcome.results[0].as_ref().unwrap_err().reason(), Reason::Unavailable);
    assert!(outcome.results[0].as_ref().unwrap_err().is_retryable());
    let good = outcome.results[1].as_ref().unwrap().record_id;
    assert_eq!(outcome.shipment.unwrap().items[0].record_id, good);
}

#[tokio::test]
async fn a_broken_consent_ends_nothing_of_its_subject_and_holds_up_nobody_else() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    pair.consent("person-2").await;
    let [broken, good] = two_due(&pair, 0).await;
    break_number(pair.owner.database.url(), "consent", "form", ("consent_id", consent.as_bytes()));
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_eq!(shipment.items.iter().map(|item| item.record_id).collect::<Vec<_>>(), [good]);
    assert_eq!(pair.sent(broken).await.delivery, DeliveryState::Due, "it may be covered");
    let together = [pair.handover("key-3", "person-1"), pair.handover("key-4", "person-2")];
    let outcome = pair.submit(&together, Timing::Later).await;
    assert_eq!(outcome.results[0].as_ref().unwrap_err().reason(), Reason::Unavailable);
    assert!(outcome.results[1].is_ok());
}

#[tokio::test]
async fn an_item_whose_consent_cannot_be_read_waits_with_pauses_and_goes_when_it_can() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    let item = outcome.results[0].clone().unwrap().record_id;
    let (url, row) = (pair.owner.database.url(), ("consent_id", consent.as_bytes().as_slice()));
    break_number(url, "consent", "form", row);
    for _ in 0..3 {
        pair.clock.turn(LONGEST_PAUSE);
        assert!(claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.is_none());
        let waiting = pair.sent(item).await;
        assert_eq!((waiting.delivery, waiting.reasons), (DeliveryState::Due, vec![Reason::Unavailable]));
        let at_once = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
        assert!(!at_once.looked, "it is not looked at again before its pause ends");
    }
    assert_eq!(pair.owner.entries(EntryKind::ItemEnded).await, 0);
    replace_number(url, "consent", "form", ConsentForm::Written as i64, row);
    pair.clock.turn(LONGEST_PAUSE);
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_eq!(shipment.items.iter().map(|item| item.record_id).collect::<Vec<_>>(), [item]);
}

#[tokio::test]
async fn a_key_that_was_used_for_an_item_that_is_broken_is_not_used_again() {
    let pair = pair_of_two().await;
    let [broken, _] = two_due(&pair, 0).await;
    break_record(&pair.owner, "outbox", "content_digest", broken);
    let again = [pair.handover("key-0-person-1", "person-1"), pair.handover("key-9", "person-2")];
    let outcome = pair.submit(&again, Timing::Later).await;
    assert_eq!(outcome.results[0].as_ref().unwrap_err().reason(), Reason::Unavailable);
    assert!(outcome.results[1].is_ok());
}

#[tokio::test]
async fn a_withdrawal_of_a_part_destroys_a_content_that_is_broken() {
    for column in ["content", "content_key", "head", "thread_id"] {
        let pair = Pair::new().await;
        let consent = pair.consent("person-1").await;
        let (broken, good) = (pair.delivered("key-1", "person-1").await, pair.delivered("key-2", "person-1").await);
        break_record(&pair.owner, "outbox", column, broken);
        pair.withdraw(consent, &[Category::Languages]).await;
        assert_eq!(pair.owner.entries(EntryKind::ConsentWithdrawn).await, 1, "{column}");
        let kept = pair.owner.store.read("kept", move |tx| {
            Box::pin(async move { lotse_store::outbox::kept(tx, consent, &[broken, good]).await })
        });
        let kept = kept.await.unwrap();
        assert!(kept.broken.is_empty(), "{column}");
        let readable = |kept: &&lotse_store::outbox::Kept| kept.record_id == good;
        assert_eq!(kept.rows.iter().filter(readable).count(), 1, "{column}");
        if column.starts_with("content") {
            assert_eq!(kept.rows.len(), 1, "{column}: what cannot be read is destroyed");
        }
    }
}

#[tokio::test]
async fn a_pending_withdrawal_that_cannot_be_finished_holds_up_no_other() {
    let pair = Pair::new().await;
    let (first, second) = (pair.consent("person-1").await, pair.consent("person-2").await);
    for consent in [first, second] {
        let node = pair.owner.node.clone();
        let shared = node.clone();
        // As a crash between the two commits leaves them.
        let narrowed = node.store.transact("narrow", move |tx| {
            let node = shared.clone();
            Box::pin(async move {
                let scope = lotse_store::withdrawal::Scope::default();
                let withdrawal = lotse_store::withdrawal::Withdrawal {
                    withdrawal_id: Id::new(node.now(), &*node.random),
                    consent_id: consent,
                    scope,
                    arrived_at: node.now(),
                    effective_at: None,
                    by: Default::default(),
                };
                lotse_store::withdrawal::insert(tx, &withdrawal).await
            })
        });
        narrowed.await.unwrap();
    }
    break_column(pair.owner.database.url(), "consent_recipient", "consent_ref", ("consent_id", first.as_bytes()));
    assert!(finish_pending(&pair.owner).await.is_err());
    assert_eq!(pair.owner.entries(EntryKind::ConsentWithdrawn).await, 1, "the other one is effective");
}

#[tokio::test]
async fn a_received_record_of_which_any_column_is_broken_is_named_and_its_neighbour_is_fetched() {
    let pair = pair_of_two().await;
    for (round, column) in columns(&pair.holder, "custody").iter().enumerate() {
        let [broken, good] = two_due(&pair, round).await;
        pair.deliver(&claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap()).await;
        break_record(&pair.holder, "custody", column, broken);
        let found = fetch_records(&pair.holder, "akte", all(), vec![broken, good]).await.unwrap();
        let records: Vec<Id> = found.records.iter().map(|record| record.held.record_id).collect();
        assert!(records.contains(&good), "{column}");
        assert!(!["content", "content_key", "thread_id"].contains(&column.as_str()) || found.unreadable == [broken]);
        assert!(get_referral(&pair.holder, all(), good).await.is_ok(), "{column}");
        list_received(&pair.holder, all(), None, u64::MAX, 100).await.unwrap();
        let reader = Reader { system: "akte".into(), purposes: all() };
        let page = read_stored(&pair.holder.node, &reader, round as u64).await.unwrap().unwrap();
        assert!(!page.happenings.is_empty(), "{column}");
    }
}

#[tokio::test]
async fn a_broken_record_is_named_only_to_a_system_that_is_granted_its_purpose() {
    let pair = pair_of_two().await;
    for (round, column) in columns(&pair.holder, "custody").iter().enumerate() {
        let [broken, _] = two_due(&pair, round).await;
        pair.deliver(&claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap()).await;
        break_record(&pair.holder, "custody", column, broken);
        let named = async |purposes: Purposes| {
            fetch_records(&pair.holder, "akte", purposes, vec![broken]).await.unwrap().unreadable
        };
        let to_granted = named(Purposes::from(Purpose::Orientation)).await;
        assert!(
            !["content", "thread_id", "consent_ref"].contains(&column.as_str()) || to_granted == [broken],
            "{column}"
        );
        assert_eq!(named(Purposes::from(Purpose::YouthTransition)).await, [], "{column}");
    }
    let [broken, _] = two_due(&pair, 99).await;
    pair.deliver(&claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap()).await;
    break_number(pair.holder.database.url(), "custody", "purpose", ("record_id", broken.as_bytes()));
    let found = fetch_records(&pair.holder, "akte", all(), vec![broken]).await.unwrap();
    assert_eq!((found.records.len(), found.unreadable), (0, vec![]), "nobody knows who may know of it");
}

#[tokio::test]
async fn a_repeated_envelope_whose_row_is_broken_is_answered_again_and_its_neighbour_is_taken() {
    let pair = pair_of_two().await;
    for (round, column) in columns(&pair.holder, "custody").iter().enumerate() {
        let [broken, _] = two_due(&pair, round).await;
        let first = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
        take_batch(&pair.holder, &pair.owner.agency, first.message()).await.unwrap();
        pair.lapse(first.batch_id).await;
        break_record(&pair.holder, "custody", column, broken);
        let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap().shipment.unwrap();
        let receipt = take_batch(&pair.holder, &pair.owner.agency, again.message()).await.unwrap();
        let outcomes: Vec<Outcome> = receipt.items.iter().map(|item| parse_item(item).unwrap().outcome).collect();
        for (item, outcome) in again.items.iter().zip(outcomes) {
            let is_broken = item.record_id == broken
                && ["envelope_id", "digest", "leaf_hash", "record_id"].contains(&column.as_str());
            let expected = if is_broken { Outcome::Again(Reason::Unavailable) } else { Outcome::Taken };
            assert_eq!(outcome, expected, "{column}");
        }
        record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    }
    let [one, _] = two_due(&pair, 99).await;
    let next = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert!(next.items.len() > 1 && next.items.iter().any(|item| item.record_id == one), "nothing else is paused");
}

#[tokio::test]
async fn an_answer_to_a_referral_whose_row_is_broken_is_to_be_sent_again() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let (broken, good) = (pair.delivered("key-1", "person-1").await, pair.delivered("key-2", "person-1").await);
    for (key, referral) in [("answer-1", broken), ("answer-2", good)] {
        pair.answer(key, referral, ReferralEvent::Accepted, false).await.unwrap();
    }
    break_record(&pair.owner, "outbox", "thread_id", broken);
    let answers = pair.claimed_answers().await;
    let receipt = take_batch(&pair.owner, &pair.holder.agency, answers.message()).await.unwrap();
    let outcomes: Vec<Outcome> = receipt.items.iter().map(|item| parse_item(item).unwrap().outcome).collect();
    assert_eq!(outcomes, [Outcome::Again(Reason::Unavailable), Outcome::Taken]);
}

#[tokio::test]
async fn nothing_is_taken_of_a_record_of_which_a_revision_is_broken() {
    let pair = pair_of_two().await;
    let [broken, _] = two_due(&pair, 0).await;
    let first = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.deliver(&first).await;
    break_record(&pair.holder, "custody", "digest", broken);
    // The same revisions, in other envelopes.
    let envelopes: Vec<Bytes> = (first.envelopes.iter().zip(1..))
        .map(|(bytes, number)| Envelope { id: vec![number; 16], ..Envelope::decode(bytes.clone()).unwrap() })
        .map(|envelope| envelope.encode_to_vec().into())
        .collect();
    let item = |(item, bytes): (&BatchItem, &Bytes)| BatchItem { digest: Digest::of_leaf(bytes), ..*item };
    let items = first.items.iter().zip(&envelopes).map(item).collect();
    let (seal, _) = cut::seal(&pair.owner, &pair.holder.agency, Id::from_bytes([9; 16]), pair.owner.now(), items, 0);
    let batch = Batch { seal: Some(seal), envelopes };
    let receipt = take_batch(&pair.holder, &pair.owner.agency, batch).await.unwrap();
    for (item, answered) in first.items.iter().zip(&receipt.items) {
        let stale = Outcome::Refused(Reason::RevisionStale);
        let expected = if item.record_id == broken { Outcome::Again(Reason::Unavailable) } else { stale };
        assert_eq!(parse_item(answered).unwrap().outcome, expected);
    }
}

#[tokio::test]
async fn an_answer_that_is_broken_lets_no_later_one_take_its_number_or_change_the_state() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let (referral, other) = (pair.delivered("key-1", "person-1").await, pair.delivered("key-2", "person-1").await);
    let first = pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap().answer_id;
    pair.answer("answer-2", referral, ReferralEvent::InProgress, false).await.unwrap();
    break_number(pair.holder.database.url(), "outbox", "referral_state", ("record_id", first.as_bytes()));
    let refused = pair.answer("answer-3", referral, ReferralEvent::Completed, false).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Unavailable);
    let derive = pair.holder.store.transact("derive", move |tx| Box::pin(async move { derive(tx, &[referral]).await }));
    derive.await.unwrap();
    assert_eq!(pair.held(referral).await.unwrap().referral_state, ReferralState::InProgress);
    assert!(pair.answer("answer-4", other, ReferralEvent::Accepted, false).await.is_ok());
}

#[tokio::test]
async fn an_answer_whose_content_is_broken_is_shown_without_it_and_the_others_with_theirs() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let events = [ReferralEvent::Accepted, ReferralEvent::InProgress, ReferralEvent::Completed];
    let mut ids = Vec::new();
    for (key, event) in ["answer-1", "answer-2", "answer-3"].into_iter().zip(events) {
        ids.push(pair.answer(key, referral, event, false).await.unwrap().answer_id);
        pair.deliver_answers().await;
    }
    let shown = async |node: &TestNode| {
        let (_, answers) = get_referral(node, all(), referral).await.unwrap();
        answers.iter().map(|answer| (answer.sequence, !answer.content.is_empty())).collect::<Vec<_>>()
    };
    for (node, table) in [(&pair.owner, "custody"), (&pair.holder, "outbox")] {
        assert_eq!(shown(node).await, [(1, true), (2, true), (3, true)], "{table}");
        break_record(node, table, "content", ids[1]);
        assert_eq!(shown(node).await, [(1, true), (2, false), (3, true)], "{table}");
        break_record(node, table, "thread_id", ids[1]);
        assert_eq!(shown(node).await, [(1, true), (3, true)], "{table}: each keeps its number");
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_a_row_that_is_broken() {
    let pair = pair_of_two().await;
    let [older, newer] = two_due(&pair, 0).await;
    break_record(&pair.owner, "outbox", "thread_id", newer);
    let (found, next) = list_sent(&pair.owner, all(), None, u64::MAX, 1).await.unwrap();
    assert!(found.is_empty());
    let (found, _) = list_sent(&pair.owner, all(), None, next.unwrap(), 1).await.unwrap();
    assert_eq!(found.iter().map(|item| item.record_id).collect::<Vec<_>>(), [older]);
}

#[tokio::test]
async fn a_withdrawal_waits_for_a_batch_that_is_broken() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    break_column(pair.owner.database.url(), "batch", "items", ("batch_id", shipment.batch_id.as_bytes()));
    let read = pair.owner.store.read("carriers", move |tx| Box::pin(async move { carriers(tx, &[consent]).await }));
    assert_eq!(read.await.unwrap(), [shipment.batch_id]);
}
