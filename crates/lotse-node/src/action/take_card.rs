//! Takes a newer card of a known peer. Whatever is refused, the last good card stays.

use std::sync::Arc;

use lotse_core::card::{Card, CardStep, KnownCard, judge};
use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::seal::{DocumentType, Seal};
use lotse_core::time::Timestamp;
use lotse_store::card::StoredCard;
use prost::Message;

use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Change, Federation, Write, bundle, change};
use crate::node::Node;
use crate::wire;

/// Takes the card that a peer shows. Taking what is known changes nothing.
///
/// # Errors
/// `PEER_UNKNOWN`, `CARD_INVALID`, `SCHEMA_TOO_NEW`, `CARD_SEAL_INVALID`, `CARD_VERSION_LOWER`, `CARD_ROOT_CHANGED`,
/// `CARD_CONFLICT`, `CARD_EXPIRED`; each is logged and an alarm.
pub async fn take_card(node: &Arc<Node>, peer: &AgencyId, seal: Seal) -> Result<(), Failure> {
    let (from, at) = (peer.clone(), node.now());
    let taken = change(node, "take_card", move |federation| decide(federation, &from, &seal, at)).await;
    let problem = taken.as_ref().err().map(refused_card);
    if let Some(problem) = &problem
        && let Some(times) = node.links.said.count(&format!("{peer} card {problem}"), at)
    {
        tracing::error!(%peer, %problem, times, "a peer's new card was refused, the last good one stays");
    }
    node.links.update(peer, |link| link.card_problem = problem);
    taken
}

/// Says that a peer's new card was refused.
pub fn refused_card(failure: &Failure) -> String {
    format!("its new card was refused, the last good one stays: {failure}")
}

fn decide(federation: &Federation, peer: &AgencyId, seal: &Seal, at: Timestamp) -> Change<()> {
    let Some(known) = federation.peers.get(peer) else {
        return Change::none(Err(Failure::refused(Reason::PeerUnknown)));
    };
    let draft = Draft { digest: Some(Digest::of(&seal.payload)), ..Draft::default() };
    let (card, step) = match examine(seal, peer, Some(&known.card), at) {
        Ok(examined) => examined,
        Err(failure) => {
            let refused = Change::refuse_peer(peer, failure, EntryKind::PeerCardRefused, draft);
            return refused.with_alarm();
        }
    };
    if step == CardStep::Known {
        return Change::none(Ok(()));
    }
    let draft = Draft { peer: Some(peer.clone()), direction: Direction::In, version: card.version, ..draft };
    let writes = vec![Write::PeerGeneration(peer.clone(), card.generation), Write::Card(stored(&card, seal, at))];
    Change::done((), writes, vec![(EntryKind::PeerCardTaken, Draft { decision: Decision::Permit, ..draft })])
}

/// Reads a card that came for an agency and judges it by what is known.
pub(super) fn examine(
    seal: &Seal,
    agency: &AgencyId,
    known: Option<&KnownCard>,
    at: Timestamp,
) -> Result<(Card, CardStep), Failure> {
    if seal.document_type != DocumentType::Card {
        return Err(invalid("the sealed document is no card"));
    }
    let card = wire::card::parse(&seal.payload).map_err(Failure::refused)?;
    if card.agency != *agency {
        return Err(invalid(&format!("the card is {}'s, not {agency}'s", card.agency)));
    }
    let step = judge(&card, seal, known, at).map_err(|reason| match (reason, card.fault()) {
        (Reason::CardInvalid, Some(fault)) => invalid(fault),
        _ => Failure::refused(reason),
    })?;
    if bundle(&card.trust_bundle).is_none() {
        return Err(invalid("a certificate of the trust bundle is no authority's"));
    }
    Ok((card, step))
}

/// Says what is wrong with a card.
pub(super) fn invalid(why: &str) -> Failure {
    let message = format!("{}: {why}; draft and sign it again", Reason::CardInvalid.sentence());
    Failure::new(ErrorKind::Refused, Reason::CardInvalid, message)
}

