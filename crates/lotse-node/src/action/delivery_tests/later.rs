//! What is decided again later: repeats, reads, purges, and consents whose time was over once.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::purpose::{Purpose, Purposes};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::LogEntry;
use lotse_proto::exchange::v1::log_entry::Detail;
use lotse_store::log::{Filter, Leaf};
use lotse_store::{StoreError, WriteAheadLog, batch};
use prost::Message as _;
use tokio::sync::oneshot;

use super::pair::Pair;
use crate::action::claim::claim_due;
use crate::action::claim_again::claim_again;
use crate::action::empty_log::empty_log;
use crate::action::fetch_records::fetch_records;
use crate::action::list_entries::list_entries;
use crate::action::purge_ended::purge_ended;
use crate::action::read_inbox::{Happened, Page, Reader, read_inbox, read_stored};
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::Timing;
use crate::action::suspend_agreement::{resume_agreement, suspend_agreement};
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::action::take_batch::take_batch;
use crate::entry::EntryKind;
use crate::node::Node;
use crate::testing::admin;

#[tokio::test]
async fn what_is_in_doubt_is_not_sent_again_while_its_peer_is_suspended() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    suspend_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none());
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::InDoubt);
    resume_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    pair.clock.turn(Duration::from_secs(60 * 60));
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    pair.deliver(&again.shipment.unwrap()).await;
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
}

/// Nobody turns the clock: a pause of up to a quarter of an hour would still run.
#[tokio::test]
async fn what_paused_while_its_peer_or_agreement_was_suspended_goes_at_once_when_that_is_lifted() {
    for of_agreement in [false, true] {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        let (owner, peer) = (&pair.owner.node, &pair.holder.agency);
        let in_doubt = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
        pair.lapse(in_doubt.shipment.unwrap().batch_id).await;
        let due = pair.submit(&[pair.handover("key-2", "person-1")], Timing::Later).await;
        if of_agreement {
            suspend_agreement(owner, pair.agreement, admin()).await.unwrap();
        } else {
            suspend_peer(owner, peer.clone(), admin()).await.unwrap();
        }
        assert!(claim_due(owner, peer).await.unwrap().shipment.is_none());
        assert!(claim_again(owner, peer).await.unwrap().unwrap().shipment.is_none());
        assert!(!claim_due(owner, peer).await.unwrap().looked, "what is due pauses");
        assert!(claim_again(owner, peer).await.unwrap().is_none(), "and so does what is in doubt");
        if of_agreement {
            resume_agreement(owner, pair.agreement, admin()).await.unwrap();
        } else {
            resume_peer(owner, peer.clone(), admin()).await.unwrap();
        }
        pair.deliver(&claim_again(owner, peer).await.unwrap().unwrap().shipment.unwrap()).await;
        pair.deliver(&claim_due(owner, peer).await.unwrap().shipment.unwrap()).await;
        for submitted in in_doubt.results.into_iter().chain(due.results) {
            assert_eq!(pair.sent(submitted.unwrap().record_id).await.delivery, DeliveryState::Taken);
        }
    }
}

/// A clock may step back by less than what stops releases.
#[tokio::test]
async fn a_consent_that_was_found_expired_once_stays_expired_when_the_clock_steps_back_a_little() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let refused = async |key: &str| {
        let outcome = pair.submit(&[pair.handover(key, "person-1")], Timing::AtOnce).await;
        outcome.results[0].clone().unwrap_err().reason()
    };
    pair.clock.turn(DAY * 180 + Duration::from_secs(30));
    assert_eq!(refused("key-1").await, Reason::ConsentExpired);
    pair.clock.turn_back(Duration::from_secs(60));
    assert_eq!(refused("key-2").await, Reason::ConsentExpired);
}

#[tokio::test]
async fn a_system_reads_only_what_its_purposes_allow() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let read = async |purpose: Purpose| {
        fetch_records(&pair.holder, "akte", purpose.into(), vec![referral]).await.unwrap().records.len()
    };
    assert_eq!(read(Purpose::JobPlacement).await, 0);
    assert_eq!(read(Purpose::Orientation).await, 1);
}

