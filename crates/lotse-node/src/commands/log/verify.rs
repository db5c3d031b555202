//! `lotse log verify`: everything that is stored of the log, against everything else.

use anyhow::bail;
use clap::Args;
use lotse_core::card::KeyUse;
use lotse_core::key::PublicKey;
use lotse_store::StoreOptions;
use serde_json::json;

use crate::card_file;
use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::config::Config;
use crate::database;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::key_file::NodeKeyFile;
use crate::sequencer::check::{Report, Writer, verify_stored};

/// Verifies everything that is stored: entries, tiles, checkpoints, head store. Nothing is changed.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

impl Verify {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let writer = if client::is_running(&folder)? { Writer::Running } else { Writer::Stopped };
        let report = verify(&folder, writer).await?;
        if self.output.json {
            context.terminal.json(&as_json(&report, writer))?;
        } else {
            print(&report, writer, context)?;
        }
        match report.findings.len() as u64 + report.more {
            0 => Ok(()),
            1 => bail!("the log is not as it was written: 1 finding"),
            findings => bail!("the log is not as it was written: {findings} findings"),
        }
    }
}

/// Verifies the log of a folder.
async fn verify(folder: &Folder, writer: Writer) -> anyhow::Result<Report> {
    let config = Config::load(folder)?;
    let store = database::open_to_read(folder, &config, &StoreOptions::default()).await?;
    let keys = log_keys(folder, &config)?;
    let head = HeadStore::look(&config.files.head_store(folder))?; // before the snapshot of the database
    let agency = config.agency.id;
    let read = store.read("verify_log", move |tx| {
        Box::pin(async move { verify_stored(tx, &agency, &keys, head.as_ref(), writer).await })
    });
    let report = read.await?;
    store.close().await;
    Ok(report)
}

/// The log's key, and those that the own card still names.
fn log_keys(folder: &Folder, config: &Config) -> anyhow::Result<Vec<PublicKey>> {
    let mut keys = vec![NodeKeyFile::read(&config.files.node_keys(folder))?.log.key.public()];
    if folder.own_card().exists() {
        let card = card_file::read(&folder.own_card())?.card;
        keys.extend(card.keys.iter().filter(|key| key.key_use == KeyUse::Log).map(|key| key.public_key));
    }
    keys.dedup();
    Ok(keys)
}

fn print(report: &Report, writer: Writer, context: &Context) -> anyhow::Result<()> {
    let terminal = &context.terminal;
    if writer == Writer::Running {
        terminal.line(
            "The node is running: what it has written since the beginning of this verification is not looked at.",
        )?;
    }
    for log in &report.verified {
        terminal.line(format_args!(
            "Generation {}: {} entries, {} of them under {} signed heads",
            log.generation, log.entries, log.signed, log.checkpoints
        ))?;
    }
    report.notes.iter().try_for_each(|note| terminal.one_line(format_args!("Note: {note}")))?;
    report.findings.iter().try_for_each(|finding| terminal.one_line(format_args!("FINDING: {finding}")))?;
    if report.more > 0 {
        terminal.line(format_args!("… and {} more findings", report.more))?;
    }
    if report.is_good() { terminal.line("Everything is as it was written.") } else { Ok(()) }
}

fn as_json(report: &Report, writer: Writer) -> serde_json::Value {
    let log = |log: &crate::sequencer::check::Verified| json!({ "generation": log.generation, "entries": log.entries, "signed": log.signed, "checkpoints": log.checkpoints });
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    json!({
        "running": writer == Writer::Running,
        "logs": report.verified.iter().map(log).collect::<Vec<_>>(),
        "findings": findings,
        "more_findings": report.more,
        "notes": report.notes,
    })
}
