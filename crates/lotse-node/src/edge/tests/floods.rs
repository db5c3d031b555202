//! Floods: what a caller with a good certificate may send without end. A connection takes no more than it can answer or is closed,
//! others are served meanwhile, and the node grows by no more than a named bound.
//!
//! Each flood runs in a process of its own, the test program once more, because memory is counted per process.

mod pages;
mod windows;

use std::env;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// What an HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// Types of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The field `:status: 200` (RFC 7541, appendix A).
const OK: u8 = 0x88;

/// A flag: the last frame of its stream (RFC 9113, section 6.1).
const END_STREAM: u8 = 0x1;

/// The reason of a GOAWAY towards who keeps an endpoint busy (RFC 9113, section 7).
const ENHANCE_YOUR_CALM: u8 = 0xb;

const MEBIBYTE: usize = 1024 * 1024;

/// By how much a flood lets a process grow at most, in which sender and node are: some streams and buffers of one connection.
const MOST_GROWTH: usize = 8 * MEBIBYTE;

/// Says to the test program that it is the process of a flood.
const ALONE: &str = "LOTSE_TEST_FLOOD";

/// What was given back leaves the process at once (mallopt(3)): otherwise the allocator keeps several mebibytes of it, more on a
/// busy machine.
const GIVE_BACK: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072")];

/// Runs a flood in a process of its own and returns by how much it says that it has grown, bytes. `test` is the name of the calling
/// test, which the process runs alone.
fn growth(test: &str, flood: impl AsyncFnOnce() -> usize) -> usize {
    if env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let grown = runtime.block_on(flood());
        println!("grown by {grown} bytes");
        return grown;
    }
    let mut alone = Command::new(env::current_exe().unwrap());
    alone.args([&format!("edge::tests::floods::{test}"), "--exact", "--nocapture"]).env(ALONE, "1").envs(GIVE_BACK);
    let output = alone.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    let grown = said.split_once("grown by ").and_then(|(_, rest)| rest.split_once(" bytes")?.0.parse().ok());
    grown.unwrap_or_else(|| panic!("{test} did not run: {said}"))
}

/// What this process has in memory from a moment on (proc_pid_status(5)).
struct Memory {
    before: usize,
}

impl Memory {
    /// Begins to look at the peak.
    fn watch() -> Memory {
        fs::write("/proc/self/clear_refs", "5").unwrap();
        Memory { before: Memory::read("VmRSS:") }
    }

    /// Returns by how many bytes the peak since then is above what was there.
    fn growth(&self) -> usize {
        Memory::read("VmHWM:").saturating_sub(self.before)
    }

    fn read(key: &str) -> usize {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }
}

/// Opens a port that has served somebody: what the first call needs does not count as growth.
async fn warm() -> World {
    let (world, _) = open(Limits::default()).await;
    is_served(&world).await;
    world
}

/// Somebody else calls and is answered.
async fn is_served(world: &World) {
    let mut connection = greeted(world).await;
    connection.write_all(&ask(1, "/test.Mirror/Who")).await.unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    let answer = loop {
        let length = timeout(Duration::from_secs(20), connection.read(&mut piece)).await.unwrap().unwrap();
        assert!(length > 0, "hung up on");
        said.extend(&piece[..length]);
        if let Some((_, flags, fields)) = frames(&said).find(|(kind, ..)| *kind == HEADERS) {
            break (fields[0], flags & END_STREAM);
        }
    };
    assert_eq!(answer, (OK, 0), "200, and more follows");
}

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
async fn unspoken(world: &World) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let tcp = socket.connect(world.address).await.unwrap();
    let config = world.client(&world.caller());
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Opens such a connection and says what a client says first.
async fn greeted(world: &World) -> TlsStream<TcpStream> {
    greeted_with(world, &[]).await
}

/// The same with these settings.
async fn greeted_with(world: &World, settings: &[u8]) -> TlsStream<TcpStream> {
    let mut connection = unspoken(world).await;
    connection.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat()).await.unwrap();
    connection
}

