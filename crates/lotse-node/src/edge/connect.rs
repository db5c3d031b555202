//! Channels to other nodes: the agency is named, its node proves itself, the host name proves nothing.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lotse_core::id::AgencyId;
use lotse_core::time::Clock;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use rustls::{ClientConfig, OtherError};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::connection::{ConnectInfo, Connection};
use super::dial::{Attempt, first_answer};
use super::grpc::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
use super::line::Line;
use super::window::{CONNECTION_WINDOW_BYTES, STREAM_WINDOW_BYTES};
use crate::identity::Side;
use crate::tls::{Credentials, Refusal, Standing, TlsError};

/// How long it may take until a connection stands, handshake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// All header fields of one answer.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// When a connection is cut that the called node has not ended itself; the nodes of this program ask to leave earlier.
const MAX_AGE: Duration = Duration::from_secs(12 * 60);

/// Which addresses may be called. Endpoints come from other agencies' cards and must not lead into the own machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// All but loopback, link-local (with the clouds' metadata services), unspecified and multicast ones.
    Routed,
    /// Loopback too: demonstration and tests.
    RoutedAndLoopback,
}

impl Addresses {
    /// Tells whether an address may be called.
    pub fn allow(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if address.is_loopback() {
            return self == Addresses::RoutedAndLoopback;
        }
        let link_local = match address {
            IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
            IpAddr::V6(address) => address.is_unicast_link_local() || address == CLOUD_METADATA_V6,
        };
        !(link_local || address.is_unspecified() || address.is_multicast() || address == CLOUD_METADATA_V4)
    }

    /// Tells whether an endpoint, `host:port`, may be called, as far as it shows without asking DNS.
    pub fn may_allow(self, endpoint: &str) -> bool {
        let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host).trim_matches(['[', ']']);
        match host.parse() {
            Ok(address) => self.allow(address),
            Err(_) if host.to_lowercase().split('.').next_back() == Some("localhost") => {
                self == Addresses::RoutedAndLoopback
            }
            Err(_) => true,
        }
    }
}

/// Metadata services outside the link-local range (AWS over IPv6, Alibaba).
const CLOUD_METADATA_V6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const CLOUD_METADATA_V4: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(100, 100, 100, 200));

/// Why no channel could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint has another form.
    #[error("not an endpoint: use host:port")]
    Endpoint,
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens channels with the own certificate.
#[derive(Clone)]
pub struct Connector {
    /// The own certificate.
    pub credentials: Arc<Credentials>,
    /// The clock by which a live connection's certificate is checked.
    pub clock: Arc<dyn Clock>,
    /// Which addresses may be called.
    pub addresses: Addresses,
}

impl Connector {
    /// Makes a channel to an agency's node at `host:port`. It connects at the first call and again whenever needed, and
    /// then uses the certificates and bundles of that moment.
    ///
    /// A refused client certificate shows as a broken connection: in TLS 1.3 the caller is refused after it believes itself
    /// connected.
    pub fn channel(&self, endpoint: &str, expected: &AgencyId) -> Result<Channel, ConnectError> {
        self.channel_over(None, endpoint, expected)
    }

    /// The same with connections that end at once when the line is cut.
    pub fn channel_on(&self, line: &Line, endpoint: &str, expected: &AgencyId) -> Result<Channel, ConnectError> {
        self.channel_over(Some(line.clone()), endpoint, expected)
    }

    fn channel_over(&self, line: Option<Line>, endpoint: &str, expected: &AgencyId) -> Result<Channel, ConnectError> {
        let call = Arc::new(self.call(line, endpoint, expected)?);
        let authority = &call.target.authority;
        // The scheme https would make tonic look for its own TLS; the origin tells the other end the truth.
        let origin = format!("https://{authority}").parse().map_err(|_| ConnectError::Endpoint)?;
        let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(|_| ConnectError::Endpoint)?;
        Ok(endpoint
            .origin(origin)
            // The call has its own limit, which names the addresses that were tried.
            .connect_timeout(2 * CONNECT_TIMEOUT)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .connect_with_connector_lazy(tower::service_fn(move |_| {
                let call = call.clone();
                async move { call.open().await.map(TokioIo::new).map_err(io::Error::from) }
            })))
    }

    /// Opens one connection without gRPC on it, to see what the other end says.
    pub async fn open(&self, endpoint: &str, expected: &AgencyId) -> io::Result<Connection<TlsStream<TcpStream>>> {
        Ok(self.call(None, endpoint, expected).map_err(io::Error::other)?.open().await?)
    }

    fn call(&self, line: Option<Line>, endpoint: &str, expected: &AgencyId) -> Result<Call, ConnectError> {
        let (target, config) = (Target::parse(endpoint)?, self.credentials.client_config(expected)?);
        Ok(Call { target, config, connector: self.clone(), line })
    }
}

/// Tells whether a failed call was certainly never sent, so that it can be made again at once: the connection closed before
/// the call's turn came. That is how a call meets a node that asks to leave, and a node that refused the own certificate.
pub fn never_sent(status: &Status) -> bool {
    let mut error: Option<&(dyn Error + 'static)> = status.source();
    while let Some(cause) = error {
        if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
            return cause.is_canceled();
        }
        error = cause.source();
    }
    false
}

