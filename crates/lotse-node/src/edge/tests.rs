//! gRPC over the edge: who is calling, what a port bears, how connections end.

mod failed_calls;
mod floods;
mod lines;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use prost::bytes::{Buf, BufMut};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{NamedService, StreamingService, UnaryService};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt;

use super::{Addresses, Connector, Counts, Limit, Limits, caller, never_sent, serve};
use crate::identity::Role;
use crate::tls::tests::kit::World;
use crate::tls::{Door, TrustStore};

/// Messages are their bytes.
#[derive(Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }
    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}

/// Answers a call with the caller's name, and a stream with each of its messages.
#[derive(Clone)]
struct Mirror;

impl NamedService for Mirror {
    const NAME: &'static str = "test.Mirror";
}

impl UnaryService<Vec<u8>> for Mirror {
    type Response = Vec<u8>;
    type Future = Ready<Result<Response<Vec<u8>>, Status>>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        ready(caller(&request).map(|caller| Response::new(caller.identity().to_string().into_bytes())))
    }
}

impl StreamingService<Vec<u8>> for Mirror {
    type Response = Vec<u8>;
    type ResponseStream = Streaming<Vec<u8>>;
    type Future = Ready<Result<Response<Streaming<Vec<u8>>>, Status>>;

    fn call(&mut self, request: Request<Streaming<Vec<u8>>>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

/// Bytes of a large answer.
const LARGE: usize = 1024 * 1024;

/// Answers each call with as many.
struct Large;

impl UnaryService<Vec<u8>> for Large {
    type Response = Vec<u8>;
    type Future = Ready<Result<Response<Vec<u8>>, Status>>;

    fn call(&mut self, _: Request<Vec<u8>>) -> Self::Future {
        ready(Ok(Response::new(vec![7; LARGE])))
    }
}

impl tower::Service<http::Request<Body>> for Mirror {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut server = tonic::server::Grpc::new(Plain);
            Ok(match request.uri().path() {
                "/test.Mirror/Who" => server.unary(Mirror, request).await,
                "/test.Mirror/Large" => server.unary(Large, request).await,
                _ => server.streaming(Mirror, request).await,
            })
        })
    }
}

pub(crate) async fn open(limits: Limits) -> (World, Arc<Counts>) {
    let mut counts = None;
    let world = World::open_with(Door::Peer, limits, |port, stop| {
        counts = Some(port.counts());
        serve(port, Routes::new(Mirror), stop)
    })
    .await;
    (world, counts.unwrap())
}

pub(crate) fn connector(world: &World) -> Connector {
    let trust = Arc::new(TrustStore::default());
    trust.set(world.own.id.clone(), world.own.bundle());
    Connector {
        credentials: world.peer.credentials(Role::Node, "n1", &trust),
        clock: world.clock.clone(),
        addresses: Addresses::RoutedAndLoopback,
    }
}

pub(crate) fn channel(world: &World) -> Channel {
    connector(world).channel(&world.address.to_string(), &world.own.id).unwrap()
}

pub(crate) async fn who(channel: &Channel) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static("/test.Mirror/Who");
    let answer = client.unary(Request::new(vec![]), path, Plain).await?;
    Ok(String::from_utf8(answer.into_inner()).unwrap())
}

