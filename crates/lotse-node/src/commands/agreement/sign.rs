//! `lotse agreement sign`: seals a version with the node's sealing key.

use anyhow::Context as _;
use clap::Args;
use lotse_core::id::Id;
use lotse_proto::admin::v1::{GetAgreementRequest, SignAgreementRequest};

use super::description;
use crate::commands::{Context, FolderArgument, OutputArgument, client};

/// Seals an agreement for the own agency. Read it first: lotse agreement show ID.
#[derive(Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// The agreement.
    #[arg(value_name = "ID")]
    id: Id,
    /// The version; the highest that the node knows unless given.
    #[arg(long)]
    version: Option<u32>,
}

impl Sign {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let agreement_id = self.id.to_string();
        let version = match self.version {
            Some(version) => version,
            None => {
                let request = GetAgreementRequest { agreement_id: agreement_id.clone(), version: 0 };
                let highest = node.get_agreement(request).await.map_err(client::explained)?.into_inner();
                highest.summary.context("the node sent no agreement")?.version
            }
        };
        let request = SignAgreementRequest { agreement_id, version };
        let answer = node.sign_agreement(request).await.map_err(client::explained)?.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        context.terminal.line(description(&answer.agreement.context("the node sent no agreement")?))
    }
}
