//! Whether the node serves (gRPC health checking protocol, `grpc.health.v1`), for load balancers and monitoring inside the agency.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::edge::{MAX_MESSAGE_BYTES, caller};
use crate::grpc::access::{self, Callers, Rpc};
use crate::node::Node;

/// Makes the service.
pub fn service(node: Arc<Node>) -> HealthServer<Probe> {
    HealthServer::new(Probe { node })
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES)
}

/// The service.
pub struct Probe {
    node: Arc<Node>,
}

impl Probe {
    fn admit(&self, request: &Request<HealthCheckRequest>, rpc: Rpc) -> Result<bool, Status> {
        rpc.admits(&self.node, caller(request)?.identity())?;
        Ok(is_served(&request.get_ref().service))
    }
}

/// Tells whether a service is one of the agency port; the empty name stands for all of them.
fn is_served(service: &str) -> bool {
    let here = |rpc: &&Rpc| !matches!(rpc.callers, Callers::Peers | Callers::PeersWhoExchange);
    service.is_empty() || access::TABLE.iter().filter(here).any(|rpc| rpc.service == service)
}

#[tonic::async_trait]
impl Health for Probe {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.admit(&request, access::HEALTH_CHECK)? {
            return Err(Status::not_found(
                "there is no such service at this port: ask for one of it, or for all with an empty name",
            ));
        }
        Ok(Response::new(answer(*self.node.signals.serving.borrow())))
    }

    type WatchStream = ReceiverStream<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let served = self.admit(&request, access::HEALTH_WATCH)?;
        let (out, answers) = mpsc::channel(1);
        tokio::spawn(watch(self.node.clone(), served, out));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// Tells each change; ends when the node stops.
async fn watch(node: Arc<Node>, served: bool, out: mpsc::Sender<Result<HealthCheckResponse, Status>>) {
    let mut serving = node.signals.serving.subscribe();
    loop {
        let now = *serving.borrow_and_update();
        let told = if served { answer(now) } else { response(ServingStatus::ServiceUnknown) };
        if out.send(Ok(told)).await.is_err() || node.signals.stopping.is_cancelled() {
            return;
        }
        tokio::select! {
            () = out.closed() => return,
            changed = serving.changed() => if changed.is_err() { return },
        }
    }
}

fn answer(serving: bool) -> HealthCheckResponse {
    response(if serving { ServingStatus::Serving } else { ServingStatus::NotServing })
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
