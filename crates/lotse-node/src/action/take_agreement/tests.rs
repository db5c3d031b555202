use std::time::Duration;

use lotse_core::agency::AgencyKind;
use lotse_core::agreement::in_force;
use lotse_core::id::{Digest, Id};
use lotse_core::key::SigningKey;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1 as proto;
use prost::Message as _;

use super::*;
use crate::action::offer_agreement::offer_agreement;
use crate::action::sign_agreement::{ReadVersion, sign_agreement};
use crate::action::take_card::take_card;
use crate::action::take_seals::take_seals;
use crate::testing::{
    ManualClock, TestNode, admin, agree, agree_on, agreement_text, introduce, key, pass_on, seal_version,
};

pub(super) async fn nodes<const N: usize>(names: [&str; N]) -> [TestNode; N] {
    let clock = ManualClock::new();
    let mut nodes = Vec::new();
    for name in names {
        nodes.push(TestNode::with(name, AgencyKind::JobcenterGe, clock.clone()).await);
    }
    introduce(&nodes.iter().collect::<Vec<_>>()).await;
    nodes.try_into().unwrap_or_else(|_| panic!("as many nodes as names"))
}

pub(super) const ID: Id = Id::from_bytes([7; 16]);

pub(super) async fn offer(node: &TestNode, text: &str) -> Digest {
    offer_agreement(node, text, admin()).await.unwrap().0.digest
}

async fn refused_offer(node: &TestNode, text: &str) -> Reason {
    offer_agreement(node, text, admin()).await.unwrap_err().reason()
}

pub(super) async fn refused(to: &TestNode, from: &TestNode, seal: Seal) -> Reason {
    take_agreement(to, &from.agency, seal).await.unwrap_err().reason()
}

pub(super) fn sealed(node: &TestNode, digest: Digest) -> Seal {
    node.federation.get().seals[&digest].as_ref().clone()
}

fn sign(seal: &mut Seal, key: &SigningKey, agency: &AgencyId) {
    let mut own = Seal::new(DocumentType::Agreement, seal.payload.clone());
    own.sign(key, Some(agency.clone()));
    seal.signatures.append(&mut own.signatures);
}

pub(super) fn counts(node: &TestNode) -> Vec<u32> {
    in_force(&node.federation.get().agreements, node.now()).iter().map(|known| known.agreement.version).collect()
}

fn version(text: &str, version: u32) -> String {
    text.replace("version = 1\n", &format!("version = {version}\n"))
}

#[tokio::test]
async fn an_agreement_counts_once_all_parties_have_sealed_it() {
    let [one, two, three] = nodes(["one.example", "two.example", "three.example"]).await;
    let text = agreement_text(ID, 0, &[&one, &two, &three]);
    let digest = offer(&one, &text).await;
    pass_on(&one, &two, digest).await;
    seal_version(&one, ID, 1).await.unwrap();
    seal_version(&two, ID, 1).await.unwrap();
    pass_on(&one, &two, digest).await;
    assert!(counts(&two).is_empty(), "one seal is missing");
    pass_on(&two, &three, digest).await;
    seal_version(&three, ID, 1).await.unwrap();
    assert_eq!(counts(&three), [1]);
    let signatures = sealed(&three, digest).signatures;
    assert_eq!(take_seals(&two, &three.agency, digest, signatures).await.unwrap().len(), 3);
    assert_eq!(counts(&two), [1]);
    let two = two.restart().await;
    assert_eq!(counts(&two), [1], "also after a restart");
    assert_eq!(two.log().await.last(), Some(&EntryKind::AgreementCompleted));
}

