//! `lotse bench`: what the node can bear on this machine, measured against yardsticks that are taken in the same run.

mod commits;
mod counts;
mod cycle;
mod echo;
mod encoded;
mod load;
mod process;
mod referral;
mod report;
mod sample;
mod site;
mod window;

use clap::Subcommand;

use super::Context;

/// Measures nodes on this machine.
#[derive(Subcommand)]
pub(crate) enum Bench {
    Referral(referral::Referral),
    #[command(hide = true)]
    EchoServer(echo::EchoServer),
}

impl Bench {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Bench::Referral(referral) => referral.run(context).await,
            Bench::EchoServer(server) => server.run(context).await,
        }
    }
}
