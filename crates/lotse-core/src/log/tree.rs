//! The Merkle tree (RFC 6962, section 2.1): roots, and growth by whole batches over stored tiles.

use std::mem;

use aws_lc_rs::digest::{SHA256, digest};

use crate::id::Digest;
use crate::log::tile::{TILE_HEIGHT, TILE_WIDTH, Tile};

/// Returns the root over leaf hashes in their order: the Merkle Tree Hash. No leaf: SHA-256 of nothing.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut peaks = Peaks::new();
    leaves.iter().for_each(|&leaf| peaks.push(0, leaf));
    peaks.root()
}

/// Hashes two subtrees into one: SHA-256(0x01 ‖ left ‖ right).
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left.as_bytes());
    bytes[33..].copy_from_slice(right.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &bytes).as_ref()); // in one call: nothing is allocated
    Digest::from_bytes(hash)
}

/// The perfect subtrees that make up a tree, at most one of each height. Built from left to right on the stack.
pub(super) struct Peaks {
    size: u64,
    by_height: [Digest; 64],
}

impl Peaks {
    pub(super) fn new() -> Peaks {
        Peaks { size: 0, by_height: [Digest::from_bytes([0; 32]); 64] }
    }

    /// Adds a perfect subtree of 2^height leaves on the right. The leaves before it must be a multiple of 2^height.
    pub(super) fn push(&mut self, height: u32, hash: Digest) {
        debug_assert_eq!(self.size % (1 << height), 0, "a subtree stands at a multiple of its size");
        let mut top = hash;
        let mut at = height;
        while self.size >> at & 1 == 1 {
            top = node(&self.by_height[at as usize], &top);
            at += 1;
        }
        self.by_height[at as usize] = top;
        self.size += 1 << height;
    }

    pub(super) fn root(&self) -> Digest {
        let present = self.by_height.iter().enumerate().filter(|&(height, _)| self.size >> height & 1 == 1);
        let joined = present.map(|(_, &peak)| peak).reduce(|right, left| node(&left, &right));
        joined.unwrap_or_else(|| Digest::of(&[]))
    }
}

/// A tile with its hashes, to be written in place of what is stored under its level and index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TileUpdate {
    /// Where it stands and how wide it is.
    pub tile: Tile,
    /// Its hashes, as many as it is wide.
    pub hashes: Vec<Digest>,
}

/// Why a tree cannot be continued from stored tiles.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrontierError {
    /// A tile that the size demands is not stored.
    #[error("tile {0} is missing or narrower than its path says; rebuild the tiles from the entries")]
    Tile(Tile),
}

/// The right edge of a tree: its size and the hashes of its partial tiles. All that is needed to let it grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// The hashes of the partial tile of each level, lowest first; empty where the level ends with a full tile.
    edge: Vec<Vec<Digest>>,
}

impl Frontier {
    /// Begins an empty tree.
    pub fn empty() -> Frontier {
        Frontier::default()
    }

    /// Continues a tree of this size from its stored tiles; `read` is asked for those of [`Tile::right_edge`].
    ///
    /// A stored tile may be wider than asked for: a tree that has grown since has kept its beginning. The caller compares
    /// [`Frontier::root`] with the head it signed last.
    pub fn load<'a>(size: u64, read: impl Fn(Tile) -> Option<&'a [Digest]>) -> Result<Frontier, FrontierError> {
        let mut frontier = Frontier { size, edge: Vec::new() };
        frontier.edge.resize(Tile::levels(size), Vec::new());
        for tile in Tile::right_edge(size) {
            let stored = read(tile).and_then(|hashes| hashes.get(..tile.width()));
            frontier.edge[usize::from(tile.level())] = stored.ok_or(FrontierError::Tile(tile))?.to_vec();
        }
        Ok(frontier)
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root.
    pub fn root(&self) -> Digest {
        let mut peaks = Peaks::new();
        for (level, hashes) in self.edge.iter().enumerate().rev() {
            hashes.iter().for_each(|&hash| peaks.push(TILE_HEIGHT * level as u32, hash));
        }
        peaks.root()
    }

    /// Appends leaf hashes; returns the grown tree and every tile that is new or has changed.
    ///
    /// A tile comes once, in its last state. Tiles left of the old right edge never change.
    pub fn append(&self, leaves: &[Digest]) -> (Frontier, Vec<TileUpdate>) {
        let mut grown = self.clone();
        let mut updates = Vec::new();
        leaves.iter().for_each(|&leaf| grown.push(leaf, &mut updates));
        let changed =
            Tile::right_edge(grown.size).into_iter().filter(|tile| tile.has_grown_since(self.size, grown.size));
        updates.extend(changed.map(|tile| TileUpdate { tile, hashes: grown.edge[usize::from(tile.level())].clone() }));
        (grown, updates)
    }

    /// Appends one leaf hash; tiles that it fills go to `full`.
    fn push(&mut self, leaf: Digest, full: &mut Vec<TileUpdate>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0u8.. {
            let at = usize::from(level);
            if at == self.edge.len() {
                self.edge.push(Vec::with_capacity(TILE_WIDTH));
            }
            self.edge[at].push(hash);
            if self.edge[at].len() < TILE_WIDTH {
                return;
            }
            let hashes = mem::take(&mut self.edge[at]);
            hash = root(&hashes);
            let index = (self.size >> (TILE_HEIGHT * (u32::from(level) + 1))) - 1;
            full.push(TileUpdate { tile: Tile::full(level, index), hashes });
        }
    }
}
