//! What is decided again later: repeats, reads, and consents whose time was over once.

use std::time::Duration;

use lotse_core::delivery::DeliveryState;
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::time::DAY;

use super::pair::Pair;
use crate::action::claim_again::claim_again;
use crate::action::fetch_records::fetch_records;
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
