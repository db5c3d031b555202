//! `lotse inbox`: what other agencies handed over or answered, and what became of what was sent.

mod event_line;
mod event_word;
mod follow;
mod sink;

use clap::Subcommand;

use super::Context;

/// Follows the inbox of one of the agency's systems.
#[derive(Subcommand)]
pub(super) enum InboxCommand {
    Follow(follow::Follow),
}

impl InboxCommand {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            InboxCommand::Follow(follow) => follow.run(context).await,
        }
    }
}
