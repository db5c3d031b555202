//! A node that is asked to stop in the midst of its work: it says so to whoever waits for it, and keeps what it acknowledged.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use lotse_core::agency::AgencyKind;
use lotse_core::id::Id;
use lotse_node::ambient::{SystemClock, SystemRandom};
use lotse_node::identity::Role;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::record_consents_response::Result as Recorded;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::submit_referrals_response::Result as Submitted;
use lotse_proto::agency::v1::{
    RecordConsentsRequest, RecordConsentsResponse, SubmitReferralsRequest, SubmitReferralsResponse,
};
use lotse_tests::federation::{Agency, Federation};
use lotse_tests::process::NodeProcess;
use lotse_tests::processes::{Member, Processes};
use lotse_tests::records::{consent, handover, record};
use tokio::net::UnixDatagram;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

const SENDER: &str = "jc-hanau.example";
const RECEIVER: &str = "aa-hanau.example";
const BOTH: [(&str, AgencyKind); 2] = [(SENDER, AgencyKind::JobcenterGe), (RECEIVER, AgencyKind::EmploymentAgency)];

/// Answers after which the node is asked to stop.
const ENOUGH: usize = 200;

/// How long a stop may take.
const LONGEST_STOP: Duration = Duration::from_secs(15);

fn consent_id(number: usize) -> String {
    format!("0198c5a4-7d3e-7cc0-8000-{number:012x}")
}

/// Sends without end, until nobody listens any more.
fn endless<T: Send + 'static>(make: impl Fn(usize) -> T + Send + 'static) -> ReceiverStream<T> {
    let (requests, stream) = mpsc::channel(64);
    tokio::spawn(async move {
        for number in 0.. {
            if requests.send(make(number)).await.is_err() {
                return;
            }
        }
    });
    ReceiverStream::new(stream)
}

/// Reads answers, asks the node to stop amid them, and reads on to the end. Returns all answers and how the stream ended.
async fn until_stopped<T>(member: &Member, mut answers: Streaming<T>) -> Result<(Vec<T>, Status)> {
    let mut read = Vec::new();
    loop {
        match answers.message().await {
            Ok(Some(answer)) => read.push(answer),
            Ok(None) => bail!("the node ended the stream without a word"),
            Err(status) => return Ok((read, status)),
        }
        if read.len() == ENOUGH {
            member.ask_to_stop()?;
        }
    }
}

