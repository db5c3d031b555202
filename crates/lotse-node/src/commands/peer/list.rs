//! `lotse peer list`: the agencies whose cards are accepted.

use clap::Args;
use lotse_proto::admin::v1::{ListPeersRequest, Peer};

use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::wire;

/// Lists the agencies whose cards are accepted.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let peers = node.list_peers(ListPeersRequest {}).await.map_err(client::explained)?.into_inner();
        if self.output.json {
            return context.terminal.json(&peers);
        }
        let headings = ["AGENCY", "NAME", "CARD", "VALID UNTIL", "STATE", "DUE", "IN DOUBT", "PROBLEM"];
        context.terminal.table(&headings, &peers.peers.iter().map(row).collect::<Vec<_>>())
    }
}

fn row(peer: &Peer) -> Vec<String> {
    let until = peer.card_valid_until.as_ref().and_then(wire::time::parse);
    let state = match (peer.suspended, peer.connected) {
        _ if peer.stopped => "stopped",
        (true, _) => "suspended",
        (false, true) => "connected",
        (false, false) => "not connected",
    };
    vec![
        peer.agency.clone(),
        peer.name.clone(),
        peer.card_version.to_string(),
        until.map(|until| until.date().to_string()).unwrap_or_default(),
        state.to_string(),
        peer.items_due.to_string(),
        peer.items_in_doubt.to_string(),
        peer.problem.clone(),
    ]
}
