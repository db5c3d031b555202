//! The exchange log: a Merkle tree over entries that nobody can rewrite unnoticed.
//!
//! All formats are open ones, so that other people's tools can check a log: the tree of RFC 6962, and tlog-tiles,
//! tlog-checkpoint and signed-note of C2SP (<https://c2sp.org>). A leaf is [`crate::id::Digest::of_leaf`] of an entry.
//! Nothing here reads or writes: the caller keeps tiles and entries.

pub mod checkpoint;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;

#[cfg(test)]
mod tests;
