//! `lotse card show`: what a card says.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::card_file;
use crate::commands::{Context, FolderArgument, OutputArgument};
use crate::wire;

/// Shows a card file and whether its root key signed it.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The card; the own one unless given.
    #[arg(value_name = "CARD")]
    card: Option<PathBuf>,
}

impl Show {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let path = self.card.unwrap_or_else(|| self.folder.folder().own_card());
        let card_file::CardFile { seal, card } = card_file::read(&path)?;
        let signed = card.is_signed(&seal);
        if self.output.json {
            let fingerprint = card.root.fingerprint().to_string();
            let message = wire::card::message(&card);
            return context.terminal.json(&json!({"card": message, "fingerprint": fingerprint, "signed": signed}));
        }
        let verdict = if signed { "signed by its root key" } else { "NOT signed by its root key" };
        context.terminal.line(card_file::description(&card))?;
        context.terminal.line(format_args!("  signature     {verdict}"))
    }
}
