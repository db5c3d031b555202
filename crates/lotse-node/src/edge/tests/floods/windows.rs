//! What may be under way in the connections of one caller, and that little of it is enough.

use super::*;
use crate::edge::window::{CONNECTION_WINDOW_BYTES, SMALL_CONNECTION_WINDOW_BYTES};

/// A type of frames (RFC 9113, section 6.9).
const WINDOW_UPDATE: u8 = 8;

/// Every connection's window at first (RFC 9113, section 6.9.2).
const FIRST_WINDOW_BYTES: u32 = 65_535;

/// Opens a connection and returns it with what the port lets be under way in it.
async fn with_window(world: &World) -> (TlsStream<TcpStream>, u32) {
    let mut connection = greeted(world).await;
    let mut said = Vec::new();
    loop {
        if let Some((.., increment)) = frames(&said).find(|(kind, ..)| *kind == WINDOW_UPDATE) {
            return (connection, FIRST_WINDOW_BYTES + u32::from_be_bytes(increment.try_into().unwrap()));
        }
        let mut piece = [0; 1024];
        let length = timeout(Duration::from_secs(20), connection.read(&mut piece)).await.unwrap().unwrap();
        assert!(length > 0, "hung up on");
        said.extend(&piece[..length]);
    }
}

#[tokio::test]
async fn connections_of_one_caller_share_what_may_be_under_way_and_give_it_back() {
    let window_bytes_per_caller = 2 * CONNECTION_WINDOW_BYTES as usize + 1;
    let (world, _) = open(Limits { window_bytes_per_caller, ..Limits::default() }).await;
    let mut connections = Vec::new();
    for expected in [CONNECTION_WINDOW_BYTES, CONNECTION_WINDOW_BYTES, SMALL_CONNECTION_WINDOW_BYTES] {
        let (connection, window) = with_window(&world).await;
        assert_eq!(window, expected);
        connections.push(connection);
    }
    drop(connections);
    let deadline = Instant::now() + Duration::from_secs(20);
    while with_window(&world).await.1 < CONNECTION_WINDOW_BYTES {
        assert!(Instant::now() < deadline, "what a closed connection had still counts");
    }
}

#[tokio::test]
async fn messages_of_the_greatest_length_pass_where_little_may_be_under_way() {
    let (world, _) = open(Limits { window_bytes_per_caller: 0, ..Limits::default() }).await;
    let mut client = tonic::client::Grpc::new(channel(&world));
    client.ready().await.unwrap();
    let message = |number: u8| vec![number; 4 * MEBIBYTE - 1];
    let requests = Request::new(stream::iter((0..4).map(message)));
    let path = http::uri::PathAndQuery::from_static("/test.Mirror/Each");
    let mut answers = client.streaming(requests, path, Plain).await.unwrap().into_inner();
    for number in 0..4 {
        assert_eq!(answers.next().await.unwrap().unwrap().len(), message(number).len());
    }
}