/// Whoever reads an old snapshot keeps SQLite's write-ahead log, and with it what was purged since.
#[tokio::test]
async fn what_a_reader_kept_in_the_write_ahead_log_is_emptied_by_the_next_purge() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.delivered("key-1", "person-1").await;
    empty_log(&pair.holder).await.unwrap();
    let (began, reads) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let store = pair.holder.store.clone();
    let reader = tokio::spawn(async move {
        let look = store.read("look", move |tx| {
            Box::pin(async move {
                lotse_store::meta::generation(tx).await?;
                began.send(()).unwrap();
                ended.await.unwrap();
                Ok::<(), StoreError>(())
            })
        });
        look.await.unwrap();
    });
    reads.await.unwrap();
    pair.clock.turn(DAY * 30);
    assert_eq!(purge_ended(&pair.holder).await, Ok(1));
    assert_eq!(empty_log(&pair.holder).await, Ok(WriteAheadLog::KeptByReader));
    let log = pair.holder.database.folder().unwrap().join("lotse.db-wal");
    let size = || std::fs::metadata(&log).unwrap().len();
    assert!(size() > 0, "the purge itself stands, and the old bytes are still there");
    end.send(()).unwrap();
    reader.await.unwrap();
    assert_eq!(empty_log(&pair.holder).await, Ok(WriteAheadLog::Empty));
    assert_eq!(size(), 0);
    assert!(!pair.holder.signals.content_gone.load(Ordering::Acquire));
}

#[tokio::test]
async fn everything_about_a_record_is_what_a_look_at_every_entry_finds() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let answered = pair.delivered("key-1", "person-1").await;
    pair.clock.turn(Duration::from_secs(60 * 60));
    let lapsed = pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    suspend_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    pair.deliver(&lapsed).await;
    resume_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    pair.clock.turn(DAY);
    let cut_anew = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.clock.turn_back(Duration::from_secs(90));
    pair.deliver(&cut_anew).await;
    let answer = pair.answer("key-a", answered, ReferralEvent::Accepted, false).await.unwrap().answer_id;
    pair.answer("key-b", answered, ReferralEvent::Accepted, false).await.unwrap_err();
    pair.deliver_answers().await;
    pair.withdraw(consent, &[]).await;
    for node in [&pair.owner, &pair.holder] {
        let all = list_entries(&node.store, node.generation, Filter::default(), None, 500).await.unwrap().leaves;
        let named: BTreeSet<Id> = all.iter().filter_map(|leaf| leaf.entry.record_id).collect();
        assert!(named.len() >= 3 && named.contains(&answer), "{named:?}");
        let mut receipts = Vec::new();
        for leaf in &all {
            receipts.push((leaf.index, acknowledged(node, leaf).await));
        }
        let own = |record: Id| {
            let named = all.iter().filter(|leaf| leaf.entry.record_id == Some(record)).map(|leaf| leaf.index);
            let newest = receipts.iter().find(|(_, records)| records.contains(&record)).map(|(index, _)| *index);
            named.chain(newest).collect::<BTreeSet<u64>>()
        };
        for record in named {
            let expected = if record == answered { &own(record) | &own(answer) } else { own(record) };
            let filter = Filter { record_id: Some(record), ..Filter::default() };
            let found = list_entries(&node.store, node.generation, filter, None, 500).await.unwrap().leaves;
            assert!(found.iter().rev().map(|leaf| leaf.index).eq(expected), "{record}");
        }
        assert!(node.entries(EntryKind::ReceiptRecorded).await > 0);
    }
    assert_eq!(pair.owner.entries(EntryKind::Released).await, 3, "one of them twice");
}

#[tokio::test]
async fn a_delivery_of_the_last_moments_is_told_as_it_is_stored() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    for key in ["key-1", "key-2"] {
        let outcome = pair.submit(&[pair.handover(key, "person-1")], Timing::AtOnce).await;
        let receipt = take_batch(&pair.holder, &pair.owner.agency, outcome.shipment.unwrap().message()).await.unwrap();
        record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    }
    let told = |page: Option<Page>| {
        let page = page.unwrap();
        let happened = page.happenings.iter().map(|happening| match &happening.happened {
            Happened::Delivered(delivered) => format!("{} {} {delivered:?}", happening.at.micros(), happening.peer),
            Happened::Received(_) => "received".into(),
        });
        (page.cursor, happened.collect::<Vec<_>>())
    };
    for (system, count) in [("akte", 2), ("another", 0)] {
        let reader = Reader { system: system.into(), purposes: Purposes::default() };
        let recent = told(read_inbox(&pair.owner, &reader, 0).await.unwrap());
        assert!(pair.owner.store.counters().work("inbox").runs == 0 || count == 0, "nothing is read for it");
        let stored = told(read_stored(&pair.owner, &reader, 0).await.unwrap());
        assert_eq!((recent.1.len(), &recent), (count, &stored));
    }
}

/// Returns the records of the batch whose receipt an entry tells.
async fn acknowledged(node: &Node, leaf: &Leaf) -> Vec<Id> {
    let Some(Detail::Batch(batch)) = LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap().detail else {
        return Vec::new();
    };
    let id = Id::from_slice(&batch.batch_id).unwrap();
    let sent = node.store.read("batch", move |tx| Box::pin(batch::find(tx, id))).await.unwrap();
    sent.into_iter().flat_map(|sent| sent.items).map(|item| item.record_id).collect()
}
