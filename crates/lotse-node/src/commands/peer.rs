//! `lotse peer`: other agencies as this node knows them.

mod accept;
mod card;
mod list;
mod suspend;

use clap::Subcommand;

use super::Context;

/// Exchanges cards with other agencies, lists them, stops and resumes releases to them.
#[derive(Subcommand)]
pub(super) enum Peer {
    Card(card::PrintCard),
    Accept(accept::Accept),
    List(list::List),
    /// Stops releases to an agency at once. Duties go on.
    Suspend(suspend::Change),
    /// Lets releases to an agency start again.
    Resume(suspend::Change),
    /// Lets an exchange go on that stopped because the agency's node named later numbers of this node than it knows, or because two
    /// nodes spoke for the agency. The numbers that were named count as answered for. If this node was put back from a backup or a
    /// snapshot, use `lotse log resume` instead.
    Errs(suspend::Change),
}

impl Peer {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Peer::Card(card) => card.run(context),
            Peer::Accept(accept) => accept.run(context).await,
            Peer::List(list) => list.run(context).await,
            Peer::Suspend(change) => change.suspend(context).await,
            Peer::Resume(change) => change.resume(context).await,
            Peer::Errs(change) => change.dismiss_doubt(context).await,
        }
    }
}
