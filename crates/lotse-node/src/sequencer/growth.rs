//! How the tree grows: from the stored tiles of the last signed head, by entries as they are stored, never by what was in memory.

use lotse_core::id::Digest;
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{TILE_WIDTH, Tile};
use lotse_core::log::tree::{self, Frontier, TileUpdate};
use lotse_core::time::Timestamp;
use lotse_store::log::{self, RawLeaf, Tiles};
use lotse_store::{StoreError, Tx};

use super::Doubt;

/// Entries read at once.
const PAGE: u64 = 2048;

/// A grown tree.
#[derive(Clone, Debug)]
pub(super) struct Growth {
    /// Its head.
    pub(super) head: TreeHead,
    /// The tiles that are new or have changed.
    pub(super) updates: Vec<TileUpdate>,
    /// Time of its newest entry.
    pub(super) newest_at: Timestamp,
}

/// Grows the signed tree to a size by the entries stored behind it.
///
/// The tiles must lead to the signed root, and the newest signed bundle of entries must hash to its tile: a head is signed over
/// a tree only if what is stored is still what was signed.
pub(super) async fn grow(
    tx: &mut Tx,
    generation: u32,
    signed: TreeHead,
    until: u64,
) -> Result<Result<Growth, Doubt>, StoreError> {
    let frontier = match load(tx, generation, &signed).await? {
        Ok(frontier) => frontier,
        Err(doubt) => return Ok(Err(doubt)),
    };
    let mut leaves = Vec::new();
    let mut newest_at = None;
    let mut next = signed.size;
    while next < until {
        let page = log::read_unchecked(tx, generation, next, until.min(next + PAGE)).await?;
        for leaf in &page {
            let Some((hash, at)) = in_place(leaf, next) else { return Ok(Err(Doubt::EntryMissing { index: next })) };
            leaves.push(hash);
            newest_at = Some(at);
            next += 1;
        }
        if page.is_empty() {
            return Ok(Err(Doubt::EntryMissing { index: next }));
        }
    }
    let (grown, updates) = frontier.append(&leaves);
    let head = TreeHead { size: grown.size(), root: grown.root() };
    let newest_at = newest_at.unwrap_or(Timestamp::from_micros(0));
    Ok(Ok(Growth { head, updates, newest_at }))
}

/// Returns hash and time of an entry that stands where it should.
fn in_place(leaf: &RawLeaf, index: u64) -> Option<(Digest, Timestamp)> {
    let entry = leaf.entry.as_ref().ok().filter(|_| u64::try_from(leaf.index) == Ok(index))?;
    Some((entry.leaf_hash(), entry.at))
}

/// Loads the signed tree's right edge and makes sure that it is the signed one.
async fn load(tx: &mut Tx, generation: u32, signed: &TreeHead) -> Result<Result<Frontier, Doubt>, StoreError> {
    let Some(last) = signed.size.checked_sub(1) else { return Ok(Ok(Frontier::empty())) };
    let bundle = last / TILE_WIDTH as u64;
    let mut wanted = Tile::right_edge(signed.size);
    wanted.push(Tile::full(0, bundle));
    wanted.extend(Tile::of_tree(1, bundle / TILE_WIDTH as u64, signed.size));
    let tiles = log::read_tiles(tx, generation, &wanted).await?;
    let other_root = Doubt::OtherRoot { size: signed.size };
    let loaded = Frontier::load(signed.size, |tile| tiles.get(tile)).ok();
    let Some(frontier) = loaded.filter(|frontier| frontier.root() == signed.root) else { return Ok(Err(other_root)) };
    let Some(newest) = newest_tile(&tiles, bundle, signed.size) else { return Ok(Err(other_root)) };
    let first = bundle * TILE_WIDTH as u64;
    let entries = log::read_unchecked(tx, generation, first, signed.size).await?;
    for (index, signed_hash) in (first..).zip(newest) {
        let stored = entries.get((index - first) as usize).and_then(|leaf| in_place(leaf, index));
        if stored.is_none_or(|(hash, _)| hash != *signed_hash) {
            return Ok(Err(Doubt::EntryChanged { index }));
        }
    }
    Ok(Ok(frontier))
}

/// Returns the hashes of the newest bundle. A partial tile is part of the root; a full one must be the one that stands above it.
fn newest_tile(tiles: &Tiles, bundle: u64, size: u64) -> Option<&[Digest]> {
    let tile = Tile::of_tree(0, bundle, size)?;
    let hashes = tiles.get(tile)?.get(..tile.width())?;
    if tile.width() < TILE_WIDTH {
        return Some(hashes);
    }
    let above = Tile::of_tree(1, bundle / TILE_WIDTH as u64, size)?;
    let position = (bundle % TILE_WIDTH as u64) as usize;
    let known = tiles.get(above).and_then(|hashes| hashes.get(position))?;
    (*known == tree::root(hashes)).then_some(hashes)
}
