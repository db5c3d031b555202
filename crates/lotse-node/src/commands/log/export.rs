//! `lotse log export`: a log as files (C2SP tlog-tiles), with the sealed documents that it names, for whoever has no node.

pub(super) mod document;
pub(super) mod folder;
pub(super) mod place;
mod seals;
mod tree;

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::card::KeyUse;
use lotse_core::log::checkpoint::Checkpoint;
use lotse_core::log::note::{Note, VerifierKey};
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{Bundle, Tile};
use lotse_proto::exchange::v1::LogEntry;
use prost::Message;

use self::document::Named;
use self::folder::OpenExport;
use self::place::{CHECKPOINT, Place, VERIFIER_KEY};
use self::seals::SealWriter;
use self::tree::TreeWriter;
use super::ReaderArguments;
use super::source::Source;
use crate::card_file::CardFile;
use crate::commands::Context;
use crate::sequencer::empty_tree;

/// Writes the log as files (C2SP tlog-tiles) that anyone verifies with `lotse verify` or other people's tools. Into a folder that
/// holds an export of this log already it writes only what is new. Entries name the certificates of those who acted: staff data.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    reader: ReaderArguments,
    /// Where to write: an empty folder, or one with an earlier export of this log.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The head that is exported, and what verifies it.
struct Signed {
    note: String,
    checkpoint: Checkpoint,
    key: VerifierKey,
    card: CardFile,
}

impl Export {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut source = self.reader.open(context).await?;
        let signed = Signed::read(&mut source, self.reader.generation).await?;
        let mut files = OpenExport::open(&self.out)?;
        let exported = signed.exported(&files)?;
        let mut tree = TreeWriter::begin(&files.export, exported)?;
        let mut seals = SealWriter::new(signed.card.clone(), signed.checkpoint.origin.generation);
        while tree.next() < signed.checkpoint.head.size {
            let first = tree.next();
            let page = source.entries(self.reader.generation, first).await?;
            if page.is_empty() {
                bail!("entry {first} is not there, though a signed head covers it: `lotse log verify` says more");
            }
            let left = usize::try_from(signed.checkpoint.head.size - first).unwrap_or(usize::MAX);
            for (index, entry) in (first..).zip(page.into_iter().take(left)) {
                let told = LogEntry::decode(entry.as_slice()).with_context(|| format!("entry {index}"))?;
                let named = Named::of(&told, &signed.checkpoint.origin.agency);
                seals.note(index, named);
                tree.push(&mut files, entry)?;
            }
            seals.fetch(&mut source, &mut files).await?;
        }
        seals.fetch_cards(&mut source, &mut files).await?;
        tree.finish(&mut files, &signed.checkpoint.head)?;
        files.write(VERIFIER_KEY, format!("{}\n", signed.key).as_bytes())?;
        let size = signed.checkpoint.head.size;
        files.finish(&signed.note, |place| is_of_tree(place, size))?;
        self.report(&signed, exported.size, &seals, context)
    }

    fn report(&self, signed: &Signed, before: u64, seals: &SealWriter, context: &Context) -> anyhow::Result<()> {
        let Checkpoint { origin, head } = &signed.checkpoint;
        let (out, terminal) = (self.out.display(), &context.terminal);
        terminal.line(format_args!(
            "Exported to {out}: {} entries of {origin}, {} of them new; new documents: {}",
            head.size,
            head.size - before,
            seals.written()
        ))?;
        terminal.line(format_args!(
            "Anyone verifies it with: lotse verify {out} --fingerprint \"{}\"",
            signed.card.card.root.fingerprint()
        ))?;
        seals.missing().iter().try_for_each(|missing| terminal.line(format_args!("MISSING: {missing}")))?;
        match seals.missing().len() {
            0 => Ok(()),
            missing => bail!("the log is exported and {missing} of the documents that it names are not"),
        }
    }
}

/// Tells whether a file of an export belongs to a tree of this size; documents belong to entries and stay.
fn is_of_tree(place: &Place, size: u64) -> bool {
    match place {
        Place::Tile(tile) => Tile::of_tree(tile.level(), tile.index(), size).as_ref() == Some(tile),
        Place::Bundle(bundle) => Bundle::of_tree(bundle.index(), size).as_ref() == Some(bundle),
        _ => true,
    }
}

impl Signed {
    /// Reads the newest head of a generation, and makes sure that a key of the log signed it.
    async fn read(source: &mut Source, generation: u32) -> anyhow::Result<Signed> {
        let published = source.head(generation).await?;
        if published.checkpoint.is_empty() {
            bail!("this log has no signed head yet: try again in a few seconds");
        }
        let note = Note::parse(published.checkpoint.as_bytes()).context("the checkpoint")?;
        let checkpoint: Checkpoint = note.text().parse().context("the checkpoint")?;
        let agency = &checkpoint.origin.agency;
        let card = seals::card(source, agency).await?.with_context(|| format!("{agency} has no card yet"))?;
        let log_keys = card.card.keys.iter().filter(|key| key.key_use == KeyUse::Log);
        let mut keys: Vec<VerifierKey> = log_keys.map(|key| checkpoint.origin.verifier_key(key.public_key)).collect();
        keys.push(published.verifier_key.parse().context("the log's key")?);
        let key = note.verify(&keys).context("the checkpoint")?.first().map(|&key| key.clone());
        let key = key.context("the checkpoint is signed by no key of this log")?;
        Ok(Signed { note: published.checkpoint, checkpoint, key, card })
    }

    /// Returns the head of the export that the folder holds; the empty tree's if it holds none.
    fn exported(&self, files: &OpenExport) -> anyhow::Result<TreeHead> {
        let Some(text) = files.export.read_text(CHECKPOINT)? else { return Ok(empty_tree()) };
        let Checkpoint { origin, head } = &self.checkpoint;
        let note = Note::parse(text.as_bytes()).context("the checkpoint of the export that is there")?;
        let exported = Checkpoint::open(&note, origin, &[*self.key.key()])
            .with_context(|| format!("the folder holds the export of another log than {origin}: name another one"))?;
        if exported.head.size > head.size {
            let (exported, size) = (exported.head.size, head.size);
            bail!(
                "the export there has {exported} entries, the node's log {size}: the node has lost entries that it signed"
            );
        }
        Ok(exported.head)
    }
}