/// Sends a frame again and again and reads nothing, until the other end takes no more or hangs up; then somebody else calls.
async fn flooded(world: World, frame: &[u8]) -> usize {
    let memory = Memory::watch();
    let mut connection = greeted(&world).await;
    let many = frame.repeat(64 * 1024 / frame.len());
    let mut taken = 0;
    while let Ok(Ok(())) = timeout(Duration::from_secs(1), connection.write_all(&many)).await {
        taken += many.len();
        assert!(taken < MOST_IN_BUFFERS, "it takes without end what it cannot answer");
    }
    is_served(&world).await;
    memory.growth()
}

#[test]
fn pings_that_nobody_reads_the_answers_of_are_not_taken_without_end() {
    let test = "pings_that_nobody_reads_the_answers_of_are_not_taken_without_end";
    let grown = growth(test, async || flooded(warm().await, &frame(PING, 0, 0, &[0; 8])).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

#[test]
fn settings_that_nobody_reads_the_answers_of_are_not_taken_without_end() {
    let test = "settings_that_nobody_reads_the_answers_of_are_not_taken_without_end";
    let grown = growth(test, async || flooded(warm().await, &frame(SETTINGS, 0, 0, &[])).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

#[test]
fn a_port_that_keeps_what_it_is_sent_is_seen_to_grow() {
    let test = "a_port_that_keeps_what_it_is_sent_is_seen_to_grow";
    let grown = growth(test, async || {
        let world = World::open_with(Door::Peer, Limits::default(), |port, stop| {
            port.run(stop, |mut connection| async move {
                let mut kept = Vec::new();
                let _ = connection.read_to_end(&mut kept).await;
            })
        })
        .await;
        let mut connection = greeted(&world).await;
        let memory = Memory::watch();
        for _ in 0..512 {
            connection.write_all(&[1; 64 * 1024]).await.unwrap();
        }
        memory.growth()
    });
    assert!(grown > 2 * MOST_GROWTH, "what is measured says something: {grown}");
}

/// A call's header fields: POST, https, a path and an authority (RFC 7541, static table and literals without indexing).
fn call(path: &str) -> Vec<u8> {
    [&[0x83, 0x87, 0x04, path.len() as u8], path.as_bytes(), &[0x01, 1, b'x']].concat()
}

/// Makes calls and resets them at once, until the port hangs up and says why; then somebody else calls.
async fn reset_at_once(world: World) -> usize {
    let memory = Memory::watch();
    let mut connection = greeted(&world).await;
    let cancel = 8_u32.to_be_bytes();
    for burst in 0..50 {
        let streams = (0..200).map(|place| 2 * (burst * 200 + place) + 1);
        let call_and_reset = |stream| {
            [frame(HEADERS, 0x4, stream, &call("/test.Mirror/Who")), frame(RST_STREAM, 0, stream, &cancel)].concat()
        };
        let calls: Vec<u8> = streams.flat_map(call_and_reset).collect();
        if connection.write_all(&calls).await.is_err() {
            break;
        }
    }
    let mut said = Vec::new();
    let _ = timeout(Duration::from_secs(20), connection.read_to_end(&mut said)).await.expect("it hangs up");
    assert_eq!(goaway(&said), Some(ENHANCE_YOUR_CALM));
    is_served(&world).await;
    memory.growth()
}

#[test]
fn calls_that_are_reset_as_soon_as_they_are_made_end_their_connection_and_others_are_served() {
    let test = "calls_that_are_reset_as_soon_as_they_are_made_end_their_connection_and_others_are_served";
    let grown = growth(test, async || reset_at_once(warm().await).await);
    assert!(grown < MOST_GROWTH, "{grown}");
}

/// A whole call: its head, and an empty message.
fn ask(stream: u32, path: &str) -> Vec<u8> {
    [frame(HEADERS, 0x4, stream, &call(path)), frame(DATA, END_STREAM, stream, &[0; 5])].concat()
}

/// Finds the reason of a GOAWAY among frames.
fn goaway(bytes: &[u8]) -> Option<u8> {
    frames(bytes).find(|(kind, ..)| *kind == GOAWAY).and_then(|(.., payload)| payload.get(7).copied())
}

/// Takes whole frames apart: kind, flags and payload.
fn frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let payload = rest.get(..length)?;
        bytes = &rest[length..];
        Some((head[3], head[4], payload))
    })
}

#[test]
fn messages_begun_and_never_ended_do_not_keep_others_from_being_served() {
    let test = "messages_begun_and_never_ended_do_not_keep_others_from_being_served";
    let grown = growth(test, async || {
        let world = warm().await;
        let memory = Memory::watch();
        let mut slow = greeted(&world).await;
        for stream in (0..500).map(|place| 2 * place + 1) {
            slow.write_all(&frame(HEADERS, 0x4, stream, &call("/test.Mirror/Who"))).await.unwrap();
            // The head says 4 MiB, and one byte follows.
            slow.write_all(&frame(DATA, 0, stream, &[0, 0, 0x40, 0, 0, b'x'])).await.unwrap();
        }
        let half = frame(DATA, 0, 1, b"more");
        for byte in half {
            slow.write_all(&[byte]).await.unwrap();
            slow.flush().await.unwrap();
        }
        is_served(&world).await;
        memory.growth()
    });
    assert!(grown < MOST_GROWTH, "{grown}");
}

/// Opens a call on each of many streams and sends the head of a message of 4 MiB and nothing of it; returns how many were refused.
async fn announced_messages(world: &World, connections: usize, calls: u32) -> (usize, Vec<TlsStream<TcpStream>>) {
    let mut opened = Vec::new();
    let mut refused = 0;
    for _ in 0..connections {
        let mut connection = greeted(world).await;
        let head = |stream| {
            [frame(HEADERS, 0x4, stream, &call("/test.Mirror/Who")), frame(DATA, 0, stream, &[0, 0, 0x40, 0, 0])]
                .concat()
        };
        let heads: Vec<u8> = (0..calls).flat_map(|index| head(2 * index + 1)).collect();
        connection.write_all(&heads).await.unwrap();
        let (mut answers, mut piece) = (Vec::new(), vec![0; MEBIBYTE]);
        while let Ok(Ok(length @ 1..)) = timeout(Duration::from_millis(500), connection.read(&mut piece)).await {
            answers.extend(&piece[..length]);
        }
        refused += frames(&answers).filter(|(kind, flags, _)| *kind == HEADERS && flags & END_STREAM != 0).count();
        opened.push(connection);
    }
    (refused, opened)
}

#[test]
fn heads_without_a_message_reserve_no_more_than_their_caller_is_allowed() {
    let test = "heads_without_a_message_reserve_no_more_than_their_caller_is_allowed";
    let allowed = Limits::default().unfinished_bytes_per_caller;
    let grown = growth(test, async || {
        let world = warm().await;
        // Reserved, used or not: what becomes of it depends on the allocator and the size of the system's pages.
        let before = Memory::read("VmData:");
        let (refused, _opened) = announced_messages(&world, 4, 500).await;
        let kept = 4 * 500 - refused;
        assert!(kept <= allowed / (4 * MEBIBYTE), "{kept} messages of 4 MiB are waited for");
        is_served(&world).await;
        Memory::read("VmData:").saturating_sub(before)
    });
    assert!(grown < allowed + 4 * MOST_GROWTH, "{grown}");
}

/// Sends one call after the other that says it brings 4 MiB, brings one and never ends; returns how many were refused.
async fn half_messages(world: &World, calls: usize) -> usize {
    let config = world.client(&world.caller());
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(world.address).await.unwrap();
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(tls)).await.unwrap();
    tokio::spawn(connection);
    let half = Bytes::from([&[0, 0, 0x40, 0, 0], vec![1; MEBIBYTE].as_slice()].concat());
    let refused = Arc::new(AtomicUsize::new(0));
    for _ in 0..calls {
        let (sent, is_sent) = tokio::sync::oneshot::channel();
        let begun = stream::iter([Ok::<_, Infallible>(half.clone())]);
        // The rest is asked for when what was sent has left.
        let rest = stream::once(async move {
            let _ = sent.send(());
            std::future::pending().await
        });
        let body = axum::body::Body::from_stream(begun.chain(rest));
        let request = http::Request::post("https://x/test.Mirror/Who").header("content-type", "application/grpc");
        sender.ready().await.unwrap();
        let (answer, refused) = (sender.send_request(request.body(body).unwrap()), Arc::clone(&refused));
        tokio::spawn(async move {
            let is_refused =
                answer.await.is_ok_and(|answer| answer.headers().get("grpc-status").is_some_and(|code| code == "8"));
            refused.fetch_add(usize::from(is_refused), Ordering::Relaxed);
        });
        let _ = timeout(Duration::from_secs(5), is_sent).await;
    }
    is_served(world).await;
    // What is not refused is never answered: nobody can wait for the last answer.
    for _ in 0..250 {
        if refused.load(Ordering::Relaxed) >= calls / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refused.load(Ordering::Relaxed)
}

#[test]
fn messages_of_which_half_comes_take_no_more_than_their_caller_is_allowed() {
    let test = "messages_of_which_half_comes_take_no_more_than_their_caller_is_allowed";
    let allowed = Limits::default().unfinished_bytes_per_caller;
    let grown = growth(test, async || {
        let world = warm().await;
        let memory = Memory::watch();
        let calls = 3 * allowed / MEBIBYTE;
        let refused = half_messages(&world, calls).await;
        assert!((calls / 2..calls).contains(&refused), "{refused} of {calls}");
        memory.growth()
    });
    assert!(grown < allowed + 2 * MOST_GROWTH, "{grown}");
}

/// Makes calls and reads no answer; returns how many were refused, and the connection.
async fn unread_answers(world: &World, settings: &[u8], path: &str, calls: usize) -> (usize, TlsStream<TcpStream>) {
    let mut connection = greeted_with(world, settings).await;
    let streams = (0..calls as u32).map(|place| 2 * place + 1);
    connection.write_all(&streams.flat_map(|stream| ask(stream, path)).collect::<Vec<u8>>()).await.unwrap();
    connection.flush().await.unwrap();
    let mut said = Vec::new();
    let mut piece = vec![0; MEBIBYTE];
    while let Ok(Ok(length @ 1..)) = timeout(Duration::from_secs(2), connection.read(&mut piece)).await {
        said.extend(&piece[..length]);
    }
    let refused =
        |(kind, flags, fields): &(u8, u8, &[u8])| *kind == HEADERS && (flags & END_STREAM != 0 || fields[0] != OK);
    (frames(&said).filter(refused).count(), connection)
}

/// SETTINGS_INITIAL_WINDOW_SIZE is 4 (RFC 9113, section 6.5.2): of no answer may anything be sent.
const NOTHING_MAY_BE_SENT: [u8; 6] = [0, 4, 0, 0, 0, 0];

#[test]
fn answers_that_nobody_reads_take_no_more_than_their_caller_is_allowed() {
    let test = "answers_that_nobody_reads_take_no_more_than_their_caller_is_allowed";
    let allowed = Limits::default().unread_bytes_per_caller;
    let grown = growth(test, async || {
        let world = warm().await;
        let memory = Memory::watch();
        let calls = 3 * allowed / LARGE;
        let (refused, connection) = unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Large", calls).await;
        assert!((calls / 2..calls).contains(&refused), "{refused} of {calls}");
        drop(connection);
        let grown = memory.growth();
        let deadline = Instant::now() + Duration::from_secs(20);
        while unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Large", 40).await.0 > 0 {
            assert!(Instant::now() < deadline, "what nobody can read any more still counts");
        }
        grown
    });
    assert!(grown < allowed + 2 * MOST_GROWTH, "{grown}");
}

