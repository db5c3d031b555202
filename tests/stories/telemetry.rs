//! What operators are told: one trace follows a referral through both agencies, metrics arrive, and nothing of it is personal.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lotse_core::agency::AgencyKind;
use lotse_core::time::Clock;
use lotse_node::ambient::SystemClock;
use lotse_proto::admin::v1::GetStatusRequest;
use lotse_proto::admin::v1::admin_service_client::AdminServiceClient;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::{
    AnswerReferralRequest, FetchRequest, GetReferralRequest, RecordConsentRequest, RecordConsentsRequest,
    ReferralState, SubmitReferralRequest, SubmitReferralsRequest, WithdrawConsentRequest, submit_referrals_response,
};
use lotse_proto::audit::v1::LoggedEntry;
use lotse_proto::record::v1::{Accepted, Consent, ReferralAnswer, referral_answer};
use lotse_tests::canary;
use lotse_tests::client::read_inbox;
use lotse_tests::collector::{Collector, ToldSpan};
use lotse_tests::federation::{Agency, Federation, eventually};
use lotse_tests::process::NodeProcess;
use lotse_tests::records;
use tonic::Request;
use tonic::transport::Identity;

use super::secrecy::{HOLDER, OWNER, consent, handover, malformed, uncovered};

const BOTH: [(&str, AgencyKind); 2] = [(OWNER, AgencyKind::JobcenterGe), (HOLDER, AgencyKind::EmploymentAgency)];
const NO_ENDPOINT: &str = "# endpoint = \"http://127.0.0.1:4317\"";
const NO_INTERVAL: &str = "# interval_seconds = 15";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// Another holder of the same person's data.
const OTHER: &str = "aa-fulda.example";
const CALLER: &str = "00f067aa0ba902b7";

/// Two agencies with an agreement whose nodes tell a collector everything, every second.
async fn two_agencies(endpoint: &str) -> Result<Federation> {
    let place = tempfile::tempdir()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut agencies = Vec::new();
    for (id, kind) in BOTH {
        let agency = Agency::set_up(place.path(), id, kind, clock.clone())?;
        agency.configure(NO_ENDPOINT, &format!("endpoint = \"{endpoint}\""))?;
        agency.configure(NO_INTERVAL, "interval_seconds = 1")?;
        agencies.push(agency);
    }
    let federation = Federation::of(place, agencies).await?;
    federation.introduce().await?;
    federation.agree().await?;
    records::record(federation.agency(OWNER), consent()).await?;
    Ok(federation)
}

/// An agency on its own, whose node, not yet started, tells the collector at an endpoint.
fn alone(place: &Path, endpoint: &str, more: &str) -> Result<Agency> {
    let agency = Agency::set_up(place, OWNER, AgencyKind::JobcenterGe, Arc::new(SystemClock))?;
    agency.configure(NO_ENDPOINT, &format!("endpoint = \"{endpoint}\"\n{more}"))?;
    agency.configure(NO_INTERVAL, "interval_seconds = 1")?;
    Ok(agency)
}

/// Waits until a node has written a message.
async fn says(output: &Path, message: &str) -> Result<()> {
    eventually(message, async || Ok(fs::read_to_string(output)?.contains(message))).await
}

/// Hands the good referral over as a caller with a trace does; returns its id.
async fn submit(owner: &Agency, key: &str, traceparent: Option<&str>) -> Result<String> {
    let mut request = Request::new(SubmitReferralRequest { handover: Some(handover(key, |_, _| {})) });
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent.parse()?);
    }
    let submitted = ReferralServiceClient::new(owner.system()?).submit_referral(request).await?.into_inner();
    Ok(submitted.submitted.context("no answer")?.referral_id)
}

