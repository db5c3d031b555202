//! What is decided again later: repeats, reads, purges, and consents whose time was over once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_core::delivery::DeliveryState;
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::time::DAY;
use lotse_store::StoreError;
use tokio::sync::oneshot;

use super::pair::Pair;
use crate::action::claim_again::claim_again;
use crate::action::fetch_records::fetch_records;
use crate::action::purge_ended::purge_ended;
use crate::action::submit_referrals::Room;
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::testing::admin;

#[tokio::test]
async fn what_is_in_doubt_is_not_sent_again_while_its_peer_is_suspended() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Room::Free).await;
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

/// A clock may step back by less than what stops releases.
#[tokio::test]
async fn a_consent_that_was_found_expired_once_stays_expired_when_the_clock_steps_back_a_little() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let refused = async |key: &str| {
        let outcome = pair.submit(&[pair.handover(key, "person-1")], Room::Free).await;
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
    purge_ended(&pair.holder).await.unwrap();
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
    purge_ended(&pair.holder).await.unwrap_err();
    let log = pair.holder.database.folder().unwrap().join("lotse.db-wal");
    let size = || std::fs::metadata(&log).unwrap().len();
    assert!(size() > 0, "the purge itself stands, and the old bytes are still there");
    end.send(()).unwrap();
    reader.await.unwrap();
    assert_eq!(purge_ended(&pair.holder).await.unwrap(), 0);
    assert_eq!(size(), 0);
    assert!(!pair.holder.signals.content_gone.load(Ordering::Acquire));
}
