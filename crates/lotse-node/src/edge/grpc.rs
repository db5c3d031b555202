//! gRPC over accepted connections, and who is calling.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::stream::{StreamExt, once, pending};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::{Request, Status};

use super::accept::{self, Accepted, Limits, Port};
use super::allowance::Allowances;
use super::calls::Calls;
use super::connection::ConnectInfo;
use super::window::Window;
use crate::tls::Standing;

/// The largest gRPC message, to be set on each service for both directions: tonic limits only what it decodes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Open streams of one connection: more than the calls that are worked on at the same time, so that a call too many is told why.
const MAX_STREAMS: u32 = 1024;

/// Streams the caller opened and reset again before they were looked at (rapid reset).
const MAX_PENDING_RESETS: usize = 32;

/// Streams reset here because the caller broke the protocol.
const MAX_ERROR_RESETS: usize = 256;

/// All header fields of one call.
pub(super) const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// The largest HTTP/2 frame.
const MAX_FRAME_BYTES: u32 = 64 * 1024;

/// What a client says first (RFC 9113, section 3.4): `PRI * HTTP/2.0 … SM`.
const PREFACE_BYTES: usize = 24;

/// How often a silent connection is asked for a sign of life.
pub(super) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to give one.
pub(super) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call may take to its first answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Who is calling: a certificate that counts now. A service with a long stream calls its `check` on each batch.
pub type Caller = Arc<Standing>;

/// Returns who is calling, or UNAUTHENTICATED. The certificate was parsed once, at the handshake.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let info = request.extensions().get::<ConnectInfo>();
    let standing = info.and_then(|info| info.standing.clone());
    let standing = standing.ok_or_else(|| Status::unauthenticated("a client certificate is needed here"))?;
    standing.check().map_err(|refusal| Status::unauthenticated(refusal.to_string()))?;
    Ok(standing)
}

/// Serves services at a port until told to stop.
///
/// Each connection has a tonic server of its own: only so connections end at different ages, and all services of a port
/// still share their state.
pub async fn serve(port: Port, routes: Routes, stop: CancellationToken) {
    let routes = routes.prepare();
    let limits = port.limits().clone();
    let ages = Ages::new(limits.max_age);
    let unfinished = Arc::new(Allowances::new(limits.unfinished_bytes_per_caller));
    let unread = Arc::new(Allowances::new(limits.unread_bytes_per_caller));
    let windows = Arc::new(Allowances::new(limits.window_bytes_per_caller));
    let handle = {
        let stop = stop.clone();
        move |connection: Accepted| {
            let name = accept::name(connection.info());
            let calls = Calls::new(routes.clone(), limits.calls_per_connection, unfinished.of(&name), unread.of(&name));
            let connection = connection.expecting(PREFACE_BYTES, limits.first_request);
            let window = Window::open(&windows.of(&name));
            let server = server(&limits, ages.next(), &window);
            let served = serve_connection(connection, calls, server, stop.clone());
            async move {
                served.await;
                drop(window);
            }
        }
    };
    port.run(stop, handle).await;
}

async fn serve_connection(connection: Accepted, calls: Calls, server: Server, stop: CancellationToken) {
    let closed = connection.closed();
    let end = async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = closed.cancelled() => {}
        }
    };
    let incoming = once(ready(Ok::<_, Infallible>(connection))).chain(pending());
    if let Err(error) = server.serve_with_incoming_shutdown(calls, incoming, end).await {
        tracing::warn!(%error, "cannot serve a connection");
    }
}

/// Builds a server with every limit that tonic would leave open.
///
/// The grace is not set here: tonic 0.14 then cuts without asking the caller to leave first. `Connection` cuts.
fn server(limits: &Limits, age: Duration, window: &Window) -> Server {
    Server::builder()
        .max_connection_age(age)
        .timeout(CALL_TIMEOUT)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .max_frame_size(MAX_FRAME_BYTES)
        .initial_stream_window_size(window.stream)
        .initial_connection_window_size(window.connection)
        .http2_keepalive_interval(Some(limits.silence))
        .http2_keepalive_timeout(Some(limits.sign_of_life))
}

/// Spreads the ages of connections evenly between 0.9 and 1.1 of the greatest (golden ratio), so that callers who came
/// together do not come back together.
pub(super) struct Ages {
    max_age: Duration,
    next: AtomicU32,
}

impl Ages {
    /// Begins with ages around a greatest one.
    pub(super) fn new(max_age: Duration) -> Arc<Ages> {
        Arc::new(Ages { max_age, next: AtomicU32::new(0) })
    }

    /// Returns the age of the next connection.
    pub(super) fn next(&self) -> Duration {
        const GOLDEN: u32 = 0x9e37_79b9;
        let place = self.next.fetch_add(GOLDEN, Ordering::Relaxed);
        self.max_age.mul_f64(0.9 + 0.2 * f64::from(place) / f64::from(u32::MAX))
    }
}