#[tokio::test]
async fn seals_that_verify_only_with_keys_that_come_along_are_refused() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
    let brought = key("brought", "along");
    let mut forged = sealed(&one, digest);
    sign(&mut forged, &brought, &one.agency);
    assert_eq!(refused(&two, &one, forged.clone()).await, Reason::AgreementSealInvalid);
    assert!(two.federation.get().agreements.is_empty());

    pass_on(&one, &two, digest).await;
    let taken = take_seals(&two, &one.agency, digest, forged.signatures).await;
    assert_eq!(taken.unwrap_err().reason(), Reason::AgreementSealInvalid);
    let mut nobody = sealed(&one, digest);
    sign(&mut nobody, &brought, &"stranger.example".parse().unwrap());
    assert_eq!(refused(&two, &one, nobody).await, Reason::AgreementSealInvalid);
    let mut swapped = sealed(&one, digest);
    sign(&mut swapped, &one.keys.sealing, &two.agency);
    assert_eq!(
        refused(&two, &one, swapped).await,
        Reason::AgreementSealInvalid,
        "one party's key under another's name"
    );
    let mut log_key = sealed(&one, digest);
    sign(&mut log_key, &one.keys.log, &one.agency);
    assert_eq!(refused(&two, &one, log_key).await, Reason::AgreementSealInvalid, "a log key seals nothing");
    assert!(two.federation.get().sealed_by(&digest).is_empty());
    assert!(two.log().await.contains(&EntryKind::AgreementRefused));
}

#[tokio::test]
async fn a_party_s_new_key_authority_and_endpoint_need_no_new_agreement() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    agree(&[&one, &two]).await;
    let mut card = two.card(2);
    card.keys[0].public_key = key("two.example", "new sealing").public();
    card.endpoints = vec!["new.two.example:7443".into()];
    card.trust_bundle = one.trust_bundle.clone();
    take_card(&one, &two.agency, two.seal_card(&card)).await.unwrap();
    assert_eq!(counts(&one), [1]);
    let one = one.restart().await;
    assert_eq!(counts(&one), [1]);
}

#[tokio::test]
async fn a_revoked_key_seals_nothing() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
    seal_version(&one, ID, 1).await.unwrap();
    let mut card = one.card(2);
    card.keys[0].revoked_at = Some(one.now());
    card.keys.push(lotse_core::card::CardKey {
        public_key: key("one.example", "next").public(),
        revoked_at: None,
        ..card.keys[0].clone()
    });
    take_card(&two, &one.agency, one.seal_card(&card)).await.unwrap();
    assert_eq!(refused(&two, &one, sealed(&one, digest)).await, Reason::AgreementSealInvalid);
}

#[tokio::test]
async fn a_party_without_an_accepted_card_or_with_another_root_is_unknown() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let stranger = TestNode::with("stranger.example", one.kind, one.clock.clone()).await;
    let text = agreement_text(ID, 0, &[&one, &two, &stranger]);
    assert_eq!(refused_offer(&one, &text).await, Reason::AgreementPartyUnknown);
    let without_self = agreement_text(ID, 0, &[&two, &stranger]);
    assert_eq!(refused_offer(&one, &without_self).await, Reason::AgreementPartyUnknown);
    let right = agreement_text(ID, 0, &[&one, &two]);
    let other_root = right.replace(&two.party().root_fingerprint.to_string(), &Digest::of(b"other").to_string());
    assert_eq!(refused_offer(&one, &other_root).await, Reason::AgreementPartyUnknown);

    let digest = offer(&one, &right).await;
    three_offers_what_is_none_of_its_business(&one, &two, digest).await;
    assert_eq!(one.log().await.iter().filter(|kind| **kind == EntryKind::AgreementRefused).count(), 3);
}

async fn three_offers_what_is_none_of_its_business(one: &TestNode, two: &TestNode, digest: Digest) {
    let three = TestNode::with("three.example", one.kind, one.clock.clone()).await;
    two.accept(&three).await;
    assert_eq!(refused(two, &three, sealed(one, digest)).await, Reason::AgreementPartyUnknown);
    pass_on(one, two, digest).await;
    let taken = take_seals(two, &three.agency, digest, vec![]).await;
    assert_eq!(taken.unwrap_err().reason(), Reason::AgreementUnknown, "as if it were not there");
    let unknown = take_seals(two, &one.agency, Digest::of(b"no such"), vec![]).await;
    assert_eq!(unknown.unwrap_err().reason(), Reason::AgreementUnknown);
}

