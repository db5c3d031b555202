//! Proof files (C2SP tlog-proof): that an entry is in a log, to be verified offline. The entry's bytes travel as the extra data.

use anyhow::{Context as _, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lotse_core::id::Digest;
use lotse_core::log::checkpoint::Checkpoint;
use lotse_core::log::note::{Note, VerifierKey};
use lotse_core::log::proof::verify_inclusion;

/// What every proof file begins with.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// An entry and the proof that it is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// The entry's exact bytes.
    pub entry: Vec<u8>,
    /// Leaf index.
    pub index: u64,
    /// Inclusion path (RFC 6962), leaf to root.
    pub path: Vec<Digest>,
    /// The signed head.
    pub checkpoint: String,
}

impl ProofFile {
    /// Writes the file.
    pub fn to_text(&self) -> String {
        let path: String = self.path.iter().map(|hash| STANDARD.encode(hash.as_bytes()) + "\n").collect();
        let extra = STANDARD.encode(&self.entry);
        format!("{HEADER}\nextra {extra}\nindex {}\n{path}\n{}", self.index, self.checkpoint)
    }

    /// Reads a file.
    pub fn parse(text: &str) -> anyhow::Result<ProofFile> {
        let (proof, checkpoint) = text.split_once("\n\n").context("no empty line before the checkpoint")?;
        let mut lines = proof.lines();
        if lines.next() != Some(HEADER) {
            bail!("no proof of a log entry: it must begin with {HEADER}");
        }
        let entry = lines.next().and_then(|line| line.strip_prefix("extra ")).context("the entry is missing")?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).context("the index is missing")?;
        let hash = |line: &str| Digest::from_slice(&STANDARD.decode(line)?).map_err(anyhow::Error::from);
        Ok(ProofFile {
            entry: STANDARD.decode(entry).context("the entry is no base64")?,
            index: index.parse().context("the index is no number")?,
            path: lines.map(hash).collect::<Result<_, _>>().context("a line of the path is no hash")?,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Verifies that the entry is in the log that one of the keys signs. Returns its signed head.
    pub fn verify(&self, keys: &[VerifierKey]) -> anyhow::Result<Checkpoint> {
        let note = Note::parse(self.checkpoint.as_bytes()).context("the checkpoint")?;
        let signers = note.verify(keys).context("the checkpoint")?;
        let checkpoint: Checkpoint = note.text().parse().context("the checkpoint")?;
        if signers.iter().all(|signer| signer.name().as_str() != checkpoint.origin.to_string()) {
            bail!("the checkpoint is of {}, signed by another log's key", checkpoint.origin);
        }
        let head = &checkpoint.head;
        verify_inclusion(self.index, head.size, &Digest::of_leaf(&self.entry), &self.path, &head.root)
            .context("the entry is not in the signed log")?;
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use lotse_core::key::SigningKey;
    use lotse_core::log::checkpoint::Origin;
    use lotse_core::log::proof::{TreeHead, prove_inclusion};
    use lotse_core::log::tree::root;

    use super::*;

    fn origin() -> Origin {
        "jc.example/exchange-log/1".parse().unwrap()
    }

    fn key() -> SigningKey {
        SigningKey::from_seed([1; 32])
    }

    fn proof() -> ProofFile {
        let leaves: Vec<Digest> = (0..9u8).map(|number| Digest::of_leaf(&[number])).collect();
        let checkpoint = Checkpoint { origin: origin(), head: TreeHead { size: 9, root: root(&leaves) } };
        let path = prove_inclusion(&leaves, 4).unwrap();
        ProofFile { entry: vec![4], index: 4, path, checkpoint: checkpoint.sign(&key()).to_string() }
    }

    #[test]
    fn a_proof_reads_as_it_was_written_and_verifies() {
        let text = proof().to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nextra BA==\nindex 4\n"), "{text}");
        let read = ProofFile::parse(&text).unwrap();
        assert_eq!(read, proof());
        let head = read.verify(&[origin().verifier_key(key().public())]).unwrap();
        assert_eq!((head.origin, head.head.size), (origin(), 9));
    }

    #[test]
    fn a_proof_of_something_else_does_not_verify() {
        let good = [origin().verifier_key(key().public())];
        let other_key = [origin().verifier_key(SigningKey::from_seed([2; 32]).public())];
        assert!(proof().verify(&other_key).is_err());
        assert!(ProofFile { entry: vec![5], ..proof() }.verify(&good).is_err());
        assert!(ProofFile { index: 5, ..proof() }.verify(&good).is_err());
        let mut changed = proof();
        changed.path.swap(0, 1);
        assert!(changed.verify(&good).is_err());
        let changed = ProofFile { checkpoint: proof().checkpoint.replace("\n9\n", "\n8\n"), ..proof() };
        assert!(changed.verify(&good).is_err());
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        let good = proof().to_text();
        for bad in [
            String::new(),
            good.replace("tlog-proof@v1", "tlog-proof@v2"),
            good.replace("index 4", "index four"),
            good.replace("extra ", "data "),
            good.replace("\n\n", "\n"),
            good.replace("extra BA==", "extra !"),
        ] {
            assert!(ProofFile::parse(&bad).is_err(), "{bad}");
        }
    }
}
