//! What is served at which port, and which tasks work beside it: the table of contents of a running node.

use std::sync::Arc;

use tonic::service::Routes;

use crate::courier::{self, Couriers};
use crate::desk::Desk;
use crate::edge::Connector;
use crate::lifecycle::{Lifecycle, Stage};
use crate::node::Node;
use crate::tls::Credentials;

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
        Routes::default()
    }

    /// Services for the agency's own systems, officers and administrators; each asks for the caller's role.
    pub(super) fn for_agency(&self) -> Routes {
        Routes::default()
    }

    /// Tasks beside the ports.
    pub(super) fn spawn(&self, lifecycle: &Lifecycle) {
        let (node, couriers, connector) = (self.node.clone(), self.couriers.clone(), self.connector.clone());
        lifecycle.spawn(Stage::Serving, "couriers", |stop| courier::run(node, couriers, connector, stop));
    }
}
