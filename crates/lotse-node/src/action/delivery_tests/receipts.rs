//! Receipts that come late, and contradict each other.

use std::time::Duration;

use lotse_core::card::CardKey;
use lotse_core::delivery::{DeliveryState, Outcome};
use lotse_core::id::{Digest, Sequence};
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::time::{DAY, Timestamp};
use lotse_proto::exchange::v1 as proto;

use super::pair::Pair;
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::get_status::get_status;
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::action::submit_referrals::Timing;
use crate::action::take_batch::take_batch;
use crate::action::take_card::take_card;
use crate::entry::EntryKind;
use crate::shipment::Shipment;
use crate::testing::key;
use crate::wire::batch::{ReceiptItem, ReceiptStatement, encode_item, items_root, parse_item, seal_receipt};

impl Pair {
    /// Makes what the holder would seal if every envelope of the batch had this outcome.
    fn receipt(&self, shipment: &Shipment, outcome: Outcome) -> proto::Receipt {
        let first_taken_at = (outcome == Outcome::Taken).then(|| self.holder.now());
        let item = |digest: Digest| ReceiptItem { digest, outcome, first_taken_at, log_leaf_hash: digest };
        let items: Vec<_> = shipment.items.iter().map(|sent| encode_item(&item(sent.digest))).collect();
        let statement = ReceiptStatement {
            receiver: self.holder.agency.clone(),
            sender: self.owner.agency.clone(),
            batch_id: shipment.batch_id,
            batch_root: shipment.root,
            taken_at: self.holder.now(),
            count: items.len() as u32,
            items_root: items_root(&items),
            number: Sequence::new(1, 1),
            receiver_generation: 1,
            sender_generation: 1,
        };
        proto::Receipt { seal: Some(seal_receipt(&statement, &self.holder.keys.sealing)), items }
    }
}

impl Pair {
    /// Lets the holder exchange its sealing key; its card names the one before until now, with a change.
    async fn exchange_key_of_holder(&self, change: impl FnOnce(&mut CardKey)) {
        let mut card = self.holder.card(2);
        let mut retired = CardKey { not_after: self.holder.now(), ..card.keys[0].clone() };
        change(&mut retired);
        card.keys[0].public_key = key("aa.example", "new sealing").public();
        card.keys.push(retired);
        take_card(&self.owner, &self.holder.agency, self.holder.seal_card(&card)).await.unwrap();
        self.clock.turn(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_receipt_that_was_made_before_the_key_was_exchanged_is_recorded_after() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let shipment = outcome.shipment.unwrap();
    let before = pair.receipt(&shipment, Outcome::Taken);
    pair.exchange_key_of_holder(|_| ()).await;
    let after = pair.receipt(&shipment, Outcome::Taken);
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, after).await.unwrap();
    assert!(matches!(recorded, Recorded::Rejected(_)), "the retired key makes nothing new: {recorded:?}");
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, before).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 1, refused: 0, again: vec![] });
}

#[tokio::test]
async fn a_receipt_by_a_key_that_is_lost_is_rejected_whenever_it_was_made() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let receipt = pair.receipt(&outcome.shipment.unwrap(), Outcome::Taken);
    pair.exchange_key_of_holder(|key| key.compromised_since = Some(key.not_after)).await;
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    assert!(matches!(recorded, Recorded::Rejected(_)), "{recorded:?}");
}

#[tokio::test]
async fn a_batch_that_was_sealed_before_the_key_was_exchanged_is_taken_after() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let answers = pair.claimed_answers().await;
    pair.exchange_key_of_holder(|_| ()).await;
    take_batch(&pair.owner, &pair.holder.agency, answers.message()).await.unwrap();
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Accepted);
}

#[tokio::test]
async fn a_late_taken_for_an_old_envelope_leaves_the_new_one_in_doubt() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let (record_id, first) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    pair.lapse(first.batch_id).await;
    let repeated = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap().shipment.unwrap();
    let again = pair.receipt(&repeated, Outcome::Again(Reason::PeerSuspended));
    record_receipt(&pair.owner, &pair.holder.agency, again).await.unwrap();
    pair.clock.turn(DAY);
    let cut_anew = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_ne!(cut_anew.items[0].digest, first.items[0].digest);
    let late = pair.receipt(&first, Outcome::Taken);
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, late).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 1, refused: 0, again: vec![] });
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::InDoubt, "of the new envelope it says nothing");
    pair.deliver(&cut_anew).await;
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn a_receipt_that_an_export_could_not_show_leaves_its_batch_in_doubt_and_is_logged() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let (record_id, shipment) = (outcome.results[0].clone().unwrap().record_id, outcome.shipment.unwrap());
    let good = pair.receipt(&shipment, Outcome::Taken);
    let sealing = &pair.holder.keys.sealing;
    let statement = crate::wire::batch::open_receipt(good.seal.as_ref().unwrap(), &[sealing.public()]).unwrap();
    let now = pair.holder.now();
    let minutes = |count: u64| std::time::Duration::from_secs(60 * count);
    let at = |taken_at| ReceiptStatement { taken_at, ..statement.clone() };
    let numbered = |number, receiver_generation| ReceiptStatement { number, receiver_generation, ..statement.clone() };
    let bad = [
        at(Timestamp::from_micros(i64::MAX)),
        at(Timestamp::from_micros(0)),
        at(Timestamp::from_micros(i64::MIN)),
        at(now.plus(minutes(3))),
        at(now.minus(minutes(3))),
        numbered(Sequence::new(1, 0), 1),
        numbered(Sequence::new(0, 1), 0),
        numbered(Sequence::new(1, 1), 99),
        numbered(Sequence::new(u32::MAX, 1), u32::MAX),
    ];
    for statement in &bad {
        let receipt = proto::Receipt { seal: Some(seal_receipt(statement, sealing)), items: good.items.clone() };
        let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
        assert!(matches!(recorded, Recorded::Rejected(_)), "{statement:?}");
        assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::InDoubt, "{statement:?}");
    }
    let mut untimed = parse_item(&good.items[0]).unwrap();
    untimed.first_taken_at = None;
    let items = vec![encode_item(&untimed)];
    let statement = ReceiptStatement { items_root: items_root(&items), ..statement.clone() };
    let receipt = proto::Receipt { seal: Some(seal_receipt(&statement, sealing)), items };
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    assert_eq!(recorded, Recorded::Rejected("an item is malformed"));

    let entries = pair.owner.entries_of(EntryKind::ReceiptRefused).await;
    assert_eq!((entries.len(), entries[0].reasons[0]), (1, Reason::ReceiptInvalid.number()), "one a minute");
    let status = get_status(&pair.owner).await.unwrap();
    assert!(status.alarms.iter().any(|alarm| alarm.contains("a receipt was refused")), "{:?}", status.alarms);
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, good).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 1, refused: 0, again: vec![] });
}