/// Builds the row of a card.
pub(super) fn stored(card: &Card, seal: &Seal, taken_at: Timestamp) -> StoredCard {
    StoredCard {
        agency: card.agency.clone(),
        version: card.version,
        digest: Digest::of(&seal.payload),
        seal: wire::seal::message(seal).encode_to_vec(),
        taken_at,
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::card::KeyUse;

    use super::*;
    use crate::testing::{TestNode, introduce, key};

    async fn two() -> (TestNode, TestNode) {
        let one = TestNode::new("one.example").await;
        let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
        introduce(&[&one, &two]).await;
        (one, two)
    }

    async fn reason(node: &TestNode, peer: &TestNode, seal: Seal) -> Reason {
        take_card(node, &peer.agency, seal).await.unwrap_err().reason()
    }

    #[tokio::test]
    async fn a_newer_card_is_taken_without_an_administrator_and_counts_at_once() {
        let (one, two) = two().await;
        let mut card = two.card(2);
        card.endpoints = vec!["elsewhere.example:443".into()];
        let version = one.federation.get().version;
        take_card(&one, &two.agency, two.seal_card(&card)).await.unwrap();
        let federation = one.federation.get();
        assert_eq!(federation.peers[&two.agency].card.card, card);
        assert_eq!(federation.version, version + 1);
        assert_eq!(one.log().await.last(), Some(&EntryKind::PeerCardTaken));
        take_card(&one, &two.agency, two.seal_card(&card)).await.unwrap();
        assert_eq!(one.federation.get().version, version + 1, "the same card again changes nothing");
    }

    #[tokio::test]
    async fn every_bad_card_is_refused_and_the_last_good_one_stays() {
        let (one, two) = two().await;
        take_card(&one, &two.agency, two.seal_card(&two.card(5))).await.unwrap();
        let good = one.federation.get().peers[&two.agency].card.digest;

        assert_eq!(reason(&one, &two, two.seal_card(&two.card(4))).await, Reason::CardVersionLower);
        let other_text = Card { name: "Other".into(), ..two.card(5) };
        assert_eq!(reason(&one, &two, two.seal_card(&other_text)).await, Reason::CardConflict);
        let foreign = key("foreign", "root");
        let mut other_root =
            Seal::new(DocumentType::Card, wire::card::compile(&Card { root: foreign.public(), ..two.card(6) }));
        other_root.sign(&foreign, None);
        assert_eq!(reason(&one, &two, other_root).await, Reason::CardRootChanged);
        let mut forged = Seal::new(DocumentType::Card, wire::card::compile(&two.card(6)));
        forged.sign(&foreign, Some(two.agency.clone()));
        assert_eq!(reason(&one, &two, forged).await, Reason::CardSealInvalid);
        let expired = Card { valid_until: two.now(), ..two.card(6) };
        assert_eq!(reason(&one, &two, two.seal_card(&expired)).await, Reason::CardExpired);
        let no_authority = Card { trust_bundle: vec![vec![1]], ..two.card(6) };
        assert_eq!(reason(&one, &two, two.seal_card(&no_authority)).await, Reason::CardInvalid);
        assert_eq!(reason(&one, &two, one.seal_card(&one.card(6))).await, Reason::CardInvalid, "another agency's");
        let mut too_new = wire::card::compile(&two.card(6));
        too_new.extend([0xf8, 0x3f, 0x01]);
        let mut too_new = Seal::new(DocumentType::Card, too_new);
        too_new.sign(&two.root, None);
        assert_eq!(reason(&one, &two, too_new).await, Reason::SchemaTooNew);

        assert_eq!(one.federation.get().peers[&two.agency].card.digest, good);
        let log = one.log().await;
        assert_eq!(log.iter().filter(|kind| **kind == EntryKind::PeerCardRefused).count(), 7, "CARD_INVALID merged");
        assert_eq!(log.last(), Some(&EntryKind::Alarm));
        assert!(one.links.alarms(|_| 0).iter().any(|alarm| alarm.contains("card")));
    }

    #[tokio::test]
    async fn a_stranger_s_card_is_not_even_logged() {
        let (one, _two) = two().await;
        let three = TestNode::new("three.example").await;
        assert_eq!(reason(&one, &three, three.seal_card(&three.card(1))).await, Reason::PeerUnknown);
        assert_eq!(one.log().await.last(), Some(&EntryKind::PeerAccepted));
    }

    #[tokio::test]
    async fn a_revoked_key_of_a_newer_card_signs_nothing_any_more() {
        let (one, two) = two().await;
        let mut card = two.card(2);
        card.keys[0].revoked_at = Some(two.now());
        take_card(&one, &two.agency, two.seal_card(&card)).await.unwrap();
        let federation = one.federation.get();
        assert!(federation.peers[&two.agency].card.card.keys_at(KeyUse::Sealing, two.now()).is_empty());
    }
}
