//! `lotse agreement show`: an agreement in sentences.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use lotse_core::agreement::show::show;
use lotse_core::id::Id;
use lotse_proto::admin::v1::GetAgreementRequest;

use super::{Language, description, listing, read, sealed_text, unknown};
use crate::commands::{Context, FolderArgument, OutputArgument, client};

/// Shows an agreement in German or English sentences.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// A text, or the id of an agreement that the running node knows.
    #[arg(value_name = "FILE|ID")]
    which: String,
    /// The version of a known agreement; the highest unless given.
    #[arg(long)]
    version: Option<u32>,
    /// Language.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Ok(id) = self.which.parse::<Id>() else {
            let path = Path::new(&self.which);
            if !path.exists() {
                bail!("{} is neither a file nor a whole id of an agreement: {}", self.which, listing(&self.folder));
            }
            let draft = read(path)?;
            return context.terminal.line(show(draft.terms(), self.language.words()));
        };
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let request = GetAgreementRequest { agreement_id: id.to_string(), version: self.version.unwrap_or_default() };
        let unknown = |status| client::looked_for(status, unknown(id, self.version, &self.folder));
        let answer = node.get_agreement(request).await.map_err(unknown)?.into_inner();
        if self.output.json {
            return context.terminal.json(&answer);
        }
        context.terminal.line(show(&sealed_text(&answer)?, self.language.words()))?;
        match &answer.summary {
            Some(summary) => context.terminal.line(format_args!("\n{}", description(summary))),
            None => Ok(()),
        }
    }
}
