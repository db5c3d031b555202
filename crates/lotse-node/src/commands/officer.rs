//! `lotse officer`: how officers get to their pages.

mod end_sessions;
mod link;

use clap::Subcommand;

use super::Context;

/// Lets officers look at the pages, and ends it.
#[derive(Subcommand)]
pub(super) enum Officer {
    Link(link::Link),
    EndSessions(end_sessions::EndSessions),
}

impl Officer {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Officer::Link(link) => link.run(context).await,
            Officer::EndSessions(end) => end.run(context).await,
        }
    }
}

pub(super) use link::request;
