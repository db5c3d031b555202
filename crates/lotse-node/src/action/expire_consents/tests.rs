//! What expiry promises.

use std::time::Duration;

use lotse_core::consent::ConsentState;
use lotse_core::purpose::{Purpose, RecordKind};
use lotse_core::reason::Reason;
use lotse_core::time::DAY;

use super::*;
use crate::action::record_consent::tests::{record_good, towards};
use crate::testing::TestNode;
use crate::wire::consent::tests::{OWN, YOUTH, good};

/// Says why the consent of `AK-1` covers nothing towards the youth welfare office now.
async fn objection(node: &TestNode) -> Option<Reason> {
    let consent = towards(node, YOUTH, 1).await.remove(0).consent;
    consent.objection(Purpose::Orientation.into(), RecordKind::Referral.into(), node.now())
}

#[tokio::test]
async fn an_expired_consent_stays_expired_when_the_clock_steps_back() {
    let node = TestNode::new(OWN).await;
    record_good(&node, &[good(1)]).await;
    let epoch = towards(&node, YOUTH, 1).await[0].epoch;
    assert_eq!(expire_consents(&node).await, Ok(0));
    assert_eq!(objection(&node).await, None);

    node.clock.turn(DAY * 100);
    assert_eq!(objection(&node).await, Some(Reason::ConsentExpired), "before the task has come");
    assert_eq!(expire_consents(&node).await, Ok(1));
    node.clock.turn_back(DAY * 50);
    assert_eq!(objection(&node).await, Some(Reason::ConsentExpired));
    let after = towards(&node, YOUTH, 1).await.remove(0);
    assert_eq!(after.consent.state, ConsentState::Expired);
    assert!(after.epoch > epoch);
    assert_eq!(node.log().await.last(), Some(&EntryKind::ConsentExpired));
    assert_eq!(expire_consents(&node).await, Ok(0));
}

#[tokio::test]
async fn more_consents_than_fit_into_one_transaction_expire() {
    let node = TestNode::new(OWN).await;
    let consent = |number: u8, first: u8| {
        let mut id = [number; 16];
        id[0] = first;
        lotse_proto::record::v1::Consent { id: Id::from_bytes(id).to_string(), ..good(1) }
    };
    for first in 0..2 {
        record_good(&node, &(0..200).map(|number| consent(number, first)).collect::<Vec<_>>()).await;
    }
    node.clock.turn(DAY * 100 + Duration::from_secs(1));
    assert_eq!(expire_consents(&node).await, Ok(400));
}