#[tokio::test]
async fn small_answers_that_nobody_reads_are_not_taken_without_end() {
    let unread_bytes_per_caller = MEBIBYTE;
    let (world, _) = open(Limits { unread_bytes_per_caller, ..Limits::default() }).await;
    let (refused, connection) = unread_answers(&world, &NOTHING_MAY_BE_SENT, "/test.Mirror/Who", 256).await;
    assert!((192..256).contains(&refused), "{refused}");
    drop(connection);
    let deadline = Instant::now() + Duration::from_secs(20);
    while who(&channel(&world)).await.is_err() {
        assert!(Instant::now() < deadline, "what nobody can read any more still counts");
    }
}

#[tokio::test]
async fn who_does_not_begin_to_speak_is_hung_up_on_and_who_has_spoken_is_not() {
    let first_request = Duration::from_secs(1);
    let (world, counts) = open(Limits { first_request, ..Limits::default() }).await;
    let good = channel(&world);
    who(&good).await.unwrap();
    let begun = Instant::now();
    let says = async |said: &[u8]| {
        let mut connection = unspoken(&world).await;
        connection.write_all(said).await.unwrap();
        let ended = timeout(Duration::from_secs(20), connection.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "still open after {said:?}");
        assert!(begun.elapsed() > first_request / 2, "it was given its time");
    };
    let drips = async {
        let mut connection = unspoken(&world).await;
        for byte in PREFACE.iter().cycle() {
            assert!(begun.elapsed() < Duration::from_secs(20), "a byte now and then keeps it open");
            if connection.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(first_request / 8).await;
        }
    };
    let speaks_in_two_parts = async {
        let mut connection = unspoken(&world).await;
        connection.write_all(&PREFACE[..12]).await.unwrap();
        tokio::time::sleep(first_request / 4).await;
        connection.write_all(&[&PREFACE[12..], &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
        tokio::time::sleep(first_request).await;
        connection.write_all(&frame(PING, 0, 0, &[7; 8])).await.unwrap();
        let mut said = [0; 4096];
        let mut length = 0;
        while !frames(&said[..length]).any(|(kind, ..)| kind == PING) {
            let read = timeout(Duration::from_secs(20), connection.read(&mut said[length..])).await.unwrap().unwrap();
            assert!(read > 0, "it hung up on who had spoken");
            length += read;
        }
    };
    tokio::join!(says(&PREFACE[..0]), says(&PREFACE[..1]), says(&PREFACE[..23]), drips, speaks_in_two_parts);
    who(&good).await.unwrap();
    assert_eq!(counts.accepted.load(Ordering::Relaxed), 6, "who had spoken did not have to connect again");
}

#[tokio::test]
async fn a_connection_that_gives_no_sign_of_life_ends_and_one_that_does_goes_on() {
    let Limits { silence, sign_of_life, .. } = Limits::default();
    assert_eq!(silence + sign_of_life, Duration::from_secs(40), "as shipped");

    let (silence, sign_of_life) = (Duration::from_millis(200), Duration::from_secs(2));
    let (world, counts) = open(Limits { silence, sign_of_life, ..Limits::default() }).await;
    let alive = channel(&world);
    who(&alive).await.unwrap();
    let mut silent = greeted(&world).await;
    let (begun, mut said) = (Instant::now(), Vec::new());
    let _ = timeout(Duration::from_secs(30), silent.read_to_end(&mut said)).await.expect("it hangs up");
    assert!(begun.elapsed() >= sign_of_life, "it was given its time");
    assert!(frames(&said).any(|(kind, ..)| kind == PING), "it was asked");
    who(&alive).await.unwrap();
    assert_eq!(counts.accepted.load(Ordering::Relaxed), 2, "who answered did not have to connect again");
}
