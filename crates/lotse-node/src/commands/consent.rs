//! `lotse consent`: consents that the agency's systems obtained.

mod import;

use clap::Subcommand;

use super::Context;

/// Records consents from files.
#[derive(Subcommand)]
pub(super) enum ConsentCommand {
    Import(import::Import),
}

impl ConsentCommand {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            ConsentCommand::Import(import) => import.run(context).await,
        }
    }
}
