//! `lotse verify`: a proof or an export, offline. Needs no node, no network and no clock.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use lotse_core::agreement::words::Language;
use lotse_core::card::KeyUse;
use lotse_core::key::PublicKey;
use lotse_core::log::checkpoint::{Checkpoint, Origin};
use lotse_core::log::note::{Note, VerifierKey};
use lotse_proto::exchange::v1::LogEntry;
use prost::Message;

use super::export::folder::Export;
use super::export::place::OWN_CARD;
use super::verify_export::{self, Signer};
use crate::card_file;
use crate::commands::Context;
use crate::entry::sentence::{explanation, sentence};
use crate::plain_file::{self, DOCUMENT_BYTES};
use crate::proof_file::ProofFile;

/// What was trusted beforehand, as the report says it.
const BY_KEY: &str = "the verifier key that you gave";
const BY_FINGERPRINT: &str = "the root key whose fingerprint you gave";

/// Verifies, offline, a proof that `lotse log prove` wrote, or a folder that `lotse log export` wrote. What counts is a key or
/// fingerprint that you have from elsewhere, never one that comes with the file.
#[derive(Args)]
#[command(group(ArgGroup::new("trusted").required(true).args(["vkey", "fingerprint"])))]
pub struct VerifyOffline {
    /// The proof, or the folder of an export.
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
    /// The log's verifier key (C2SP vkey), from the agency itself.
    #[arg(long, value_name = "KEY")]
    vkey: Option<String>,
    /// Fingerprint of the agency's root key, as its administrator told it.
    #[arg(long, value_name = "DIGITS")]
    fingerprint: Option<String>,
    /// The card of the agency whose log it is; an export brings one, which counts only if the fingerprint is right.
    #[arg(long, value_name = "CARD", requires = "fingerprint")]
    card: Option<PathBuf>,
    /// An older checkpoint of the same log, for instance of an export of last year: nothing of what was under it may have changed.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
}

impl VerifyOffline {
    /// Does what was asked.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        if self.path.is_dir() { self.export(context) } else { self.proof(context) }
    }

    fn proof(&self, context: &Context) -> anyhow::Result<()> {
        if self.since.is_some() {
            bail!("--since is for exports: a proof of one entry says nothing of the others");
        }
        let text = plain_file::read_text(&self.path, DOCUMENT_BYTES)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        let proof = ProofFile::parse(&text).with_context(|| self.path.display().to_string())?;
        let note = Note::parse(proof.checkpoint.as_bytes()).context("the checkpoint")?;
        let origin = note.text().parse::<Checkpoint>().context("the checkpoint")?.origin;
        let card = self
            .card
            .as_deref()
            .context("a proof brings no card: give the agency's with --card; `lotse peer card` writes it there");
        let checkpoint = proof.verify(&self.trust(&origin, card)?.log_keys)?;
        let entry = LogEntry::decode(proof.entry.as_slice()).context("the entry cannot be read")?;
        let terminal = &context.terminal;
        terminal.one_line(sentence(&entry, Language::English))?;
        for line in explanation(&entry, Language::English) {
            terminal.one_line(format_args!("  {line}"))?;
        }
        let (index, size) = (proof.index, checkpoint.head.size);
        terminal.line(format_args!("Verified: entry {index} of {origin}, signed at {size} entries"))?;
        terminal.line(format_args!("Trusted: {}", self.trusted()))?;
        terminal.line("Time: as the log says; not proven by a witness")
    }

    fn export(&self, context: &Context) -> anyhow::Result<()> {
        let export = Export::new(&self.path);
        let origin = verify_export::origin(&export)?;
        let brought = self.path.join(OWN_CARD);
        let Trust { log_keys, roots } = self.trust(&origin, Ok(self.card.as_deref().unwrap_or(&brought)))?;
        let head = verify_export::head(&export, &log_keys)?;
        let since = self.since.as_deref().map(|path| older(path, &origin, &log_keys)).transpose()?;
        let verified = verify_export::verify(&export, &head, &roots, since.as_ref().map(|since| &since.head))?;
        let terminal = &context.terminal;
        let findings = &verified.findings;
        findings.listed.iter().try_for_each(|finding| terminal.one_line(format_args!("FINDING: {finding}")))?;
        match findings.count {
            0 => {}
            1 => bail!("the export is not as it was written: 1 finding"),
            count => bail!("the export is not as it was written: {count} findings"),
        }
        let size = head.checkpoint.head.size;
        terminal.line(format_args!("Verified: {size} entries of {origin}, all tiles over them, the signed head"))?;
        if let Some(since) = since {
            terminal.line(format_args!("The log continues the older one of {} entries", since.head.size))?;
        }
        let (receipts, agreements) = (verified.receipts, verified.agreements);
        terminal.line(format_args!("Seals: {receipts} batches with their receipts, {agreements} agreements"))?;
        for Signer { agency, fingerprint, is_named } in &verified.signers {
            let more = if *is_named { "" } else { "; this log names neither its card nor its root key" };
            terminal
                .line(format_args!("  sealed by {agency}, whose root key has the fingerprint {fingerprint}{more}"))?;
        }
        terminal.line(format_args!(
            "Trusted: {}; other agencies' cards, as this log has taken them: compare their fingerprints",
            self.trusted()
        ))?;
        terminal.line("Time: as the log says; not proven by a witness")
    }

    const fn trusted(&self) -> &'static str {
        if self.vkey.is_some() { BY_KEY } else { BY_FINGERPRINT }
    }

    /// Returns what counts for a log: never a key for which only the file itself speaks.
    fn trust(&self, origin: &Origin, card: anyhow::Result<&Path>) -> anyhow::Result<Trust> {
        if let Some(vkey) = &self.vkey {
            return Ok(Trust { log_keys: vec![vkey.parse()?], roots: Vec::new() });
        }
        let Some(fingerprint) = &self.fingerprint else { bail!("give --vkey, or --fingerprint") };
        let card_file::CardFile { seal, card } = card_file::read(card?)?;
        if !card.is_signed(&seal) || !card.root.fingerprint().matches(fingerprint) {
            bail!("the card is not signed by the root key with this fingerprint");
        }
        if origin.agency != card.agency {
            bail!("this is of {}'s log, the card is {}'s", origin.agency, card.agency);
        }
        let log_keys = card.keys.iter().filter(|key| key.key_use == KeyUse::Log);
        let log_keys = log_keys.map(|key| origin.verifier_key(key.public_key)).collect();
        Ok(Trust { log_keys, roots: [Some(card.root), card.next_root].into_iter().flatten().collect() })
    }
}

/// What counts without being brought by what is verified.
struct Trust {
    /// Keys that sign the log's heads.
    log_keys: Vec<VerifierKey>,
    /// Root keys of the agency; none where only the log's key was given.
    roots: Vec<PublicKey>,
}

/// Opens the older checkpoint of the same log.
fn older(path: &Path, origin: &Origin, keys: &[VerifierKey]) -> anyhow::Result<Checkpoint> {
    let name = || path.display().to_string();
    let checkpoint = verify_export::open(&plain_file::read_text(path, DOCUMENT_BYTES).with_context(name)?, keys)
        .with_context(name)?
        .checkpoint;
    if checkpoint.origin != *origin {
        bail!("{} is of {}, the export of {origin}", path.display(), checkpoint.origin);
    }
    Ok(checkpoint)
}
