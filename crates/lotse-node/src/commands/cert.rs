//! `lotse cert`: certificates of the node's small authority.

pub mod issue;
pub(crate) mod list;
mod revoke;

use clap::Subcommand;

use super::Context;

/// Issues, lists and revokes certificates of the agency's own small authority.
#[derive(Subcommand)]
pub(super) enum Cert {
    Issue(issue::Issue),
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Cert {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Cert::Issue(issue) => issue.run(context),
            Cert::List(list) => list.run(context),
            Cert::Revoke(revoke) => revoke.run(context),
        }
    }
}
