//! Reasons that consents and categories give.

use lotse_core::agency::AgencyKind::{JobcenterGe, YouthOffice};
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_core::release::Uncovered;
use lotse_core::time::DAY;
use lotse_proto::record::v1::{
    Category, Consent, ConsentForm, Health, Household, Mobility, Purpose, RecordKind, Referral, ReferralType, YouthHelp,
};

use super::{causes, refused};
use crate::action::delivery_tests::pair::Pair;
use crate::action::record_consent::record_consents;
use crate::wire::consent::parse;
use crate::wire::referral::Handover;

/// Records a changed consent and submits a referral that rests on it.
async fn under(change: impl FnOnce(&mut Consent)) -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent_with("person-1", change).await;
    refused(&pair, pair.handover("key-1", "person-1")).await
}

/// The same, naming the consent.
async fn naming(change: impl FnOnce(&mut Consent)) -> Vec<Reason> {
    let pair = Pair::new().await;
    let consent = pair.consent_with("person-1", change).await;
    refused(&pair, naming_consent(&pair, consent, "person-1")).await
}

fn naming_consent(pair: &Pair, consent: Id, subject: &str) -> Handover {
    let mut handover = pair.handover("key-1", subject);
    handover.consent = Some(consent);
    handover
}

/// Makes a referral one for placement into work, with health data.
fn placement_with_health(referral: &mut Referral, professional_secrecy: bool) {
    referral.r#type = ReferralType::General as i32;
    referral.purpose = Purpose::JobPlacement as i32;
    referral.health = Some(Health { professional_secrecy, ..Health::default() });
}

fn categories(consent: &mut Consent, purpose: Purpose, categories: &[Category]) {
    consent.purposes = vec![purpose as i32];
    consent.categories = categories.iter().map(|&category| category as i32).collect();
}

pub(super) async fn none() -> Vec<Reason> {
    let pair = Pair::new().await;
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn unknown() -> Vec<Reason> {
    let pair = Pair::new().await;
    refused(&pair, naming_consent(&pair, Id::from_bytes([9; 16]), "person-1")).await
}

pub(super) async fn expired() -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    pair.clock.turn(DAY * 181);
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn withdrawn() -> Vec<Reason> {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    pair.withdraw(consent, &[]).await;
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn refused_by_the_person() -> Vec<Reason> {
    naming(|consent| consent.refused = true).await
}

pub(super) async fn superseded() -> Vec<Reason> {
    let pair = Pair::new().await;
    let old = pair.consent("person-1").await;
    pair.consent_with("person-1", |consent| consent.supersedes = old.to_string()).await;
    refused(&pair, naming_consent(&pair, old, "person-1")).await
}

pub(super) async fn for_another_recipient() -> Vec<Reason> {
    naming(|consent| consent.recipients = vec!["zz.example".into()]).await
}

pub(super) async fn for_another_purpose() -> Vec<Reason> {
    under(|consent| consent.purposes = vec![Purpose::JobPlacement as i32]).await
}

pub(super) async fn for_another_record_kind() -> Vec<Reason> {
    naming(|consent| consent.record_kinds = vec![RecordKind::Vacancy as i32]).await
}

pub(super) async fn of_another_subject() -> Vec<Reason> {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    refused(&pair, naming_consent(&pair, consent, "person-2")).await
}

pub(super) async fn the_same_id_again() -> Vec<Reason> {
    let pair = Pair::new().await;
    let mut first = None;
    pair.consent_with("person-1", |consent| first = Some(consent.clone())).await;
    let other = Consent { text_version: "2".into(), ..first.unwrap() };
    let parsed = parse(Some(&other), &pair.owner.agency, pair.owner.now()).unwrap();
    let recorded = record_consents(&pair.owner, "spiffe://jc.example/system/akte", vec![parsed], None).await.unwrap();
    causes(recorded[0].as_ref().unwrap_err())
}

pub(super) async fn oral_for_a_clause_that_needs_explicit_consent() -> Vec<Reason> {
    let pair = Pair::new().await;
    let oral = |consent: &mut Consent| {
        categories(consent, Purpose::JobPlacement, &[Category::Identity, Category::Contact, Category::Languages]);
        consent.form = ConsentForm::Oral as i32;
        consent.form_sha256.clear();
    };
    pair.consent_with("person-1", oral).await;
    let handover = pair.handover_with("key-1", "person-1", |referral| placement_with_health(referral, false));
    refused(&pair, handover).await
}

pub(super) async fn a_category_outside_the_clause() -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let household = |referral: &mut Referral| referral.household = Some(Household::default());
    refused(&pair, pair.handover_with("key-1", "person-1", household)).await
}

pub(super) async fn a_category_outside_the_consent() -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let mobility = |referral: &mut Referral| referral.mobility = Some(Mobility::default());
    refused(&pair, pair.handover_with("key-1", "person-1", mobility)).await
}

/// Submits health data under a consent that covers them.
async fn health(professional_secrecy: bool, explicit: bool) -> Vec<Reason> {
    let pair = Pair::new().await;
    let covering = [Category::Identity, Category::Contact, Category::Languages, Category::Health];
    let change = |consent: &mut Consent| {
        categories(consent, Purpose::JobPlacement, &covering);
        consent.explicit_categories = if explicit { vec![Category::Health as i32] } else { vec![] };
    };
    pair.consent_with("person-1", change).await;
    let with_health = |referral: &mut Referral| placement_with_health(referral, professional_secrecy);
    refused(&pair, pair.handover_with("key-1", "person-1", with_health)).await
}

pub(super) async fn a_special_category_that_is_not_named_explicitly() -> Vec<Reason> {
    health(false, false).await
}

pub(super) async fn health_data_under_secrecy() -> Vec<Reason> {
    health(true, true).await
}

pub(super) async fn entrusted_data() -> Vec<Reason> {
    let pair = Pair::between(YouthOffice, JobcenterGe).await;
    let change = |consent: &mut Consent| {
        categories(consent, Purpose::YouthTransition, &[Category::Identity, Category::YouthHelp]);
        consent.explicit_categories = vec![Category::YouthHelp as i32];
    };
    pair.consent_with("person-1", change).await;
    let with_help = |referral: &mut Referral| {
        referral.r#type = ReferralType::General as i32;
        referral.purpose = Purpose::YouthTransition as i32;
        (referral.contact, referral.languages) = (None, None);
        referral.youth_help = Some(YouthHelp { entrusted: true, ..YouthHelp::default() });
    };
    refused(&pair, pair.handover_with("key-1", "person-1", with_help)).await
}

/// Submits under a consent that covers little, leaving out what it does not cover.
async fn leaving_out(covered: &[Category]) -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent_with("person-1", |consent| categories(consent, Purpose::Orientation, covered)).await;
    let mut handover = pair.handover("key-1", "person-1");
    handover.uncovered = Uncovered::LeaveOut;
    refused(&pair, handover).await
}

pub(super) async fn a_required_section_left_out() -> Vec<Reason> {
    leaving_out(&[Category::Identity, Category::Contact]).await
}

pub(super) async fn everything_left_out() -> Vec<Reason> {
    leaving_out(&[Category::Skills]).await
}

pub(super) async fn an_outcome_where_only_the_state_may_go_back() -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    causes(&pair.answer("answer-2", referral, ReferralEvent::Completed, true).await.unwrap_err())
}
