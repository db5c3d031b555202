//! The load: a system of the owner that hands over referrals and follows its inbox, as fast as the window lets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::uri::PathAndQuery;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_server::SERVICE_NAME;
use lotse_proto::agency::v1::submit_referrals_response::Result as Answer;
use lotse_proto::agency::v1::{
    DeliveryState, ReferralHandover, SubmitReferralRequest, SubmitReferralResponse, SubmitReferralsResponse,
    WatchRequest, WatchResponse, inbox_event,
};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Request, Streaming};

use super::encoded::Encoded;
use super::window::{Phase, Window, key, number};
use crate::commands::client::explained;

/// How referrals are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Over one stream.
    Stream,
    /// One call for each.
    Unary,
}

/// The system that hands over. Each referral has a number that is never used again.
pub(super) struct Load {
    /// Encoded, all but their keys.
    requests: Vec<Bytes>,
    next: u64,
    cursor: Arc<AtomicU64>,
    submitted: Arc<AtomicU64>,
    taken: u64,
}

/// A task that ends with what it belongs to.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Load {
    /// Takes the referrals that are handed over in turn.
    pub(super) fn new(handovers: impl Iterator<Item = ReferralHandover>) -> Load {
        Load {
            requests: handovers.map(request).collect(),
            next: 0,
            cursor: Arc::default(),
            submitted: Arc::default(),
            taken: 0,
        }
    }

    /// Returns how many were sent, were accepted by the owner's node, and were reported as taken.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        (self.next, self.submitted.load(Ordering::SeqCst), self.taken)
    }

    /// Hands over for a while with so many in flight, and waits until all are delivered.
    pub(super) async fn run(
        &mut self,
        channel: Channel,
        way: Way,
        in_flight: u32,
        length: Duration,
    ) -> anyhow::Result<Phase> {
        let events = self.follow(channel.clone()).await?;
        let window = Window::open(in_flight, length);
        let _events = Task(tokio::spawn(watch(events, window.clone(), self.cursor.clone())));
        match way {
            Way::Stream => self.stream(channel, &window).await?,
            Way::Unary => self.unary(channel, &window).await?,
        }
        let phase = window.close().await?;
        self.taken += phase.times.len() as u64;
        Ok(phase)
    }

    async fn follow(&self, channel: Channel) -> anyhow::Result<Streaming<WatchResponse>> {
        let after = Some(self.cursor.load(Ordering::SeqCst));
        let events = InboxServiceClient::new(channel).watch(WatchRequest { after }).await;
        Ok(events.map_err(explained).context("the inbox cannot be followed")?.into_inner())
    }

    /// Encodes the next request, streamed or unary: both are a handover in field 1. A message that is encoded in two parts is one
    /// message, so that only the key is encoded here.
    fn next(&mut self) -> Bytes {
        let key = request(ReferralHandover { idempotency_key: key(self.next), ..ReferralHandover::default() });
        let rest = &self.requests[self.next as usize % self.requests.len()];
        self.next += 1;
        [key.as_ref(), rest.as_ref()].concat().into()
    }

    async fn stream(&mut self, channel: Channel, window: &Arc<Window>) -> anyhow::Result<()> {
        let (out, queued) = mpsc::channel(256);
        let (requests, codec) =
            (Request::new(ReceiverStream::new(queued)), Encoded::<SubmitReferralsResponse>::default());
        let mut client = Grpc::new(channel);
        client.ready().await?;
        let answers = client.streaming(requests, method("SubmitReferrals")?, codec).await;
        let answers = answers.map_err(explained)?.into_inner();
        let reader = tokio::spawn(read_answers(answers, window.clone(), self.submitted.clone()));
        while window.set_out(self.next).await? {
            if out.send(self.next()).await.is_err() {
                bail!("the node closed the stream of submissions");
            }
        }
        drop(out);
        Ok(reader.await?)
    }

    async fn unary(&mut self, channel: Channel, window: &Arc<Window>) -> anyhow::Result<()> {
        let (client, method) = (Grpc::new(channel), method("SubmitReferral")?);
        let calls = TaskTracker::new();
        while window.set_out(self.next).await? {
            let (request, method) = (Request::new(self.next()), method.clone());
            let (mut client, window, submitted) = (client.clone(), window.clone(), self.submitted.clone());
            calls.spawn(async move {
                if let Err(error) = client.ready().await {
                    return window.fail(error.into());
                }
                match client.unary(request, method, Encoded::<SubmitReferralResponse>::default()).await {
                    Ok(_) => drop(submitted.fetch_add(1, Ordering::SeqCst)),
                    Err(status) => window.fail(explained(status)),
                }
            });
        }
        calls.close();
        calls.wait().await;
        Ok(())
    }
}

fn request(handover: ReferralHandover) -> Bytes {
    SubmitReferralRequest { handover: Some(handover) }.encode_to_vec().into()
}

fn method(name: &str) -> anyhow::Result<PathAndQuery> {
    Ok(format!("/{SERVICE_NAME}/{name}").parse()?)
}

async fn read_answers(mut answers: Streaming<SubmitReferralsResponse>, window: Arc<Window>, submitted: Arc<AtomicU64>) {
    loop {
        match answers.message().await {
            Ok(Some(SubmitReferralsResponse { result: Some(Answer::Submitted(_)), .. })) => {
                submitted.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Some(answer)) => return window.fail(anyhow!("a referral was refused: {answer:?}")),
            Ok(None) => return,
            Err(status) => return window.fail(explained(status)),
        }
    }
}

async fn watch(mut events: Streaming<WatchResponse>, window: Arc<Window>, cursor: Arc<AtomicU64>) {
    loop {
        let taken = match events.message().await {
            Ok(Some(response)) => {
                cursor.store(response.cursor, Ordering::SeqCst);
                taken(&response)
            }
            Ok(None) => Err(anyhow!("the node closed the inbox")),
            Err(status) => Err(explained(status)),
        };
        match taken {
            Ok(numbers) => window.came_home(numbers.into_iter()),
            Err(error) => return window.fail(error),
        }
    }
}

/// Returns the numbers of the referrals that were taken; any other event is a failure.
fn taken(response: &WatchResponse) -> anyhow::Result<Vec<u64>> {
    let read = |event: &lotse_proto::agency::v1::InboxEvent| match &event.kind {
        Some(inbox_event::Kind::DeliveryChanged(change)) if change.delivery() == DeliveryState::Taken => {
            number(&change.idempotency_key)
        }
        other => bail!("an event that says something else than that a referral was taken: {other:?}"),
    };
    response.events.iter().map(read).collect()
}

/// Reads the holder's whole inbox until so many referrals were received; returns how many there are.
pub(super) async fn received(channel: Channel, expected: u64) -> anyhow::Result<u64> {
    let events = InboxServiceClient::new(channel).watch(WatchRequest { after: Some(0) }).await;
    let mut events = events.map_err(explained)?.into_inner();
    let mut received = 0;
    while received < expected {
        let message = tokio::time::timeout(Duration::from_secs(10), events.message()).await;
        let Ok(message) = message else { break };
        let response = message.map_err(explained)?.context("the holder's node closed its inbox")?;
        let is_referral = |event: &&lotse_proto::agency::v1::InboxEvent| {
            matches!(event.kind, Some(inbox_event::Kind::ReferralReceived(_)))
        };
        received += response.events.iter().filter(is_referral).count() as u64;
    }
    Ok(received)
}