#[tokio::test]
async fn of_two_texts_of_one_version_the_first_sealed_one_stays() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let text = agreement_text(ID, 0, &[&one, &two]);
    let other = text.replace("06435", "06436");
    let first = offer(&one, &text).await;
    let second = offer(&one, &other).await;
    assert!(one.federation.get().by_digest(&first).is_none(), "an unsealed text makes room for its author's next one");
    pass_on(&one, &two, second).await;
    offer(&one, &text).await;
    assert_eq!(refused(&two, &one, sealed(&one, first)).await, Reason::AgreementConflict, "but not for a peer's");
    assert_eq!(two.log().await.last(), Some(&EntryKind::Alarm));
    seal_version(&one, ID, 1).await.unwrap();
    assert_eq!(refused_offer(&one, &other).await, Reason::AgreementConflict, "a sealed text stays");
    assert!(two.federation.get().by_digest(&second).is_some());
}

#[tokio::test]
async fn a_text_that_took_the_place_of_the_one_that_was_read_is_not_sealed() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let text = agreement_text(ID, 0, &[&one, &two]);
    let read = offer(&one, &text).await;
    let exchanged = offer(&one, &text.replace("06435", "06436")).await;
    let sign = |digest| sign_agreement(&one, ReadVersion { id: ID, version: 1, digest }, admin());
    let refused = sign(read).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::AgreementConflict);
    assert!(refused.message().contains(&exchanged.to_string()), "{refused}");
    assert!(one.federation.get().sealed_by(&exchanged).is_empty());
    assert_eq!(one.log().await.last(), Some(&EntryKind::AgreementRefused));
    sign(exchanged).await.unwrap();
    assert!(one.federation.get().sealed_by(&exchanged).contains(&one.agency));
    assert_eq!(sign(read).await.unwrap_err().reason(), Reason::AgreementConflict, "also when a seal is there");
}

#[tokio::test]
async fn of_two_fully_sealed_texts_of_one_version_the_first_stays() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let text = agreement_text(ID, 0, &[&one, &two]);
    let first = agree_on(&[&one, &two], &text).await;
    let other = lotse_core::agreement::text::parse(&text.replace("06435", "06436")).unwrap();
    let mut seal = Seal::new(DocumentType::Agreement, wire::agreement::compile(other.terms()));
    sign(&mut seal, &one.keys.sealing, &one.agency);
    sign(&mut seal, &two.keys.sealing, &two.agency);
    assert_eq!(refused(&one, &two, seal.clone()).await, Reason::AgreementConflict);
    assert!(one.federation.get().by_digest(&first).is_some());
    assert_eq!(one.log().await.last(), Some(&EntryKind::Alarm));

    let [three, four] = nodes(["one.example", "two.example"]).await;
    offer(&three, &text).await;
    take_agreement(&three, &four.agency, seal).await.unwrap();
    assert_eq!(counts(&three), [1], "a fully sealed text takes the place of one that is not");
}