#[tokio::test]
async fn a_service_knows_who_is_calling() {
    let (world, counts) = open(Limits::default()).await;
    let channel = channel(&world);
    for _ in 0..3 {
        assert_eq!(who(&channel).await.unwrap(), "spiffe://peer.example/node/n1");
    }
    assert_eq!(counts.accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn a_request_from_nowhere_has_no_caller() {
    assert_eq!(caller(&Request::new(())).unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_removed_peer_is_refused_on_its_next_call_and_served_again_when_accepted_again() {
    let (world, _) = open(Limits::default()).await;
    let channel = channel(&world);
    who(&channel).await.unwrap();
    world.trust.remove(&world.peer.id);
    who(&channel).await.unwrap_err();
    who(&channel).await.unwrap_err();
    world.trust.set(world.peer.id.clone(), world.peer.bundle());
    // The first call may still meet the connection that was refused.
    let answer = match who(&channel).await {
        Err(_) => who(&channel).await,
        answer => answer,
    };
    assert_eq!(answer.unwrap(), "spiffe://peer.example/node/n1");
}

#[tokio::test]
async fn an_open_grpc_stream_ends_when_the_peer_is_removed() {
    let (world, _) = open(Limits::default()).await;
    let mut client = tonic::client::Grpc::new(channel(&world));
    client.ready().await.unwrap();
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let requests = Request::new(tokio_stream::wrappers::ReceiverStream::new(receive));
    let path = http::uri::PathAndQuery::from_static("/test.Mirror/Each");
    send.send(b"one".to_vec()).await.unwrap();
    let mut answers = client.streaming(requests, path, Plain).await.unwrap().into_inner();
    assert_eq!(answers.next().await.unwrap().unwrap(), b"one");
    world.trust.remove(&world.peer.id);
    send.send(b"two".to_vec()).await.unwrap();
    assert!(answers.next().await.is_none_or(|answer| answer.is_err()));
}

#[tokio::test]
async fn connections_reach_their_age_and_no_call_that_was_sent_is_lost() {
    let limits = Limits { max_age: Duration::from_millis(20), ..Limits::default() };
    let (world, counts) = open(limits).await;
    let channel = channel(&world);
    while counts.accepted.load(Ordering::Relaxed) < 6 {
        if let Err(status) = who(&channel).await {
            assert!(never_sent(&status), "{status}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_ignores_its_age_is_cut() {
    let limits = Limits { max_age: Duration::from_millis(10), grace: Duration::from_millis(10), ..Limits::default() };
    let world = World::open_with(Door::Peer, limits, |port, stop| {
        port.run(stop, |mut connection| async move {
            let mut byte = [0; 1];
            let _ = connection.read(&mut byte).await;
        })
    })
    .await;
    let mut connection = connector(&world).open(&world.address.to_string(), &world.own.id).await.unwrap();
    let mut byte = [0; 1];
    assert!(!matches!(connection.read(&mut byte).await, Ok(1..)));
}

#[tokio::test]
async fn a_caller_has_only_so_many_connections() {
    let (world, counts) = open(Limits { connections_per_caller: 2, ..Limits::default() }).await;
    let (one, two, three) = (channel(&world), channel(&world), channel(&world));
    who(&one).await.unwrap();
    who(&two).await.unwrap();
    who(&three).await.unwrap_err();
    who(&one).await.unwrap();
    assert!(counts.over_limit() >= 1);
}

#[tokio::test]
async fn a_call_too_many_on_a_connection_is_refused_with_its_reason_and_the_rest_are_served() {
    let (world, _) = open(Limits { calls_per_connection: 0, ..Limits::default() }).await;
    let refused = who(&channel(&world)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
    let (world, _) = open(Limits { calls_per_connection: 1, ..Limits::default() }).await;
    let channel = channel(&world);
    for _ in 0..3 {
        who(&channel).await.unwrap();
    }
}

#[tokio::test]
async fn a_port_has_only_so_many_connections() {
    let (world, counts) = open(Limits { connections: 1, ..Limits::default() }).await;
    let (one, two) = (channel(&world), channel(&world));
    who(&one).await.unwrap();
    who(&two).await.unwrap_err();
    who(&one).await.unwrap();
    assert!(counts.over_limit() >= 1);
}

#[tokio::test]
async fn who_is_silent_in_the_handshake_is_sent_away_and_others_are_served() {
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let (world, counts) = open(limits).await;
    let mut silent = strangers(&world, 1, 1, &[0x16, 0x03, 0x01]).await.pop().unwrap();
    who(&channel(&world)).await.unwrap();
    let mut byte = [0; 1];
    assert!(!matches!(silent.read(&mut byte).await, Ok(1..)));
    assert_eq!(counts.failed.load(Ordering::Relaxed), 1);
}

/// Opens connections from as many addresses of this machine, and says so much on each.
async fn strangers(world: &World, count: usize, addresses: u8, say: &[u8]) -> Vec<TcpStream> {
    let mut opened = Vec::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        let from = [127, 0, 0, 2 + (number % usize::from(addresses)) as u8];
        socket.bind((from, 0).into()).unwrap();
        let mut tcp = socket.connect(world.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut tcp, say).await.unwrap();
        opened.push(tcp);
    }
    opened
}

#[tokio::test]
async fn silent_connections_from_several_addresses_keep_nobody_waiting() {
    let (world, _) = open(Limits::default()).await;
    // The first bytes of a handshake that never goes on.
    for say in [b"".as_slice(), &[0x16, 0x03, 0x01]] {
        let silent = strangers(&world, 257, 4, say).await;
        let begun = Instant::now();
        who(&channel(&world)).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "an honest caller waits for silent ones");
        drop(silent);
    }
}

#[tokio::test]
async fn silent_connections_of_the_own_address_give_way_and_take_no_connection_of_known_callers() {
    let limits = Limits { handshakes: 8, handshakes_per_network: 4, connections: 1, ..Limits::default() };
    let (world, counts) = open(limits).await;
    let from_here = async || {
        let mut opened = Vec::new();
        for _ in 0..16 {
            opened.push(TcpStream::connect(world.address).await.unwrap());
        }
        opened
    };
    let _silent = from_here().await;
    let known = channel(&world);
    who(&known).await.unwrap();
    let _more = from_here().await;
    who(&known).await.unwrap();
    assert!(counts.refused(Limit::Handshakes) >= 24, "{}", counts.refused(Limit::Handshakes));
}

#[tokio::test]
async fn who_says_nothing_is_sent_away_after_the_time_for_the_first_byte() {
    let (world, counts) = open(Limits { first_byte: Duration::from_millis(200), ..Limits::default() }).await;
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    let mut byte = [0; 1];
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut byte)).await.unwrap();
    assert!(!matches!(ended, Ok(1..)));
    assert_eq!(counts.failed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn garbage_in_the_handshake_harms_nobody_else() {
    let (world, counts) = open(Limits::default()).await;
    let mut noisy = TcpStream::connect(world.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut noisy, b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut rest = vec![];
    let _ = noisy.read_to_end(&mut rest).await;
    who(&channel(&world)).await.unwrap();
    assert_eq!(counts.failed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn endpoints_inside_the_own_machine_are_not_called() {
    let (world, counts) = open(Limits::default()).await;
    let connector = Connector { addresses: Addresses::Routed, ..connector(&world) };
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let endpoint = format!("{host}:{}", world.address.port());
        assert!(connector.open(&endpoint, &world.own.id).await.is_err(), "{host}");
    }
    assert_eq!(counts.accepted.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed), 0);
    let never = [
        "169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "100.100.100.200",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
    ];
    for address in never {
        assert!(!Addresses::RoutedAndLoopback.allow(address.parse().unwrap()), "{address}");
    }
    for address in ["10.1.2.3", "192.168.0.1", "2001:db8::1", "fd12::1"] {
        assert!(Addresses::Routed.allow(address.parse().unwrap()), "{address}");
    }
}

#[tokio::test]
async fn a_failed_call_names_the_addresses_that_were_tried() {
    let (world, _) = open(Limits::default()).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let tried = async |endpoint: String| {
        let failed = connector(&world).open(&endpoint, &world.own.id).await.err().unwrap();
        failed.to_string()
    };
    let literal = tried(closed.to_string()).await;
    assert!(literal.starts_with(&format!("cannot connect to {closed}: Connection refused")), "{literal}");
    let named = tried(format!("localhost:{}", closed.port())).await;
    assert!(named.starts_with(&format!("cannot connect to localhost:{}: ", closed.port())), "{named}");
    assert!(named.contains(&format!("{closed}: Connection refused")), "{named}");
}

#[tokio::test]
async fn an_endpoint_is_host_and_port() {
    let (world, _) = open(Limits::default()).await;
    for bad in ["node.example", "https://node.example:1", "user@node.example:1", ":1", "", "node example:1"] {
        assert!(connector(&world).channel(bad, &world.own.id).is_err(), "{bad}");
    }
    for good in ["node.example:8443", "[2001:db8::1]:8443", "192.0.2.1:1"] {
        assert!(connector(&world).channel(good, &world.own.id).is_ok(), "{good}");
    }
}