/// Waits until the holder has a referral, and returns the trace id with which its system fetches it.
async fn fetched_trace(holder: &Agency, id: &str) -> Result<String> {
    eventually("the referral at the holder", async || Ok(read_inbox(holder).await?.iter().any(|known| known == id)))
        .await?;
    let request = FetchRequest { record_ids: vec![id.into()] };
    let fetched = InboxServiceClient::new(holder.system()?).fetch(request).await?.into_inner();
    Ok(fetched.records.into_iter().next().context("not found")?.trace_id)
}

/// Reads the trace ids of an agency's log entries of a kind.
async fn logged_traces(agency: &Agency, kind: &str) -> Result<Vec<String>> {
    let arguments = ["log", "list", "--officer", "sommer", "--kind", kind, "--json", "--limit", "1000"];
    let printed = agency.command(&arguments).await?;
    let trace = |line: &str| -> Result<String> {
        let logged: LoggedEntry = serde_json::from_str(line)?;
        Ok(hex(&logged.entry.context("a leaf without an entry")?.trace_id))
    };
    printed.lines().map(trace).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Waits until a span of a trace has been told.
async fn span(collector: &Collector, trace: &str, agency: &str, name: &str) -> Result<ToldSpan> {
    let find = || {
        let fits =
            |told: &ToldSpan| hex(&told.span.trace_id) == trace && told.agency == agency && told.span.name == name;
        collector.spans().into_iter().find(fits)
    };
    eventually(&format!("the span {name} of {agency}"), async || Ok(find().is_some())).await?;
    find().context("it was there")
}

fn is_inside(inner: &ToldSpan, outer: &ToldSpan) -> Result<()> {
    let fits = inner.span.parent_span_id == outer.span.span_id;
    ensure!(fits, "{} of {} is not inside {}", inner.span.name, inner.agency, outer.span.name);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_follows_a_referral_through_both_agencies() -> Result<()> {
    let collector = Collector::start().await?;
    let federation = two_agencies(&collector.endpoint()).await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let id = submit(owner, "traced", Some(&format!("00-{TRACE}-{CALLER}-01"))).await?;
    let crossing = fetched_trace(holder, &id).await?;
    ensure!(crossing.len() == 32 && crossing != TRACE, "the caller's own trace crosses to nobody: {crossing}");

    let told = async |agency: &'static str, name: &'static str| span(&collector, &crossing, agency, name).await;
    let call = span(&collector, TRACE, OWNER, "lotse.agency.v1.ReferralService/SubmitReferral").await?;
    ensure!(hex(&call.span.parent_span_id) == CALLER, "the call is part of what its caller does");
    ensure!(call.attribute("rpc.response.status_code") == "OK");
    let submit_span = told(OWNER, "submit").await?;
    ensure!(submit_span.span.parent_span_id.is_empty(), "the way between the agencies is a trace of its own");
    let [cause] = submit_span.span.links.as_slice() else { bail!("{:?}", submit_span.span.links) };
    ensure!(hex(&cause.trace_id) == TRACE && cause.span_id == call.span.span_id, "the owner's operators see the call");
    ensure!(submit_span.attribute("lotse.record") == id && submit_span.attribute("lotse.peer") == HOLDER);
    is_inside(&told(OWNER, "release").await?, &submit_span)?;
    let deliver = told(OWNER, "deliver").await?;
    is_inside(&deliver, &submit_span)?;
    let take = told(HOLDER, "take").await?;
    is_inside(&take, &deliver)?;
    for (agency, outer, work) in [(OWNER, &submit_span, "submit"), (HOLDER, &take, "take")] {
        let store = told(agency, "store").await?;
        is_inside(&store, outer)?;
        ensure!(store.attribute("lotse.work") == work);
    }
    for (agency, kind) in [(owner, "released"), (holder, "taken")] {
        ensure!(logged_traces(agency, kind).await? == [crossing.as_str()], "the log of {} names the trace", agency.id);
    }
    let holders = collector.spans().into_iter().filter(|told| told.agency == HOLDER);
    let knows = |told: &ToldSpan| hex(&told.span.trace_id) == TRACE || !told.span.links.is_empty();
    ensure!(!holders.into_iter().any(|told| knows(&told)), "nothing at the holder leads to the caller's trace");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_holders_cannot_join_their_records_by_the_trace_of_one_caller() -> Result<()> {
    let agencies = [BOTH[0], BOTH[1], (OTHER, AgencyKind::EmploymentAgency)];
    let (federation, _) = Federation::agreed(&agencies).await?;
    let [owner, one, other] = agencies.map(|(id, _)| federation.agency(id));
    let recipients = [HOLDER, OTHER].map(String::from).to_vec();
    records::record(owner, Consent { recipients, ..consent() }).await?;
    let towards = |key: &str, recipient: &str| SubmitReferralsRequest {
        handover: Some(handover(key, |handover, _| handover.recipient = recipient.into())),
    };
    let items = tokio_stream::iter([towards("one", HOLDER), towards("other", OTHER)]);
    let mut stream = Request::new(items);
    stream.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse()?);
    let mut answers = ReferralServiceClient::new(owner.system()?).submit_referrals(stream).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        ensure!(matches!(answer.result, Some(submit_referrals_response::Result::Submitted(_))), "{answer:?}");
    }
    let mut received = Vec::new();
    for holder in [one, other] {
        eventually("the referral at the holder", async || Ok(read_inbox(holder).await?.len() == 1)).await?;
        received.extend(logged_traces(holder, "taken").await?);
    }
    ensure!(received.len() == 2 && received[0] != received[1], "{received:?}");
    ensure!(received.iter().all(|trace| trace.len() == 32 && trace != TRACE), "{received:?}");

    let again = submit(owner, "again", Some(&format!("00-{TRACE}-{CALLER}-01"))).await?;
    ensure!(fetched_trace(one, &again).await? == received[0], "towards one holder it stays one trace");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn referrals_of_one_stream_have_traces_of_their_own_also_without_a_collector() -> Result<()> {
    let (federation, _) = Federation::agreed(&BOTH).await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    records::record(owner, consent()).await?;
    let request = |key: &str| SubmitReferralsRequest { handover: Some(handover(key, |_, _| {})) };
    let requests = tokio_stream::iter([request("one"), request("other")]);
    let mut answers = ReferralServiceClient::new(owner.system()?).submit_referrals(requests).await?.into_inner();
    while answers.message().await?.is_some() {}
    eventually("both at the holder", async || Ok(read_inbox(holder).await?.len() == 2)).await?;
    let (mut sent, mut received) = (logged_traces(owner, "released").await?, logged_traces(holder, "taken").await?);
    sent.sort();
    received.sort();
    ensure!(sent == received && sent.len() == 2 && sent[0] != sent[1], "{sent:?} {received:?}");
    ensure!(sent.iter().all(|trace| trace.len() == 32), "{sent:?}");
    federation.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_arrive_and_nothing_that_is_told_is_personal() -> Result<()> {
    let collector = Collector::start().await?;
    let federation = two_agencies(&collector.endpoint()).await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let id = submit(owner, "good", None).await?;
    fetched_trace(holder, &id).await?;
    let mut service = ReferralServiceClient::new(owner.system()?);
    let mut refused = 0;
    for handover in uncovered().into_iter().chain(malformed()) {
        let request = SubmitReferralRequest { handover: Some(handover) };
        refused += usize::from(service.submit_referral(request).await.is_err());
    }
    answer(owner, holder, &id).await?;

    let metric = |agency: &str, name: &str, labels: &[(&str, &str)]| collector.highest(agency, name, labels);
    eventually("the metrics of both", async || {
        let refusals = metric(OWNER, "lotse.submissions", &[("outcome", "refused")]);
        Ok(refusals == refused as f64
            && metric(OWNER, "lotse.refusals", &[("stage", "submission"), ("reason", "NO_CONSENT")]) >= 1.0
            && metric(OWNER, "lotse.submissions", &[("outcome", "accepted")]) == 1.0
            && metric(OWNER, "lotse.releases", &[]) == 1.0
            && metric(OWNER, "lotse.envelopes", &[("direction", "out"), ("outcome", "taken")]) == 1.0
            && metric(HOLDER, "lotse.envelopes", &[("direction", "in"), ("outcome", "taken")]) == 1.0
            && metric(OWNER, "lotse.receipts", &[("direction", "in")]) == 1.0
            && metric(HOLDER, "lotse.receipts", &[("direction", "out")]) == 1.0
            && metric(HOLDER, "lotse.store.work.duration", &[("work", "take")]) == 1.0
            && metric(OWNER, "lotse.store.commits", &[]) > 1.0
            && metric(OWNER, "lotse.log.signed_size", &[]) > 1.0
            && metric(OWNER, "lotse.days_left", &[("what", "certificate")]) > 1.0
            && metric(OWNER, "lotse.days_left", &[("what", "card")]) > 1.0)
    })
    .await?;
    let submit = "lotse.agency.v1.ReferralService/SubmitReferral";
    ensure!(
        metric(OWNER, "rpc.server.call.duration", &[("rpc.method", submit), ("rpc.response.status_code", "OK")]) > 0.0
    );
    for name in ["lotse.outbox.due", "lotse.outbox.in_doubt", "lotse.outbox.oldest_age", "lotse.hold", "lotse.alarms"] {
        ensure!(collector.metrics(OWNER).contains(name), "{name} is not told: {:?}", collector.metrics(OWNER));
    }
    federation.stop().await?;

    let everything = collector.everything();
    let found: Vec<String> = everything.iter().flat_map(|bytes| canary::find(bytes)).collect();
    ensure!(found.is_empty(), "{} canaries:\n{}", found.len(), found.join("\n"));
    let all = everything.concat();
    ensure!(String::from_utf8_lossy(&all).contains(&id), "what is searched is what was told");
    Ok(())
}

/// The holder accepts the referral, and the owner learns it.
async fn answer(owner: &Agency, holder: &Agency, id: &str) -> Result<()> {
    let kind = Some(referral_answer::Kind::Accepted(Accepted {}));
    let request = AnswerReferralRequest {
        idempotency_key: "accepted".into(),
        referral_id: id.into(),
        answer: Some(ReferralAnswer { on: "2026-11-22".into(), kind, note: None }),
        on_behalf_of: String::new(),
    };
    ReferralServiceClient::new(holder.system()?).answer_referral(request).await?;
    let mut service = ReferralServiceClient::new(owner.system()?);
    eventually("the answer at the owner", async || {
        let thread = service.get_referral(GetReferralRequest { referral_id: id.into() }).await?.into_inner();
        Ok(thread.summary.is_some_and(|summary| summary.state() == ReferralState::Accepted))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_hinders_nothing() -> Result<()> {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let federation = two_agencies(&format!("http://{}", silent.local_addr()?)).await?;
    let (owner, holder) = (federation.agency(OWNER), federation.agency(HOLDER));
    let id = submit(owner, "good", None).await?;
    ensure!(fetched_trace(holder, &id).await?.len() == 32);
    let begin = Instant::now();
    federation.stop().await?;
    ensure!(begin.elapsed() < Duration::from_secs(30), "both stops took {:?}", begin.elapsed());
    Ok(())
}

/// Gives a call the caller's trace.
fn traced<T>(message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-{CALLER}-01").parse()?);
    Ok(request)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consents_withdrawals_and_denials_are_logged_in_the_trace_of_their_caller() -> Result<()> {
    let (federation, _) = Federation::agreed(&BOTH).await?;
    let owner = federation.agency(OWNER);
    let mut service = ConsentServiceClient::new(owner.system()?);
    let (one, two) = (consent(), Consent { id: "0198c5a4-7d3e-7cc0-8000-0000000000f2".into(), ..consent() });
    let withdrawal = WithdrawConsentRequest { consent_id: one.id.clone(), ..Default::default() };
    service.record_consent(traced(RecordConsentRequest { consent: Some(one) })?).await?;
    let stream = tokio_stream::iter([RecordConsentsRequest { consent: Some(two.clone()) }]);
    let mut answers = service.record_consents(traced(stream)?).await?.into_inner();
    while answers.message().await?.is_some() {}
    service.withdraw_consent(traced(withdrawal)?).await?;
    let mut wrong = AdminServiceClient::new(owner.system()?);
    ensure!(wrong.get_status(traced(GetStatusRequest {})?).await.is_err());
    for (kind, count) in [("consent-recorded", 2), ("withdrawal-arrived", 1), ("consent-withdrawn", 1), ("denied", 1)] {
        let traces = logged_traces(owner, kind).await?;
        ensure!(traces.iter().filter(|trace| *trace == TRACE).count() == count, "{kind}: {traces:?}");
    }

    let untraced = WithdrawConsentRequest { consent_id: two.id, ..Default::default() };
    service.withdraw_consent(untraced).await?;
    ensure!(logged_traces(owner, "consent-withdrawn").await?[0].is_empty(), "without a trace none is invented");
    federation.stop().await
}

const LOST: &str = "the collector does not take what it is told";
const BACK: &str = "the collector takes what it is told again";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_collector_is_said_once_and_once_when_it_is_back() -> Result<()> {
    let place = tempfile::tempdir()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let agency = alone(place.path(), &format!("http://{address}"), "")?;
    let output = place.path().join("output");
    let node = NodeProcess::start_writing(&agency.folder, &output).await?;
    says(&output, LOST).await?;
    let collector = Collector::start_at(address).await?;
    says(&output, BACK).await?;
    eventually("metrics", async || Ok(!collector.metrics(OWNER).is_empty())).await?;
    ensure!(node.terminate().await?.success());
    let said = fs::read_to_string(&output)?;
    // Of traces and of metrics.
    for message in [LOST, BACK] {
        ensure!((1..=2).contains(&said.matches(message).count()), "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_is_told_over_tls_if_the_named_authority_has_issued_its_certificate() -> Result<()> {
    let place = tempfile::tempdir()?;
    let other = Agency::set_up(place.path(), OTHER, AgencyKind::EmploymentAgency, Arc::new(SystemClock))?;
    let read = |path: PathBuf| fs::read(&path).with_context(|| path.display().to_string());
    let identity = Identity::from_pem(read(other.folder.node_certificate())?, read(other.folder.node_key())?);
    let collector = Collector::start_with_tls(identity).await?;
    let bundle = format!("bundle = \"{}\"", other.folder.ca_certificate().display());
    let agency = alone(place.path(), &collector.endpoint(), &bundle)?;
    let output = place.path().join("output");

    let own = format!("bundle = \"{}\"", agency.folder.ca_certificate().display());
    agency.configure(&bundle, &own)?;
    let node = NodeProcess::start_writing(&agency.folder, &output).await?;
    says(&output, LOST).await?;
    ensure!(node.terminate().await?.success());
    ensure!(collector.everything().is_empty(), "somebody else's certificate was trusted");

    agency.configure(&own, &bundle)?;
    let node = NodeProcess::start_writing(&agency.folder, &output).await?;
    eventually("metrics over TLS", async || Ok(!collector.metrics(OWNER).is_empty())).await?;
    let calls = async || {
        agency.admin()?.get_status(GetStatusRequest {}).await?;
        Ok(!collector.spans().is_empty())
    };
    eventually("spans over TLS", calls).await?;
    ensure!(node.terminate().await?.success());

    agency.configure(&bundle, "")?;
    let refused = NodeProcess::start_writing(&agency.folder, &output).await;
    ensure!(refused.is_err(), "https needs a bundle");
    says(&output, "[telemetry] bundle: name the authorities of the collector (PEM)").await
}
