//! `lotse cert`: certificates of the node's small authority.

pub mod issue;
mod list;

use clap::Subcommand;

use super::Context;

/// Issues and lists certificates of the agency's own small authority.
#[derive(Subcommand)]
pub(super) enum Cert {
    Issue(issue::Issue),
    List(list::List),
}

impl Cert {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Cert::Issue(issue) => issue.run(context),
            Cert::List(list) => list.run(context),
        }
    }
}
