//! A port: accepts connections, makes the handshake in a task of its own, hands on who passed.
//!
//! Nothing that a stranger does here ends the loop: errors stay in the connection's task, and everything is limited.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lotse_core::time::Clock;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{ConnectInfo, Connection};
use super::grpc::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
use super::share::{Share, Shares};
use crate::identity::{Role, Side};
use crate::tls::{Credentials, Door, Refusal, Standing, TlsError, TrustStore};

/// How long the loop rests when the system gives no connection, for instance for want of file descriptors.
const ACCEPT_REST: Duration = Duration::from_millis(100);

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
    /// Handshakes at the same time; more wait.
    pub handshakes: usize,
    /// Handshakes at the same time from one address, waiting ones included; more are refused.
    pub handshakes_per_address: usize,
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
            handshakes: 256,
            handshakes_per_address: 128,
            handshake: Duration::from_secs(10),
            silence: KEEPALIVE_INTERVAL,
            sign_of_life: KEEPALIVE_TIMEOUT,
            first_request: Duration::from_secs(10),
            max_age: Duration::from_secs(10 * 60),
            grace: Duration::from_secs(30),
        }
    }
}

/// What happened at a port since it was opened.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections that passed the handshake.
    pub accepted: AtomicU64,
    /// Handshakes that failed or took too long.
    pub failed: AtomicU64,
    /// Connections refused because of a limit.
    pub over_limit: AtomicU64,
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
    handshakes: Semaphore,
    addresses: Arc<Shares<IpAddr>>,
    callers: Arc<Shares<Box<str>>>,
    strangers: Arc<Shares<IpAddr>>,
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
            handshakes: Semaphore::new(limits.handshakes),
            addresses: Shares::new(limits.handshakes_per_address),
            callers: Shares::new(limits.connections_per_caller),
            strangers: Shares::new(limits.connections_per_address),
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
                    tracing::warn!(%error, "cannot accept connections");
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
        let permit = self.connections.clone().try_acquire_owned().ok();
        let (Some(permit), Some(address)) = (permit, self.addresses.take(network(remote.ip()))) else {
            self.counts.over_limit.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tasks.spawn(async move {
            if let Some(connection) = self.welcome(tcp, remote, permit, address).await {
                handle(connection).await;
            }
        });
    }

    async fn welcome(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        permit: OwnedSemaphorePermit,
        _address: Share<IpAddr>,
    ) -> Option<Accepted> {
        let stream = match timeout(self.limits.handshake, self.handshake(tcp)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return self.failed(remote, &error),
            Err(elapsed) => return self.failed(remote, &elapsed),
        };
        let standing = match self.standing(&stream) {
            Ok(standing) => standing,
            Err(refusal) => return self.failed(remote, &refusal),
        };
        let Some(share) = self.share(standing.as_deref(), remote) else {
            self.counts.over_limit.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        // The server asks the caller to leave between 0.9 and 1.1 of the age; this is the end for who does not.
        let end = self.limits.max_age.mul_f64(1.1) + self.limits.grace;
        Some(Connection::new(stream, ConnectInfo { remote, standing }, end, Box::new((permit, share))))
    }

    async fn handshake(&self, tcp: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let _permit = self.handshakes.acquire().await.map_err(std::io::Error::other)?;
        tcp.set_nodelay(true)?;
        TlsAcceptor::from(self.config.clone()).accept(tcp).await
    }

    fn standing(&self, stream: &TlsStream<TcpStream>) -> Result<Option<Arc<Standing>>, Refusal> {
        let Some(chain) = stream.get_ref().1.peer_certificates() else {
            return if self.door == Door::Pages { Ok(None) } else { Err(Refusal::NoCertificate) };
        };
        let standing = Standing::new(chain, Side::Client, self.trust.clone(), self.clock.clone())?;
        Ok(Some(Arc::new(standing)))
    }

    fn share(&self, standing: Option<&Standing>, remote: SocketAddr) -> Option<Box<dyn Send>> {
        match standing {
            None => Some(Box::new(self.strangers.take(network(remote.ip()))?)),
            Some(standing) => Some(Box::new(self.callers.take(caller(standing))?)),
        }
    }

    /// Why a certificate was refused was logged by the verifier, with the name it claims; this covers everything else.
    fn failed(&self, remote: SocketAddr, error: &dyn std::error::Error) -> Option<Accepted> {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%remote, %error, "handshake failed");
        None
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