/// Waits for the end of the node, which must say that nothing went wrong, and starts it again.
async fn stopped_and_started(member: &mut Member, asked: Instant, status: &Status) -> Result<()> {
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    ensure!(status.message().contains("the node is stopping"), "{status:?}");
    member.stop().await?;
    ensure!(asked.elapsed() < LONGEST_STOP, "the stop took {:?}", asked.elapsed());
    member.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_referral_that_a_stopping_node_acknowledged_is_there_after_its_start() -> Result<()> {
    let quiet = |agency: &Agency| agency.configure("# filter = \"info\"", "filter = \"warn\"");
    let mut processes = Processes::start(&BOTH, quiet).await?;
    let sender = &mut processes.members[0];
    record(&sender.agency, consent(&consent_id(0), "person-1", &[RECEIVER])).await?;

    let request =
        |n: usize| SubmitReferralsRequest { handover: Some(handover(&format!("key-{n}"), "person-1", RECEIVER)) };
    let answers = ReferralServiceClient::new(sender.agency.system()?).submit_referrals(endless(request)).await?;
    let begin = Instant::now();
    let (acknowledged, status) = until_stopped(sender, answers.into_inner()).await?;
    stopped_and_started(sender, begin, &status).await?;

    let again: Vec<_> = (0..acknowledged.len() * 2).map(request).collect();
    let repeated =
        ReferralServiceClient::new(sender.agency.system()?).submit_referrals(tokio_stream::iter(again)).await?;
    let known = ids_of_repeated(&mut repeated.into_inner()).await?;
    for answer in &acknowledged {
        let Some(Submitted::Submitted(submitted)) = &answer.result else { bail!("{answer:?}") };
        ensure!(known.contains(&submitted.referral_id), "{} was acknowledged and is lost", answer.idempotency_key);
    }
    println!("{} were acknowledged before the stop, all are there", acknowledged.len());
    for member in &mut processes.members {
        member.stop().await?;
    }
    Ok(())
}

/// Reads what a service manager is told until it is a certain word.
async fn told(socket: &UnixDatagram, word: &str) -> Result<()> {
    let mut buffer = [0; 4096];
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let length = socket.recv(&mut buffer).await?;
            if String::from_utf8_lossy(&buffer[..length]).lines().any(|line| line == word) {
                return Ok(());
            }
        }
    })
    .await
    .with_context(|| format!("the service manager is not told {word}"))?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_manager_is_told_of_start_life_and_stop() -> Result<()> {
    let place = tempfile::tempdir()?;
    let agency = Agency::set_up(place.path(), SENDER, AgencyKind::JobcenterGe, std::sync::Arc::new(SystemClock))?;
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path)?;
    let node = NodeProcess::start_under(&agency.folder, &path, Duration::from_millis(300)).await?;
    told(&socket, "READY=1").await?;
    told(&socket, "WATCHDOG=1").await?;
    told(&socket, "WATCHDOG=1").await?;
    let (ended, stopping) = tokio::join!(node.terminate(), told(&socket, "STOPPING=1"));
    stopping?;
    ensure!(ended?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_that_it_serves_and_when_it_stops() -> Result<()> {
    let mut federation = Federation::strangers(&BOTH[..1]).await?;
    let agency = federation.agency_mut(SENDER);
    for channel in [agency.system()?, agency.officer()?, agency.channel(Role::Admin, "default")?] {
        let mut health = HealthClient::new(channel);
        for service in ["", "lotse.agency.v1.ReferralService", "lotse.admin.v1.AdminService"] {
            let answer = health.check(HealthCheckRequest { service: service.into() }).await?.into_inner();
            ensure!(answer.status() == ServingStatus::Serving, "{service}");
        }
        for service in ["lotse.peer.v1.PeerService", "no.such.Service"] {
            let unknown = health.check(HealthCheckRequest { service: service.into() }).await;
            ensure!(unknown.is_err_and(|status| status.code() == Code::NotFound), "{service}");
        }
    }
    let mut health = HealthClient::new(agency.system()?);
    let mut watch = health.watch(HealthCheckRequest::default()).await?.into_inner();
    ensure!(watch.message().await?.context("an answer")?.status() == ServingStatus::Serving);
    let begin = Instant::now();
    let (stopped, told) = tokio::join!(agency.stop(), watch.message());
    ensure!(told?.context("an answer")?.status() == ServingStatus::NotServing);
    ensure!(watch.message().await?.is_none() && begin.elapsed() < LONGEST_STOP, "the watch ends");
    stopped
}

/// Reads the ids of those that the node knew already.
async fn ids_of_repeated(answers: &mut Streaming<SubmitReferralsResponse>) -> Result<Vec<String>> {
    let mut known = Vec::new();
    while let Some(answer) = answers.message().await? {
        let Some(Submitted::Submitted(submitted)) = answer.result else { bail!("{answer:?}") };
        known.extend(submitted.repeated_key.then_some(submitted.referral_id));
    }
    Ok(known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_consent_that_a_stopping_node_acknowledged_is_there_after_its_start() -> Result<()> {
    let mut processes = Processes::start(&BOTH, |_| Ok(())).await?;
    let sender = &mut processes.members[0];
    let prefix = Id::new(sender.agency.clock.now(), &SystemRandom).to_string();
    let prefix = prefix.get(..24).context("an id")?.to_string();
    let request = move |n: usize| {
        let consent = consent(&format!("{prefix}{n:012x}"), &format!("person-{n}"), &[RECEIVER]);
        RecordConsentsRequest { consent: Some(consent) }
    };
    let answers = ConsentServiceClient::new(sender.agency.system()?).record_consents(endless(request.clone())).await?;
    let begin = Instant::now();
    let (acknowledged, status) = until_stopped(sender, answers.into_inner()).await?;
    stopped_and_started(sender, begin, &status).await?;

    let again: Vec<_> = (0..acknowledged.len()).map(request).collect();
    let repeated =
        ConsentServiceClient::new(sender.agency.system()?).record_consents(tokio_stream::iter(again)).await?;
    let mut repeated = repeated.into_inner();
    let mut known = 0;
    while let Some(RecordConsentsResponse { result: Some(Recorded::Recorded(recorded)), .. }) =
        repeated.message().await?
    {
        ensure!(recorded.repeated_id, "a consent was acknowledged and is lost");
        known += 1;
    }
    ensure!(known == acknowledged.len() && known >= ENOUGH, "{known} of {}", acknowledged.len());
    println!("{known} were acknowledged before the stop, all are there");
    for member in &mut processes.members {
        member.stop().await?;
    }
    Ok(())
}
