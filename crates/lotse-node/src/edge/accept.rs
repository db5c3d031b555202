//! A port: accepts connections, makes the handshake in a task of its own, hands on who passed.
//!
//! Nothing that a stranger does here ends the loop: errors stay in the connection's task, and everything is limited.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_core::time::Clock;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{ConnectInfo, Connection};
use super::counts::{Counts, Limit};
use super::grpc::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
use super::newcomers::{Newcomer, Newcomers};
use super::share::Shares;
use crate::federation::Throttle;
use crate::identity::{Role, Side};
use crate::tls::{Credentials, Door, Refusal, Standing, TlsError, TrustStore};

/// How long the loop rests when the system gives no connection, for instance for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// The message that is written once a minute while the system gives no connection.
const NO_CONNECTION: &str = "the system gives no connection";

/// What a port bears.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Connections of one caller: of one agency at the peers' port, of one certificate's id elsewhere.
    pub connections_per_caller: usize,
    /// Connections without a certificate from one address (the pages' port).
    pub connections_per_address: usize,
    /// Calls at the same time on one connection; more are answered with OVERLOADED.
    pub calls_per_connection: usize,
    /// Bytes that one caller's messages announce from their beginning to their answer, over all its connections; more are answered
    /// with OVERLOADED.
    pub unfinished_bytes_per_caller: usize,
    /// Bytes of answers to one caller that are not sent, over all its connections; what would be more ends with OVERLOADED.
    pub unread_bytes_per_caller: usize,
    /// Bytes that one caller may send over all its connections before somebody reads them; connections beyond that have small windows.
    pub window_bytes_per_caller: usize,
    /// Handshakes that have not ended; with one more the oldest of the network that has most is cut.
    pub handshakes: usize,
    /// Handshakes of one network that have not ended; with one more the oldest is cut.
    pub handshakes_per_network: usize,
    /// How long a caller may take to its first byte.
    pub first_byte: Duration,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// After such a silence the caller is asked for a sign of life.
    pub silence: Duration,
    /// How long it may take to give one; then the connection ends.
    pub sign_of_life: Duration,
    /// How long a caller may take from the handshake to its first words: a browser to the end of its first request's head, a gRPC
    /// client to the end of HTTP/2's preface.
    pub first_request: Duration,
    /// After this time, give or take a tenth, the caller is asked to connect again.
    pub max_age: Duration,
    /// How long calls may go on after that, and when the port closes.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 4096,
            connections_per_caller: 64,
            connections_per_address: 64,
            calls_per_connection: 512,
            unfinished_bytes_per_caller: 64 * 1024 * 1024,
            unread_bytes_per_caller: 64 * 1024 * 1024,
            window_bytes_per_caller: 64 * 1024 * 1024,
            handshakes: 512,
            handshakes_per_network: 64,
            first_byte: Duration::from_secs(3),
            handshake: Duration::from_secs(10),
            silence: KEEPALIVE_INTERVAL,
            sign_of_life: KEEPALIVE_TIMEOUT,
            first_request: Duration::from_secs(10),
            max_age: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(30),
        }
    }
}

/// A connection that was accepted.
pub type Accepted = Connection<TlsStream<TcpStream>>;

/// A listening port.
pub struct Port {
    listener: TcpListener,
    doorway: Arc<Doorway>,
}

/// What the tasks of a port share.
struct Doorway {
    door: Door,
    config: Arc<ServerConfig>,
    trust: Arc<TrustStore>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    counts: Arc<Counts>,
    connections: Arc<Semaphore>,
    newcomers: Arc<Newcomers>,
    callers: Arc<Shares<Box<str>>>,
    strangers: Arc<Shares<IpAddr>>,
    /// What was said in the last minute.
    said: Throttle,
}

/// The reason why there is no connection.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    /// A probe of the port, for instance.
    #[error("it was closed, or its time was over, before its first byte")]
    Silent,
    #[error("its time was over")]
    Late,
    #[error(transparent)]
    Failed(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Port {
    /// Takes a bound listener.
    pub fn new(
        listener: TcpListener,
        door: Door,
        credentials: &Arc<Credentials>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Port, TlsError> {
        let doorway = Doorway {
            door,
            config: credentials.server_config(door)?,
            trust: credentials.trust().clone(),
            clock,
            counts: Arc::default(),
            connections: Arc::new(Semaphore::new(limits.connections)),
            newcomers: Newcomers::new(limits.handshakes, limits.handshakes_per_network),
            callers: Shares::new(limits.connections_per_caller),
            strangers: Shares::new(limits.connections_per_address),
            said: Throttle::default(),
            limits,
        };
        Ok(Port { listener, doorway: Arc::new(doorway) })
    }

    /// Returns what is counted here.
    pub fn counts(&self) -> Arc<Counts> {
        self.doorway.counts.clone()
    }

    /// Returns the limits.
    pub fn limits(&self) -> &Limits {
        &self.doorway.limits
    }

    /// Accepts until told to stop, then waits for the connections, at most the grace. Each accepted connection is given to
    /// `handle`, in a task of its own.
    pub async fn run<H, F>(self, stop: CancellationToken, handle: H)
    where
        H: Fn(Accepted) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((tcp, remote)) => self.doorway.clone().admit(tcp, remote, &tasks, handle.clone()),
                Err(error) => {
                    if let Some(times) = self.doorway.said.count(NO_CONNECTION, self.doorway.clock.now()) {
                        tracing::warn!(%error, times, "cannot accept connections");
                    }
                    sleep(ACCEPT_REST).await;
                }
            }
        }
        let grace = self.doorway.limits.grace;
        drop(self.listener);
        tasks.close();
        if timeout(grace, tasks.wait()).await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections are cut at the end of the grace");
        }
    }
}

