//! What is served at which port, and which tasks work beside it: the table of contents of a running node.

use std::sync::Arc;

use tonic::service::Routes;

use crate::edge::Connector;
use crate::lifecycle::Lifecycle;
use crate::node::Node;
use crate::tls::Credentials;

/// Returns what opens channels to peers.
pub(super) fn connector(node: &Arc<Node>, credentials: &Arc<Credentials>) -> Connector {
    Connector { credentials: credentials.clone(), clock: node.clock.clone(), addresses: node.config.peer.callable() }
}

/// Services for other agencies' nodes.
pub(super) fn for_peers(_node: &Arc<Node>, _connector: &Connector) -> Routes {
    Routes::default()
}

/// Services for the agency's own systems, officers and administrators; each asks for the caller's role.
pub(super) fn for_agency(_node: &Arc<Node>) -> Routes {
    Routes::default()
}

/// Tasks beside the ports.
pub(super) fn spawn(_node: &Arc<Node>, _credentials: &Arc<Credentials>, _lifecycle: &Lifecycle) {}
