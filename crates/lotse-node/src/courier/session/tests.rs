//! The stream to a peer that takes nothing any more.

use std::sync::Arc;

use bytes::Bytes;
use lotse_core::id::{AgencyId, Digest};
use lotse_proto::peer::v1 as peer;
use lotse_proto::peer::v1::peer_service_server::{PeerService, PeerServiceServer};
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response};

use super::*;
use crate::courier::Couriers;
use crate::edge::{Limits, serve};
use crate::testing::TestNode;
use crate::tls::Door;
use crate::tls::tests::kit::World;

fn shipment(number: u8, lease_until: Instant, envelopes: Vec<Bytes>) -> Shipment {
    Shipment {
        peer: PEER.parse().unwrap(),
        batch_id: Id::from_bytes([number; 16]),
        root: Digest::of(b"root"),
        items: vec![],
        seal: proto::Seal::default(),
        envelopes,
        lease_until,
    }
}

#[tokio::test]
async fn a_batch_is_written_only_while_its_lease_runs_however_free_the_stream_is() {
    let (out, mut queued) = mpsc::channel(1);
    let permit = || out.clone().try_reserve_owned().unwrap();
    let over = write(permit(), &shipment(1, Instant::now(), vec![]));
    assert!(matches!(over, Err(Problem::Lapsed)));
    assert!(queued.try_recv().is_err(), "nothing was written");
    write(permit(), &shipment(1, Instant::now() + Duration::from_secs(60), vec![])).unwrap();
    queued.try_recv().unwrap();
    assert!(queued.try_recv().is_err());
}

/// The name that the port of a `World` has, and that of who calls it.
const PEER: &str = "own.example";
const OWNER: &str = "peer.example";

/// A peer that says hello and perhaps something more, and reads what comes only when it is told to.
struct Deaf {
    more: Option<exchange_response::Frame>,
    listen: CancellationToken,
    heard: mpsc::UnboundedSender<Result<ExchangeRequest, Status>>,
}

