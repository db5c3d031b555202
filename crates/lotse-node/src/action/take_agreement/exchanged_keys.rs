//! Seals of keys that were exchanged since.

use std::sync::Arc;
use std::time::Duration;

use lotse_core::card::{Card, CardKey};
use lotse_core::reason::Reason;

use super::tests::{ID, counts, nodes, offer, refused, sealed};
use crate::action::take_card::take_card;
use crate::action::take_seals::take_seals;
use crate::entry::EntryKind;
use crate::testing::{TestNode, agreement_text, key, pass_on, seal_version};

impl TestNode {
    /// Exchanges the sealing key. The card names the one before as it was until now, with a change.
    async fn with_new_key(self, version: u64, change: impl FnOnce(&mut CardKey)) -> (TestNode, Card) {
        let mut retired = CardKey { not_after: self.now(), ..self.card(version).keys[0].clone() };
        change(&mut retired);
        let mut node = self.restart().await;
        node.clock.turn(Duration::from_secs(1));
        let name = format!("sealing {version}");
        Arc::get_mut(&mut node.node).unwrap().keys.sealing = key(node.agency.as_str(), &name);
        let mut card = node.card(version);
        card.keys.push(retired);
        node.install(&card).await;
        (node, card)
    }
}

#[tokio::test]
async fn a_seal_by_a_key_that_was_exchanged_since_counts() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
    seal_version(&one, ID, 1).await.unwrap();
    let (one, card) = one.with_new_key(2, |_| ()).await;
    take_card(&two, &one.agency, one.seal_card(&card)).await.unwrap();
    pass_on(&one, &two, digest).await;
    seal_version(&two, ID, 1).await.unwrap();
    assert_eq!(counts(&two), [1]);
}

#[tokio::test]
async fn a_seal_by_a_key_that_is_lost_does_not_count() {
    let losses: [fn(&mut CardKey); 2] =
        [|key| key.revoked_at = Some(key.not_after), |key| key.compromised_since = Some(key.not_before)];
    for lost in losses {
        let [one, two] = nodes(["one.example", "two.example"]).await;
        let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
        seal_version(&one, ID, 1).await.unwrap();
        let (one, card) = one.with_new_key(2, lost).await;
        take_card(&two, &one.agency, one.seal_card(&card)).await.unwrap();
        assert_eq!(refused(&two, &one, sealed(&one, digest)).await, Reason::AgreementSealInvalid);
    }
}

#[tokio::test]
async fn who_has_a_new_key_seals_again_and_peers_who_lack_the_old_seal_take_the_new_one() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
    pass_on(&one, &two, digest).await;
    seal_version(&two, ID, 1).await.unwrap();
    pass_on(&two, &one, digest).await;
    seal_version(&one, ID, 1).await.unwrap();
    assert_eq!(counts(&one), [1]);
    let (one, card) = one.with_new_key(2, |key| key.compromised_since = Some(key.not_before)).await;
    take_card(&two, &one.agency, one.seal_card(&card)).await.unwrap();
    let taken = take_seals(&two, &one.agency, digest, sealed(&one, digest).signatures).await;
    assert_eq!(taken.unwrap_err().reason(), Reason::AgreementSealInvalid, "the old seal is worth nothing there");
    seal_version(&one, ID, 1).await.unwrap();
    assert_eq!(sealed(&one, digest).signatures.len(), 2, "the new seal has taken the place of the old one");
    assert_eq!(counts(&one), [1], "what was complete stays so");
    take_seals(&two, &one.agency, digest, sealed(&one, digest).signatures).await.unwrap();
    assert_eq!(counts(&two), [1]);
    let entries = one.entries(EntryKind::AgreementSealed).await;
    seal_version(&one, ID, 1).await.unwrap();
    assert_eq!(one.entries(EntryKind::AgreementSealed).await, entries, "sealing with the same key changes nothing");
}
