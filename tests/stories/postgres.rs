//! Two agencies whose nodes keep their tables in PostgreSQL: what they exchange, what a restart keeps, and that nobody else works
//! on a node's database.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use lotse_core::agency::AgencyKind;
use lotse_node::ambient::SystemClock;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::{
    AnswerReferralRequest, GetReferralRequest, ReferralState, SubmitReferralRequest, WithdrawConsentRequest,
};
use lotse_proto::record::v1::{Accepted, Completed, ReferralAnswer, referral_answer};
use lotse_store::testing::Database;
use lotse_tests::client::read_inbox;
use lotse_tests::federation::{Agency, eventually};
use lotse_tests::processes::{Member, Processes};
use lotse_tests::records::{consent, handover, record};

const OWNER: &str = "jc-hanau.hessen.example";
const HOLDER: &str = "aa-hanau.hessen.example";
const BOTH: [(&str, AgencyKind); 2] = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
const CONSENT: &str = "0198c5a4-7d3e-7cc0-8000-000000000001";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_on_postgresql_exchange_referrals_answers_and_a_withdrawal_across_a_restart() -> Result<()> {
    let Some(one) = Database::postgres().await else { return Ok(()) };
    let other = Database::postgres().await.context("a second database")?;
    let configure = |agency: &Agency| agency.keep_in(if agency.id.as_str() == OWNER { one.url() } else { other.url() });
    let mut processes = Processes::start(&BOTH, configure).await?;
    let [owner, holder] = &mut processes.members[..] else { anyhow::bail!("two agencies") };
    record(&owner.agency, consent(CONSENT, "person-1", &[HOLDER])).await?;
    let first = submit(&owner.agency, "key-1").await?;
    arrives(&holder.agency, &first).await?;
    answer(&holder.agency, &first, referral_answer::Kind::Accepted(Accepted {})).await?;

    holder.stop().await?;
    let waiting = submit(&owner.agency, "key-2").await?;
    owner.kill().await?;
    owner.start().await?;
    assert_eq!(
        submit(&owner.agency, "key-2").await?,
        waiting,
        "what was acknowledged before kill -9 is known after it"
    );
    holder.start().await?;
    arrives(&holder.agency, &waiting).await?;
    answer(&holder.agency, &first, referral_answer::Kind::Completed(Completed { outcome: 0 })).await?;
    is_in_state(&owner.agency, &first, ReferralState::Completed).await?;

    holder.stop().await?;
    let withdrawn = submit(&owner.agency, "key-3").await?;
    let request = WithdrawConsentRequest { consent_id: CONSENT.into(), scope: None, on_behalf_of: String::new() };
    ConsentServiceClient::new(owner.agency.system()?).withdraw_consent(request).await?;
    holder.start().await?;
    is_in_state(&owner.agency, &withdrawn, ReferralState::Cancelled).await?;
    let mut received = read_inbox(&holder.agency).await?;
    received.sort();
    let mut sent = vec![first, waiting];
    sent.sort();
    assert_eq!(received, sent, "nothing is lost, nothing twice, and nothing came after the withdrawal");
    verify(owner).await?;
    verify(holder).await
}

/// Hands a referral over; returns its id.
async fn submit(owner: &Agency, key: &str) -> Result<String> {
    let request = SubmitReferralRequest { handover: Some(handover(key, "person-1", HOLDER)) };
    let submitted = ReferralServiceClient::new(owner.system()?).submit_referral(request).await?.into_inner();
    Ok(submitted.submitted.context("no answer")?.referral_id)
}

async fn arrives(holder: &Agency, id: &String) -> Result<()> {
    eventually("the referral at the holder", async || Ok(read_inbox(holder).await?.contains(id))).await
}

async fn answer(holder: &Agency, referral_id: &str, kind: referral_answer::Kind) -> Result<()> {
    let request = AnswerReferralRequest {
        idempotency_key: format!("{referral_id}-{}", matches!(kind, referral_answer::Kind::Completed(_))),
        referral_id: referral_id.into(),
        answer: Some(ReferralAnswer { on: "2026-11-22".into(), kind: Some(kind), note: None }),
        on_behalf_of: String::new(),
    };
    ReferralServiceClient::new(holder.system()?).answer_referral(request).await?;
    Ok(())
}

async fn is_in_state(agency: &Agency, referral_id: &str, state: ReferralState) -> Result<()> {
    eventually(&format!("{state:?}"), async || {
        let request = GetReferralRequest { referral_id: referral_id.into() };
        let thread = ReferralServiceClient::new(agency.system()?).get_referral(request).await?.into_inner();
        Ok(thread.summary.is_some_and(|summary| summary.state() == state))
    })
    .await
}

/// Stops a node and verifies its log.
async fn verify(member: &mut Member) -> Result<()> {
    member.stop().await?;
    let verified = member.agency.command(&["log", "verify"]).await?;
    assert!(verified.contains("Everything is as it was written"), "{verified}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_node_on_the_same_database_is_refused() -> Result<()> {
    let Some(database) = Database::postgres().await else { return Ok(()) };
    let place = tempfile::tempdir()?;
    let set_up = |id: &str| -> Result<Agency> {
        let agency = Agency::set_up(place.path(), id, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
        agency.keep_in(database.url())?;
        Ok(agency)
    };
    let mut first = set_up(OWNER)?;
    first.start().await?;
    let mut second = set_up("jc-mkk.hessen.example")?;
    let refused = format!("{:#}", second.start().await.expect_err("two nodes on one database"));
    assert!(refused.contains(&format!("belongs to {OWNER}")) && refused.contains("nothing was changed"), "{refused}");
    assert!(first.command(&["status"]).await?.contains(OWNER), "the first one goes on");
    assert!(first.command(&["log", "verify"]).await?.contains("The node is running"), "a command reads beside it");
    first.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_replicas_are_refused_before_anything_is_opened() -> Result<()> {
    let place = tempfile::tempdir()?;
    let mut agency = Agency::set_up(place.path(), OWNER, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
    agency.configure("# replicas = 1", "replicas = 2")?;
    let refused = format!("{:#}", agency.start().await.expect_err("two replicas"));
    assert!(refused.contains("not built yet") && refused.contains("set replicas = 1"), "{refused}");
    assert!(!agency.folder.database().exists());
    Ok(())
}
