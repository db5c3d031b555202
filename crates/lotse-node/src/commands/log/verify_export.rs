//! An export, verified offline: every file of it against the signed head, and nothing else may be there.

mod documents;
mod tree;

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use lotse_core::id::AgencyId;
use lotse_core::key::{Fingerprint, PublicKey};
use lotse_core::log::checkpoint::{Checkpoint, Origin};
use lotse_core::log::note::{Note, VerifierKey};
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{Bundle, Tile};

use self::documents::Documents;
use super::export::folder::Export;
use super::export::place::{CHECKPOINT, Document, Place, VERIFIER_KEY};

/// The most findings that are listed; more are counted.
const MAX_FINDINGS: usize = 1_000;

/// What is not as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// At most 1,000, each with the file that it is about.
    pub(super) listed: Vec<String>,
    /// How many there are.
    pub(super) count: u64,
}

impl Findings {
    fn add(&mut self, file: &str, text: impl AsRef<str>) {
        self.count += 1;
        if self.listed.len() < MAX_FINDINGS {
            self.listed.push(format!("{file}: {}", text.as_ref()));
        }
    }

    /// Takes what was read; a failure is a finding.
    fn take<T>(&mut self, file: &str, read: anyhow::Result<Option<T>>) -> Option<T> {
        match read {
            Ok(Some(read)) => return Some(read),
            Ok(None) => self.add(file, "is missing"),
            Err(error) => self.add(file, format!("{error:#}")),
        }
        None
    }
}

/// The signed head of an export, opened with a key that the export did not bring.
#[derive(Clone, Debug)]
pub(super) struct ExportHead {
    /// Log, size and root.
    pub(super) checkpoint: Checkpoint,
    key: VerifierKey,
}

/// What a verification found.
#[derive(Debug)]
pub(super) struct Verified {
    /// What is wrong.
    pub(super) findings: Findings,
    /// Batches, each with its receipt, whose seals verify.
    pub(super) receipts: u64,
    /// Agreements whose seals verify.
    pub(super) agreements: u64,
    /// Agencies whose keys were used.
    pub(super) signers: Vec<Signer>,
}

/// An agency whose keys were used.
#[derive(Debug)]
pub(super) struct Signer {
    /// Agency.
    pub(super) agency: AgencyId,
    /// Fingerprint of its root key.
    pub(super) fingerprint: Fingerprint,
    /// Whether the log names its card or its root key, or the reader trusts that; nobody speaks for it otherwise.
    pub(super) is_named: bool,
}

/// Reads which log an export is of. Nothing is verified here.
pub(super) fn origin(export: &Export) -> anyhow::Result<Origin> {
    let text =
        export.read_text(CHECKPOINT)?.context("there is no checkpoint: this is no export of a log, or not yet")?;
    let note = Note::parse(text.as_bytes()).context("the checkpoint")?;
    Ok(note.text().parse::<Checkpoint>().context("the checkpoint")?.origin)
}

/// Opens the signed head of an export.
pub(super) fn head(export: &Export, keys: &[VerifierKey]) -> anyhow::Result<ExportHead> {
    open(&export.read_text(CHECKPOINT)?.context("there is no checkpoint")?, keys).context("the checkpoint")
}

/// Opens a checkpoint that one of the keys has signed under the log's own name, and nobody else: what others add is not looked at by
/// this check, so it may not be there.
pub(super) fn open(text: &str, keys: &[VerifierKey]) -> anyhow::Result<ExportHead> {
    let note = Note::parse(text.as_bytes())?;
    let signers = note.verify(keys)?;
    let checkpoint: Checkpoint = note.text().parse()?;
    if note.signatures().len() != 1 || note.to_string() != text {
        bail!("it has more than the log's signature");
    }
    let key = signers.into_iter().find(|key| key.name().as_str() == checkpoint.origin.to_string());
    let key = key.with_context(|| format!("it is of {}, signed by another log's key", checkpoint.origin))?;
    Ok(ExportHead { key: key.clone(), checkpoint })
}

/// Verifies everything below the signed head, and that the log continues an older head. `roots` are root keys of the agency that
/// the reader trusts.
pub(super) fn verify(
    export: &Export,
    head: &ExportHead,
    roots: &[PublicKey],
    since: Option<&TreeHead>,
) -> anyhow::Result<Verified> {
    let mut findings = Findings::default();
    if export.is_incomplete() {
        findings.add("INCOMPLETE", "the export was interrupted, or is under way: let `lotse log export` finish it");
    }
    if findings.take(VERIFIER_KEY, export.read_text(VERIFIER_KEY)).is_some_and(|text| text != format!("{}\n", head.key))
    {
        findings.add(VERIFIER_KEY, "is not the key that verifies the checkpoint");
    }
    let Checkpoint { origin, head: signed } = &head.checkpoint;
    let mut documents = Documents::read(export, origin, head.key.key(), roots, &mut findings)?;
    tree::verify(export, signed, since, &mut findings, &mut |index, entry, findings| {
        documents.entry(index, entry, findings);
    });
    documents.cards(&mut findings);
    others(export, signed.size, &documents.named, &mut findings)?;
    let Documents { receipts, agreements, .. } = documents;
    Ok(Verified { findings, receipts, agreements, signers: documents.signers() })
}

/// Finds what is neither of the tree nor named by an entry.
fn others(
    export: &Export,
    size: u64,
    named: &BTreeSet<(u64, Document)>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    export.walk("", &mut |path| {
        let belongs = match Place::parse(path) {
            Some(Place::Tile(tile)) => Tile::of_tree(tile.level(), tile.index(), size) == Some(tile),
            Some(Place::Bundle(bundle)) => Bundle::of_tree(bundle.index(), size) == Some(bundle),
            Some(Place::Document(index, document)) => named.contains(&(index, document)),
            Some(Place::Head | Place::Card(_)) => true, // looked at already
            None => path == super::export::place::INCOMPLETE,
        };
        if !belongs {
            findings.add(path, "does not belong to this export");
        }
    })
}
