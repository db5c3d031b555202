//! Reasons that a peer, its card, the own card, the clocks and the log give.

use std::time::Duration;

use lotse_core::reason::Reason;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::Hello;

use super::{causes, refused};
use crate::action::delivery_tests::pair::{Pair, submissions};
use crate::action::exchange_hellos::compare_hello;
use crate::action::submit_referrals::{Timing, submit_referrals};
use crate::action::suspend_peer::suspend_peer;
use crate::action::take_card::take_card;
use crate::testing::admin;

/// Longer than a card is valid.
const CARDS_END: Duration = DAY.saturating_mul(400);

async fn consented() -> Pair {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair
}

async fn submitted(pair: &Pair) -> Vec<Reason> {
    refused(pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn unknown() -> Vec<Reason> {
    let pair = consented().await;
    let handed = submissions(&[pair.handover("key-1", "person-1")]);
    let outcome = submit_referrals(&pair.owner, &"zz.example".parse().unwrap(), handed, Timing::Later).await.unwrap();
    let message = outcome.results[0].as_ref().unwrap_err().message();
    assert!(message.starts_with("no card of zz.example is accepted here: accepted are those of "), "{message}");
    causes(outcome.results[0].as_ref().unwrap_err())
}

pub(super) async fn suspended() -> Vec<Reason> {
    let pair = consented().await;
    suspend_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    submitted(&pair).await
}

pub(super) async fn card_expired() -> Vec<Reason> {
    let pair = consented().await;
    pair.clock.turn(CARDS_END);
    submitted(&pair).await
}

pub(super) async fn own_card_expired() -> Vec<Reason> {
    let pair = consented().await;
    pair.clock.turn(CARDS_END);
    take_card(&pair.owner, &pair.holder.agency, pair.holder.seal_card(&pair.holder.card(2))).await.unwrap();
    submitted(&pair).await
}

pub(super) async fn clocks_apart() -> Vec<Reason> {
    let pair = consented().await;
    pair.owner.links.update(&pair.holder.agency, |link| link.clock_difference_us = 121_000_000);
    submitted(&pair).await
}

pub(super) async fn clock_stepped_back() -> Vec<Reason> {
    let pair = consented().await;
    pair.clock.turn(DAY); // the cards began a minute before the first day's start
    pair.owner.observe_clock();
    pair.clock.turn_back(Duration::from_secs(121));
    submitted(&pair).await
}

pub(super) async fn clock_jumped_ahead() -> Vec<Reason> {
    let pair = consented().await;
    pair.clock.jump(Duration::from_secs(121));
    submitted(&pair).await
}

pub(super) async fn numbers_later_than_known() -> Vec<Reason> {
    let pair = consented().await;
    let hello = Hello { peer_generation: 2, ..Hello::default() };
    compare_hello(&pair.owner.node, &pair.holder.agency, &hello).await.unwrap_err();
    submitted(&pair).await
}

pub(super) async fn log_on_hold() -> Vec<Reason> {
    let pair = consented().await;
    pair.owner.holds.hold_log("test".into());
    submitted(&pair).await
}
