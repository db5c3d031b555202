//! What is served at which port, and which tasks work beside it: the table of contents of a running node.

use std::sync::Arc;

use axum::Router;
use tonic::service::Routes;

use crate::courier::{self, Couriers};
use crate::desk::Desk;
use crate::edge::Connector;
use crate::grpc::access::guard;
use crate::grpc::call::observe;
use crate::grpc::{admin, audit, consent, health, inbox, peer, referral};
use crate::housekeeping;
use crate::lifecycle::{Lifecycle, Stage};
use crate::node::Node;
use crate::tls::Credentials;
use crate::web;

/// What services and tasks share beside the node itself.
pub(super) struct Services {
    node: Arc<Node>,
    couriers: Arc<Couriers>,
    desk: Arc<Desk>,
    connector: Connector,
}

impl Services {
    pub(super) fn new(node: &Arc<Node>, credentials: &Arc<Credentials>) -> Services {
        let couriers = Arc::new(Couriers::default());
        Services {
            node: node.clone(),
            couriers: couriers.clone(),
            desk: Desk::new(node.clone(), couriers),
            connector: Connector {
                credentials: credentials.clone(),
                clock: node.clock.clone(),
                addresses: node.config.peer.callable(),
            },
        }
    }

    /// Services for other agencies' nodes.
    pub(super) fn for_peers(&self) -> Routes {
        observe(&self.node, guard(&self.node, Routes::new(peer::service(self.node.clone()))))
    }

    /// Services for the agency's own systems, officers and administrators; the guard asks for the caller's role and grants.
    pub(super) fn for_agency(&self) -> Routes {
        let routes = Routes::new(referral::service(self.node.clone(), self.desk.clone()))
            .add_service(consent::service(self.node.clone()))
            .add_service(inbox::service(self.node.clone()))
            .add_service(audit::service(self.node.clone()))
            .add_service(admin::service(self.node.clone()))
            .add_service(health::service(self.node.clone()));
        observe(&self.node, guard(&self.node, routes))
    }

    /// Pages for officers with their browsers; each asks who is looking.
    pub(super) fn for_officers(&self) -> Router {
        web::router(self.node.clone())
    }

    /// Tasks beside the ports.
    pub(super) fn spawn(&self, lifecycle: &Lifecycle) {
        let (node, couriers, connector) = (&self.node, &self.couriers, &self.connector);
        lifecycle.spawn(Stage::Serving, "couriers", |stop| {
            courier::run(node.clone(), couriers.clone(), connector.clone(), stop)
        });
        lifecycle.spawn(Stage::Serving, "duties", |stop| courier::duty::run(node.clone(), connector.clone(), stop));
        lifecycle.spawn(Stage::Serving, "housekeeping", |stop| housekeeping::run(node.clone(), stop));
    }
}
