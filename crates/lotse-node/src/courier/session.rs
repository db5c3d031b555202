//! One stream to a peer, from its opening to its end.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::peer::v1::peer_service_client::PeerServiceClient;
use lotse_proto::peer::v1::{ExchangeRequest, exchange_request, exchange_response};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Courier, Loaded, hello, observe_hello};
use crate::action::claim::{Claimed, claim_due};
use crate::action::claim_again::claim_again;
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::edge::MAX_MESSAGE_BYTES;
use crate::shipment::Shipment;

/// How long the peer may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// How often the outbox is looked at without being woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long a stop waits for receipts of what is on its way.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The peer has no card, or no address in it could be used.
    #[error("no address of the peer can be used: {0}")]
    Address(String),
    /// The peer refused or could not be reached.
    #[error("{0}")]
    Call(String),
    /// The peer did not say hello, or spoke for another agency.
    #[error("the peer did not say who it is")]
    Hello,
    /// The peer closed the stream.
    #[error("the peer closed the stream")]
    Closed,
    /// A lease ended without a receipt.
    #[error("no receipt came in time; what was sent is in doubt and will be sent again")]
    Lapsed,
    /// A receipt did not fit what was sent.
    #[error("a receipt does not fit what was sent: {0}")]
    Receipt(&'static str),
}

impl From<Status> for Problem {
    fn from(status: Status) -> Problem {
        Problem::Call(format!("the peer refused or cannot be reached: {} ({:?})", status.message(), status.code()))
    }
}

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a work beside the stream has done.
enum Done {
    Claimed(Claimed, Option<super::Room>),
    Again(bool, Option<Loaded>),
    Recorded(Id, Recorded),
    Failed(lotse_store::StoreError),
}

/// A batch that was written to the stream.
struct OnItsWay {
    loaded: Loaded,
    since: Timestamp,
}

/// A stream and what is on its way on it.
struct Session<'a> {
    courier: &'a mut Courier,
    out: mpsc::Sender<ExchangeRequest>,
    inbound: Streaming<lotse_proto::peer::v1::ExchangeResponse>,
    in_flight: HashMap<Id, OnItsWay>,
    works: FuturesUnordered<Work>,
    claiming: bool,
    doubtful: bool,
}

impl Courier {
    /// Opens a stream and works on it until it ends. Whatever is then unanswered is in doubt.
    pub(super) async fn session(&mut self) -> Result<(), Problem> {
        let (out, inbound) = self.open().await?;
        self.node.links.update(&self.peer, |link| {
            link.connected = true;
            link.problem = None;
        });
        self.couriers.connected(&self.peer);
        let mut session = Session {
            courier: self,
            out,
            inbound,
            in_flight: HashMap::new(),
            works: FuturesUnordered::new(),
            claiming: false,
            doubtful: true,
        };
        let ended = session.run().await;
        let Session { in_flight, works, inbound, out, .. } = session;
        // The stream is reset before its claims are ended: no frame of it can leave any more.
        drop((out, inbound));
        self.finish(works, in_flight).await;
        ended
    }

