//! `lotse officer`: how officers get to their pages.

mod link;

use clap::Subcommand;

use super::Context;

/// Lets officers look at the pages.
#[derive(Subcommand)]
pub(super) enum Officer {
    Link(link::Link),
}

impl Officer {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Officer::Link(link) => link.run(context).await,
        }
    }
}

pub(super) use link::request;
