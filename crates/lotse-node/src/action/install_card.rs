//! Installs the own card, signed where the root key is.

use std::sync::Arc;

use lotse_core::card::{Card, CardStep};
use lotse_core::id::Digest;
use lotse_core::seal::Seal;
use lotse_core::time::Timestamp;

use super::take_card::{examine, invalid, stored};
use crate::entry::{Decision, Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::{Act, Change, Federation, Write, change};
use crate::node::Node;

/// Installs a card and returns its version. Installing the installed one changes nothing.
///
/// # Errors
/// `CARD_INVALID` (also if it is another agency's, of another generation, or lacks a key of this node), `SCHEMA_TOO_NEW`,
/// `CARD_SEAL_INVALID`, `CARD_VERSION_LOWER`, `CARD_ROOT_CHANGED`, `CARD_CONFLICT`, `CARD_EXPIRED`.
pub async fn install_card(node: &Arc<Node>, seal: Seal, act: Act) -> Result<u64, Failure> {
    let (own, at) = (node.clone(), node.now());
    change(node, "install_card", move |federation| decide(federation, &own, &seal, at, &act)).await
}

fn decide(federation: &Federation, node: &Node, seal: &Seal, at: Timestamp, act: &Act) -> Change<u64> {
    let draft = Draft { digest: Some(Digest::of(&seal.payload)), ..act.draft() };
    let examined = examine(seal, &node.agency, federation.own.as_ref(), at)
        .and_then(|(card, step)| ours(&card, node, at).map(|()| (card, step)));
    match examined {
        Ok((card, CardStep::Known)) => Change::none(Ok(card.version)),
        Ok((card, CardStep::Take)) => {
            let draft = Draft { version: card.version, decision: Decision::Permit, ..draft };
            let writes = vec![Write::Card(stored(&card, seal, at))];
            Change::done(card.version, writes, vec![(EntryKind::CardInstalled, draft)])
        }
        Err(failure) => Change::refuse(failure, EntryKind::PeerCardRefused, draft),
    }
}

/// A card that does not speak of this node as it is would make others refuse whatever it signs.
fn ours(card: &Card, node: &Node, at: Timestamp) -> Result<(), Failure> {
    if card.generation != node.generation {
        return Err(invalid(&format!("it names generation {}, the node has {}", card.generation, node.generation)));
    }
    match node.keys.not_counting(card, at).first() {
        Some((_, name, _)) => Err(invalid(&format!("it does not name this node's {name} key as valid now"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::reason::Reason;

    use super::*;
    use crate::testing::{ManualClock, TestNode, admin, key};

    async fn refused(node: &TestNode, card: &Card) -> Reason {
        install_card(node, node.seal_card(card), admin()).await.unwrap_err().reason()
    }

    #[tokio::test]
    async fn a_card_is_installed_once_and_replaced_by_newer_ones_only() {
        let node = TestNode::bare("jc.example", lotse_core::agency::AgencyKind::JobcenterGe, ManualClock::new()).await;
        assert!(node.federation.get().own.is_none());
        let card = node.card(1);
        assert_eq!(install_card(&node, node.seal_card(&card), admin()).await.unwrap(), 1);
        assert_eq!(install_card(&node, node.seal_card(&card), admin()).await.unwrap(), 1);
        assert_eq!(install_card(&node, node.seal_card(&node.card(2)), admin()).await.unwrap(), 2);
        assert_eq!(refused(&node, &card).await, Reason::CardVersionLower);
        let kinds = [EntryKind::CardInstalled, EntryKind::CardInstalled, EntryKind::PeerCardRefused];
        assert_eq!(node.log().await, kinds);
        let node = node.restart().await;
        assert_eq!(node.federation.get().own.as_ref().unwrap().card.version, 2, "also after a restart");
    }

    #[tokio::test]
    async fn a_card_that_does_not_speak_of_this_node_is_refused() {
        let node = TestNode::new("jc.example").await;
        let other_generation = Card { generation: 2, ..node.card(2) };
        assert_eq!(refused(&node, &other_generation).await, Reason::CardInvalid);
        let mut other_key = node.card(2);
        other_key.keys[0].public_key = key("x", "y").public();
        assert_eq!(refused(&node, &other_key).await, Reason::CardInvalid);
        let other_agency = Card { agency: "aa.example".parse().unwrap(), ..node.card(2) };
        assert_eq!(refused(&node, &other_agency).await, Reason::CardInvalid);
        let unsigned = Seal { signatures: vec![], ..node.seal_card(&node.card(2)) };
        let failure = install_card(&node, unsigned, admin()).await.unwrap_err();
        assert_eq!(failure.reason(), Reason::CardSealInvalid);
        assert_eq!(node.federation.get().own.as_ref().unwrap().card.version, 1);
    }
}
