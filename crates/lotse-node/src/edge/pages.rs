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

use super::accept::{Accepted, Port};
use super::grpc::{Ages, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT, MAX_HEADER_BYTES};

/// Open streams of one connection.
const MAX_STREAMS: u32 = 32;

/// How long a browser may take to send the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves pages at a port until told to stop. Each request carries the connection's `ConnectInfo`.
pub async fn serve_pages(port: Port, router: Router, stop: CancellationToken) {
    let ages = Ages::new(port.limits().max_age);
    let handle = {
        let stop = stop.clone();
        move |connection| serve_connection(connection, router.clone(), ages.next(), stop.clone())
    };
    port.run(stop, handle).await;
}

async fn serve_connection(connection: Accepted, router: Router, age: Duration, stop: CancellationToken) {
    let info = connection.info().clone();
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        call(router.clone(), request)
    });
    let builder = builder();
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
fn builder() -> Builder<TokioExecutor> {
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
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    builder
}
