//! What the running node says of itself, through its admin service.

use std::time::Duration;

use anyhow::Context as _;
use lotse_proto::admin::v1::{GetStatusRequest, GetStatusResponse, ListPeersRequest, Peer};
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::place::Place;
use crate::commands::client::{self, OtherNode, RefusedNode, UnusableCertificate};

/// How long the node may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the running node says.
pub(super) struct Live {
    pub(super) status: GetStatusResponse,
    pub(super) peers: Vec<Peer>,
}

impl Live {
    /// Asks the node, if it runs, and notes whether it answers.
    pub(super) async fn ask(place: &Place, findings: &mut Vec<Finding>) -> Option<Live> {
        if !place.is_running {
            findings.push(Finding::warning(
                Area::Node,
                place.config.agency.id.as_str(),
                "does not run; what only a running node knows is left out",
                place.command("run"),
            ));
            return None;
        }
        match timeout(PATIENCE, answer(place)).await.context("it has not answered within 10 seconds").flatten() {
            Ok(live) => {
                let seen = format!("runs, version {}, generation {}", live.status.version, live.status.generation);
                findings.push(Finding::ok(Area::Node, place.config.agency.id.as_str(), seen));
                Some(live)
            }
            Err(error) => {
                let seen = format!("its folder is held, and {error:#}");
                let elsewhere = "look again on the machine and in the network namespace where the node runs";
                let todo = if error.is::<OtherNode>() {
                    elsewhere.to_string()
                } else if error.is::<UnusableCertificate>() {
                    "put right what is said of the certificate of the commands above; the node was not asked"
                        .to_string()
                } else if error.is::<RefusedNode>() {
                    "put right what is said of the node's certificate above; the node goes on with it by itself"
                        .to_string()
                } else {
                    format!(
                        "{elsewhere}; if that is here, look at the node's messages, and if it hangs, stop it and start it again, {}",
                        place.command("run")
                    )
                };
                findings.push(Finding::problem(Area::Node, place.config.agency.id.as_str(), seen, todo));
                None
            }
        }
    }

    /// Returns what is known of a peer's connection.
    pub(super) fn peer(&self, agency: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.agency == agency)
    }
}

async fn answer(place: &Place) -> anyhow::Result<Live> {
    let mut node = client::admin(&place.folder, &place.clock)?;
    let status = node.get_status(GetStatusRequest {}).await.map_err(client::explained)?.into_inner();
    let peers = node.list_peers(ListPeersRequest {}).await.map_err(client::explained)?.into_inner().peers;
    Ok(Live { status, peers })
}