    async fn open(
        &self,
    ) -> Result<(mpsc::Sender<ExchangeRequest>, Streaming<lotse_proto::peer::v1::ExchangeResponse>), Problem> {
        let federation = self.node.federation.get();
        let peer = federation.peers.get(&self.peer).ok_or(Problem::Address("it has no card".into()))?;
        let mut last = Problem::Address("its card has no endpoint".into());
        for endpoint in &peer.card.card.endpoints {
            match self.open_at(endpoint).await {
                Ok(stream) => return Ok(stream),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    async fn open_at(
        &self,
        endpoint: &str,
    ) -> Result<(mpsc::Sender<ExchangeRequest>, Streaming<lotse_proto::peer::v1::ExchangeResponse>), Problem> {
        let channel =
            self.connector.channel(endpoint, &self.peer).map_err(|error| Problem::Address(error.to_string()))?;
        let mut client = PeerServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (out, queued) = mpsc::channel(1);
        let first = ExchangeRequest { frame: Some(exchange_request::Frame::Hello(hello(&self.node, &self.peer))) };
        out.send(first).await.map_err(|_| Problem::Closed)?;
        let opened = timeout(HELLO_DEADLINE, client.exchange(ReceiverStream::new(queued))).await;
        let mut inbound = opened.map_err(|_| Problem::Hello)??.into_inner();
        let answer = timeout(HELLO_DEADLINE, inbound.message()).await.map_err(|_| Problem::Hello)??;
        match answer.and_then(|message| message.frame) {
            Some(exchange_response::Frame::Hello(hello)) if observe_hello(&self.node, &self.peer, &hello) => {
                Ok((out, inbound))
            }
            _ => Err(Problem::Hello),
        }
    }

    /// Lets running works finish, and ends every claim that has no receipt.
    async fn finish(&mut self, mut works: FuturesUnordered<Work>, mut in_flight: HashMap<Id, OnItsWay>) {
        while let Some(done) = works.next().await {
            match done {
                Done::Claimed(Claimed { shipment: Some(shipment), .. }, _) => self.lapse(&shipment).await,
                Done::Again(_, Some(loaded)) => self.lapse(&loaded.shipment).await,
                Done::Recorded(batch_id, _) => {
                    in_flight.remove(&batch_id);
                }
                _ => {}
            }
        }
        for batch in in_flight.values() {
            self.lapse(&batch.loaded.shipment).await;
        }
    }
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), Problem> {
        let due = self.courier.node.signals.due(&self.courier.peer);
        let mut poll = tokio::time::interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let stop = self.courier.stop.clone();
        loop {
            let lapse = self.earliest_lease();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.settle().await,
                message = self.inbound.message() => self.received(message?)?,
                Some(done) = self.works.next() => self.done(done).await?,
                () = sleep_until(lapse.unwrap_or_else(Instant::now)), if lapse.is_some() => return Err(Problem::Lapsed),
                Some(loaded) = self.courier.shipments.recv() => self.send(loaded).await?,
                () = due.notified() => self.claim(),
                _ = poll.tick() => self.look(),
            }
        }
    }

    /// Looks at everything that may have become due without anybody saying so.
    fn look(&mut self) {
        self.doubtful = true;
        self.claim();
    }

    fn earliest_lease(&self) -> Option<Instant> {
        self.in_flight.values().map(|batch| batch.loaded.shipment.lease_until).min()
    }

    /// Starts a claim if none runs and there is room: first of what is in doubt, then of what is due.
    fn claim(&mut self) {
        if self.claiming {
            return;
        }
        let Some(room) = self.courier.couriers.try_room(&self.courier.peer) else { return };
        self.claiming = true;
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        self.works.push(if self.doubtful {
            Box::pin(async move {
                match claim_again(&node, &peer).await {
                    Ok(Some(again)) => Done::Again(true, again.shipment.map(|shipment| Loaded { shipment, room })),
                    Ok(None) => Done::Again(false, None),
                    Err(error) => Done::Failed(error),
                }
            })
        } else {
            Box::pin(async move {
                match claim_due(&node, &peer).await {
                    Ok(claimed) => Done::Claimed(claimed, Some(room)),
                    Err(error) => Done::Failed(error),
                }
            })
        });
    }

    async fn done(&mut self, done: Done) -> Result<(), Problem> {
        match done {
            Done::Again(more, loaded) => {
                self.claiming = false;
                self.doubtful = more;
                if let Some(loaded) = loaded {
                    self.send(loaded).await?;
                }
                self.claim();
            }
            Done::Claimed(claimed, room) => {
                self.claiming = false;
                if let (Some(shipment), Some(room)) = (claimed.shipment, room) {
                    self.send(Loaded { shipment, room }).await?;
                }
                if claimed.looked && claimed.objection.is_none() {
                    self.claim();
                }
            }
            Done::Recorded(batch_id, recorded) => self.recorded(batch_id, recorded)?,
            Done::Failed(error) => {
                self.claiming = false;
                tracing::error!(%error, peer = %self.courier.peer, "the database did not do what the courier asked");
            }
        }
        Ok(())
    }

    /// Writes a batch to the stream, if its lease still runs.
    async fn send(&mut self, loaded: Loaded) -> Result<(), Problem> {
        let since = self.courier.node.now();
        let written = write(&self.out, &loaded.shipment).await;
        self.in_flight.insert(loaded.shipment.batch_id, OnItsWay { loaded, since });
        written
    }

    fn received(&mut self, message: Option<lotse_proto::peer::v1::ExchangeResponse>) -> Result<(), Problem> {
        match message.and_then(|message| message.frame) {
            Some(exchange_response::Frame::Receipt(receipt)) => self.record(receipt),
            Some(exchange_response::Frame::Hello(_)) => {}
            None => return Err(Problem::Closed),
        }
        Ok(())
    }

    fn record(&mut self, receipt: proto::Receipt) {
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        let batch_id = receipt
            .seal
            .as_ref()
            .and_then(|seal| prost::Message::decode(seal.payload.clone()).ok())
            .and_then(|statement: proto::ReceiptStatement| Id::from_slice(&statement.batch_id).ok());
        let Some(batch_id) = batch_id else { return };
        self.works.push(Box::pin(async move {
            match record_receipt(&node, &peer, receipt).await {
                Ok(recorded) => Done::Recorded(batch_id, recorded),
                Err(error) => Done::Failed(error),
            }
        }));
    }

    fn recorded(&mut self, batch_id: Id, recorded: Recorded) -> Result<(), Problem> {
        let now = self.courier.node.now();
        match recorded {
            Recorded::Rejected(why) => return Err(Problem::Receipt(why)),
            Recorded::First { .. } | Recorded::Repeated => {}
        }
        if let Some(batch) = self.in_flight.remove(&batch_id) {
            self.courier.node.telemetry.delivered(batch.since, &batch.loaded.shipment);
        }
        self.courier.node.links.update(&self.courier.peer, |link| link.last_seen = Some(now));
        Ok(())
    }

    /// Waits a moment for receipts of what is on its way, and starts nothing new.
    async fn settle(&mut self) -> Result<(), Problem> {
        let deadline = Instant::now() + STOP_DEADLINE;
        while !(self.in_flight.is_empty() && self.works.is_empty()) {
            tokio::select! {
                () = sleep_until(deadline) => return Ok(()),
                message = self.inbound.message() => self.received(message?)?,
                Some(done) = self.works.next() => match done {
                    Done::Recorded(batch_id, recorded) => self.recorded(batch_id, recorded)?,
                    Done::Claimed(Claimed { shipment: Some(shipment), .. }, Some(room)) => self.send(Loaded { shipment, room }).await?,
                    Done::Again(_, Some(loaded)) => self.send(loaded).await?,
                    _ => {}
                },
            }
        }
        Ok(())
    }
}

/// Writes a batch while its lease runs. One that waited longer, for instance for the stream to open, stays unwritten: a withdrawal
/// that waited for its lease may have been answered since.
async fn write(out: &mpsc::Sender<ExchangeRequest>, shipment: &Shipment) -> Result<(), Problem> {
    // Asked first: a timeout polls what it guards before it looks at the clock.
    if Instant::now() >= shipment.lease_until {
        return Err(Problem::Lapsed);
    }
    let frame = exchange_request::Frame::Batch(shipment.message());
    match tokio::time::timeout_at(shipment.lease_until, out.send(ExchangeRequest { frame: Some(frame) })).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Problem::Closed),
        Err(_) => Err(Problem::Lapsed),
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::id::Digest;

    use super::*;

    fn shipment(lease_until: Instant) -> Shipment {
        Shipment {
            peer: "aa.example".parse().unwrap(),
            batch_id: Id::from_bytes([1; 16]),
            root: Digest::of(b"root"),
            items: vec![],
            seal: proto::Seal::default(),
            envelopes: vec![],
            lease_until,
        }
    }

    #[tokio::test]
    async fn a_batch_is_written_only_while_its_lease_runs_however_free_the_stream_is() {
        let (out, mut queued) = mpsc::channel(1);
        let over = write(&out, &shipment(Instant::now())).await;
        assert!(matches!(over, Err(Problem::Lapsed)));
        assert!(queued.try_recv().is_err(), "nothing was written");
        write(&out, &shipment(Instant::now() + Duration::from_secs(60))).await.unwrap();
        let full = write(&out, &shipment(Instant::now() + Duration::from_millis(20))).await;
        assert!(
            matches!(full, Err(Problem::Lapsed)),
            "a stream that takes nothing is waited for as long as the lease runs"
        );
        queued.try_recv().unwrap();
        assert!(queued.try_recv().is_err());
    }
}