impl Doorway {
    fn admit<H, F>(self: Arc<Self>, tcp: TcpStream, remote: SocketAddr, tasks: &TaskTracker, handle: H)
    where
        H: Fn(Accepted) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let newcomer = self.newcomers.admit(network(remote.ip()));
        tasks.spawn(async move {
            if let Some(connection) = self.welcome(tcp, remote, newcomer).await {
                handle(connection).await;
            }
        });
    }

    /// Makes the handshake, which no limit of known callers waits for: only who has passed it takes one of their connections.
    async fn welcome(&self, tcp: TcpStream, remote: SocketAddr, newcomer: Newcomer) -> Option<Accepted> {
        let handshake = timeout(self.limits.handshake, self.handshake(tcp));
        let passed = tokio::select! {
            () = newcomer.sent_away() => {
                self.refuse(Limit::Handshakes, &newcomer.network().to_string());
                return None;
            }
            passed = handshake => passed.unwrap_or(Err(HandshakeError::Late)),
        };
        let passed = passed.and_then(|stream| Ok((self.standing(&stream)?, stream)));
        let (standing, stream) = match passed {
            Ok(passed) => passed,
            Err(error) => {
                self.failed(newcomer.network(), &error);
                return None;
            }
        };
        drop(newcomer);
        let held = self.held(standing.as_deref(), remote)?;
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        // The server asks the caller to leave between 0.9 and 1.1 of the age; this is the end for who does not.
        let end = self.limits.max_age.mul_f64(1.1) + self.limits.grace;
        Some(Connection::new(stream, ConnectInfo { remote, standing }, end, held))
    }

    async fn handshake(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        match timeout(self.limits.first_byte, tcp.peek(&mut [0])).await {
            Err(_) | Ok(Ok(0)) => return Err(HandshakeError::Silent),
            Ok(peeked) => peeked?,
        };
        tcp.set_nodelay(true)?;
        Ok(TlsAcceptor::from(self.config.clone()).accept(tcp).await?)
    }

    fn standing(&self, stream: &TlsStream<TcpStream>) -> Result<Option<Arc<Standing>>, Refusal> {
        let Some(chain) = stream.get_ref().1.peer_certificates() else {
            return if self.door == Door::Pages { Ok(None) } else { Err(Refusal::NoCertificate) };
        };
        let standing = Standing::new(chain, Side::Client, self.trust.clone(), self.clock.clone())?;
        Ok(Some(Arc::new(standing)))
    }

    /// Takes what a known caller's connection holds, or refuses it.
    fn held(&self, standing: Option<&Standing>, remote: SocketAddr) -> Option<Box<dyn Send>> {
        let network = network(remote.ip());
        let name = standing.map_or_else(|| network.to_string().into(), caller);
        let Ok(permit) = self.connections.clone().try_acquire_owned() else {
            self.refuse(Limit::Connections, &name);
            return None;
        };
        let (share, limit): (Option<Box<dyn Send>>, Limit) = match standing {
            None => (self.strangers.take(network).map(|share| Box::new(share) as Box<dyn Send>), Limit::Network),
            Some(_) => (self.callers.take(name.clone()).map(|share| Box::new(share) as Box<dyn Send>), Limit::Caller),
        };
        if share.is_none() {
            self.refuse(limit, &name);
        }
        share.map(|share| Box::new((permit, share)) as Box<dyn Send>)
    }

    /// Counts a connection that a limit refuses, and says so once a minute for each caller.
    fn refuse(&self, limit: Limit, caller: &str) {
        let now = self.clock.now();
        self.counts.refuse(limit, caller, now);
        if let Some(times) = self.said.count(&format!("{limit:?} {caller}"), now) {
            tracing::warn!(door = ?self.door, limit = limit.name(), caller, times, "connections over a limit are refused");
        }
    }

    /// Counts a handshake that failed, and says so once a minute for each network. The verifier says why it refused a certificate.
    fn failed(&self, network: IpAddr, error: &HandshakeError) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        if matches!(error, HandshakeError::Silent) {
            tracing::debug!(door = ?self.door, %network, "a connection that said nothing");
        } else if let Some(times) = self.said.count(&format!("failed {network}"), self.clock.now()) {
            tracing::info!(door = ?self.door, %network, %error, times, "handshake failed");
        }
    }
}

/// Names who is at the other end, for limits that all of this name share: by the certificate, without one by the address.
pub(super) fn name(info: &ConnectInfo) -> Box<str> {
    info.standing.as_deref().map_or_else(|| network(info.remote.ip()).to_string().into(), caller)
}

/// Names the caller who shares limits with all that has this name: an agency with all its nodes, anybody else alone.
fn caller(standing: &Standing) -> Box<str> {
    let identity = standing.identity();
    if identity.role() == Role::Node { identity.agency().as_str().into() } else { identity.id().to_string().into() }
}

/// Takes an IPv6 network of 64 bits as one address: whoever has one of its addresses has all of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}
