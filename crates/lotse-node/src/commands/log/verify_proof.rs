//! `lotse verify`: a proof, offline. Needs no node, no network and no clock.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::agreement::words::Language;
use lotse_core::card::KeyUse;
use lotse_core::log::checkpoint::Checkpoint;
use lotse_core::log::note::{Note, VerifierKey};
use lotse_proto::exchange::v1::LogEntry;
use prost::Message;

use super::proof_file::ProofFile;
use crate::commands::Context;
use crate::commands::card::file;
use crate::entry::sentence::{explanation, sentence};

/// Verifies a proof that `lotse log prove` wrote, offline.
#[derive(Args)]
pub struct VerifyProof {
    /// The proof.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The log's verifier key (C2SP vkey).
    #[arg(long, value_name = "KEY", required_unless_present = "card")]
    vkey: Option<String>,
    /// The card of the agency whose log it is, instead of a key.
    #[arg(long, value_name = "CARD", requires = "fingerprint", conflicts_with = "vkey")]
    card: Option<PathBuf>,
    /// Fingerprint of the agency's root key, as its administrator told it.
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
}

impl VerifyProof {
    /// Does what was asked.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let text = fs::read_to_string(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let proof = ProofFile::parse(&text).with_context(|| self.file.display().to_string())?;
        let keys = self.keys(&proof)?;
        let checkpoint = proof.verify(&keys)?;
        let entry = LogEntry::decode(proof.entry.as_slice()).context("the entry cannot be read")?;
        let terminal = &context.terminal;
        terminal.line(sentence(&entry, Language::English))?;
        for line in explanation(&entry, Language::English) {
            terminal.line(format_args!("  {line}"))?;
        }
        let (index, size) = (proof.index, checkpoint.head.size);
        terminal.line(format_args!("Verified: entry {index} of {}, signed at {size} entries", checkpoint.origin))?;
        terminal.line("Time: as the log says; not proven by a witness")
    }

    fn keys(&self, proof: &ProofFile) -> anyhow::Result<Vec<VerifierKey>> {
        if let Some(vkey) = &self.vkey {
            return Ok(vec![vkey.parse()?]);
        }
        let (Some(path), Some(fingerprint)) = (&self.card, &self.fingerprint) else {
            bail!("give --vkey, or --card with --fingerprint");
        };
        let file::CardFile { seal, card } = file::read(path)?;
        if !card.is_signed(&seal) || !card.root.fingerprint().matches(fingerprint) {
            bail!("the card is not signed by the root key with this fingerprint");
        }
        let note = Note::parse(proof.checkpoint.as_bytes()).context("the checkpoint")?;
        let checkpoint: Checkpoint = note.text().parse().context("the checkpoint")?;
        if checkpoint.origin.agency != card.agency {
            bail!("the proof is of {}'s log, the card is {}'s", checkpoint.origin.agency, card.agency);
        }
        let log_keys = card.keys.iter().filter(|key| key.key_use == KeyUse::Log);
        Ok(log_keys.map(|key| checkpoint.origin.verifier_key(key.public_key)).collect())
    }
}
