//! `lotse log`: the exchange log. Read through the running node with an officer's certificate, or from the folder of a stopped one.

pub(super) mod export;
mod list;
mod prove;
mod resume;
mod show;
mod source;
mod verify;
mod verify_export;
pub mod verify_offline;

#[cfg(test)]
mod tests;

use clap::{Args, Subcommand, ValueEnum};
use lotse_core::agreement::words;

use super::Context;

/// Lists, shows, proves, exports and verifies the exchange log, and begins a new one after a restore.
#[derive(Subcommand)]
pub enum LogCommand {
    /// Lists entries, newest first.
    List(list::List),
    /// Shows one entry with its explanation.
    Show(show::Show),
    /// Writes the proof that an entry is in the log, for `lotse verify` and other people's tools.
    Prove(prove::Prove),
    /// Writes the log as files that anyone verifies without a node.
    Export(export::Export),
    /// Verifies everything that is stored: entries, tiles, checkpoints, head store.
    Verify(verify::Verify),
    /// Begins a new generation on a stopped node, after a restore or any doubt about its log.
    Resume(resume::Resume),
}

impl LogCommand {
    /// Does what was asked.
    pub async fn run(self, context: &Context) -> anyhow::Result<()> {
        match self {
            LogCommand::List(list) => list.run(context).await,
            LogCommand::Show(show) => show.run(context).await,
            LogCommand::Prove(prove) => prove.run(context).await,
            LogCommand::Export(export) => export.run(context).await,
            LogCommand::Verify(verify) => verify.run(context).await,
            LogCommand::Resume(resume) => resume.run(context).await,
        }
    }
}

/// In which language entries are told.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Language {
    De,
    En,
}

impl Language {
    fn words(self) -> words::Language {
        match self {
            Language::De => words::Language::German,
            Language::En => words::Language::English,
        }
    }
}

/// Which log, read as whom.
#[derive(Args)]
struct ReaderArguments {
    #[command(flatten)]
    folder: super::FolderArgument,
    /// The officer whose certificate is used at a running node. Who looks is logged, once a minute, with what was looked at first.
    #[arg(long, value_name = "NAME", default_value = super::client::OFFICER_NAME)]
    officer: String,
    /// Generation of the log; the present one unless given.
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    generation: u32,
}

impl ReaderArguments {
    async fn open(&self, context: &Context) -> anyhow::Result<source::Source> {
        source::Source::open(&self.folder.folder(), &self.officer, context).await
    }
}
