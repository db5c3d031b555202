//! The log against oracles that are not ours: ct-merkle, tlog_tiles and signed_note.

mod checkpoint;
mod note;
mod proof;
mod tree;

use std::collections::BTreeMap;

use crate::id::Digest;
use crate::log::tile::Tile;
use crate::log::tree::{Frontier, TileUpdate};

/// Leaf hashes 0, 1, 2, … of entries that are their numbers.
pub(super) fn leaves(count: usize) -> Vec<Digest> {
    (0..count).map(|number| Digest::of_leaf(number.to_string().as_bytes())).collect()
}

/// What a database would do: keep the last state of each tile under its level and index.
#[derive(Default)]
pub(super) struct Tiles(BTreeMap<(u8, u64), Vec<Digest>>);

impl Tiles {
    pub(super) fn write(&mut self, updates: Vec<TileUpdate>) {
        for TileUpdate { tile, hashes } in updates {
            assert_eq!(tile.width(), hashes.len(), "{tile}");
            self.0.insert((tile.level(), tile.index()), hashes);
        }
    }

    pub(super) fn read(&self, tile: Tile) -> Option<&[Digest]> {
        self.0.get(&(tile.level(), tile.index())).map(Vec::as_slice)
    }

    /// Grows a tree by batches of these sizes.
    pub(super) fn grow(batches: &[usize]) -> (Frontier, Tiles) {
        let leaves = leaves(batches.iter().sum());
        let mut rest = &leaves[..];
        let (mut frontier, mut tiles) = (Frontier::empty(), Tiles::default());
        for &batch in batches {
            let (now, later) = rest.split_at(batch);
            let (grown, updates) = frontier.append(now);
            tiles.write(updates);
            (frontier, rest) = (grown, later);
        }
        (frontier, tiles)
    }
}

/// Flips one bit of a digest.
pub(super) fn flipped(digest: &Digest, bit: usize) -> Digest {
    let mut bytes = *digest.as_bytes();
    bytes[bit / 8 % 32] ^= 1 << (bit % 8);
    Digest::from_bytes(bytes)
}

/// SHA-256 as ct-merkle wants it.
pub(super) mod ct {
    use aws_lc_rs::digest::{Context, SHA256};
    use ct_merkle::array::sizes::U32;
    use ct_merkle::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};
    use ct_merkle::mem_backed_tree::MemoryBackedTree;

    #[derive(Clone)]
    pub(crate) struct Sha256(Context);

    impl Default for Sha256 {
        fn default() -> Sha256 {
            Sha256(Context::new(&SHA256))
        }
    }

    impl HashMarker for Sha256 {}

    impl OutputSizeUser for Sha256 {
        type OutputSize = U32;
    }

    impl Update for Sha256 {
        fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }

    impl FixedOutput for Sha256 {
        fn finalize_into(self, out: &mut Output<Sha256>) {
            out.copy_from_slice(self.0.finish().as_ref());
        }
    }

    /// The tree over the same entries as [`super::leaves`].
    pub(crate) fn tree(count: usize) -> MemoryBackedTree<Sha256, Vec<u8>> {
        let mut tree = MemoryBackedTree::new();
        (0..count).for_each(|number| tree.push(number.to_string().into_bytes()));
        tree
    }
}
