//! Calls as they are told to operators: a span and a duration for each, and the trace that a caller gave.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, Request, Response};
use hyper::body::{Frame, SizeHint};
use lotse_core::agreement::words::Language;
use lotse_core::time::Timestamp;
use opentelemetry::KeyValue;
use tokio::time::Instant;
use tonic::Code;
use tonic::service::Routes;
use tower::{Layer, Service};

use super::access::{Callers, Rpc};
use crate::language::preferred;
use crate::node::Node;
use crate::telemetry::trace::{Place, SpanId, TRACEPARENT, TraceId, within};
use crate::telemetry::{Span, SpanKind};

/// Name of every call that no service has.
const NO_SUCH_RPC: &str = "unknown";

/// Returns the trace that a caller gave, and the call's place in it.
pub fn given<T>(request: &tonic::Request<T>) -> Option<Place> {
    let text = request.metadata().get(TRACEPARENT)?.to_str().ok()?;
    let caller = Place::from_traceparent(text)?;
    Some(request.extensions().get::<Place>().copied().unwrap_or(caller))
}

/// Returns the trace of a call and its place in it: the caller's trace if it gave one, else the call's own if calls are told.
pub fn place<T>(request: &tonic::Request<T>) -> Option<Place> {
    given(request).or_else(|| request.extensions().get::<Place>().copied())
}

/// Returns the trace of a call, for what its entry in the own log says. It goes to nobody else: what crosses to another agency
/// is derived from it.
pub fn trace<T>(request: &tonic::Request<T>) -> Option<TraceId> {
    place(request).map(|place| place.trace)
}

/// The facts about a call that the answers to its messages need.
#[derive(Clone, Copy)]
pub struct CallContext {
    /// Trace of the call.
    pub trace: Option<TraceId>,
    /// Language in which its caller reads.
    pub language: Language,
}

impl CallContext {
    /// Reads them from a request.
    pub fn of<T>(request: &tonic::Request<T>) -> CallContext {
        CallContext { trace: trace(request), language: language(request) }
    }
}

/// Returns the language in which a caller reads messages, from its metadata `accept-language`; English unless it asks for German.
pub fn language<T>(request: &tonic::Request<T>) -> Language {
    let accepted = request.metadata().get(ACCEPT_LANGUAGE.as_str()).and_then(|value| value.to_str().ok());
    accepted.and_then(preferred).unwrap_or(Language::English)
}

/// The same of a call that has not reached its service.
pub fn trace_before<B>(request: &Request<B>) -> Option<TraceId> {
    let given = || Place::from_traceparent(request.headers().get(TRACEPARENT)?.to_str().ok()?);
    request.extensions().get::<Place>().copied().or_else(given).map(|place| place.trace)
}

/// Tells of every call to these services, if there is anybody to tell.
pub fn observe(node: &Arc<Node>, routes: Routes) -> Routes {
    if node.telemetry.is_on() { Routes::from(routes.into_axum_router().layer(Observe(node.clone()))) } else { routes }
}

#[derive(Clone)]
struct Observe(Arc<Node>);

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { node: self.0.clone(), inner }
    }
}

/// Services whose calls are told.
#[derive(Clone)]
struct Observed<S> {
    node: Arc<Node>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Observed<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = Call::begin(&self.node, request.uri().path(), request.headers());
        request.extensions_mut().insert(call.place);
        let answer = within(Some(call.place), self.inner.call(request));
        Box::pin(async move { Ok(call.answered(answer.await?)) })
    }
}

/// A call that has begun. Dropped before its end it counts as cancelled.
struct Call {
    node: Arc<Node>,
    name: &'static str,
    place: Place,
    parent: Option<SpanId>,
    begun: Timestamp,
    started: Instant,
    told: bool,
}

impl Call {
    fn begin(node: &Arc<Node>, path: &str, headers: &HeaderMap) -> Call {
        let rpc = Rpc::from_path(path);
        // Nothing but the trace id inside an envelope crosses between agencies.
        let own = rpc.is_some_and(|rpc| !matches!(rpc.callers, Callers::Peers | Callers::PeersWhoExchange));
        let text = headers.get(TRACEPARENT).filter(|_| own).and_then(|value| value.to_str().ok());
        let caller = text.and_then(Place::from_traceparent);
        let trace = caller.map_or_else(|| TraceId::random(&*node.random), |caller| caller.trace);
        Call {
            node: node.clone(),
            name: rpc.map_or(NO_SUCH_RPC, |rpc| rpc.name),
            place: Place { trace, span: SpanId::random(&*node.random) },
            parent: caller.map(|caller| caller.span),
            begun: node.now(),
            started: Instant::now(),
            told: false,
        }
    }

    /// Goes on with the answer: a refusal stands in its head, an end in its trailers.
    fn answered(mut self, response: Response<Body>) -> Response<Body> {
        if let Some(code) = code(response.headers()) {
            self.end(code);
            return response;
        }
        response.map(|inner| Body::new(Answer { inner, call: self }))
    }

    fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (telemetry, code) = (&self.node.telemetry, name(code));
        telemetry.instruments().into_iter().for_each(|all| all.called(self.name, code, self.started.elapsed()));
        telemetry.tell(Span {
            name: self.name,
            kind: SpanKind::Server,
            place: self.place,
            parent: self.parent,
            cause: None,
            begun: self.begun,
            attributes: vec![
                KeyValue::new("rpc.system.name", "grpc"),
                KeyValue::new("rpc.method", self.name),
                KeyValue::new("rpc.response.status_code", code),
            ],
            failed: (code != name(Code::Ok)).then_some(code),
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// The answer to a call, which is over when its trailers are written.
struct Answer {
    inner: Body,
    call: Call,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(code) = frame.trailers_ref().and_then(code)
        {
            self.call.end(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()))
}

/// Writes a code as the gRPC specification names it.
const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
