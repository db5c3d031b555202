//! What recording a consent promises.

use lotse_core::consent::ConsentForm;
use lotse_proto::record::v1 as proto;
use lotse_store::consent::Towards;

use super::*;
use crate::action::get_consent::get_consent;
use crate::action::list_consents::{Place as ListPlace, list_consents};
use crate::failure::ErrorKind;
use crate::testing::TestNode;
use crate::wire::consent::tests::{OWN, YOUTH, good, parsed};

pub(crate) const SYSTEM: &str = "spiffe://jc-hanau.hessen.example/system/akte";

/// Records consents that are in order.
pub(crate) async fn record_good(node: &TestNode, consents: &[proto::Consent]) -> Vec<Result<Recorded, Reason>> {
    let consents = consents.iter().map(|consent| parsed(consent).unwrap_or_else(|failure| panic!("{failure}")));
    let results = record_consents(node, SYSTEM, consents.collect(), None).await.unwrap();
    results.into_iter().map(|result| result.map_err(|failure| failure.reason())).collect()
}

/// Reads how the consents of `AK-<number>` stand towards a recipient.
pub(crate) async fn towards(node: &TestNode, recipient: &str, number: u8) -> Vec<Towards> {
    let recipient: AgencyId = recipient.parse().unwrap();
    let subject = subject::id(&node.vault, &format!("AK-{number}"));
    let read = node.store.read("test_towards", move |tx| {
        Box::pin(async move { consent::towards(tx, &recipient, &[subject], &[]).await })
    });
    read.await.unwrap().rows
}

async fn own_node() -> TestNode {
    TestNode::new(OWN).await
}

const NEW: Result<Recorded, Reason> = Ok(Recorded { state: ConsentState::Given, repeated: false });
const AGAIN: Result<Recorded, Reason> = Ok(Recorded { state: ConsentState::Given, repeated: true });

#[tokio::test]
async fn a_consent_recorded_twice_is_one() {
    let node = own_node().await;
    let before = node.log().await.len();
    assert_eq!(record_good(&node, &[good(1)]).await, [NEW]);
    assert_eq!(record_good(&node, &[good(1), good(2), good(2)]).await, [AGAIN, NEW, AGAIN]);
    assert_eq!(node.log().await[before..], [EntryKind::ConsentRecorded, EntryKind::ConsentRecorded]);
}

#[tokio::test]
async fn an_id_with_other_content_is_refused_and_takes_no_other_with_it() {
    let node = own_node().await;
    record_good(&node, &[good(1)]).await;
    let other = proto::Consent { text_version: "2026-2".into(), ..good(1) };
    let twice = proto::Consent { text_version: "2026-2".into(), ..good(2) };
    let results = record_good(&node, &[other, good(2), twice]).await;
    assert_eq!(results, [Err(Reason::ConsentIdReused), NEW, Err(Reason::ConsentIdReused)]);
}

#[tokio::test]
async fn a_batch_is_a_handful_of_statements() {
    let node = own_node().await;
    let many: Vec<_> = (1..=200).map(good).collect();
    assert!(record_good(&node, &many).await.iter().all(|result| *result == NEW));
    let work = node.store.counters().work("record_consents");
    assert_eq!((work.runs, work.statements), (1, 8));
    record_good(&node, &many).await;
    assert_eq!(node.store.counters().work("record_consents").statements, 9, "what is known is only looked up");
}

#[tokio::test]
async fn a_recipient_knows_a_subject_under_one_reference_and_each_consent_under_another() {
    let node = own_node().await;
    let both = |number: u8| proto::Consent {
        subject_reference: "AK-1".into(),
        recipients: vec![YOUTH.into(), "aa-hanau.example".into()],
        ..good(number)
    };
    record_good(&node, &[both(1)]).await;
    record_good(&node, &[both(2)]).await;
    let (youth, agency) = (towards(&node, YOUTH, 1).await, towards(&node, "aa-hanau.example", 1).await);
    assert_eq!(youth.len(), 2);
    assert_eq!(youth[0].subject_ref, youth[1].subject_ref);
    assert_ne!(youth[0].subject_ref, agency[0].subject_ref);
    let references: HashSet<_> = youth.iter().chain(&agency).map(|towards| towards.consent_ref.unwrap()).collect();
    let commitments: HashSet<_> = youth.iter().chain(&agency).map(|towards| towards.form_commitment.clone()).collect();
    assert_eq!((references.len(), commitments.len()), (4, 4));
    assert!(commitments.iter().all(|commitment| commitment.len() == 32));
    assert!(youth[0].epoch != youth[1].epoch && youth[0].epoch.generation() == node.generation);
}

