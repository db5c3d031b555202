//! One stream to a peer, from its opening to its end.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::peer::v1::peer_service_client::PeerServiceClient;
use lotse_proto::peer::v1::{ExchangeRequest, ExchangeResponse, exchange_request, exchange_response};
use lotse_store::StoreError;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::room::BATCHES_IN_FLIGHT;
use super::{Courier, Loaded, Room};
use crate::action::claim::{Claimed, claim_due};
use crate::action::claim_again::claim_again;
use crate::action::exchange_hellos::{compare_hello, hello, observe_hello};
use crate::action::find_next_attempt::{NextAttempt, find_next_attempt};
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::edge::{Line, MAX_MESSAGE_BYTES, broken_stream};
use crate::failure::Failure;
use crate::instance::InstanceId;
use crate::shipment::{LEASE, Shipment};

/// How long the peer may take to say hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);

/// Shortest time between two looks at what waits, unless something wakes the courier.
const SHORTEST_LOOK: Duration = Duration::from_secs(1);

/// Longest time between two looks: what becomes due wakes the courier, and a clock that is set moves what is due.
const LONGEST_LOOK: Duration = Duration::from_secs(60);

/// Interval of hellos on a stream on which nothing is on its way: a clock that is set, here or there, shows by them.
const HELLO_INTERVAL: Duration = Duration::from_secs(60);

/// How long a stop waits for receipts of what is on its way.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Works of one stream that wait for the database. While there are so many, no receipt is read.
const WORKS_AT_ONCE: usize = 2 * BATCHES_IN_FLIGHT;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// The peer has no card, or no address in it could be used.
    #[error("no address of the peer can be used: {0}")]
    Address(String),
    /// The peer refused or could not be reached.
    #[error("{0}")]
    Call(String),
    /// The peer did not say hello, spoke for another agency, or said it twice.
    #[error("the peer did not say who it is, or said it again")]
    Hello,
    /// The peer closed the stream.
    #[error("the peer closed the stream")]
    Closed,
    /// Another run of the peer's node has spoken.
    #[error("the peer's node has started again, or another one speaks under its identity")]
    Replaced,
    /// The state of this node or of the peer is in doubt, or the own database does not answer.
    #[error("{0}")]
    Own(#[from] Failure),
    /// A lease ended without a receipt.
    #[error("no receipt came in time; what was sent is in doubt and will be sent again")]
    Lapsed,
    /// A receipt did not fit what was sent.
    #[error("a receipt does not fit what was sent: {0}")]
    Receipt(&'static str),
}

impl From<Status> for Problem {
    fn from(status: Status) -> Problem {
        Problem::Call(broken_stream(&status))
    }
}

type Permit = mpsc::OwnedPermit<ExchangeRequest>;

type Work = Pin<Box<dyn Future<Output = Done> + Send>>;

/// What a work beside the stream has done.
enum Done {
    Claimed(Claimed, Room),
    Again(bool, Option<Loaded>),
    Recorded(Id, Recorded),
    /// It was looked when something is to be claimed.
    Looked(NextAttempt),
    /// A claim or a look failed.
    NotClaimed(StoreError),
    /// A receipt could not be recorded: its batch stays on its way until its lease ends.
    NotRecorded(StoreError),
    /// What is said to the peer again, if the database could be read.
    Greeted(Result<proto::Hello, StoreError>),
}

/// A batch that was written to the stream or waits for that.
struct OnItsWay {
    loaded: Loaded,
    since: Timestamp,
}

/// An open stream to the peer.
struct Stream {
    /// Its connection, and no other stream's.
    line: Line,
    out: mpsc::Sender<ExchangeRequest>,
    inbound: Streaming<ExchangeResponse>,
    /// Run of the peer's node that answered.
    instance: Option<InstanceId>,
}

/// A stream and what is on its way on it.
struct Session<'a> {
    courier: &'a mut Courier,
    stream: Stream,
    in_flight: HashMap<Id, OnItsWay>,
    /// Those of them that are not written yet.
    unwritten: VecDeque<Id>,
    works: FuturesUnordered<Work>,
    /// Whether a claim or a look runs.
    claiming: bool,
    doubtful: bool,
    /// Whether a claim found no room.
    starved: bool,
    next_look: Instant,
    /// Hello that is to be said again.
    greeting: Option<proto::Hello>,
    next_hello: Instant,
}

