//! Reasons that agreements give.

use lotse_core::agency::AgencyKind::{EmploymentAgency, JobcenterGe};
use lotse_core::id::Digest;
use lotse_core::reason::Reason;
use lotse_core::time::{Calendar, Clock as _};
use lotse_proto::record::v1::{Purpose, ReferralType};

use super::{causes, refused};
use crate::action::delivery_tests::pair::Pair;
use crate::action::offer_agreement::offer_agreement;
use crate::action::sign_agreement::{ReadVersion, sign_agreement};
use crate::action::suspend_agreement::suspend_agreement;
use crate::action::take_agreement::take_agreement;
use crate::action::take_seals::take_seals;
use crate::testing::{TestNode, admin, agree_on, agreement_text, key};

async fn strangers() -> Pair {
    Pair::without_agreement(JobcenterGe, EmploymentAgency).await
}

async fn offered(pair: &Pair, text: &str) -> Vec<Reason> {
    causes(&offer_agreement(&pair.owner, text, admin()).await.unwrap_err())
}

fn version(text: &str, version: u32) -> String {
    text.replacen("version = 1", &format!("version = {version}"), 1)
}

pub(super) async fn none() -> Vec<Reason> {
    let pair = strangers().await;
    pair.consent("person-1").await;
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn suspended() -> Vec<Reason> {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    suspend_agreement(&pair.owner, pair.agreement, admin()).await.unwrap();
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn no_clause() -> Vec<Reason> {
    let pair = Pair::new().await;
    let handover = pair.handover_with("key-1", "person-1", |referral| {
        referral.r#type = ReferralType::General as i32;
        referral.purpose = Purpose::Rehabilitation as i32;
    });
    refused(&pair, handover).await
}

pub(super) async fn an_ended_party() -> Vec<Reason> {
    let pair = strangers().await;
    let yesterday = Calendar::Germany.day_of(pair.clock.now()).yesterday().unwrap();
    let kind = "kind = \"employment_agency\"";
    let text = pair.agreement_text().replacen(kind, &format!("{kind}\nended_on = {yesterday}"), 1);
    agree_on(&[&pair.owner, &pair.holder], &text).await;
    pair.consent("person-1").await;
    refused(&pair, pair.handover("key-1", "person-1")).await
}

pub(super) async fn seals_of_an_unknown_text() -> Vec<Reason> {
    let pair = Pair::new().await;
    let taken = take_seals(&pair.holder, &pair.owner.agency, Digest::of(b"no such text"), vec![]).await;
    causes(&taken.unwrap_err())
}

pub(super) async fn a_lower_version() -> Vec<Reason> {
    let pair = strangers().await;
    agree_on(&[&pair.owner, &pair.holder], &version(&pair.agreement_text(), 3)).await;
    offered(&pair, &version(&pair.agreement_text(), 2)).await
}

pub(super) async fn unsealed() -> Vec<Reason> {
    let pair = strangers().await;
    pair.consent("person-1").await;
    offer_agreement(&pair.owner, &pair.agreement_text(), admin()).await.unwrap();
    let mut handover = pair.handover("key-1", "person-1");
    handover.agreement = Some(pair.agreement);
    refused(&pair, handover).await
}

pub(super) async fn a_seal_by_a_key_it_brings() -> Vec<Reason> {
    let pair = strangers().await;
    let digest = offer_agreement(&pair.owner, &pair.agreement_text(), admin()).await.unwrap().0.digest;
    let mut seal = pair.owner.federation.get().seals[&digest].as_ref().clone();
    seal.sign(&key("brought", "along"), Some(pair.owner.agency.clone()));
    causes(&take_agreement(&pair.holder, &pair.owner.agency, seal).await.unwrap_err())
}

pub(super) async fn a_stranger_as_party() -> Vec<Reason> {
    let pair = strangers().await;
    let stranger = TestNode::with("zz.example", JobcenterGe, pair.clock.clone()).await;
    offered(&pair, &agreement_text(pair.agreement, 0, &[&pair.owner, &pair.holder, &stranger])).await
}

pub(super) async fn another_text_than_was_read() -> Vec<Reason> {
    let pair = strangers().await;
    offer_agreement(&pair.owner, &pair.agreement_text(), admin()).await.unwrap();
    let read = ReadVersion { id: pair.agreement, version: 1, digest: Digest::of(b"what was read") };
    causes(&sign_agreement(&pair.owner, read, admin()).await.unwrap_err())
}

pub(super) async fn a_version_for_tomorrow() -> Vec<Reason> {
    let pair = Pair::new().await;
    let tomorrow = agreement_text(pair.agreement, 1, &[&pair.owner, &pair.holder]);
    offered(&pair, &version(&tomorrow, 2)).await
}

pub(super) async fn no_agreement_at_all() -> Vec<Reason> {
    offered(&strangers().await, "title = \"\"").await
}
