//! Reasons that cards give.

use lotse_core::card::Card;
use lotse_core::reason::Reason;
use lotse_core::seal::{DocumentType, Seal};

use super::causes;
use crate::action::accept_peer::accept_peer;
use crate::action::install_card::install_card;
use crate::action::take_card::take_card;
use crate::testing::{TestNode, admin, introduce, key};
use crate::wire;

async fn two() -> (TestNode, TestNode) {
    let one = TestNode::new("one.example").await;
    let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
    introduce(&[&one, &two]).await;
    (one, two)
}

async fn shown(one: &TestNode, two: &TestNode, seal: Seal) -> Vec<Reason> {
    causes(&take_card(one, &two.agency, seal).await.unwrap_err())
}

pub(super) async fn unsigned() -> Vec<Reason> {
    let (one, two) = two().await;
    let seal = Seal { signatures: vec![], ..two.seal_card(&two.card(2)) };
    shown(&one, &two, seal).await
}

pub(super) async fn an_older_one() -> Vec<Reason> {
    let (one, two) = two().await;
    take_card(&one, &two.agency, two.seal_card(&two.card(5))).await.unwrap();
    shown(&one, &two, two.seal_card(&two.card(4))).await
}

pub(super) async fn another_root() -> Vec<Reason> {
    let (one, two) = two().await;
    let impostor = key("impostor", "root");
    let card = Card { root: impostor.public(), ..two.card(2) };
    let mut seal = Seal::new(DocumentType::Card, wire::card::compile(&card));
    seal.sign(&impostor, None);
    shown(&one, &two, seal).await
}

pub(super) async fn another_text_of_the_same_version() -> Vec<Reason> {
    let (one, two) = two().await;
    let other = Card { name: "Other".into(), ..two.card(1) };
    shown(&one, &two, two.seal_card(&other)).await
}

pub(super) async fn expired() -> Vec<Reason> {
    let (one, two) = two().await;
    let ended = Card { valid_until: two.now(), ..two.card(2) };
    shown(&one, &two, two.seal_card(&ended)).await
}

pub(super) async fn another_generation() -> Vec<Reason> {
    let node = TestNode::new("one.example").await;
    let card = Card { generation: 2, ..node.card(2) };
    causes(&install_card(&node, node.seal_card(&card), admin()).await.unwrap_err())
}

pub(super) async fn another_fingerprint() -> Vec<Reason> {
    let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
    let others = one.root.public().fingerprint().to_string();
    causes(&accept_peer(&one, two.seal_card(&two.card(1)), others, admin()).await.unwrap_err())
}
