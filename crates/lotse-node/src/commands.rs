//! The subcommands of `lotse`, one file each.
//!
//! Commands that change state talk to the running node through its admin service. What works on a stopped node takes the
//! folder's lock. Exit codes: 0 done, 1 failed, 2 wrong usage; `lotse doctor` has its own.

mod agreement;
mod bench;
pub(crate) mod card;
pub mod cert;
pub mod client;
mod clock;
mod consent;
pub mod demo;
mod doctor;
mod explain;
mod inbox;
pub mod init;
pub mod log;
mod officer;
mod peer;
mod referral;
mod run;
mod status;
mod system;
pub mod terminal;
mod upload;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use lotse_core::random::Random;
use lotse_core::time::Clock;

use crate::ambient::{SystemClock, SystemRandom};
use crate::core_dump::forbid_core_dumps;
use crate::folder::Folder;
use terminal::Terminal;

/// Lotse: a gateway between agencies that hands over only what an agreement and a consent cover.
#[derive(Parser)]
#[command(name = "lotse", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(Box<init::Init>),
    Run(run::Run),
    Status(status::Status),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Cert(cert::Cert),
    #[command(subcommand)]
    Card(card::Card),
    #[command(subcommand)]
    Peer(peer::Peer),
    #[command(subcommand)]
    Agreement(agreement::Agreement),
    #[command(subcommand)]
    Clock(clock::Clock),
    #[command(subcommand)]
    Officer(officer::Officer),
    Explain(explain::Explain),
    #[command(subcommand)]
    Consent(consent::ConsentCommand),
    #[command(subcommand)]
    Referral(referral::ReferralCommand),
    #[command(subcommand)]
    Inbox(inbox::InboxCommand),
    Demo(Box<demo::Demo>),
    #[command(subcommand)]
    Bench(bench::Bench),
    #[command(subcommand)]
    Log(log::LogCommand),
    Verify(log::verify_offline::VerifyOffline),
}

/// Which node a command is about.
#[derive(Args, Clone, Debug)]
pub struct FolderArgument {
    /// The node's folder.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

impl FolderArgument {
    /// Returns the folder.
    pub fn folder(&self) -> Folder {
        Folder::new(&self.folder)
    }
}

/// How output is written.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgument {
    /// Write JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// What commands share.
pub struct Context {
    /// Where they write.
    pub terminal: Terminal,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Random source.
    pub random: Arc<dyn Random>,
}

/// Does what a command line says and returns the exit code; wrong usage ends the process with 2. The first argument is the
/// program's name.
pub fn main<A>(arguments: impl IntoIterator<Item = A>) -> u8
where
    A: Into<OsString> + Clone,
{
    let command = CommandLine::parse_from(arguments).command;
    let context =
        Context { terminal: Terminal::standard(), clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
    if let Err(error) = forbid_core_dumps() {
        context.terminal.complain(&anyhow::Error::from(error).context("keys cannot be kept out of core dumps"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(anyhow::Error::from);
    match runtime.and_then(|runtime| runtime.block_on(Box::pin(command.run(&context)))) {
        Ok(()) => 0,
        Err(error) if terminal::is_closed(&error) => 0,
        Err(error) => {
            if let Some(unwell) = error.downcast_ref::<doctor::Unwell>() {
                return unwell.exit_code();
            }
            context.terminal.complain(&error);
            1
        }
    }
}

/// Does what a command line says; the first argument is the program's name. For programs that drive nodes, and tests.
pub async fn run<A>(arguments: impl IntoIterator<Item = A>, context: &Context) -> anyhow::Result<()>
where
    A: Into<OsString> + Clone,
{
    Box::pin(CommandLine::try_parse_from(arguments)?.command.run(context)).await
}

/// Reads a command line without doing what it says, and returns what is wrong with it: for documents that name commands.
pub fn check<A>(arguments: impl IntoIterator<Item = A>) -> Result<(), clap::Error>
where
    A: Into<OsString> + Clone,
{
    CommandLine::try_parse_from(arguments).map(drop)
}

impl Command {
    async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            Command::Init(init) => init.run(context),
            Command::Run(run) => run.run(context).await,
            Command::Status(status) => status.run(context).await,
            Command::Doctor(doctor) => doctor.run(context).await,
            Command::Cert(cert) => cert.run(context),
            Command::Card(card) => card.run(context).await,
            Command::Peer(peer) => peer.run(context).await,
            Command::Agreement(agreement) => agreement.run(context).await,
            Command::Clock(clock) => clock.run(context).await,
            Command::Officer(officer) => officer.run(context).await,
            Command::Explain(explain) => explain.run(context).await,
            Command::Consent(consent) => consent.run(context).await,
            Command::Referral(referral) => referral.run(context).await,
            Command::Inbox(inbox) => inbox.run(context).await,
            Command::Demo(demo) => demo.run(context, demo::Program::own()).await,
            Command::Bench(bench) => bench.run(context).await,
            Command::Log(log) => log.run(context).await,
            Command::Verify(verify) => verify.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::CommandLine::command().debug_assert();
    }
}
