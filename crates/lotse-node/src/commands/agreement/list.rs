//! `lotse agreement list` and `lotse agreement status`: where agreements stand.

use clap::Args;
use lotse_core::id::Id;
use lotse_proto::admin::v1::{AgreementSummary, ListAgreementsRequest};

use super::{description, state};
use crate::commands::{Context, FolderArgument, OutputArgument, client};

/// Lists the versions of agreements that the node knows.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

/// Says where agreements stand: who has sealed, who has not.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    list: List,
    /// Only this agreement.
    #[arg(value_name = "ID")]
    id: Option<Id>,
}

impl List {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let agreements = self.fetch(context).await?;
        if self.output.json {
            return context.terminal.json(&agreements);
        }
        let row = |agreement: &AgreementSummary| {
            let version = agreement.version.to_string();
            let sealed =
                format!("{} of {}", agreement.sealed_by.len(), agreement.sealed_by.len() + agreement.missing.len());
            let stands = state(agreement.state()).to_string();
            vec![agreement.agreement_id.clone(), version, sealed, stands, agreement.title.clone()]
        };
        let headings = ["AGREEMENT", "VERSION", "SEALS", "STATE", "TITLE"];
        context.terminal.table(&headings, &agreements.iter().map(row).collect::<Vec<_>>())
    }

    async fn fetch(&self, context: &Context) -> anyhow::Result<Vec<AgreementSummary>> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let answer = node.list_agreements(ListAgreementsRequest {}).await.map_err(client::explained)?;
        Ok(answer.into_inner().agreements)
    }
}

impl Status {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut agreements = self.list.fetch(context).await?;
        if let Some(id) = self.id {
            agreements.retain(|agreement| agreement.agreement_id == id.to_string());
        }
        if self.list.output.json {
            return context.terminal.json(&agreements);
        }
        if agreements.is_empty() {
            return context.terminal.line("No such agreement is known here.");
        }
        agreements.iter().try_for_each(|agreement| context.terminal.line(description(agreement)))
    }
}
