//! Accepts an agency's first card, after two administrators have compared its fingerprint by a second channel.

use std::sync::Arc;

use lotse_core::card::{Card, CardStep};
use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::seal::Seal;
use lotse_core::time::Timestamp;

use super::take_card::{examine, stored};
use crate::entry::{Decision, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Act, Change, Federation, Write, change};
use crate::node::Node;
use crate::wire;

/// What to do about another fingerprint. Not the card's own: it would be copied, and nothing would have been compared.
const COMPARE: &str = "it is six groups of five digits; let the agency's administrator read it out again by a second channel, and \
    if it still differs, this card is not theirs";

/// What to do with the own card.
const OWN_CARD: &str = "this is this agency's own card: give the file that the other agency sent; a new card of the own agency is \
    installed with `lotse card install`";

/// Accepts a card and returns whose it is. A newer card of a known peer is taken; the known one changes nothing.
///
/// # Errors
/// `FINGERPRINT_MISMATCH`, `CARD_INVALID`, `SCHEMA_TOO_NEW`, `CARD_SEAL_INVALID`, `CARD_EXPIRED`; of a known peer
/// `CARD_ROOT_CHANGED`, `CARD_VERSION_LOWER` and `CARD_CONFLICT` too.
pub async fn accept_peer(node: &Arc<Node>, seal: Seal, fingerprint: String, act: Act) -> Result<AgencyId, Failure> {
    let (own, at) = (node.agency.clone(), node.now());
    let decide = move |federation: &Federation| {
        let draft = Draft { digest: Some(Digest::of(&seal.payload)), ..act.draft() };
        match compared(federation, &own, &seal, &fingerprint, at) {
            Ok((card, step)) => accept(federation, &card, step, &seal, draft, at),
            Err(failure) => Change::refuse(failure, EntryKind::PeerCardRefused, draft),
        }
    };
    change(node, "accept_peer", decide).await
}

fn compared(
    federation: &Federation,
    own: &AgencyId,
    seal: &Seal,
    fingerprint: &str,
    at: Timestamp,
) -> Result<(Card, CardStep), Failure> {
    let card = wire::card::parse(&seal.payload).map_err(Failure::refused)?;
    if card.agency == *own {
        return Err(Failure::new(ErrorKind::Refused, Reason::CardInvalid, OWN_CARD));
    }
    if !card.root.fingerprint().matches(fingerprint) {
        let message = format!("{}: {COMPARE}", Reason::FingerprintMismatch.sentence());
        return Err(Failure::new(ErrorKind::Refused, Reason::FingerprintMismatch, message));
    }
    let known = federation.peers.get(&card.agency).map(|peer| &peer.card);
    examine(seal, &card.agency, known, at)
}

fn accept(
    federation: &Federation,
    card: &Card,
    step: CardStep,
    seal: &Seal,
    draft: Draft,
    at: Timestamp,
) -> Change<AgencyId> {
    let agency = card.agency.clone();
    if step == CardStep::Known {
        return Change::none(Ok(agency));
    }
    let known = federation.peers.contains_key(&agency);
    let (kind, peer) = match known {
        true => (EntryKind::PeerCardTaken, Write::PeerGeneration(agency.clone(), card.generation)),
        false => (EntryKind::PeerAccepted, Write::Peer(agency.clone(), at, card.generation)),
    };
    let draft = Draft { peer: Some(agency.clone()), version: card.version, decision: Decision::Permit, ..draft };
    Change::done(agency, vec![peer, Write::Card(stored(card, seal, at))], vec![(kind, draft)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestNode, admin};

    async fn refused(node: &TestNode, seal: Seal, fingerprint: &str) -> Reason {
        accept_peer(node, seal, fingerprint.into(), admin()).await.unwrap_err().reason()
    }

    #[tokio::test]
    async fn a_card_is_accepted_with_its_own_fingerprint_only() {
        let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
        let seal = two.seal_card(&two.card(1));
        let wrong = one.root.public().fingerprint().to_string();
        assert_eq!(refused(&one, seal.clone(), &wrong).await, Reason::FingerprintMismatch);
        assert_eq!(refused(&one, seal.clone(), "").await, Reason::FingerprintMismatch);
        assert!(one.federation.get().peers.is_empty());
        assert!(!one.federation.trust().knows(&two.agency));

        let right = two.root.public().fingerprint().to_string().replace(' ', "-");
        assert_eq!(accept_peer(&one, seal.clone(), right.clone(), admin()).await.unwrap(), two.agency);
        assert_eq!(accept_peer(&one, seal, right, admin()).await.unwrap(), two.agency, "again");
        assert!(one.federation.trust().knows(&two.agency), "its certificates count from now on");
        assert_eq!(
            one.log().await[1..],
            [EntryKind::PeerCardRefused, EntryKind::PeerCardRefused, EntryKind::PeerAccepted]
        );
    }

    #[tokio::test]
    async fn the_own_card_an_unsigned_one_and_another_root_are_not_accepted() {
        let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
        let own = one.seal_card(&one.card(1));
        assert_eq!(refused(&one, own, &one.root.public().fingerprint().to_string()).await, Reason::CardInvalid);
        let fingerprint = two.root.public().fingerprint().to_string();
        let unsigned = Seal { signatures: vec![], ..two.seal_card(&two.card(1)) };
        assert_eq!(refused(&one, unsigned, &fingerprint).await, Reason::CardSealInvalid);
        let expired = Card { valid_until: two.now(), ..two.card(1) };
        assert_eq!(refused(&one, two.seal_card(&expired), &fingerprint).await, Reason::CardExpired);

        one.accept(&two).await;
        let impostor = crate::testing::key("impostor", "root");
        let card = Card { root: impostor.public(), ..two.card(2) };
        let mut seal = Seal::new(lotse_core::seal::DocumentType::Card, wire::card::compile(&card));
        seal.sign(&impostor, None);
        let fingerprint = impostor.public().fingerprint().to_string();
        assert_eq!(refused(&one, seal, &fingerprint).await, Reason::CardRootChanged);
    }
}
