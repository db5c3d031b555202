//! `lotse log prove`: the proof that an entry is in the log, as a file.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::id::Digest;
use lotse_proto::audit::v1::GetEntryRequest;

use super::ReaderArguments;
use crate::card_file;
use crate::commands::Context;
use crate::pki::files::write_public;
use crate::plain_file::{self, DOCUMENT_BYTES};
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
        write(&self.out, &proof)?;
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

/// Writes a proof; of what is there, only another proof is replaced.
fn write(path: &Path, proof: &ProofFile) -> anyhow::Result<()> {
    let is_proof = || plain_file::read_text(path, DOCUMENT_BYTES).is_ok_and(|text| ProofFile::parse(&text).is_ok());
    if path.exists() && !is_proof() {
        bail!("{} is there already and is no proof: name another file with --out", path.display());
    }
    write_public(path, &proof.to_text()).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_proof_replaces_a_proof_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [path, card] = ["entry.proof", "own.card"].map(|name| folder.path().join(name));
        let proof = |index| ProofFile { entry: vec![4], index, path: Vec::new(), checkpoint: "c".into() };
        write(&path, &proof(1)).unwrap();
        write(&path, &proof(2)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), proof(2).to_text());
        fs::write(&card, "{}").unwrap();
        let refused = write(&card, &proof(3)).unwrap_err().to_string();
        assert!(refused.contains("name another file with --out"), "{refused}");
        assert_eq!(fs::read_to_string(&card).unwrap(), "{}");
    }
}
