//! The guard before all services of a port: asks the table, and logs who was denied.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use lotse_core::agreement::{KnownAgreement, in_force};
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use tonic::Status;
use tonic::service::Routes;
use tower::{Layer, Service};

use super::{Callers, Rpc, denied};
use crate::edge::{ConnectInfo, caller};
use crate::entry::{self, Decision, Draft, EntryKind};
use crate::failure::Failure;
use crate::grpc::call;
use crate::identity::{Identity, Role};
use crate::node::Node;
use crate::telemetry::trace::TraceId;

/// Puts the guard before services.
pub fn guard(node: &Arc<Node>, routes: Routes) -> Routes {
    Routes::from(routes.into_axum_router().layer(GuardLayer(node.clone())))
}

#[derive(Clone)]
struct GuardLayer(Arc<Node>);

impl<S> Layer<S> for GuardLayer {
    type Service = Guard<S>;

    fn layer(&self, inner: S) -> Guard<S> {
        Guard { node: self.0.clone(), inner }
    }
}

/// Services behind the guard.
#[derive(Clone)]
struct Guard<S> {
    node: Arc<Node>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Guard<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone that is kept has not been asked whether it is ready; the one that was is used.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        let node = self.node.clone();
        Box::pin(async move {
            let (info, trace) = (request.extensions().get().cloned(), call::trace_before(&request));
            match check(&node, info, request.uri().path(), trace).await {
                Ok(()) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

/// Decides on a call.
pub(super) async fn check(
    node: &Arc<Node>,
    info: Option<ConnectInfo>,
    path: &str,
    trace: Option<TraceId>,
) -> Result<(), Status> {
    let mut request = tonic::Request::new(());
    info.and_then(|info| request.extensions_mut().insert(info));
    let caller = caller(&request)?;
    let identity = caller.identity();
    // Nobody was denied anything: a client asks what there is, or somebody opens the port with a browser.
    let rpc = Rpc::from_path(path).ok_or_else(no_such_rpc)?;
    if identity.role() == Role::Node {
        node.called_by(identity.agency());
    }
    match admits(node, identity, rpc).await {
        Ok(()) => Ok(()),
        Err(failure) => {
            log_denial(node, identity, rpc.name.to_string(), &failure, trace).await;
            Err(failure.into())
        }
    }
}

fn no_such_rpc() -> Status {
    Status::unimplemented("there is no such call: proto/ROLES.md lists all, and no node has reflection")
}

async fn admits(node: &Node, identity: &Identity, rpc: Rpc) -> Result<(), Failure> {
    rpc.admits(node, identity)?;
    match rpc.callers {
        Callers::Peers | Callers::PeersWhoExchange if !node.federation.get().peers.contains_key(identity.agency()) => {
            Err(denied(Reason::PeerUnknown))
        }
        Callers::PeersWhoExchange => may_exchange(node, identity.agency()).await,
        _ => Ok(()),
    }
}

/// An agreement in force lets a peer exchange; without one, duties go on as long as either side may hold anything.
async fn may_exchange(node: &Node, peer: &AgencyId) -> Result<(), Failure> {
    let (federation, at) = (node.federation.get(), node.now());
    let is_active = |known: &KnownAgreement, agency| known.agreement.active_party(agency, at).is_some();
    let agreed = in_force(&federation.agreements, at)
        .into_iter()
        .any(|known| is_active(known, peer) && is_active(known, &node.agency));
    if agreed {
        return Ok(());
    }
    let peer = peer.clone();
    let exchanged = node
        .store
        .read("has_exchanged", move |tx| Box::pin(async move { lotse_store::peer::has_exchanged(tx, &peer).await }));
    if exchanged.await? { Ok(()) } else { Err(denied(Reason::NoAgreement)) }
}

/// Logs a denial, at most one a minute for the same caller and RPC. A peer counts as one caller, whatever its certificates
/// are called, and its traces are none of this node's business.
async fn log_denial(node: &Arc<Node>, identity: &Identity, rpc: String, failure: &Failure, trace: Option<TraceId>) {
    let peer = (identity.role() == Role::Node).then(|| identity.agency().clone());
    let who = peer.as_ref().map_or_else(|| identity.to_string(), AgencyId::to_string);
    let Some(count) = node.federation.refusals.count(&format!("{who} {rpc}"), node.now()) else { return };
    tracing::info!(%identity, %rpc, reason = %failure.reason(), times = count, "a call was denied");
    let remark = if count > 1 { format!("{rpc} ×{count}") } else { rpc };
    let trace = trace.filter(|_| peer.is_none());
    let draft = Draft {
        peer,
        actor: identity.to_string(),
        decision: Decision::Refuse,
        reasons: vec![failure.reason()],
        remark,
        ..Draft::of(trace)
    };
    if let Err(error) = entry::record(node, "deny", vec![(EntryKind::Denied, draft)]).await {
        tracing::error!(%error, "a denial could not be logged");
    }
}