#[tokio::test]
async fn a_new_version_needs_a_day_and_the_seals_of_those_who_leave() {
    let [one, two, three] = nodes(["one.example", "two.example", "three.example"]).await;
    agree_on(&[&one, &two, &three], &agreement_text(ID, 0, &[&one, &two, &three])).await;
    let soon = version(&agreement_text(ID, 1, &[&one, &two]), 2);
    assert_eq!(refused_offer(&one, &soon).await, Reason::AgreementTooSoon);
    let next = version(&agreement_text(ID, 3, &[&one, &two]), 2);
    let digest = offer(&one, &next).await;
    assert_eq!(
        refused_offer(&one, &agreement_text(ID, 1, &[&one, &two])).await,
        Reason::AgreementConflict,
        "version 1 is complete"
    );
    pass_on(&one, &two, digest).await;
    for (node, other) in [(&one, &two), (&two, &one)] {
        seal_version(node, ID, 2).await.unwrap();
        pass_on(node, other, digest).await;
    }
    one.clock.turn(4 * DAY);
    assert_eq!((counts(&one), counts(&three)), (vec![1], vec![1]), "the leaving party has not sealed");
    one.clock.turn_back(4 * DAY);
    pass_on(&one, &three, digest).await;
    seal_version(&three, ID, 2).await.unwrap();
    pass_on(&three, &one, digest).await;
    assert_eq!(counts(&one), [1], "its time has not come");
    one.clock.turn(4 * DAY);
    assert_eq!((counts(&one), counts(&three)), (vec![2], vec![2]));
}

#[tokio::test]
async fn a_version_that_comes_too_late_is_not_sealed_but_what_all_have_sealed_is_taken() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    agree_on(&[&one, &two], &agreement_text(ID, 0, &[&one, &two])).await;
    let digest = offer(&one, &version(&agreement_text(ID, 3, &[&one, &two]), 2)).await;
    pass_on(&one, &two, digest).await;
    seal_version(&two, ID, 2).await.unwrap();
    one.clock.turn(2 * DAY + Duration::from_secs(60));
    let late = seal_version(&one, ID, 2).await.unwrap_err();
    assert_eq!(late.reason(), Reason::AgreementTooSoon);
    one.clock.turn_back(2 * DAY);
    seal_version(&one, ID, 2).await.unwrap();
    one.clock.turn(2 * DAY);
    let seals = sealed(&one, digest).signatures;
    take_seals(&two, &one.agency, digest, seals).await.unwrap();
    assert!(two.federation.get().by_digest(&digest).unwrap().completed_at.is_some());
}

#[tokio::test]
async fn a_lower_an_ended_and_a_malformed_version_are_refused() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let text = agreement_text(ID, 0, &[&one, &two]);
    agree_on(&[&one, &two], &version(&text, 3)).await;
    assert_eq!(refused_offer(&one, &version(&text, 2)).await, Reason::AgreementSuperseded);
    assert_eq!(refused_offer(&one, "title = \"\"").await, Reason::AgreementInvalid);
    let other = Id::from_bytes([8; 16]);
    let text = agreement_text(other, 0, &[&one, &two]);
    assert_eq!(
        refused_offer(&one, &text.replace("minimum_schema_level = 1", "minimum_schema_level = 2")).await,
        Reason::SchemaTooNew
    );
    let digest = offer(&one, &text).await;
    one.clock.turn(3 * 366 * DAY);
    let ended = seal_version(&one, other, 1).await.unwrap_err();
    assert_eq!(ended.reason(), Reason::OwnCardExpired, "the card ended first");
    one.install(&one.card(2)).await;
    let ended = seal_version(&one, other, 1).await.unwrap_err();
    assert_eq!(ended.reason(), Reason::AgreementNotInForce);
    assert_eq!(refused(&two, &one, sealed(&one, digest)).await, Reason::AgreementNotInForce);
    let none = seal_version(&one, other, 2).await.unwrap_err();
    assert_eq!(none.reason(), Reason::NotFound);
}

