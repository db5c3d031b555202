//! Proofs (RFC 6962, section 2.1): that a leaf is in a tree, and that a tree continues an older one.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::id::Digest;
use crate::log::tile::{TILE_HEIGHT, Tile};
use crate::log::tree::{self, Peaks};

/// Why a proof cannot be made or does not hold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// The leaf's index is not below the tree's size.
    #[error("leaf {index} is not in a tree of size {size}")]
    Outside {
        /// The leaf.
        index: u64,
        /// The tree.
        size: u64,
    },
    /// The tree is smaller than the one it should continue.
    #[error("a tree of size {new_size} cannot continue one of size {old_size}")]
    Shrunk {
        /// The older tree.
        old_size: u64,
        /// The newer tree.
        new_size: u64,
    },
    /// The proof has not as many hashes as these sizes need.
    #[error("the proof has another length than these sizes need")]
    Length,
    /// The hashes lead to another root.
    #[error("the proof leads to another root")]
    Root,
    /// A tile that the proof needs is not there.
    #[error("tile {0} is missing or narrower than its path says")]
    Tile(Tile),
}

/// Proves that a leaf is in the tree over these leaf hashes: for batches and receipts, which are held as a whole.
pub fn prove_inclusion(leaves: &[Digest], index: usize) -> Result<Vec<Digest>, ProofError> {
    let ranges = inclusion_ranges(index as u64, leaves.len() as u64)?;
    Ok(ranges.iter().map(|range| tree::root(&leaves[range.start as usize..range.end as usize])).collect())
}

/// Returns the tiles that [`inclusion_from_tiles`] reads.
pub fn tiles_needed_for_inclusion(index: u64, size: u64) -> Result<Vec<Tile>, ProofError> {
    inclusion_ranges(index, size).map(|ranges| tiles_of(&ranges, size))
}

/// Proves from stored tiles that a leaf is in the tree of this size. A stored tile may be wider than it was at this size.
pub fn inclusion_from_tiles<'a>(
    index: u64,
    size: u64,
    read: impl Fn(Tile) -> Option<&'a [Digest]>,
) -> Result<Vec<Digest>, ProofError> {
    inclusion_ranges(index, size)?.into_iter().map(|range| range_root(range, size, &read)).collect()
}

/// Checks that the leaf with this hash is in the tree with this root (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Digest,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), ProofError> {
    let ranges = inclusion_ranges(index, size)?;
    if ranges.len() != proof.len() {
        return Err(ProofError::Length);
    }
    let join = |below, (range, sibling): (&Range<u64>, &Digest)| match range.start > index {
        true => tree::node(&below, sibling),
        false => tree::node(sibling, &below),
    };
    let reached = ranges.iter().zip(proof).fold(*leaf, join);
    if reached == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Returns the tiles that [`consistency_from_tiles`] reads.
pub fn tiles_needed_for_consistency(old_size: u64, new_size: u64) -> Result<Vec<Tile>, ProofError> {
    consistency_ranges(old_size, new_size).map(|ranges| tiles_of(&ranges, new_size))
}

/// Proves from stored tiles that the tree of the new size continues that of the old. Empty from size 0 and for equal sizes.
pub fn consistency_from_tiles<'a>(
    old_size: u64,
    new_size: u64,
    read: impl Fn(Tile) -> Option<&'a [Digest]>,
) -> Result<Vec<Digest>, ProofError> {
    consistency_ranges(old_size, new_size)?.into_iter().map(|range| range_root(range, new_size, &read)).collect()
}

/// A tree as somebody signed it: how many leaves, and their root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
}

/// Checks that the new tree begins with all leaves of the old (RFC 9162, section 2.1.4.2). Every tree continues the empty one.
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[Digest]) -> Result<(), ProofError> {
    let ranges = consistency_ranges(old.size, new.size)?;
    if ranges.len() != proof.len() {
        return Err(ProofError::Length);
    }
    let empty_root = tree::root(&[]);
    let heads_agree = match (old.size, new.size) {
        (0, 0) => old.root == empty_root && new.root == empty_root,
        (0, _) => old.root == empty_root,
        (old_size, new_size) if old_size == new_size => old.root == new.root,
        _ => replay(old, &ranges, proof) == (old.root, new.root),
    };
    if heads_agree { Ok(()) } else { Err(ProofError::Root) }
}