#[tokio::test]
async fn an_oral_consent_commits_to_no_form() {
    let node = own_node().await;
    let oral = proto::Consent { form: ConsentForm::Oral.number(), form_sha256: String::new(), ..good(1) };
    record_good(&node, &[oral]).await;
    assert!(towards(&node, YOUTH, 1).await[0].form_commitment.is_empty());
}

#[tokio::test]
async fn a_consent_supersedes_one_of_the_same_subject() {
    let node = own_node().await;
    let replacing = |number: u8, old: u8, subject: u8| proto::Consent {
        subject_reference: format!("AK-{subject}"),
        supersedes: Id::from_bytes([old; 16]).to_string(),
        ..good(number)
    };
    record_good(&node, &[good(1)]).await;
    let results =
        record_good(&node, &[replacing(2, 1, 1), replacing(3, 2, 1), replacing(4, 1, 4), replacing(5, 9, 5)]).await;
    assert_eq!(results, [NEW, NEW, Err(Reason::ConsentOtherSubject), Err(Reason::ConsentUnknown)]);
    let mut found = towards(&node, YOUTH, 1).await;
    found.sort_by_key(|towards| towards.consent.id);
    let states: Vec<_> = found.iter().map(|towards| towards.consent.state).collect();
    assert_eq!(states, [ConsentState::Superseded, ConsentState::Superseded, ConsentState::Given]);
}

#[tokio::test]
async fn a_refusal_is_kept_and_covers_nothing() {
    let node = own_node().await;
    let refusal = proto::Consent { refused: true, recipients: vec![], form_sha256: String::new(), ..good(1) };
    assert_eq!(record_good(&node, &[refusal]).await, [Ok(Recorded { state: ConsentState::Refused, repeated: false })]);
    assert_eq!(towards(&node, YOUTH, 1).await[0].consent.state, ConsentState::Refused);
}

#[tokio::test]
async fn a_consent_is_read_back_as_it_was_recorded() {
    let node = own_node().await;
    record_good(&node, &[good(1)]).await;
    let found = get_consent(&node, Id::from_bytes([1; 16])).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(crate::wire::consent::message(&found.bytes, found.expires_at), Some(good(1)));
    let unknown = get_consent(&node, Id::from_bytes([9; 16])).await.err().unwrap();
    assert_eq!((unknown.kind, unknown.reason()), (ErrorKind::NotFound, Reason::NotFound));
}

#[tokio::test]
async fn consents_of_a_subject_are_listed_in_pages() {
    let node = own_node().await;
    let of_one: Vec<_> = (1..=3).map(|n| proto::Consent { subject_reference: "AK-1".into(), ..good(n) }).collect();
    record_good(&node, &of_one).await;
    record_good(&node, &[good(7)]).await;
    let list = |after| list_consents(&node, "AK-1", after, 2);
    let (first, place) = list(None).await.unwrap();
    assert_eq!(place, Some(ListPlace { recorded_at: node.now(), consent_id: Id::from_bytes([2; 16]) }));
    let (second, end) = list(place).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&second).map(|found| found.id.as_bytes()[0]).collect();
    assert_eq!((ids, end), (vec![3, 2, 1], None));
    assert!(list_consents(&node, "AK-99", None, 2).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn nothing_of_a_consent_is_in_the_database_in_clear() {
    let node = own_node().await;
    let canary = proto::Consent {
        subject_reference: "KANARIE-4711".into(),
        released_from_secrecy: vec!["Dr. Kanarienvogel".into()],
        ..good(1)
    };
    record_good(&node, &[canary]).await;
    let mut searched = 0;
    for file in std::fs::read_dir(node.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        searched += bytes.len();
        for canary in ["KANARIE-4711", "Kanarienvogel"] {
            assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()), "{canary}");
        }
    }
    assert!(searched > 10_000);
}
