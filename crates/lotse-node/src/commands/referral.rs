//! `lotse referral`: referrals that the agency's systems hand over.

mod key;
mod send;

use clap::Subcommand;

use super::Context;

/// Hands referrals over from files.
#[derive(Subcommand)]
pub(super) enum ReferralCommand {
    Send(send::Send),
}

impl ReferralCommand {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            ReferralCommand::Send(send) => send.run(context).await,
        }
    }
}
