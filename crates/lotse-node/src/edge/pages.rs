//! HTTP for browsers over accepted connections.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::accept::{Accepted, Limits, Port};
use super::grpc::{Ages, MAX_HEADER_BYTES};

/// Open streams of one connection.
const MAX_STREAMS: u32 = 32;

/// How long a browser may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves pages at a port until told to stop. Each request carries the connection's `ConnectInfo`.
pub async fn serve_pages(port: Port, router: Router, stop: CancellationToken) {
    let ages = Ages::new(port.limits().max_age);
    let builder = builder(port.limits());
    let handle = {
        let stop = stop.clone();
        move |connection| serve_connection(connection, (builder.clone(), router.clone()), ages.next(), stop.clone())
    };
    port.run(stop, handle).await;
}

async fn serve_connection(
    connection: Accepted,
    (builder, router): (Builder<TokioExecutor>, Router),
    age: Duration,
    stop: CancellationToken,
) {
    let info = connection.info().clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        call(router.clone(), request)
    });
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(connection), answer));
    let asked_to_leave = async {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(age) => {}
        }
    };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
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

async fn call(mut router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    router.call(request).await
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
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::edge::ConnectInfo;
    use crate::identity::Role;
    use crate::tls::Door;
    use crate::tls::tests::kit::World;

    /// Answers with who asks.
    async fn who(Extension(info): Extension<ConnectInfo>) -> String {
        info.standing.map_or_else(String::new, |standing| standing.identity().to_string())
    }

    #[tokio::test]
    async fn a_browser_is_answered_until_the_port_stops() {
        let pages = Router::new().route("/", get(who));
        let serve = |port, stop| serve_pages(port, pages, stop);
        let world = World::open_with(Door::Pages, Limits::default(), serve).await;
        let client = world.client(&world.own.card(Role::Officer, "anna"));
        let tcp = TcpStream::connect(world.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, tcp).await.unwrap();
        for _ in 0..2 {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            let mut answer = [0; 1024];
            let length = stream.read(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer[..length]);
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("spiffe://own.example/officer/anna"));
        }
        drop(world);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "the idle connection is closed");
    }
}
