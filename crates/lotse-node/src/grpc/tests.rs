//! What every service refuses before it looks at it.

use std::time::Duration;

use lotse_core::agency::AgencyKind;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::peer::v1::peer_service_client::PeerServiceClient;
use lotse_proto::peer::v1::{ExchangeRequest, ExchangeResponse, exchange_request};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;
use tower::{Service, ServiceExt};

use super::exchange::STREAMS_OF_ONE_PEER;
use super::peer;
use crate::edge::tests::channel;
use crate::edge::{Limits, MAX_MESSAGE_BYTES, serve};
use crate::testing::{ManualClock, TestNode};
use crate::tls::Door;
use crate::tls::tests::kit::World;

/// A node's services for peers, with a peer that may call.
async fn open() -> (World, TestNode) {
    let node = TestNode::with("own.example", AgencyKind::JobcenterGe, ManualClock::new()).await;
    let routes = Routes::new(peer::service(node.node.clone()));
    let world = World::open_with(Door::Peer, Limits::default(), |port, stop| serve(port, routes, stop)).await;
    (world, node)
}

/// Calls GetCard with the bytes of a gRPC message: a flag, its length and itself. Returns the status and its reason.
async fn called(world: &World, flag: u8, encoding: Option<&str>, message: Vec<u8>) -> (Code, String) {
    called_at("GetCard", world, flag, encoding, message).await
}

/// Makes another call in the same way.
async fn called_at(method: &str, world: &World, flag: u8, encoding: Option<&str>, message: Vec<u8>) -> (Code, String) {
    let body = [&[flag], (message.len() as u32).to_be_bytes().as_slice(), &message].concat();
    let mut request = http::Request::post(format!("https://own.example/lotse.peer.v1.PeerService/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let mut channel = channel(world);
    let answer = channel
        .ready()
        .await
        .unwrap()
        .call(request.body(Body::new(axum::body::Body::from(body))).unwrap())
        .await
        .unwrap();
    let status = Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""));
    (status.code(), status.get_details_error_info().map(|info| info.reason).unwrap_or_default())
}

#[tokio::test]
async fn a_message_one_byte_above_four_mebibytes_is_refused_and_the_next_call_is_served() {
    let (world, _node) = open().await;
    let too_large = called(&world, 0, None, vec![0; MAX_MESSAGE_BYTES + 1]).await;
    assert_eq!(too_large, (Code::InvalidArgument, "TOO_LARGE".into()));
    assert_eq!(called(&world, 0, None, vec![]).await.0, Code::Ok);
}

#[tokio::test]
async fn a_message_of_empty_elements_is_refused_before_each_takes_memory_and_the_next_call_is_served() {
    let (world, _node) = open().await;
    let signatures = [0x12, 0].repeat(MAX_MESSAGE_BYTES / 2); // empty elements of field 2
    let too_large = called_at("OfferSeal", &world, 0, None, signatures).await;
    assert_eq!(too_large, (Code::InvalidArgument, "TOO_LARGE".into()));
    assert_eq!(called(&world, 0, None, vec![]).await.0, Code::Ok);
}

#[tokio::test]
async fn a_compressed_message_is_refused_unopened() {
    let (world, _node) = open().await;
    for encoding in ["gzip", "deflate", "zstd"] {
        assert_eq!(called(&world, 1, Some(encoding), vec![0; 3]).await.0, Code::Unimplemented, "{encoding}");
    }
    let unsaid = called(&world, 1, None, vec![0; 3]).await;
    assert_eq!(unsaid, (Code::InvalidArgument, "FIELD_INVALID".into()), "nothing says how to open it");
}

#[tokio::test]
async fn a_message_that_is_no_protobuf_is_the_caller_s_mistake_with_a_reason() {
    let (world, _node) = open().await;
    let malformed = called(&world, 0, None, vec![0x0f]).await;
    assert_eq!(malformed, (Code::InvalidArgument, "FIELD_INVALID".into()));
}

type Frames = (mpsc::Sender<ExchangeRequest>, Streaming<ExchangeResponse>);

/// Opens an exchange stream of the peer and says hello.
async fn exchange(world: &World) -> Result<Frames, Status> {
    let (frames, queued) = mpsc::channel(8);
    let hello = proto::Hello { agency: "peer.example".into(), ..proto::Hello::default() };
    frames.send(ExchangeRequest { frame: Some(exchange_request::Frame::Hello(hello)) }).await.unwrap();
    let mut client = PeerServiceClient::new(channel(world));
    let mut answers = client.exchange(ReceiverStream::new(queued)).await?.into_inner();
    answers.message().await?.expect("hello");
    Ok((frames, answers))
}

#[tokio::test]
async fn a_peer_has_only_so_many_exchange_streams_and_another_when_one_has_ended() {
    let (world, _node) = open().await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS_OF_ONE_PEER {
        streams.push(exchange(&world).await.unwrap());
    }
    let refused = exchange(&world).await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
    streams.pop();
    let deadline = Instant::now() + Duration::from_secs(20);
    while exchange(&world).await.is_err() {
        assert!(Instant::now() < deadline, "a stream that has ended still counts");
    }
}

#[tokio::test]
async fn a_batch_with_more_bytes_than_one_may_have_ends_its_stream_with_the_reason() {
    let (world, node) = open().await;
    node.accept(&TestNode::with("peer.example", AgencyKind::JobcenterGe, node.clock.clone()).await).await;
    let (frames, mut answers) = exchange(&world).await.unwrap();
    let batch = proto::Batch { seal: None, envelopes: vec![vec![7; 512 * 1024].into(); 3] };
    frames.send(ExchangeRequest { frame: Some(exchange_request::Frame::Batch(batch)) }).await.unwrap();
    let refused = answers.message().await.unwrap_err();
    assert_eq!(refused.get_details_error_info().unwrap().reason, "BATCH_INVALID", "before its seal is looked at");
}
