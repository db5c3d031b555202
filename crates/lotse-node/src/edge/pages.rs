//! HTTP for browsers over accepted connections.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::accept::{self, Accepted, Limits, Port};
use super::allowance::{Allowance, Allowances};
use super::grpc::{Ages, MAX_HEADER_BYTES};
use super::unread;

/// Open streams of one connection.
const MAX_STREAMS: u32 = 32;

/// How long a browser may take to send the head of a later request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a browser is told that leaves unread what it asked for. Its pages wait in memory until they are sent.
const TOO_MUCH: &str = "Zu viele Seiten warten darauf, gelesen zu werden. Bitte warten Sie kurz und laden Sie diese dann neu.\n\
    Too many pages wait to be read. Please wait a moment, then load this one again.\n";

/// Serves pages at a port until told to stop. Each request carries the connection's `ConnectInfo`.
pub async fn serve_pages(port: Port, router: Router, stop: CancellationToken) {
    let ages = Ages::new(port.limits().max_age);
    let (builder, patience) = (builder(port.limits()), port.limits().first_request);
    let unread = Arc::new(Allowances::new(port.limits().unread_bytes_per_caller));
    let handle = {
        let stop = stop.clone();
        move |connection: Accepted| {
            let answers = Answers { router: router.clone(), unread: unread.of(&accept::name(connection.info())) };
            serve_connection(connection, (builder.clone(), answers), sleep(patience), ages.next(), stop.clone())
        }
    };
    port.run(stop, handle).await;
}

/// The pages as one connection sees them.
#[derive(Clone)]
struct Answers {
    router: Router,
    unread: Arc<Allowance>,
}

impl Answers {
    /// Answers a request, or refuses it if too much of what this caller asked for is not read.
    async fn to(mut self, request: Request<Incoming>) -> Result<Response, Infallible> {
        // More than one is a sign of a request that two readers read differently (RFC 9112, section 3.2).
        if request.headers().get_all(HOST).iter().count() > 1 {
            return Ok(StatusCode::BAD_REQUEST.into_response());
        }
        let Ok(place) = unread::place(&self.unread) else { return Ok(too_much()) };
        let answer = self.router.call(request).await?;
        Ok(unread::page(answer, place).await.unwrap_or_else(too_much))
    }
}

fn too_much() -> Response {
    let head = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, head, TOO_MUCH).into_response()
}

/// Serves a browser. hyper waits without end for the word that tells HTTP/1 from HTTP/2, and for the rest of HTTP/2's preface: who
/// has asked nothing when `silent` is over is hung up on.
async fn serve_connection(
    connection: Accepted,
    (builder, answers): (Builder<TokioExecutor>, Answers),
    silent: Sleep,
    age: Duration,
    stop: CancellationToken,
) {
    let info = connection.info().clone();
    let asked = CancellationToken::new();
    let asks = asked.clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        asks.cancel();
        request.extensions_mut().insert(info.clone());
        answers.clone().to(request)
    });
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(connection), answer));
    let asked_to_leave = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(age) => {}
        }
    };
    let said_nothing = async {
        silent.await;
        if asked.is_cancelled() {
            pending::<()>().await;
        }
    };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = said_nothing => return tracing::debug!("a connection that asked for nothing is closed"),
        () = asked_to_leave => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        // Browsers break off connections all the time.
        tracing::debug!(%error, "a browser's connection ended");
    }
}

/// Builds a server with every limit that hyper would leave open.
fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(limits.silence)
        .keep_alive_timeout(limits.sign_of_life);
    builder
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Extension;
    use axum::routing::get;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::client::TlsStream;

    use super::*;
    use crate::edge::ConnectInfo;
    use crate::identity::Role;
    use crate::tls::Door;
    use crate::tls::tests::kit::World;

    /// Answers with who asks.
    async fn who(Extension(info): Extension<ConnectInfo>) -> String {
        info.standing.map_or_else(String::new, |standing| standing.identity().to_string())
    }

    async fn open(limits: Limits) -> World {
        let pages = Router::new().route("/", get(who));
        World::open_with(Door::Pages, limits, |port, stop| serve_pages(port, pages, stop)).await
    }

    async fn browser(world: &World) -> TlsStream<TcpStream> {
        let client = world.client(&world.own.card(Role::Officer, "anna"));
        let tcp = TcpStream::connect(world.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap()
    }

    async fn ask(stream: &mut TlsStream<TcpStream>) {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("spiffe://own.example/officer/anna"));
    }

    #[tokio::test]
    async fn who_asks_for_nothing_or_says_it_slowly_is_hung_up_on_and_who_has_asked_is_not() {
        let world = open(Limits { first_request: Duration::from_millis(500), ..Limits::default() }).await;
        let mut good = browser(&world).await;
        ask(&mut good).await;
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        for said in [b"".as_slice(), b"P", b"GET / HTTP/1.1\r\nhost: loc", &preface[..20], preface] {
            let mut slow = browser(&world).await;
            slow.write_all(said).await.unwrap();
            let ended = timeout(Duration::from_secs(9), slow.read_to_end(&mut Vec::new())).await;
            assert!(ended.is_ok(), "still open after {said:?}");
        }
        let (mut dripping, since) = (browser(&world).await, Instant::now());
        while dripping.write_all(b"G").await.is_ok() {
            assert!(since.elapsed() < Duration::from_secs(9), "a byte now and then keeps it open");
            sleep(Duration::from_millis(50)).await;
        }
        ask(&mut good).await;
    }

    #[tokio::test]
    async fn a_request_with_two_hosts_is_refused() {
        let world = open(Limits::default()).await;
        let mut stream = browser(&world).await;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n").await.unwrap();
        let mut answer = [0; 1024];
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 400"));
    }

    #[tokio::test]
    async fn a_browser_is_answered_until_the_port_stops() {
        let world = open(Limits::default()).await;
        let mut stream = browser(&world).await;
        for _ in 0..2 {
            ask(&mut stream).await;
        }
        drop(world);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "the idle connection is closed");
    }
}
