//! A node under floods from an accepted peer, from strangers, and beside somebody who reads its database for long: the referrals of a
//! third agency go on, none waits over five seconds, and the memory stays bounded.
//!
//! `LOTSE_FLOOD_SECONDS=60` is the full run: each flood lasts as long at least, and the snapshot is held as long as both together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lotse_core::agency::AgencyKind;
use lotse_core::id::AgencyId;
use lotse_node::config::Config;
use lotse_node::edge::{Addresses, Connector};
use lotse_node::tls::{Credentials, TrustStore};
use lotse_proto::admin::v1::GetStatusRequest;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::{GetReferralRequest, ReferralState, SubmitReferralRequest};
use lotse_proto::exchange::v1::{Batch, Hello};
use lotse_proto::peer::v1::{ExchangeRequest, exchange_request};
use lotse_store::testing::look::HeldSnapshot;
use lotse_tests::federation::{Agency, Federation};
use lotse_tests::processes::{Member, Processes};
use lotse_tests::records::{consent, handover, record};
use lotse_tests::setting;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const HONEST: &str = "jc-hanau.example";
const FLOODED: &str = "aa-hanau.example";
const FLOODER: &str = "abh-hanau.example";
const ALL: [(&str, AgencyKind); 3] = [
    (HONEST, AgencyKind::JobcenterGe),
    (FLOODED, AgencyKind::EmploymentAgency),
    (FLOODER, AgencyKind::ImmigrationOffice),
];

/// How long an honest referral may wait at most, from its submission until the holder has taken it.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Limit for the memory of the flooded node.
const MOST_MEMORY: usize = 400 * MEBIBYTE;

/// Connections that one caller may have.
const CONNECTIONS: usize = 64;

/// Calls on each of them.
const CALLS: u32 = 512;

/// Exchange streams that the peer tries to open.
const STREAMS: u32 = 4_000;

/// Connections that say nothing.
const SILENT: usize = 300;

/// How long a flood lasts at least in the gate, seconds.
const FEW_SECONDS: u64 = 6;

const MEBIBYTE: usize = 1024 * 1024;

// Types and flags of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_HEADERS: u8 = 0x4;

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_a_peer_and_of_strangers_delay_no_third_agency_and_take_bounded_memory() -> Result<()> {
    let seconds = Duration::from_secs(setting::number("LOTSE_FLOOD_SECONDS", FEW_SECONDS)?);
    let (federation, agreement) = Federation::agreed(&ALL).await?;
    let trust = federation.agency(FLOODER).node().node().federation.trust().clone();
    record(federation.agency(HONEST), consent("0198c5a4-7d3e-7cc0-8000-000000000001", "person-1", &[FLOODED])).await?;
    let processes = Processes::take_over(federation, agreement).await?;
    let [honest, flooded, mut flooder]: [Member; 3] = processes.members.try_into().ok().context("three agencies")?;
    flooder.stop().await?;
    let flooder = Flooder::new(&flooder.agency, &flooded.agency, trust)?;

    let url = format!("sqlite://{}", flooded.agency.folder.database().display());
    let snapshot = HeldSnapshot::begin(&url).context("the database cannot be read")?;
    let entries = snapshot.entries();
    let sender = HonestSender::start(&honest.agency);
    sender.has_delivered(3).await?;
    println!("before: {} MiB", flooded.memory_bytes()? / MEBIBYTE);
    for flood in [Flood::AnnouncedMessages, Flood::ExchangeStreams] {
        let begun = Instant::now();
        let mut held = flooder.flood(flood).await?;
        let mut memory = 0;
        while begun.elapsed() < seconds {
            held.silent = silent(&flooder).await?;
            for _ in 0..10 {
                memory = memory.max(flooded.memory_bytes()?);
                sleep(Duration::from_millis(100)).await;
            }
        }
        let delivered = sender.delivered();
        sender.has_delivered(delivered + 3).await?;
        println!(
            "{flood:?}: {} MiB, {} connections, {} referrals so far, the slowest took {:?}",
            memory / MEBIBYTE,
            held.connections,
            sender.delivered(),
            sender.slowest()
        );
        ensure!(memory <= MOST_MEMORY, "{flood:?}: {} MiB", memory / MEBIBYTE);
        ensure!(sender.slowest() <= LONGEST_WAIT, "{flood:?}: an honest referral took {:?}", sender.slowest());
    }
    ensure!(snapshot.entries() == entries, "the snapshot was held all the time");
    drop(snapshot);
    sender.end().await?;
    // An administrator sees who was refused.
    let status = flooded.agency.admin()?.get_status(GetStatusRequest {}).await?.into_inner();
    ensure!(status.alarms.iter().any(|alarm| alarm.contains("connections")), "{:?}", status.alarms);
    Ok(())
}

