//! `lotse agreement offer`: gives a text to the node, which sends it to all parties.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use lotse_proto::admin::v1::OfferAgreementRequest;

use super::{description, read};
use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::plain_file::{self, DOCUMENT_BYTES};

/// Stores an agreement at the node and offers it to all its parties. It counts when all have sealed it.
#[derive(Args)]
pub(crate) struct Offer {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The text.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl Offer {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        read(&self.file)?;
        let source = plain_file::read_text(&self.file, DOCUMENT_BYTES)?;
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let answer = node.offer_agreement(OfferAgreementRequest { source }).await.map_err(client::explained)?;
        let answer = answer.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        for warning in &answer.warnings {
            context.terminal.line(format_args!("- {warning}"))?;
        }
        let agreement = answer.agreement.context("the node sent no agreement")?;
        context.terminal.line(description(&agreement))?;
        if agreement.missing.is_empty() {
            return context
                .terminal
                .line("\nIt was offered before, and every party has sealed it: nothing is left to do.");
        }
        context.terminal.line(format_args!(
            "\nOffered. Each party reads it, and seals what it has read. Here:
  lotse agreement show --folder {folder} {id}
  lotse agreement sign --folder {folder} {id} --digest {digest}",
            folder = self.folder.folder().path().display(),
            id = agreement.agreement_id,
            digest = agreement.digest
        ))
    }
}
