//! `lotse log prove`: the proof that an entry is in the log, as a file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::id::Digest;
use lotse_proto::audit::v1::GetEntryRequest;

use super::ReaderArguments;
use crate::card_file;
use crate::commands::Context;
use crate::proof_file::ProofFile;

/// Writes the proof that an entry is in the log, for `lotse verify` and other people's tools.
#[derive(Args)]
pub struct Prove {
    #[command(flatten)]
    reader: ReaderArguments,
    /// Which entry.
    #[arg(value_name = "INDEX")]
    index: u64,
    /// Where to write the proof.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Prove {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut source = self.reader.open(context).await?;
        let request = GetEntryRequest { index: self.index, generation: self.reader.generation };
        let answer = source.get(request).await?;
        if answer.checkpoint.is_empty() {
            bail!("entry {} is not under a signed head yet: try again in a few seconds", self.index);
        }
        let path = answer.inclusion_path.iter().map(|hash| Digest::from_slice(hash));
        let proof = ProofFile {
            entry: answer.entry_bytes,
            index: self.index,
            path: path.collect::<Result<_, _>>().context("the inclusion path")?,
            checkpoint: answer.checkpoint,
        };
        let key = source.head(self.reader.generation).await?.verifier_key;
        let card = card_file::read(&self.reader.folder.folder().own_card())?.card;
        fs::write(&self.out, proof.to_text()).with_context(|| format!("cannot write {}", self.out.display()))?;
        context.terminal.line(format_args!(
            "Written to {out}. Hand it over with your card, which `lotse peer card` writes, and tell the fingerprint by a second
channel, for instance by telephone, unless they have both from you already. No node is needed to verify it:

  lotse verify {out} --card {agency}.card --fingerprint \"{fingerprint}\"

Other tools for C2SP tlog-proof take the log's verifier key: {key}",
            out = self.out.display(),
            agency = card.agency,
            fingerprint = card.root.fingerprint(),
        ))
    }
}
