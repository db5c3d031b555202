//! Entries and tiles: the entries hash to the tiles, the tiles to those above, all of them to the signed root.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use lotse_core::id::Digest;
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{Bundle, TILE_WIDTH, Tile, decode_entries, decode_hashes, encode_hashes};
use lotse_core::log::tree::{Frontier, TileUpdate};

use super::Findings;
use crate::commands::log::export::folder::Export;
use crate::commands::log::export::place::CHECKPOINT;

/// Called with each entry that is there.
type Entries<'a> = dyn FnMut(u64, &[u8], &mut Findings) + 'a;

/// Verifies the tree, and that it has the older head's root at its size.
pub(super) fn verify(
    export: &Export,
    signed: &TreeHead,
    since: Option<&TreeHead>,
    findings: &mut Findings,
    told: &mut Entries<'_>,
) {
    let mut check = TreeCheck { export, signed, frontier: Frontier::empty(), edge: BTreeMap::new() };
    if since.is_some_and(|since| since.size > signed.size) {
        findings.add(
            CHECKPOINT,
            "has fewer entries than the checkpoint that it should continue: it was cut back, or the two are swapped",
        );
    }
    for index in 0..signed.size.div_ceil(TILE_WIDTH as u64) {
        let leaves = check.leaves(index, findings, told);
        if let Some(since) = since {
            check.compare(&leaves, since, findings);
        }
        check.grow(&leaves, findings);
    }
    for TileUpdate { tile, hashes } in std::mem::take(&mut check.edge).into_values() {
        check.tile(tile, &hashes, findings);
    }
    if check.frontier.root() != signed.root {
        findings.add(CHECKPOINT, "entries and tiles do not lead to its root");
    }
}

struct TreeCheck<'a> {
    export: &'a Export,
    signed: &'a TreeHead,
    frontier: Frontier,
    /// Partial tiles above the lowest level, as they must be in the end.
    edge: BTreeMap<u8, TileUpdate>,
}

impl TreeCheck<'_> {
    /// Returns the leaf hashes of a bundle: those of its tile if that is there, else those of its entries. They must be the same.
    fn leaves(&self, index: u64, findings: &mut Findings, told: &mut Entries<'_>) -> Vec<Digest> {
        let size = self.signed.size;
        let (Some(bundle), Some(tile)) = (Bundle::of_tree(index, size), Tile::of_tree(0, index, size)) else {
            return Vec::new();
        };
        let (bundle_name, tile_name) = (bundle.to_string(), tile.to_string());
        let entries = findings.take(&bundle_name, self.bundle(bundle));
        let hashes = findings.take(&tile_name, self.hashes(tile));
        let first = index * TILE_WIDTH as u64;
        let mut leaves = Vec::with_capacity(tile.width());
        for (position, at) in (0..tile.width()).zip(first..) {
            let entry = entries.as_ref().and_then(|entries| entries.get(position));
            let hash = hashes.as_ref().and_then(|hashes| hashes.get(position)).copied();
            let of_entry = entry.map(|entry| Digest::of_leaf(entry));
            if let (Some(hash), Some(of_entry)) = (hash, of_entry)
                && hash != of_entry
            {
                findings.add(&bundle_name, format!("entry {at} does not hash to its place in {tile_name}"));
            }
            if let Some(entry) = entry {
                told(at, entry, findings);
            }
            leaves.push(hash.or(of_entry).unwrap_or(Digest::from_bytes([0; 32])));
        }
        leaves
    }

    fn bundle(&self, bundle: Bundle) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
        let Some(bytes) = self.export.read(&bundle.to_string())? else { return Ok(None) };
        let entries = decode_entries(&bytes)?;
        if entries.len() != bundle.width() {
            bail!("holds {} entries and must hold {}", entries.len(), bundle.width());
        }
        Ok(Some(entries.into_iter().map(<[u8]>::to_vec).collect()))
    }

    fn hashes(&self, tile: Tile) -> anyhow::Result<Option<Vec<Digest>>> {
        let Some(bytes) = self.export.read(&tile.to_string())? else { return Ok(None) };
        let hashes = decode_hashes(&bytes).context("is no tile")?;
        if hashes.len() != tile.width() {
            bail!("holds {} hashes and must hold {}", hashes.len(), tile.width());
        }
        Ok(Some(hashes))
    }

    /// Compares the older head with the tree at its size, if that is reached here.
    fn compare(&self, leaves: &[Digest], since: &TreeHead, findings: &mut Findings) {
        let before = self.frontier.size();
        let is_here =
            since.size <= before + leaves.len() as u64 && (since.size > before || since.size == 0 && before == 0);
        if !is_here {
            return;
        }
        let until = leaves.get(..(since.size - before) as usize).unwrap_or(leaves);
        if self.frontier.append(until).0.root() != since.root {
            findings.add(CHECKPOINT, format!("the log does not continue the older one of {} entries", since.size));
        }
    }

    fn grow(&mut self, leaves: &[Digest], findings: &mut Findings) {
        let (grown, updates) = self.frontier.append(leaves);
        self.frontier = grown;
        for update in updates.into_iter().filter(|update| update.tile.level() > 0) {
            if update.tile.width() < TILE_WIDTH {
                self.edge.insert(update.tile.level(), update);
            } else {
                self.edge.remove(&update.tile.level());
                self.tile(update.tile, &update.hashes, findings);
            }
        }
    }

    /// Compares a tile above the lowest level.
    fn tile(&self, tile: Tile, hashes: &[Digest], findings: &mut Findings) {
        let name = tile.to_string();
        let stored = findings.take(&name, self.export.read(&name));
        if stored.is_some_and(|stored| stored != encode_hashes(hashes)) {
            findings.add(&name, "its hashes are not those of the tiles below");
        }
    }
}
