//! A referral's whole way between two nodes over mutual TLS, as their systems see it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use lotse_core::agency::AgencyKind;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::submit_referrals_response::Result as Submitted;
use lotse_proto::agency::v1::{
    AnswerReferralRequest, DeliveryState, FetchRequest, GetReferralRequest, InboxEvent, ReferralHandover,
    ReferralState, SubmitReferralRequest, SubmitReferralsRequest, WatchRequest, fetched_record, inbox_event,
};
use lotse_proto::record::v1::{Accepted, Completed, ReferralAnswer, Skills, referral_answer};
use lotse_tests::federation::{Agency, Federation};
use lotse_tests::records::{consent, handover, record};
use tonic::transport::Channel;

const OWNER: &str = "jc-hanau.hessen.example";
const HOLDER: &str = "aa-hanau.hessen.example";

async fn two_agencies() -> Result<Federation> {
    let kinds = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
    Ok(Federation::agreed(&kinds).await?.0)
}

fn referrals(agency: &Agency) -> Result<ReferralServiceClient<Channel>> {
    Ok(ReferralServiceClient::new(agency.system()?))
}

fn inbox(agency: &Agency) -> Result<InboxServiceClient<Channel>> {
    Ok(InboxServiceClient::new(agency.system()?))
}

/// Reads the inbox from its beginning until enough events of a kind are there.
async fn events(agency: &Agency, enough: usize, wanted: impl Fn(&InboxEvent) -> bool) -> Result<Vec<InboxEvent>> {
    let watch = async {
        let mut stream = inbox(agency)?.watch(WatchRequest { after: Some(0) }).await?.into_inner();
        let mut found = Vec::new();
        while found.len() < enough {
            let message = stream.message().await?.context("the inbox ended")?;
            found.extend(message.events.into_iter().filter(&wanted));
        }
        anyhow::Ok(found)
    };
    tokio::time::timeout(Duration::from_secs(30), watch).await.context("the events did not come in time")?
}

fn is_received(event: &InboxEvent) -> bool {
    matches!(event.kind, Some(inbox_event::Kind::ReferralReceived(_)))
}

