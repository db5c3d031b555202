//! Floods: what a caller with a good certificate may send without end. A connection takes no more than it can answer or is closed,
//! and others are served meanwhile.

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames (RFC 9113, section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The reason of a GOAWAY towards who keeps an endpoint busy (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u8 = 0xb;

const MEBIBYTE: usize = 1024 * 1024;

/// A loopback connection keeps some mebibytes in the system's buffers; what goes beyond is in nobody's memory.
const MOST_IN_BUFFERS: usize = 48 * MEBIBYTE;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Opens a connection without a client behind it, that keeps little of what it is sent.
async fn greeted(world: &World) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let tcp = socket.connect(world.address).await.unwrap();
    let config = world.client(&world.peer.card(Role::Node, "n1"));
    let name = ServerName::try_from("localhost").unwrap();
    let mut connection = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    connection.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    connection
}

/// Sends a frame again and again and reads nothing, until the other end takes no more or hangs up; meanwhile somebody else calls.
async fn flooded(frame: &[u8]) {
    let (world, _) = open(Limits::default()).await;
    let mut connection = greeted(&world).await;
    let many = frame.repeat(64 * 1024 / frame.len());
    let mut taken = 0;
    while let Ok(Ok(())) = timeout(Duration::from_secs(1), connection.write_all(&many)).await {
        taken += many.len();
        assert!(taken < MOST_IN_BUFFERS, "it takes without end what it cannot answer");
    }
    who(&channel(&world)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_that_nobody_reads_the_answers_of_are_not_taken_without_end() {
    flooded(&frame(PING, 0, 0, &[0; 8])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_nobody_reads_the_answers_of_are_not_taken_without_end() {
    flooded(&frame(SETTINGS, 0, 0, &[])).await;
}

/// A call's header fields: POST, https, a path and an authority (RFC 7541, static table and literals without indexing).
fn call() -> Vec<u8> {
    let path = b"/test.Mirror/Who";
    [&[0x83, 0x87, 0x04, path.len() as u8], path.as_slice(), &[0x01, 1, b'x']].concat()
}

#[tokio::test]
async fn calls_that_are_reset_as_soon_as_they_are_made_end_their_connection_and_others_are_served() {
    let (world, _) = open(Limits::default()).await;
    let mut connection = greeted(&world).await;
    let cancel = 8_u32.to_be_bytes();
    for burst in 0..50 {
        let streams = (0..200).map(|place| 2 * (burst * 200 + place) + 1);
        let calls = streams
            .flat_map(|stream| [frame(HEADERS, 0x4, stream, &call()), frame(RST_STREAM, 0, stream, &cancel)].concat());
        let calls: Vec<u8> = calls.collect();
        if connection.write_all(&calls).await.is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let _ = timeout(Duration::from_secs(20), connection.read_to_end(&mut said)).await.expect("it hangs up");
    assert_eq!(goaway(&said), Some(ENHANCE_YOUR_CALM));
    who(&channel(&world)).await.unwrap();
}

/// Finds the reason of a GOAWAY among frames.
fn goaway(mut bytes: &[u8]) -> Option<u8> {
    while bytes.len() >= 9 {
        let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
        let payload = bytes.get(9..9 + length)?;
        if bytes[3] == GOAWAY {
            return payload.get(7).copied();
        }
        bytes = &bytes[9 + length..];
    }
    None
}

#[tokio::test]
async fn a_message_begun_and_never_ended_does_not_keep_others_from_being_served() {
    let (world, _) = open(Limits::default()).await;
    let mut slow = greeted(&world).await;
    slow.write_all(&frame(HEADERS, 0x4, 1, &call())).await.unwrap();
    let half = frame(0, 0, 1, &[0, 0, 0, 0, 100, b'x']);
    for byte in half {
        slow.write_all(&[byte]).await.unwrap();
        slow.flush().await.unwrap();
    }
    who(&channel(&world)).await.unwrap();
}
