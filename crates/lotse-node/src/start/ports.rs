//! The ports: bound, told in `run/ports.toml`, served.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tonic::service::Routes;

use super::services::Services;
use crate::edge::{Port, serve, serve_pages};
use crate::folder::Folder;
use crate::lifecycle::{Lifecycle, Stage};
use crate::node::Node;
use crate::pki::files::write_public;
use crate::tls::{Credentials, Door};

/// Where a running node listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// Other agencies' nodes.
    pub peer: SocketAddr,
    /// The agency's own systems, officers and administrators.
    pub agency: SocketAddr,
    /// Officers' pages, if they are served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<SocketAddr>,
}

impl Ports {
    /// Writes them into the folder, for commands.
    pub(super) fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        let text = toml::to_string(self)?;
        write_public(&folder.ports(), &text).with_context(|| format!("cannot write {}", folder.ports().display()))
    }
}

/// Binds all ports, so that a node that cannot serve does not start, and serves them.
pub(super) async fn open(
    node: &Arc<Node>,
    credentials: &Arc<Credentials>,
    services: &Services,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Ports> {
    let listen = &node.config.listen;
    let peer = bind("[listen] peer", listen.peer).await?;
    let agency = bind("[listen] agency", listen.agency).await?;
    let pages = match listen.pages {
        Some(address) => Some(bind("[listen] pages", address).await?),
        None => None,
    };
    let ports = Ports {
        peer: peer.local_addr()?,
        agency: agency.local_addr()?,
        pages: pages.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    run(node, credentials, lifecycle, (peer, Door::Peer, services.for_peers()))?;
    run(node, credentials, lifecycle, (agency, Door::Agency, services.for_agency()))?;
    if let Some(listener) = pages {
        run_pages(node, credentials, lifecycle, (listener, services.for_officers()))?;
    }
    Ok(ports)
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}, see {key} in lotse.toml"))
}

fn run(
    node: &Arc<Node>,
    credentials: &Arc<Credentials>,
    lifecycle: &Lifecycle,
    (listener, door, routes): (TcpListener, Door, Routes),
) -> anyhow::Result<()> {
    let port = Port::new(listener, door, credentials, node.clock.clone(), node.config.listen.limits())?;
    let name = if door == Door::Peer { "peer port" } else { "agency port" };
    node.ports.add(name, port.counts());
    lifecycle.spawn(Stage::Serving, name, |stop| serve(port, routes, stop));
    Ok(())
}

fn run_pages(
    node: &Arc<Node>,
    credentials: &Arc<Credentials>,
    lifecycle: &Lifecycle,
    (listener, router): (TcpListener, Router),
) -> anyhow::Result<()> {
    let port = Port::new(listener, Door::Pages, credentials, node.clock.clone(), node.config.listen.limits())?;
    node.ports.add("pages port", port.counts());
    lifecycle.spawn(Stage::Serving, "pages port", |stop| serve_pages(port, router, stop));
    Ok(())
}