/// Joins the hashes of a consistency proof to the roots of the old and the new tree.
fn replay(old: &TreeHead, ranges: &[Range<u64>], proof: &[Digest]) -> (Digest, Digest) {
    let mut steps = ranges.iter().zip(proof);
    // Where the old tree is a subtree of the new one, its root is known and not in the proof.
    let shared = if old.size.is_power_of_two() { None } else { steps.next().map(|(_, &hash)| hash) };
    let shared = shared.unwrap_or(old.root);
    steps.fold((shared, shared), |(old_root, new_root), (range, hash)| match range.start >= old.size {
        true => (old_root, tree::node(&new_root, hash)),
        false => (tree::node(hash, &old_root), tree::node(hash, &new_root)),
    })
}

/// Returns the leaves under each hash of PATH(index, D[size]), the leaf's sibling first.
fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let mut around = 0..size;
    let mut ranges = Vec::new();
    while around.end - around.start > 1 {
        let middle = middle(&around);
        if index < middle {
            ranges.push(middle..around.end);
            around.end = middle;
        } else {
            ranges.push(around.start..middle);
            around.start = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// Returns the leaves under each hash of PROOF(old, D[new]), in the order of RFC 6962.
fn consistency_ranges(old_size: u64, new_size: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if old_size > new_size {
        return Err(ProofError::Shrunk { old_size, new_size });
    }
    if old_size == 0 {
        return Ok(Vec::new());
    }
    let mut around = 0..new_size;
    let mut ranges = Vec::new();
    while around.end != old_size {
        let middle = middle(&around);
        if old_size <= middle {
            ranges.push(middle..around.end);
            around.end = middle;
        } else {
            ranges.push(around.start..middle);
            around.start = middle;
        }
    }
    if around.start > 0 {
        ranges.push(around);
    }
    ranges.reverse();
    Ok(ranges)
}

/// Returns where a tree over two or more leaves splits: after the largest power of two below their number.
fn middle(leaves: &Range<u64>) -> u64 {
    leaves.start + (1 << (leaves.end - leaves.start - 1).ilog2())
}

/// The perfect subtree of 2^height leaves that begins at leaf `index * 2^height`.
#[derive(Clone, Copy)]
struct Subtree {
    height: u32,
    index: u64,
}

impl Subtree {
    /// Splits the leaves under one hash of a proof into perfect subtrees, left to right.
    fn of_range(range: Range<u64>) -> impl Iterator<Item = Subtree> {
        let mut rest = range;
        std::iter::from_fn(move || {
            let height = rest.end.checked_sub(rest.start)?.checked_ilog2()?;
            let index = rest.start >> height;
            rest.start += 1 << height;
            Some(Subtree { height, index })
        })
    }

    /// Returns the tile in which its hash, or hashes that lead to it, stand, and which ones.
    fn place(self, size: u64) -> Option<(Tile, Range<usize>)> {
        let level = self.height / TILE_HEIGHT;
        let within = self.height % TILE_HEIGHT;
        let first = self.index << within;
        let tile = Tile::of_tree(level as u8, first >> TILE_HEIGHT, size)?;
        let offset = (first % (1 << TILE_HEIGHT)) as usize;
        Some((tile, offset..offset + (1 << within)))
    }
}

fn tiles_of(ranges: &[Range<u64>], size: u64) -> Vec<Tile> {
    let subtrees = ranges.iter().cloned().flat_map(Subtree::of_range);
    let tiles: BTreeSet<Tile> = subtrees.filter_map(|subtree| subtree.place(size)).map(|(tile, _)| tile).collect();
    tiles.into_iter().collect()
}

fn range_root<'a>(
    range: Range<u64>,
    size: u64,
    read: &impl Fn(Tile) -> Option<&'a [Digest]>,
) -> Result<Digest, ProofError> {
    let outside = ProofError::Outside { index: range.end - 1, size };
    let mut peaks = Peaks::new();
    for subtree in Subtree::of_range(range) {
        let Some((tile, hashes)) = subtree.place(size) else { return Err(outside) };
        let stored = read(tile).and_then(|stored| stored.get(hashes)).ok_or(ProofError::Tile(tile))?;
        peaks.push(subtree.height, tree::root(stored));
    }
    Ok(peaks.root())
}
