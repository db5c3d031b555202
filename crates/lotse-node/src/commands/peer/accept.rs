//! `lotse peer accept`: takes another agency's first card, after its fingerprint was compared.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use lotse_core::key::Fingerprint;
use lotse_proto::admin::v1::AcceptPeerRequest;

use crate::card_file;
use crate::commands::{Context, FolderArgument, client};
use crate::config::Config;
use crate::wire;

/// Accepts another agency's first card. Compare the fingerprint by a second channel before: it is all the trust there is.
#[derive(Args)]
pub(crate) struct Accept {
    #[command(flatten)]
    folder: FolderArgument,
    /// The card.
    #[arg(value_name = "CARD")]
    card: PathBuf,
    /// The fingerprint as the other administrator read it out: six groups of five digits.
    #[arg(long)]
    fingerprint: String,
}

impl Accept {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        if !Fingerprint::is_well_formed(&self.fingerprint) {
            bail!(
                "nothing was compared: a fingerprint is six groups of five digits, as `lotse peer card` prints it at the other agency"
            );
        }
        let card_file::CardFile { seal, card } = card_file::read(&self.card)?;
        let request = AcceptPeerRequest { card: Some(wire::seal::message(&seal)), fingerprint: self.fingerprint };
        let folder = self.folder.folder();
        let mut node = client::admin(&folder, &context.clock)?;
        node.accept_peer(request).await.map_err(client::explained)?;
        context.terminal.line(card_file::description(&card))?;
        context.terminal.line("\nAccepted. Newer cards of this agency are taken without comparison.")?;
        let callable = Config::load(&folder)?.peer.callable();
        if card.endpoints.iter().any(|endpoint| callable.may_allow(endpoint)) {
            return Ok(());
        }
        context.terminal.one_line(format_args!(
            "Warning: this node calls none of its addresses ({}), so nothing goes to it. Ask for a card with the address at which \
             other nodes reach it; between nodes on one machine (demonstration, tests) set allow_loopback = true below [peer] in \
             lotse.toml.",
            card.endpoints.join(", ")
        ))
    }
}
