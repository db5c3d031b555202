//! The exchange log's rows: entries, the tiles over their hashes, and signed checkpoints.

mod about;
mod checkpoint;
mod entry;
mod tile;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, checkpoints, count_checkpoints, insert_checkpoint, newest_checkpoint};
pub use entry::{
    Entry, Extent, Filter, Leaf, RawLeaf, append, carry, end, extent, find, generations, list, outside, read,
    read_unchecked,
};
pub use tile::{StoredTile, Tiles, read_tiles, stored_tiles, write_tiles};
