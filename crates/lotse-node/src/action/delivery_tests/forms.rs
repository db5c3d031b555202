//! The same person in two Unicode forms, and people of whom not everything is known.

use lotse_core::id::Id;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_proto::record::v1::Referral;
use prost::Message;

use super::pair::Pair;
use crate::action::list_consents::list_consents;
use crate::action::preview_referral::preview_referral;
use crate::action::submit_referrals::{Submitted, Timing};
use crate::failure::Failure;
use crate::wire::consent::RecordableConsent;
use crate::wire::envelope::{body_of, parse};
use crate::wire::referral::{Handover, parse_handover};

const COMPOSED: &str = "Käse-1";
const DECOMPOSED: &str = "Ka\u{308}se-1";

async fn submit(pair: &Pair, handover: Handover) -> Result<Submitted, Failure> {
    pair.submit(&[handover], Timing::Later).await.results.remove(0)
}

/// Releases a referral and returns the reference under which its recipient knows the person.
async fn released_about(pair: &Pair, key: &str, reference: &str) -> Id {
    let outcome = pair.submit(&[pair.handover(key, reference)], Timing::AtOnce).await;
    let (head, _) = parse(&outcome.shipment.unwrap().envelopes[0]).unwrap_or_else(|outcome| panic!("{outcome:?}"));
    head.basis.excerpt.unwrap().subject_ref
}

/// A consent as it was recorded before references and other texts were composed, and as it is recorded now.
fn before_and_now(pair: &Pair) -> [RecordableConsent; 2] {
    let id = Id::new(pair.owner.now(), &*pair.owner.random);
    let now = pair.form(id, DECOMPOSED, |_| {});
    let bytes = now.bytes_as_given.clone().unwrap();
    [RecordableConsent { subject_reference: DECOMPOSED.into(), bytes, bytes_as_given: None, ..now.clone() }, now]
}

#[tokio::test]
async fn a_reference_is_the_same_in_either_unicode_form() {
    let pair = Pair::new().await;
    pair.consent(DECOMPOSED).await;
    let one = released_about(&pair, "key-1", COMPOSED).await;
    assert_eq!(released_about(&pair, "key-2", DECOMPOSED).await, one);
}

#[tokio::test]
async fn the_same_content_in_either_unicode_form_repeats_its_key() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let named = |name: &str| {
        let name = name.to_string();
        pair.handover_with("key-1", "person-1", |referral| referral.identity.as_mut().unwrap().given_names = name)
    };
    assert!(!submit(&pair, named("Ju\u{308}rgen")).await.unwrap().repeated);
    assert!(submit(&pair, named("Jürgen")).await.unwrap().repeated);
}

#[tokio::test]
async fn who_was_recorded_under_a_decomposed_reference_before_stays_the_same_subject() {
    let pair = Pair::new().await;
    let [before, now] = before_and_now(&pair);
    assert!(!pair.record(before).await.unwrap().repeated);
    assert!(pair.record(now).await.unwrap().repeated, "the same file again has no effect");
    let known = released_about(&pair, "key-1", COMPOSED).await;
    pair.consent(COMPOSED).await;
    assert_eq!(released_about(&pair, "key-2", DECOMPOSED).await, known, "a new consent joins the known subject");
    let listed = async |reference| list_consents(&pair.owner, reference, None, 9).await.unwrap().0.len();
    assert_eq!((listed(COMPOSED).await, listed(DECOMPOSED).await), (2, 2));
    let preview = preview_referral(&pair.owner, pair.handover("key-3", COMPOSED)).await.unwrap();
    assert!(preview.decision.is_ok());
}

#[tokio::test]
async fn a_content_that_was_stored_before_texts_were_composed_repeats_its_key() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let now = pair.handover_with("key-1", "person-1", |referral| {
        referral.identity.as_mut().unwrap().given_names = "Ju\u{308}rgen".into();
    });
    let mut given = Referral::decode(now.content.clone()).unwrap();
    given.identity.as_mut().unwrap().given_names = "Ju\u{308}rgen".into();
    let before = Handover { content: given.encode_to_vec().into(), digest_as_given: None, ..now.clone() };
    assert_ne!(before.digest(), now.digest());
    assert!(!submit(&pair, before).await.unwrap().repeated);
    assert!(submit(&pair, now).await.unwrap().repeated);
}

#[tokio::test]
async fn a_person_with_one_name_and_a_year_of_birth_arrives_as_handed_over() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let handover = pair.handover_with("key-1", "person-1", |referral| {
        let identity = referral.identity.as_mut().unwrap();
        identity.family_name = "Rahmani".into();
        (identity.given_names, identity.birth_date) = (String::new(), String::new());
        identity.partial_birth_date = "1988".into();
    });
    let outcome = pair.submit(&[handover], Timing::AtOnce).await;
    pair.deliver(&outcome.shipment.unwrap()).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    let Some(lotse_proto::exchange::v1::envelope::Body::Referral(referral)) =
        body_of(&pair.held_bytes(record_id).await)
    else {
        panic!("no referral arrived")
    };
    let identity = referral.identity.unwrap();
    assert_eq!((identity.family_name.as_str(), identity.partial_birth_date.as_str()), ("Rahmani", "1988"));
    assert!(identity.given_names.is_empty() && identity.birth_date.is_empty());
}

#[tokio::test]
async fn an_own_system_is_told_of_values_that_cannot_be_meant() {
    let pair = Pair::new().await;
    let wrong = |change: fn(&mut ReferralHandover)| {
        let referral = Referral::decode(pair.handover("key-1", "person-1").content).unwrap();
        let mut handover = ReferralHandover {
            idempotency_key: "key-1".into(),
            recipient: pair.holder.agency.to_string(),
            subject_reference: "person-1".into(),
            referral: Some(referral),
            ..ReferralHandover::default()
        };
        change(&mut handover);
        let failure = parse_handover(handover, pair.owner.now()).err();
        failure.map_or(vec![], |failure| failure.causes.into_iter().filter_map(|cause| cause.field).collect())
    };
    assert!(wrong(|_| {}).is_empty());
    assert_eq!(wrong(|handover| handover.subject_reference = "415D012345".into()), ["subject_reference"]);
    assert_eq!(wrong(|handover| handover.idempotency_key = "415D012345".into()), ["idempotency_key"]);
    assert_eq!(wrong(|handover| handover.subject_reference = "Akte\u{200b}1".into()), ["subject_reference"]);
    let of_referral = [
        wrong(|handover| handover.referral.as_mut().unwrap().sender_reference = "15 070649 C 103".into()),
        wrong(|handover| handover.referral.as_mut().unwrap().contact.as_mut().unwrap().postal_code = "1067".into()),
        wrong(|handover| {
            handover.referral.as_mut().unwrap().identity.as_mut().unwrap().birth_date = "2093-01-01".into()
        }),
        wrong(|handover| {
            handover.referral.as_mut().unwrap().identity.as_mut().unwrap().family_name = "A\u{202e}".into()
        }),
    ];
    let fields = ["sender_reference", "contact.postal_code", "identity.birth_date", "identity.family_name"];
    assert_eq!(of_referral.concat(), fields.map(|field| format!("referral.{field}")));
}