/// A kind of flood by a caller with a good certificate.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// Heads of 5 bytes, each of which announces a message of 4 MiB.
    AnnouncedMessages,
    /// Exchange streams, each with a hello and a whole batch.
    ExchangeStreams,
}

impl Flood {
    /// Returns the path of the calls, and the bytes of each.
    fn call(self) -> (&'static str, Vec<u8>) {
        match self {
            Flood::AnnouncedMessages => ("/lotse.peer.v1.PeerService/OfferAgreement", vec![0, 0, 0x3f, 0xff, 0xf0]),
            Flood::ExchangeStreams => {
                let hello = Hello { agency: FLOODER.into(), ..Hello::default() };
                let batch = Batch { seal: None, envelopes: vec![vec![7; 8 * 1024].into(); 2] };
                let frames = [exchange_request::Frame::Hello(hello), exchange_request::Frame::Batch(batch)];
                let messages = frames.map(|frame| message(&ExchangeRequest { frame: Some(frame) }.encode_to_vec()));
                ("/lotse.peer.v1.PeerService/Exchange", messages.concat())
            }
        }
    }

    /// Returns how many calls are made on each connection.
    fn calls(self) -> u32 {
        match self {
            Flood::AnnouncedMessages => CALLS,
            Flood::ExchangeStreams => STREAMS.div_ceil(CONNECTIONS as u32),
        }
    }
}

/// The peer that floods: it calls with its node's certificate.
struct Flooder {
    connector: Connector,
    endpoint: String,
    flooded: AgencyId,
}

/// The connections that a flood keeps open.
struct HeldOpen {
    connections: usize,
    silent: Vec<TcpStream>,
    _open: JoinSet<()>,
}

impl Flooder {
    fn new(agency: &Agency, flooded: &Agency, trust: Arc<TrustStore>) -> Result<Flooder> {
        let files = Config::load(&agency.folder)?.files.tls(&agency.folder);
        let credentials = Credentials::load(files, trust, agency.clock.now())?;
        let connector = Connector { credentials, clock: agency.clock.clone(), addresses: Addresses::RoutedAndLoopback };
        let endpoint = Config::load(&flooded.folder)?.listen.peer.to_string();
        Ok(Flooder { connector, endpoint, flooded: flooded.id.clone() })
    }

    /// Opens as many connections as a peer may have, and makes the calls of a flood on each. They stay open and are read, as by a
    /// client that takes everything and never ends what it sends.
    async fn flood(&self, flood: Flood) -> Result<HeldOpen> {
        let (path, body) = flood.call();
        let mut open = JoinSet::new();
        let connections = Arc::new(AtomicUsize::new(0));
        for _ in 0..CONNECTIONS {
            // The connections of the flood before may not have ended yet.
            let Ok(connection) = self.connector.open(&self.endpoint, &self.flooded).await else { continue };
            connections.fetch_add(1, Ordering::Relaxed);
            let (mut answers, mut calls) = tokio::io::split(connection);
            let body = body.clone();
            open.spawn(async move {
                let send = async {
                    calls.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await?;
                    for number in 0..flood.calls() {
                        let stream = 2 * number + 1;
                        let call = [frame(HEADERS, END_HEADERS, stream, &head(path)), frame(DATA, 0, stream, &body)];
                        calls.write_all(&call.concat()).await?;
                    }
                    calls.flush().await?;
                    std::future::pending::<std::io::Result<()>>().await
                };
                let read = async {
                    let mut piece = vec![0; 64 * 1024];
                    while !matches!(answers.read(&mut piece).await, Ok(0) | Err(_)) {}
                };
                tokio::select! { _ = send => {}, () = read => {} }
            });
        }
        let connections = connections.load(Ordering::Relaxed);
        ensure!(connections > CONNECTIONS / 2, "only {connections} connections could be opened");
        Ok(HeldOpen { connections, silent: Vec::new(), _open: open })
    }
}

