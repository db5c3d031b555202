//! `lotse consent`: consents that the agency's systems obtained.

mod import;
mod withdraw;

use clap::Subcommand;

use super::Context;

/// Records consents from files, and withdraws them.
#[derive(Subcommand)]
pub(super) enum ConsentCommand {
    Import(import::Import),
    Withdraw(withdraw::Withdraw),
}

impl ConsentCommand {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            ConsentCommand::Import(import) => import.run(context).await,
            ConsentCommand::Withdraw(withdraw) => withdraw.run(context).await,
        }
    }
}
