//! Reasons that requests of the agency's own people and systems give.

use std::sync::Arc;

use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_core::time::DAY;
use lotse_proto::agency::v1::ReferralHandover;
use tonic_types::StatusExt;

use super::{causes, refused};
use crate::action::cancel_referral::cancel_referral;
use crate::action::claim::claim_due;
use crate::action::delivery_tests::pair::{Pair, submissions};
use crate::action::submit_referrals::{Timing, submit_referrals};
use crate::edge::{Limits, tests as edge};
use crate::failure::Failure;
use crate::grpc::access::SUBMIT_REFERRAL;
use crate::identity::{Role, Side};
use crate::testing::FIRST_DAY;
use crate::tls::tests::kit::{Agency, HandClock};
use crate::tls::{Standing, TrustStore};
use crate::wire::referral::parse_handover;

async fn consented() -> Pair {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair
}

pub(super) fn a_malformed_handover() -> Vec<Reason> {
    let handover = ReferralHandover { recipient: "Not An Agency".into(), ..ReferralHandover::default() };
    parse_handover(handover, FIRST_DAY.parse().unwrap()).err().map(|failure| causes(&failure)).unwrap_or_default()
}

pub(super) async fn a_key_with_other_content() -> Vec<Reason> {
    let pair = consented().await;
    pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap();
    let other = pair.handover_with("key-1", "person-1", |referral| referral.sender_reference = "other".into());
    refused(&pair, other).await
}

pub(super) async fn an_answer_out_of_order() -> Vec<Reason> {
    let pair = consented().await;
    let referral = pair.delivered("key-1", "person-1").await;
    causes(&pair.answer("answer-1", referral, ReferralEvent::InProgress, false).await.unwrap_err())
}

pub(super) async fn a_referral_that_is_not_there() -> Vec<Reason> {
    let pair = Pair::new().await;
    let nothing = Id::from_bytes([9; 16]);
    causes(&cancel_referral(&pair.owner, "akte", "spiffe://jc.example/system/akte", nothing).await.unwrap_err())
}

pub(super) async fn a_call_too_many() -> Vec<Reason> {
    let (world, _) = edge::open(Limits { calls_per_connection: 0, ..Limits::default() }).await;
    let status = edge::who(&edge::channel(&world)).await.unwrap_err();
    let code = status.get_details_error_info().unwrap().reason;
    Reason::ALL.iter().copied().filter(|reason| reason.code() == code).collect()
}

/// Calls the desk as one of the agency's own.
async fn called_by(role: Role, name: &str) -> Vec<Reason> {
    let pair = Pair::new().await;
    let (own, trust) = (Agency::new(pair.owner.agency.as_str()), Arc::new(TrustStore::default()));
    trust.set(own.id.clone(), own.bundle());
    let standing = Standing::new(&own.card(role, name).chain, Side::Client, trust, HandClock::new()).unwrap();
    causes(&SUBMIT_REFERRAL.admits(&pair.owner, standing.identity()).unwrap_err())
}

pub(super) async fn an_officer_at_the_desk() -> Vec<Reason> {
    called_by(Role::Officer, "eva").await
}

pub(super) async fn a_system_without_grant() -> Vec<Reason> {
    called_by(Role::System, "lesend").await
}

pub(super) async fn a_closed_database() -> Vec<Reason> {
    let pair = consented().await;
    pair.owner.store.clone().close().await;
    let handed = submissions(&[pair.handover("key-1", "person-1")]);
    let outcome = submit_referrals(&pair.owner, &pair.holder.agency, handed, Timing::AtOnce).await;
    outcome.err().map(|error| causes(&Failure::from(error))).unwrap_or_default()
}

pub(super) async fn a_cancelled_item() -> Vec<Reason> {
    let pair = consented().await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    cancel_referral(&pair.owner, "akte", "spiffe://jc.example/system/akte", record_id).await.unwrap();
    pair.sent(record_id).await.reasons
}

pub(super) async fn an_item_whose_time_is_over() -> Vec<Reason> {
    let pair = consented().await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    pair.clock.turn(DAY * 29);
    claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    pair.sent(record_id).await.reasons
}
