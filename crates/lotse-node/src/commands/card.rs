//! `lotse card`: the agency's own card. Draft it on the node, sign it where the root key is, install it on the node.

pub(crate) mod draft;
mod install;
mod show;
mod sign;

use clap::Subcommand;

use super::Context;

/// Drafts, signs, installs and shows the agency's card.
#[derive(Subcommand)]
pub(super) enum Card {
    Draft(draft::DraftCard),
    Sign(sign::Sign),
    Install(install::Install),
    Show(show::Show),
}

impl Card {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Card::Draft(draft) => draft.run(context),
            Card::Sign(sign) => sign.run(context),
            Card::Install(install) => install.run(context).await,
            Card::Show(show) => show.run(context),
        }
    }
}