fn is_taken(event: &InboxEvent) -> bool {
    match &event.kind {
        Some(inbox_event::Kind::DeliveryChanged(change)) => change.delivery == DeliveryState::Taken as i32,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_goes_there_and_its_outcome_comes_back() -> Result<()> {
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    record(owner, consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[HOLDER])).await?;
    let request = SubmitReferralRequest { handover: Some(handover("key-1", "person-1", HOLDER)) };
    let submitted = referrals(owner)?.submit_referral(request.clone()).await?.into_inner().submitted.unwrap();
    let again = referrals(owner)?.submit_referral(request).await?.into_inner().submitted.unwrap();
    assert!(again.repeated_key && again.referral_id == submitted.referral_id);

    let received = events(holder, 1, is_received).await?;
    assert_eq!(received[0].referral_id, submitted.referral_id);
    let fetch = FetchRequest { record_ids: vec![submitted.referral_id.clone()] };
    let fetched = inbox(holder)?.fetch(fetch).await?.into_inner();
    let Some(fetched_record::Content::Referral(content)) = fetched.records[0].content.clone() else { panic!() };
    assert_eq!(content.identity.unwrap().family_name, "Özdemir-Müller");

    for (key, kind) in [
        ("answer-1", referral_answer::Kind::Accepted(Accepted {})),
        ("answer-2", referral_answer::Kind::Completed(Completed { outcome: 0 })),
    ] {
        let answer = ReferralAnswer { on: "2026-11-22".into(), kind: Some(kind), note: None };
        let referral_id = submitted.referral_id.clone();
        let idempotency_key = key.to_string();
        let request =
            AnswerReferralRequest { idempotency_key, referral_id, answer: Some(answer), on_behalf_of: String::new() };
        referrals(holder)?.answer_referral(request).await?;
    }
    let is_answer = |event: &InboxEvent| matches!(event.kind, Some(inbox_event::Kind::AnswerReceived(_)));
    events(owner, 2, is_answer).await?;
    for agency in [owner, holder] {
        let request = GetReferralRequest { referral_id: submitted.referral_id.clone() };
        let thread = referrals(agency)?.get_referral(request).await?.into_inner();
        assert_eq!(thread.summary.unwrap().state, ReferralState::Completed as i32);
        assert_eq!(thread.events.len(), 2);
    }
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_handed_over_while_the_peer_was_down_arrives_after_it_starts() -> Result<()> {
    let mut federation = two_agencies().await?;
    record(federation.agency(OWNER), consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[HOLDER])).await?;
    federation.agency_mut(HOLDER).stop().await?;
    let requests: Vec<_> = (0..300)
        .map(|n| SubmitReferralsRequest { handover: Some(handover(&format!("key-{n}"), "person-1", HOLDER)) })
        .collect();
    let mut answers =
        referrals(federation.agency(OWNER))?.submit_referrals(tokio_stream::iter(requests)).await?.into_inner();
    let mut accepted = 0;
    while let Some(answer) = answers.message().await? {
        assert!(matches!(answer.result, Some(Submitted::Submitted(_))), "{answer:?}");
        accepted += 1;
    }
    assert_eq!(accepted, 300);
    federation.agency_mut(HOLDER).start().await?;
    let received = events(federation.agency(HOLDER), 300, is_received).await?;
    let mut ids: Vec<_> = received.iter().map(|event| event.referral_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 300, "nothing twice");
    events(federation.agency(OWNER), 300, is_taken).await?;
    federation.stop().await
}

/// A referral with as many words about skills as are allowed: 50 of 200 characters, three bytes each.
fn large_handover(number: usize) -> ReferralHandover {
    let mut handover = handover(&format!("large-{number}"), "person-1", HOLDER);
    let labels = (0..50).map(|label| format!("{label:03}{}", "€".repeat(197))).collect();
    handover.referral.as_mut().unwrap().skills = Some(Skills { labels, ..Skills::default() });
    handover
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_one_message_is_left_for_the_next_fetch() -> Result<()> {
    const COUNT: usize = 150;
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    record(owner, consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[HOLDER])).await?;
    let requests: Vec<_> = (0..COUNT).map(|n| SubmitReferralsRequest { handover: Some(large_handover(n)) }).collect();
    let mut answers = referrals(owner)?.submit_referrals(tokio_stream::iter(requests)).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        assert!(matches!(answer.result, Some(Submitted::Submitted(_))), "{answer:?}");
    }
    let received = events(holder, COUNT, is_received).await?;
    let mut record_ids: Vec<_> = received.into_iter().map(|event| event.referral_id).collect();
    let (mut fetches, mut found) = (0, 0);
    while !record_ids.is_empty() {
        let fetched = inbox(holder)?.fetch(FetchRequest { record_ids }).await?.into_inner();
        assert!(!fetched.records.is_empty() && fetched.not_found.is_empty(), "{:?}", fetched.not_found);
        (fetches, found) = (fetches + 1, found + fetched.records.len());
        record_ids = fetched.left;
    }
    assert_eq!((fetches, found), (2, COUNT), "4.5 MB in two messages");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_says_when_everything_is_told() -> Result<()> {
    let federation = two_agencies().await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let mut stream = inbox(holder)?.watch(WatchRequest { after: Some(0) }).await?.into_inner();
    let first = stream.message().await?.context("the inbox ended")?;
    assert!(first.caught_up && first.events.is_empty() && first.cursor == 0, "{first:?}");
    record(owner, consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[HOLDER])).await?;
    let request = SubmitReferralRequest { handover: Some(handover("key-1", "person-1", HOLDER)) };
    referrals(owner)?.submit_referral(request).await?;
    let news = stream.message().await?.context("the inbox ended")?;
    assert!(!news.caught_up && news.events.len() == 1, "{news:?}");
    let last = stream.message().await?.context("the inbox ended")?;
    assert!(last.caught_up && last.events.is_empty() && last.cursor == news.cursor, "{last:?}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_referral_says_why_and_what_to_do() -> Result<()> {
    let federation = two_agencies().await?;
    let owner = federation.agency(OWNER);
    let request = SubmitReferralRequest { handover: Some(handover("key-1", "nobody", HOLDER)) };
    let status = referrals(owner)?.submit_referral(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert!(status.message().contains("no consent in force"), "{}", status.message());
    assert!(status.message().contains("SGB IX § 14"), "{}", status.message());
    let mut malformed = handover("key-2", "nobody", HOLDER);
    malformed.referral.as_mut().unwrap().identity.as_mut().unwrap().birth_date = "1.4.1990".into();
    let request = SubmitReferralRequest { handover: Some(malformed) };
    let status = referrals(owner)?.submit_referral(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("birth_date"), "{}", status.message());
    federation.stop().await
}