/// Why no connection could be opened, and where that was tried: who makes a call over a channel has no other way to learn that.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {}", list(address, attempts))]
pub struct Unreachable {
    /// Host and port that were tried.
    pub address: String,
    attempts: Vec<Attempt>,
}

/// Names what came of each address; of one that was given as address, only the cause.
fn list(address: &str, attempts: &[Attempt]) -> String {
    match attempts {
        [] => "it has no address that may be called".into(),
        [attempt] if attempt.address.is_none_or(|tried| tried.to_string() == address) => attempt.cause.to_string(),
        attempts => attempts.iter().map(Attempt::to_string).collect::<Vec<_>>().join("; "),
    }
}

impl From<Unreachable> for io::Error {
    fn from(unreachable: Unreachable) -> io::Error {
        let kind = unreachable.attempts.first().map_or(io::ErrorKind::PermissionDenied, |first| first.cause.kind());
        io::Error::new(kind, unreachable)
    }
}

impl Unreachable {
    /// Finds it in a failed call; none if the connection stood.
    pub fn find(status: &Status) -> Option<&Unreachable> {
        let mut error: Option<&(dyn Error + 'static)> = status.source();
        while let Some(cause) = error {
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(found);
            }
            error = cause.source();
        }
        None
    }

    /// Returns why the certificate of who answered there was refused; none if nobody's was.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.attempts.iter().find_map(|attempt| match attempt.cause.get_ref()?.downcast_ref()? {
            rustls::Error::Other(OtherError(refusal)) => refusal.downcast_ref(),
            _ => None,
        })
    }

    /// Tells whether somebody answered there and hung up before the handshake had ended: a node does so that has too many connections.
    pub fn is_hung_up(&self) -> bool {
        let hung_up = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        self.attempts.iter().any(|attempt| hung_up.contains(&attempt.cause.kind()))
    }
}

/// Where to call.
struct Target {
    authority: http::uri::Authority,
    port: u16,
    name: ServerName<'static>,
}

impl Target {
    fn parse(endpoint: &str) -> Result<Target, ConnectError> {
        let authority: http::uri::Authority = endpoint.parse().map_err(|_| ConnectError::Endpoint)?;
        let port = authority.port_u16().ok_or(ConnectError::Endpoint)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_: InvalidDnsNameError| ConnectError::Endpoint)?;
        if authority.as_str().contains('@') {
            return Err(ConnectError::Endpoint);
        }
        Ok(Target { authority, port, name })
    }
}

/// What opening a connection needs.
struct Call {
    target: Target,
    config: Arc<ClientConfig>,
    connector: Connector,
    line: Option<Line>,
}

impl Call {
    async fn open(&self) -> Result<Connection<TlsStream<TcpStream>>, Unreachable> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let found = timeout_at(deadline, self.look_up()).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
        let unreachable = |attempts| Unreachable { address: self.target.authority.to_string(), attempts };
        let addresses = found.map_err(|cause| unreachable(vec![Attempt { address: None, cause }]))?;
        first_answer(&addresses, deadline, |address| self.handshake(address)).await.map_err(unreachable)
    }

    /// Finds the addresses of the host that may be called.
    async fn look_up(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.target.name.to_str();
        let found = lookup_host((host.as_ref(), self.target.port)).await?;
        Ok(found.filter(|address| self.connector.addresses.allow(address.ip())).collect())
    }

    async fn handshake(&self, remote: SocketAddr) -> io::Result<Connection<TlsStream<TcpStream>>> {
        let tcp = TcpStream::connect(remote).await?;
        tcp.set_nodelay(true)?;
        let stream = TlsConnector::from(self.config.clone()).connect(self.target.name.clone(), tcp).await?;
        let chain = stream.get_ref().1.peer_certificates().ok_or_else(|| io::Error::other(Refusal::NoCertificate))?;
        let (trust, clock) = (self.connector.credentials.trust().clone(), self.connector.clock.clone());
        let standing = Standing::new(chain, Side::Server, trust, clock).map_err(io::Error::other)?;
        let info = ConnectInfo { remote, standing: Some(Arc::new(standing)) };
        let tie = self.line.as_ref().map(|line| line.tie(stream.get_ref().0)).transpose()?;
        let connection = Connection::new(stream, info, MAX_AGE, Box::new(()));
        Ok(match tie {
            Some(tie) => connection.tied(tie),
            None => connection,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_never_called_shows_by_its_address_or_the_name_of_the_own_machine() {
        for own in ["127.0.0.1:8443", "127.9.9.9:1", "[::1]:8443", "localhost:8443", "node.LOCALHOST:8443"] {
            assert!(!Addresses::Routed.may_allow(own), "{own}");
            assert!(Addresses::RoutedAndLoopback.may_allow(own), "{own}");
        }
        for never in ["0.0.0.0:8443", "169.254.169.254:80", "[fe80::1]:8443", "[::]:8443"] {
            assert!(!Addresses::RoutedAndLoopback.may_allow(never), "{never}");
        }
        for routed in ["10.77.0.1:8443", "[2001:db8::1]:8443", "lotse.jc.example:8443", "localhost.example:8443"] {
            assert!(Addresses::Routed.may_allow(routed), "{routed}");
        }
    }
}
