//! The log's own files: entries and the tiles over them, grown from what the folder holds already.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use lotse_core::id::Digest;
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{Bundle, TILE_WIDTH, Tile, decode_hashes, encode_entries, encode_hashes};
use lotse_core::log::tree::{Frontier, TileUpdate};

use super::folder::{Export, OpenExport};

/// Takes entries in their order and writes bundles and tiles as they fill.
///
/// It begins at the last bundle that the exported head fills, so that what the node has now is compared with what was exported:
/// only a log that continues the exported one leads through its root.
pub(super) struct TreeWriter {
    exported: TreeHead,
    /// The tree up to the bundle that is being filled.
    frontier: Frontier,
    /// The entries of that bundle.
    entries: Vec<Vec<u8>>,
    /// Partial tiles, by level, as they stand now.
    edge: BTreeMap<u8, TileUpdate>,
}

impl TreeWriter {
    /// Continues the tree of an export.
    pub(super) fn begin(export: &Export, exported: TreeHead) -> anyhow::Result<TreeWriter> {
        let start = exported.size - exported.size % TILE_WIDTH as u64;
        let mut tiles = BTreeMap::new();
        for edge in Tile::right_edge(start) {
            let Some(tile) = Tile::of_tree(edge.level(), edge.index(), exported.size) else { continue };
            let bytes = export.read(&tile.to_string())?.with_context(|| format!("{tile} is not there: {MEND}"))?;
            let hashes = decode_hashes(&bytes).with_context(|| tile.to_string())?;
            tiles.insert((tile.level(), tile.index()), hashes);
        }
        let read = |tile: Tile| tiles.get(&(tile.level(), tile.index())).map(Vec::as_slice);
        let writer = TreeWriter {
            exported,
            frontier: Frontier::load(start, read).context(MEND)?,
            entries: Vec::new(),
            edge: BTreeMap::new(),
        };
        writer.compare()?;
        Ok(writer)
    }

    /// Returns the index of the entry that comes next.
    pub(super) fn next(&self) -> u64 {
        self.frontier.size() + self.entries.len() as u64
    }

    /// Takes the next entry.
    pub(super) fn push(&mut self, files: &mut OpenExport, entry: Vec<u8>) -> anyhow::Result<()> {
        self.entries.push(entry);
        self.compare()?;
        if self.entries.len() == TILE_WIDTH { self.flush(files) } else { Ok(()) }
    }

    /// Writes the right edge; the tree must be the signed one.
    pub(super) fn finish(mut self, files: &mut OpenExport, head: &TreeHead) -> anyhow::Result<()> {
        if !self.entries.is_empty() {
            self.flush(files)?;
        }
        if (self.frontier.size(), self.frontier.root()) != (head.size, head.root) {
            bail!("the node's entries do not hash to the head that it has signed: `lotse log verify` says where");
        }
        self.edge.values().try_for_each(|TileUpdate { tile, hashes }| write_tile(files, *tile, hashes))
    }

    /// Compares the tree with the one that was exported before, where it has its size.
    fn compare(&self) -> anyhow::Result<()> {
        if self.next() != self.exported.size {
            return Ok(());
        }
        if self.frontier.append(&self.leaves()).0.root() != self.exported.root {
            bail!(
                "the log does not continue the exported one of {} entries: its files were changed, or the node's log was. \
                 `lotse verify` and `lotse log verify` say which; export into an empty folder",
                self.exported.size
            );
        }
        Ok(())
    }

    fn flush(&mut self, files: &mut OpenExport) -> anyhow::Result<()> {
        let bundle =
            Bundle::of_tree(self.frontier.size() / TILE_WIDTH as u64, self.next()).context("an empty bundle")?;
        let (grown, updates) = self.frontier.append(&self.leaves());
        let entries = std::mem::take(&mut self.entries);
        files.write(&bundle.to_string(), &encode_entries(entries.iter().map(Vec::as_slice))?)?;
        for update in updates {
            if update.tile.width() < TILE_WIDTH {
                self.edge.insert(update.tile.level(), update);
            } else {
                self.edge.remove(&update.tile.level());
                write_tile(files, update.tile, &update.hashes)?;
            }
        }
        self.frontier = grown;
        Ok(())
    }

    fn leaves(&self) -> Vec<Digest> {
        self.entries.iter().map(|entry| Digest::of_leaf(entry)).collect()
    }
}

/// What to do about an export that cannot be continued.
const MEND: &str = "the export there is damaged, `lotse verify` says where; export into an empty folder";

fn write_tile(files: &mut OpenExport, tile: Tile, hashes: &[Digest]) -> anyhow::Result<()> {
    files.write(&tile.to_string(), &encode_hashes(hashes))
}