#[tonic::async_trait]
impl PeerService for Deaf {
    type ExchangeStream = ReceiverStream<Result<ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let (answers, receiver) = mpsc::channel(2);
        let hello = proto::Hello { agency: PEER.into(), ..proto::Hello::default() };
        for frame in [Some(exchange_response::Frame::Hello(hello)), self.more.clone()].into_iter().flatten() {
            answers.send(Ok(ExchangeResponse { frame: Some(frame) })).await.unwrap();
        }
        let (listen, heard) = (self.listen.clone(), self.heard.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = listen.cancelled() => {}
                () = answers.closed() => return heard.send(Err(Status::aborted("the connection is gone"))).unwrap(),
            }
            let mut inbound = request.into_inner();
            loop {
                let message = inbound.next().await.unwrap_or(Err(Status::cancelled("the stream ended")));
                let ended = message.is_err();
                heard.send(message).unwrap();
                if ended {
                    return drop(answers);
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn get_card(&self, _: Request<peer::GetCardRequest>) -> Result<Response<peer::GetCardResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn offer_agreement(
        &self,
        _: Request<peer::OfferAgreementRequest>,
    ) -> Result<Response<peer::OfferAgreementResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }

    async fn offer_seal(
        &self,
        _: Request<peer::OfferSealRequest>,
    ) -> Result<Response<peer::OfferSealResponse>, Status> {
        Err(Status::unimplemented("not asked here"))
    }
}

/// A node with a courier to a peer, and where its batches are handed in.
struct Sending {
    courier: Courier,
    couriers: Arc<Couriers>,
    _peer: World,
    _owner: TestNode,
}

async fn sending_to(peer: Deaf) -> Sending {
    let routes = Routes::new(PeerServiceServer::new(peer).max_decoding_message_size(MAX_MESSAGE_BYTES));
    let world = World::open_with(Door::Peer, Limits::default(), |port, stop| serve(port, routes, stop)).await;
    let (owner, holder) = (TestNode::new(OWNER).await, TestNode::new(PEER).await);
    holder.install(&lotse_core::card::Card { endpoints: vec![world.address.to_string()], ..holder.card(2) }).await;
    owner.accept(&holder).await;
    let (couriers, peer) = (Arc::new(Couriers::default()), PEER.parse::<AgencyId>().unwrap());
    let shipments = couriers.enlist(&peer).unwrap();
    let courier = Courier {
        node: owner.node.clone(),
        peer,
        couriers: couriers.clone(),
        connector: crate::edge::tests::connector(&world),
        shipments,
        stop: CancellationToken::new(),
    };
    Sending { courier, couriers, _peer: world, _owner: owner }
}

#[tokio::test]
async fn what_a_stream_has_not_sent_when_a_lease_ends_is_never_sent() {
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let listen = CancellationToken::new(); // nobody listens
    let mut sending = sending_to(Deaf { more: None, listen, heard }).await;
    let peer = sending.courier.peer.clone();
    let lease_until = Instant::now() + Duration::from_millis(500);
    // Together they are more than a stream bears that nobody reads.
    for number in 1..=3 {
        let room = sending.couriers.try_room(&peer).unwrap();
        let envelope = Bytes::from(vec![number; MAX_MESSAGE_BYTES - 1024]);
        sending.couriers.send(&peer, Loaded { shipment: shipment(number, lease_until, vec![envelope]), room }).await;
    }
    let ended = sending.courier.session().await;
    assert!(matches!(ended, Err(Problem::Lapsed)), "{ended:?}");
    let limit = sending.courier.node.links.batch_limit(&peer);
    assert!(limit < crate::wire::batch::MAX_BATCH, "the next batches are smaller");
    // The connection is gone with the session: nobody has to read for that, and what is not read by then never comes.
    let gone = timeout(Duration::from_secs(20), hearing.recv()).await.expect("the stream is still there").unwrap();
    assert_eq!(gone.unwrap_err().code(), tonic::Code::Aborted);
}

#[tokio::test]
async fn a_receipt_that_nothing_on_its_way_waits_for_ends_the_stream() {
    let statement = proto::ReceiptStatement { batch_id: vec![9; 16], ..proto::ReceiptStatement::default() };
    let seal = proto::Seal { payload: statement.encode_to_vec().into(), ..proto::Seal::default() };
    for seal in [Some(seal), None] {
        let receipt = proto::Receipt { seal, items: vec![] };
        let more = Some(exchange_response::Frame::Receipt(receipt));
        let (heard, _) = mpsc::unbounded_channel();
        let mut sending = sending_to(Deaf { more, listen: CancellationToken::new(), heard }).await;
        let ended = sending.courier.session().await;
        assert!(matches!(ended, Err(Problem::Receipt(_))), "{ended:?}");
    }
}

#[tokio::test]
async fn an_idle_stream_writes_nothing_and_reads_hardly_anything() {
    let (heard, _hearing) = mpsc::unbounded_channel();
    let mut sending = sending_to(Deaf { more: None, listen: CancellationToken::new(), heard }).await;
    let counters = {
        let node = sending.courier.node.clone();
        move || node.store.counters()
    };
    let before = counters();
    timeout(Duration::from_millis(2_500), sending.courier.session()).await.unwrap_err();
    let after = counters();
    assert_eq!(after.commits, before.commits);
    assert_eq!((after.work("claim").runs, after.work("claim again").runs), (0, 0));
    assert!((1..=3).contains(&after.work("next_attempt").runs), "{:?}", after.work("next_attempt"));
}

#[tokio::test]
async fn a_card_that_is_installed_while_a_stream_is_open_is_told_on_it_at_once() {
    let (heard, mut hearing) = mpsc::unbounded_channel();
    let listen = CancellationToken::new();
    listen.cancel();
    let mut sending = sending_to(Deaf { more: None, listen, heard }).await;
    let card = sending._owner.card(7);
    let mut versions = Vec::new();
    let told = async {
        while versions.last() != Some(&7) {
            let message = hearing.recv().await.expect("the stream is open").unwrap();
            let Some(exchange_request::Frame::Hello(hello)) = message.frame else { continue };
            versions.push(hello.card_version);
            if versions.len() == 1 {
                sending._owner.install(&card).await;
            }
        }
    };
    tokio::select! {
        ended = sending.courier.session() => panic!("the stream ended: {ended:?}"),
        told = timeout(Duration::from_secs(20), told) => told.expect("it is told in time"),
    }
    assert_eq!(versions, [1, 7]);
}