#[tokio::test]
async fn a_document_that_says_other_than_its_source_is_refused() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let draft = lotse_core::agreement::text::parse(&agreement_text(ID, 0, &[&one, &two])).unwrap();
    let mut other_terms = draft.terms().clone();
    other_terms.clauses[0].retention_days += 1;
    let seal = |payload| Seal::new(DocumentType::Agreement, payload);
    assert_eq!(refused(&two, &one, seal(wire::agreement::compile(&other_terms))).await, Reason::AgreementInvalid);
    let mut reordered = wire::agreement::compile(draft.terms());
    reordered.rotate_left(18); // the id field moves behind the others
    assert_eq!(refused(&two, &one, seal(reordered)).await, Reason::AgreementInvalid);
    let mut too_new = wire::agreement::compile(draft.terms());
    too_new.extend([0xf8, 0x3f, 0x01]);
    assert_eq!(refused(&two, &one, seal(too_new)).await, Reason::SchemaTooNew);
    let a_card = one.seal_card(&one.card(1));
    assert_eq!(refused(&two, &one, a_card).await, Reason::AgreementInvalid);
    take_agreement(&two, &one.agency, seal(wire::agreement::compile(draft.terms()))).await.unwrap();
}

#[tokio::test]
async fn an_agreement_above_a_party_s_level_waits_for_its_update() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let federation = one.federation.get();
    let draft = lotse_core::agreement::text::parse(&agreement_text(ID, 0, &[&one, &two])).unwrap();
    let mut federation = (*federation).clone();
    federation.peers.get_mut(&two.agency).unwrap().card.card.schema_level = 0;
    let failure = admit(&federation, &one.agency, draft.terms(), one.now()).unwrap_err();
    assert_eq!(failure.reason(), Reason::PeerTooOld);
    assert!(failure.is_retryable(), "the same text passes when the party's card names the level");
    assert_eq!(admit(&one.federation.get(), &one.agency, draft.terms(), one.now()), Ok(()));
}

#[tokio::test]
async fn repeated_bad_offers_are_one_entry_a_minute() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let before = two.log().await.len();
    for _ in 0..50 {
        let bad = Seal::new(DocumentType::Agreement, vec![0xff]);
        assert_eq!(refused(&two, &one, bad).await, Reason::AgreementInvalid);
    }
    assert_eq!(two.log().await.len(), before + 1);
    two.clock.turn(Duration::from_secs(60));
    refused(&two, &one, Seal::new(DocumentType::Agreement, vec![0xff])).await;
    let leaves =
        two.store.read("read", move |tx| Box::pin(lotse_store::log::read(tx, 1, before as u64 + 1, 5))).await.unwrap();
    assert!(leaves[0].entry.bytes.windows(4).any(|bytes| bytes == "×50".as_bytes()), "it says how many it stands for");
}

/// Offers version 1 of an agreement of its own for each of these numbers, as the author's duty courier does.
async fn offer_many(from: &TestNode, to: &TestNode, numbers: std::ops::RangeInclusive<u8>) -> Vec<Digest> {
    let mut digests = Vec::new();
    for number in numbers {
        let digest = offer(from, &agreement_text(Id::from_bytes([number; 16]), 0, &[from, to])).await;
        pass_on(from, to, digest).await;
        digests.push(digest);
    }
    digests
}

#[tokio::test]
async fn what_a_peer_offers_and_nobody_here_seals_has_a_limit() {
    let [one, two, three] = nodes(["one.example", "two.example", "three.example"]).await;
    let here = offer_many(&one, &two, 1..=16).await;
    let next = offer(&one, &agreement_text(Id::from_bytes([17; 16]), 0, &[&one, &two])).await;
    let two = two.restart().await;
    let failure = take_agreement(&two, &one.agency, sealed(&one, next)).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::Overloaded);
    assert!(failure.is_retryable() && failure.message().contains("administrator seal"), "{failure}");
    assert_eq!(two.log().await.last(), Some(&EntryKind::AgreementRefused));
    assert_eq!(two.federation.get().agreements.len(), 16);

    offer_many(&three, &two, 18..=18).await;
    seal_version(&one, Id::from_bytes([1; 16]), 1).await.unwrap();
    pass_on(&one, &two, here[0]).await;
    assert!(two.federation.get().sealed_by(&here[0]).contains(&one.agency), "what waits is still sealed");
    seal_version(&two, Id::from_bytes([2; 16]), 1).await.unwrap();
    pass_on(&one, &two, next).await;
    assert_eq!(two.federation.get().agreements.len(), 18, "what this agency has sealed waits no more");
}