/// Opens connections from several addresses of this machine: half of them say nothing, half begin a handshake and stop.
async fn silent(flooder: &Flooder) -> Result<Vec<TcpStream>> {
    let mut opened = Vec::new();
    for number in 0..SILENT {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 1, (number % 6) as u8 + 1], 0).into())?;
        let connecting = timeout(LONGEST_WAIT, socket.connect(flooder.endpoint.parse()?)).await;
        let mut stream = connecting.context("the port accepts no connection")??;
        if number % 2 == 0 {
            stream.write_all(&[0x16, 0x03, 0x01]).await?;
        }
        opened.push(stream);
    }
    Ok(opened)
}

/// Writes the head of a message: a flag and the length (gRPC over HTTP/2, "Requests").
fn message(bytes: &[u8]) -> Vec<u8> {
    [&[0], (bytes.len() as u32).to_be_bytes().as_slice(), bytes].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A call's header fields: POST, https, path, authority and content type (RFC 7541, static table and literals without indexing).
fn head(path: &str) -> Vec<u8> {
    let content_type = b"application/grpc";
    let path = [&[0x83, 0x87, 0x04, path.len() as u8], path.as_bytes()].concat();
    [&path, &[0x01, 1, b'x'][..], &[0x0f, 0x10, content_type.len() as u8], content_type].concat()
}

/// Hands one referral over after the other, and waits until the holder has taken it.
struct HonestSender {
    seen: Arc<HonestTally>,
    task: tokio::task::JoinHandle<Result<()>>,
}

#[derive(Default)]
struct HonestTally {
    delivered: AtomicU64,
    slowest_ms: AtomicU64,
    ends: AtomicBool,
}

impl HonestSender {
    fn start(honest: &Agency) -> HonestSender {
        let seen = Arc::new(HonestTally::default());
        let (channel, seen_there) = (honest.system(), seen.clone());
        let task = tokio::spawn(async move {
            let mut referrals = ReferralServiceClient::new(channel?);
            for number in 0.. {
                if seen_there.ends.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                let handover = handover(&format!("key-{number}"), "person-1", FLOODED);
                let request = SubmitReferralRequest { handover: Some(handover) };
                let submitted =
                    referrals.submit_referral(request).await?.into_inner().submitted.context("no answer")?;
                let request = GetReferralRequest { referral_id: submitted.referral_id };
                loop {
                    let found = referrals.get_referral(request.clone()).await?.into_inner();
                    seen_there.slowest_ms.fetch_max(begun.elapsed().as_millis() as u64, Ordering::Relaxed);
                    if found.summary.is_some_and(|summary| summary.state() == ReferralState::Received) {
                        break;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
                seen_there.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        HonestSender { seen, task }
    }

    fn delivered(&self) -> u64 {
        self.seen.delivered.load(Ordering::Relaxed)
    }

    fn slowest(&self) -> Duration {
        Duration::from_millis(self.seen.slowest_ms.load(Ordering::Relaxed))
    }

    async fn has_delivered(&self, count: u64) -> Result<()> {
        let begun = Instant::now();
        while self.delivered() < count {
            ensure!(!self.task.is_finished(), "handing over ended");
            ensure!(begun.elapsed() < 4 * LONGEST_WAIT, "only {} referrals arrived", self.delivered());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn end(self) -> Result<()> {
        self.seen.ends.store(true, Ordering::Relaxed);
        self.task.await?
    }
}