impl Courier {
    /// Opens a stream and works on it until it ends. Whatever is then unanswered is in doubt.
    pub(super) async fn session(&mut self) -> Result<(), Problem> {
        let stream = self.open().await?;
        self.node.links.update(&self.peer, |link| {
            (link.connected, link.problem, link.duty_problem) = (true, None, None);
        });
        self.node.signals.reachable(&self.peer).notify_waiters();
        // The first claim finds out whether anything keeps items from going over the open stream.
        self.node.links.set_wait(&self.peer, None);
        self.couriers.connected(&self.peer);
        let mut session = Session {
            courier: self,
            stream,
            in_flight: HashMap::new(),
            unwritten: VecDeque::new(),
            works: FuturesUnordered::new(),
            claiming: false,
            doubtful: false,
            starved: false,
            next_look: Instant::now(),
            greeting: None,
            next_hello: Instant::now() + HELLO_INTERVAL,
        };
        let ended = session.run().await;
        let Session { in_flight, works, stream, .. } = session;
        reset(stream, &in_flight).await;
        self.finish(works, in_flight).await;
        ended
    }

    async fn open(&self) -> Result<Stream, Problem> {
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

    async fn open_at(&self, endpoint: &str) -> Result<Stream, Problem> {
        let line = Line::default();
        let channel = self.connector.channel_on(&line, endpoint, &self.peer);
        let channel = channel.map_err(|error| Problem::Address(error.to_string()))?;
        let mut client = PeerServiceClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (out, queued) = mpsc::channel(1);
        let hello = hello(&self.node, &self.peer).await.map_err(Failure::from)?;
        let first = ExchangeRequest { frame: Some(exchange_request::Frame::Hello(hello)) };
        out.send(first).await.map_err(|_| Problem::Closed)?;
        let refused = |status: Status| Problem::Call(self.connector.explain(&status));
        let opened = timeout(HELLO_DEADLINE, client.exchange(ReceiverStream::new(queued))).await;
        let opened = opened.map_err(|_| Problem::Hello)?.inspect_err(|status| self.refused(status));
        let mut inbound = opened.map_err(refused)?.into_inner();
        let answer = timeout(HELLO_DEADLINE, inbound.message()).await.map_err(|_| Problem::Hello)?.map_err(refused)?;
        match answer.and_then(|message| message.frame) {
            Some(exchange_response::Frame::Hello(hello)) if observe_hello(&self.node, &self.peer, &hello) => {
                compare_hello(&self.node, &self.peer, &hello).await?;
                Ok(Stream { line, out, inbound, instance: InstanceId::parse(&hello.instance) })
            }
            _ => Err(Problem::Hello),
        }
    }

    /// A peer that lets nobody exchange without an agreement may have been restored, and not know those that it had.
    fn refused(&self, status: &Status) {
        if status.code() == Code::PermissionDenied {
            self.node.signals.offer_again(&self.peer).notify_one();
        }
    }

    /// Lets running works finish, and ends every claim that has no receipt.
    async fn finish(&mut self, mut works: FuturesUnordered<Work>, mut in_flight: HashMap<Id, OnItsWay>) {
        while let Some(done) = works.next().await {
            match done {
                Done::Claimed(Claimed { shipment: Some(shipment), .. }, _) => self.lapse(&shipment).await,
                Done::Again(_, Some(loaded)) => self.lapse(&loaded.shipment).await,
                Done::Recorded(batch_id, Recorded::First { .. } | Recorded::Repeated) => {
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

/// Ends a stream. With something on its way its connection is cut first, so that no frame leaves any more when the claims are
/// ended: what is queued in a stream that is only let go is sent all the same.
async fn reset(stream: Stream, in_flight: &HashMap<Id, OnItsWay>) {
    if !in_flight.is_empty() {
        stream.line.cut().await;
    }
}

impl Session<'_> {
    async fn run(&mut self) -> Result<(), Problem> {
        let due = self.courier.node.signals.due(&self.courier.peer);
        let stop = self.courier.stop.clone();
        let (node, peer, instance) = (self.courier.node.clone(), self.courier.peer.clone(), self.stream.instance);
        let mut replaced = Box::pin(async move { node.instances.replaced(&peer, instance).await });
        let mut changes = self.courier.node.federation.watch();
        let mut told = self.own_card();
        loop {
            let lapse = self.earliest_lease();
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.settle().await,
                () = &mut replaced => return Err(Problem::Replaced),
                () = sleep_until(lapse.unwrap_or_else(Instant::now)), if lapse.is_some() => return Err(self.lapsed()),
                message = self.stream.inbound.message(), if self.works.len() < WORKS_AT_ONCE => self.received(message?)?,
                Some(done) = self.works.next() => self.done(done)?,
                permit = self.stream.out.clone().reserve_owned(), if self.greeting.is_some() || !self.unwritten.is_empty() => {
                    self.write(permit)?;
                }
                Some(loaded) = self.courier.shipments.recv() => self.load(loaded),
                Ok(()) = changes.changed() => if std::mem::replace(&mut told, self.own_card()) != self.own_card() { self.greet() },
                () = sleep_until(self.next_hello), if self.in_flight.is_empty() => self.greet(),
                () = due.notified() => self.woken(),
                () = sleep_until(self.next_look), if !self.claiming => self.look(),
            }
        }
    }

    /// Returns the version of the own card.
    fn own_card(&self) -> u64 {
        self.courier.node.federation.get().own.as_ref().map_or(0, |own| own.card.version)
    }

    /// Says hello again: the peer learns that this node's card is newer, and what its clock shows.
    fn greet(&mut self) {
        self.next_hello = Instant::now() + HELLO_INTERVAL;
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        self.works.push(Box::pin(async move { Done::Greeted(hello(&node, &peer).await) }));
    }

    /// Claims what somebody has made due, and then looks what else is.
    fn woken(&mut self) {
        self.next_look = Instant::now();
        self.claim();
    }

    /// Looks what may have become due without anybody saying so. That writes nothing: an idle stream costs no commit.
    fn look(&mut self) {
        self.claiming = true;
        self.next_look = Instant::now() + LONGEST_LOOK;
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        self.works.push(Box::pin(async move {
            match find_next_attempt(&node, &peer).await {
                Ok(next) => Done::Looked(next),
                Err(error) => Done::NotClaimed(error),
            }
        }));
    }

    fn looked(&mut self, next: NextAttempt) {
        self.claiming = false;
        let pause = next.after.map_or(LONGEST_LOOK, |after| after.clamp(SHORTEST_LOOK, LONGEST_LOOK));
        self.next_look = self.next_look.min(Instant::now() + pause);
        self.doubtful |= next.in_doubt;
        if next.in_doubt || next.due {
            self.claim();
        }
    }

    /// Ends the stream whose line did not carry a batch within its lease: the next batches are smaller.
    fn lapsed(&self) -> Problem {
        let largest = self.in_flight.values().map(|batch| batch.loaded.shipment.items.len()).max();
        self.courier.node.links.shrink_batches(&self.courier.peer, largest.unwrap_or(1));
        Problem::Lapsed
    }

    fn earliest_lease(&self) -> Option<Instant> {
        self.in_flight.values().map(|batch| batch.loaded.shipment.lease_until).min()
    }

    /// Starts a claim if none runs and there is room: first of what is in doubt, then of what is due.
    fn claim(&mut self) {
        if self.claiming {
            return;
        }
        let room = self.courier.couriers.try_room(&self.courier.peer);
        self.starved = room.is_none();
        let Some(room) = room else { return };
        self.claiming = true;
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        self.works.push(if self.doubtful {
            Box::pin(async move {
                match claim_again(&node, &peer).await {
                    Ok(Some(again)) => Done::Again(true, again.shipment.map(|shipment| Loaded { shipment, room })),
                    Ok(None) => Done::Again(false, None),
                    Err(error) => Done::NotClaimed(error),
                }
            })
        } else {
            Box::pin(async move {
                match claim_due(&node, &peer).await {
                    Ok(claimed) => Done::Claimed(claimed, room),
                    Err(error) => Done::NotClaimed(error),
                }
            })
        });
    }

    fn done(&mut self, done: Done) -> Result<(), Problem> {
        match done {
            Done::Again(more, loaded) => {
                self.claiming = false;
                self.doubtful = more;
                if let Some(loaded) = loaded {
                    self.load(loaded);
                }
                self.claim();
            }
            Done::Claimed(claimed, room) => {
                self.claiming = false;
                if let Some(shipment) = claimed.shipment {
                    self.load(Loaded { shipment, room });
                }
                if claimed.looked && claimed.objection.is_none() {
                    self.claim();
                } else {
                    self.next_look = self.next_look.min(Instant::now() + SHORTEST_LOOK);
                }
            }
            Done::Looked(next) => self.looked(next),
            Done::Recorded(batch_id, recorded) => {
                self.recorded(batch_id, recorded)?;
                if self.starved {
                    self.claim();
                }
            }
            Done::NotClaimed(error) => {
                self.claiming = false;
                self.next_look = Instant::now() + SHORTEST_LOOK;
                self.complain(&error);
            }
            Done::Greeted(Ok(hello)) => self.greeting = Some(hello),
            Done::NotRecorded(error) | Done::Greeted(Err(error)) => self.complain(&error),
        }
        Ok(())
    }

    fn complain(&self, error: &StoreError) {
        tracing::error!(%error, peer = %self.courier.peer, "the database did not do what the courier asked");
    }

    /// Takes a batch on its way. From now on its lease is watched, whether or not the stream takes it.
    fn load(&mut self, loaded: Loaded) {
        let (batch_id, since) = (loaded.shipment.batch_id, self.courier.node.now());
        self.unwritten.push_back(batch_id);
        self.in_flight.insert(batch_id, OnItsWay { loaded, since });
    }

    /// Writes the next batch to the stream, which has room for it.
    fn write(&mut self, permit: Result<Permit, SendError<()>>) -> Result<(), Problem> {
        let permit = permit.map_err(|_| Problem::Closed)?;
        if let Some(hello) = self.greeting.take() {
            let hello = proto::Hello { time_us: self.courier.node.now().micros(), ..hello };
            permit.send(ExchangeRequest { frame: Some(exchange_request::Frame::Hello(hello)) });
            return Ok(());
        }
        let next = self.unwritten.pop_front().and_then(|batch_id| self.in_flight.get(&batch_id));
        next.map_or(Ok(()), |batch| write(permit, &batch.loaded.shipment))
    }

    fn received(&mut self, message: Option<ExchangeResponse>) -> Result<(), Problem> {
        match message.and_then(|message| message.frame) {
            Some(exchange_response::Frame::Receipt(receipt)) => self.record(receipt),
            Some(exchange_response::Frame::Hello(_)) => Err(Problem::Hello),
            None => Err(Problem::Closed),
        }
    }

    fn record(&mut self, receipt: proto::Receipt) -> Result<(), Problem> {
        let (node, peer) = (self.courier.node.clone(), self.courier.peer.clone());
        let batch_id = receipt
            .seal
            .as_ref()
            .and_then(|seal| prost::Message::decode(seal.payload.clone()).ok())
            .and_then(|statement: proto::ReceiptStatement| Id::from_slice(&statement.batch_id).ok());
        // A peer that answers what was not asked must not keep the database busy.
        let batch_id = batch_id.filter(|batch_id| self.in_flight.contains_key(batch_id));
        let batch_id = batch_id.ok_or(Problem::Receipt("it is about no batch that is on its way on this stream"))?;
        self.works.push(Box::pin(async move {
            match record_receipt(&node, &peer, receipt).await {
                Ok(recorded) => Done::Recorded(batch_id, recorded),
                Err(error) => Done::NotRecorded(error),
            }
        }));
        Ok(())
    }

    fn recorded(&mut self, batch_id: Id, recorded: Recorded) -> Result<(), Problem> {
        let now = self.courier.node.now();
        match recorded {
            Recorded::Rejected(why) => return Err(Problem::Receipt(why)),
            Recorded::First { .. } | Recorded::Repeated => {}
        }
        if let Some(batch) = self.in_flight.remove(&batch_id) {
            let shipment = &batch.loaded.shipment;
            let took = LEASE.saturating_sub(shipment.lease_until.saturating_duration_since(Instant::now()));
            self.courier.node.links.grow_batches(&self.courier.peer, shipment.items.len(), took);
            self.courier.node.telemetry.delivered(batch.since, shipment);
        }
        self.courier.node.links.update(&self.courier.peer, |link| link.last_seen = Some(now));
        Ok(())
    }

    /// Waits a moment for receipts of what is on its way, and starts nothing new.
    async fn settle(&mut self) -> Result<(), Problem> {
        let deadline = Instant::now() + STOP_DEADLINE;
        while !(self.in_flight.is_empty() && self.works.is_empty()) {
            let until = self.earliest_lease().map_or(deadline, |lapse| lapse.min(deadline));
            tokio::select! {
                biased;
                () = sleep_until(until) => return Ok(()),
                message = self.stream.inbound.message(), if self.works.len() < WORKS_AT_ONCE => self.received(message?)?,
                Some(done) = self.works.next() => match done {
                    Done::Recorded(batch_id, recorded) => self.recorded(batch_id, recorded)?,
                    Done::Claimed(Claimed { shipment: Some(shipment), .. }, room) => self.load(Loaded { shipment, room }),
                    Done::Again(_, Some(loaded)) => self.load(loaded),
                    _ => {}
                },
                permit = self.stream.out.clone().reserve_owned(), if !self.unwritten.is_empty() => self.write(permit)?,
            }
        }
        Ok(())
    }
}

/// Writes a batch while its lease runs. One that waited longer, for instance for the stream to open, stays unwritten: a withdrawal
/// that waited for its lease may have been answered since.
fn write(permit: Permit, shipment: &Shipment) -> Result<(), Problem> {
    if Instant::now() >= shipment.lease_until {
        return Err(Problem::Lapsed);
    }
    permit.send(ExchangeRequest { frame: Some(exchange_request::Frame::Batch(shipment.message())) });
    Ok(())
}

#[cfg(test)]
mod tests;