#[tokio::test]
async fn versions_whose_term_has_ended_unsealed_go_for_new_ones_but_not_within_a_day() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    two.clock.turn(DAY / 2);
    for number in 1..=16 {
        let digest = offer(&one, &for_today(&agreement_text(Id::from_bytes([number; 16]), 0, &[&one, &two]))).await;
        pass_on(&one, &two, digest).await;
    }
    seal_version(&two, Id::from_bytes([1; 16]), 1).await.unwrap();
    let next = offer(&one, &agreement_text(Id::from_bytes([17; 16]), 0, &[&one, &two])).await;
    pass_on(&one, &two, next).await;
    let last = offer(&one, &agreement_text(Id::from_bytes([18; 16]), 0, &[&one, &two])).await;
    two.clock.turn(DAY - Duration::from_micros(1));
    assert_eq!(refused(&two, &one, sealed(&one, last)).await, Reason::Overloaded);
    two.clock.turn(Duration::from_micros(1));
    pass_on(&one, &two, last).await;
    let left = two.federation.get().agreements.iter().map(|known| known.agreement.id.as_bytes()[0]).collect::<Vec<_>>();
    assert_eq!(left, [1, 17, 18], "what this agency has sealed stays");
}

/// Lets the term end on its first day.
fn for_today(text: &str) -> String {
    let first = text.lines().find_map(|line| line.strip_prefix("valid_from = ")).unwrap();
    let line = |line: &str| match line.strip_prefix("valid_until = ") {
        Some(_) => format!("valid_until = {first}\n"),
        None => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn a_refusal_names_no_third_agency_to_a_peer_and_names_it_to_the_own_administrator() {
    let [one, two] = nodes(["one.example", "two.example"]).await;
    let three = TestNode::with("three.example", AgencyKind::JobcenterGe, one.clock.clone()).await;
    one.accept(&three).await;
    let text = agreement_text(ID, 0, &[&one, &two, &three]);
    let digest = offer(&one, &text).await;
    let unknown = take_agreement(&two, &one.agency, sealed(&one, digest)).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::AgreementPartyUnknown);
    assert!(!unknown.message().contains("three.example"), "{unknown}");
    let own = offer_agreement(&two, &text, admin()).await.unwrap_err();
    assert!(own.message().contains("three.example has no accepted card here"), "{own}");

    two.accept(&three).await;
    let mut forged = sealed(&one, digest);
    sign(&mut forged, &one.keys.sealing, &three.agency);
    let invalid = take_agreement(&two, &one.agency, forged.clone()).await.unwrap_err();
    pass_on(&one, &two, digest).await;
    let seals = take_seals(&two, &one.agency, digest, forged.signatures).await.unwrap_err();
    for failure in [invalid, seals] {
        assert_eq!(failure.reason(), Reason::AgreementSealInvalid);
        assert!(!failure.message().contains("three.example"), "{failure}");
    }
}

#[tokio::test]
async fn the_source_of_an_offer_is_compiled_only_if_the_peer_may_offer_it() {
    let [one, two, three] = nodes(["one.example", "two.example", "three.example"]).await;
    let digest = offer(&one, &agreement_text(ID, 0, &[&one, &two])).await;
    let mut message = proto::Agreement::decode(sealed(&one, digest).payload.as_slice()).unwrap();
    message.source = "no text".into();
    let broken = Seal::new(DocumentType::Agreement, message.encode_to_vec());
    assert_eq!(refused(&two, &three, broken.clone()).await, Reason::AgreementPartyUnknown);
    assert_eq!(refused(&two, &one, broken).await, Reason::AgreementInvalid);
}
