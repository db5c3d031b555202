//! What every service refuses before it looks at it.

use lotse_core::agency::AgencyKind;
use tonic::Code;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt};

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

/// Calls GetCard with the bytes of a gRPC message: a flag, its length and itself. Returns the status.
async fn called(world: &World, flag: char, encoding: Option<&str>, length: usize) -> Code {
    let length_text: String = (length as u32).to_be_bytes().iter().map(|&byte| char::from(byte)).collect();
    let body = format!("{flag}{length_text}{}", "\0".repeat(length));
    let mut request = http::Request::post("https://own.example/lotse.peer.v1.PeerService/GetCard")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let mut channel = channel(world);
    let answer = channel.ready().await.unwrap().call(request.body(Body::new(body)).unwrap()).await.unwrap();
    answer.headers().get("grpc-status").map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

#[tokio::test]
async fn a_message_one_byte_above_four_mebibytes_is_refused_and_the_next_call_is_served() {
    let (world, _node) = open().await;
    assert_eq!(called(&world, '\0', None, MAX_MESSAGE_BYTES + 1).await, Code::OutOfRange);
    assert_eq!(called(&world, '\0', None, 0).await, Code::Ok);
}

#[tokio::test]
async fn a_compressed_message_is_refused_unopened() {
    let (world, _node) = open().await;
    for encoding in ["gzip", "deflate", "zstd"] {
        assert_eq!(called(&world, '\x01', Some(encoding), 3).await, Code::Unimplemented, "{encoding}");
    }
    assert_eq!(called(&world, '\x01', None, 3).await, Code::Internal, "nothing says how to open it");
}
