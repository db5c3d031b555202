//! `lotse clock`: the node's clock.

use clap::{Args, Subcommand};
use lotse_proto::admin::v1::ConfirmClockRequest;

use super::{Context, FolderArgument, client};

/// Deals with a clock that stepped back, jumped ahead or was not compared.
#[derive(Subcommand)]
pub(super) enum Clock {
    Confirm(Confirm),
}

/// Confirms that the node's clock is right, so that releases and expiry go on: it stepped back, jumped ahead, or the node was stopped
/// for long.
#[derive(Args)]
pub(crate) struct Confirm {
    #[command(flatten)]
    folder: FolderArgument,
    /// Why, for the log. Never about persons.
    #[arg(long)]
    reason: String,
}

impl Clock {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Clock::Confirm(confirm) = self;
        let mut node = client::admin(&confirm.folder.folder(), &context.clock)?;
        node.confirm_clock(ConfirmClockRequest { reason: confirm.reason }).await.map_err(client::explained)?;
        context.terminal.line("The clock is confirmed; releases and expiry go on.")
    }
}
