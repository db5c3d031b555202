//! The files of an export, read and verified by implementations that are not ours (crates `signed_note` and `tlog_tiles`).

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::{
    Checkpoint, Error, Hash, HashReader, Tile, TileHashReader, TileReader, check_record, check_tree, prove_record,
    prove_tree, record_hash, stored_hash_index, tree_hash,
};

/// Height of the tiles of tlog-tiles.
const HEIGHT: u8 = 8;

/// The tiles of a folder.
struct Folder<'a>(&'a Path);

impl TileReader for Folder<'_> {
    fn height(&self) -> u8 {
        HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| fs::read(self.0.join(path(tile))).expect("every tile that the tree needs is there");
        Ok(tiles.iter().map(read).collect())
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

/// The path that tlog-tiles gives a tile; the crate's has the height in it, as the Go checksum database has.
fn path(tile: &Tile) -> String {
    tile.path().replacen(&format!("tile/{HEIGHT}/"), "tile/", 1).replacen("tile/data/", "tile/entries/", 1)
}

/// Opens a checkpoint with the key that lies beside it.
fn checkpoint(file: &Path, key: &Path) -> Result<Checkpoint> {
    let note = Note::from_bytes(&fs::read(file)?).ok().context("no signed note")?;
    let verifier = StandardVerifier::new(fs::read_to_string(key)?.trim_end()).ok().context("no key")?;
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).ok().context("the note does not verify")?;
    Checkpoint::from_bytes(note.text()).ok().context("no checkpoint")
}

/// Verifies every entry of an export under its head, and that it continues an older one.
pub(super) fn verify(export: &Path, old: Option<&Path>) -> Result<()> {
    let key = export.join("log.vkey");
    let head = checkpoint(&export.join("checkpoint"), &key)?;
    let (size, root) = (head.size(), *head.hash());
    let tiles = Folder(export);
    let reader = TileHashReader::new(size, root, &tiles);
    ensure!(tree_hash(size, &reader).ok() == Some(root), "the tiles do not lead to the root");
    let mut index = 0;
    while index < size {
        let width = (size - index).min(1 << HEIGHT) as u32;
        let bundle = fs::read(export.join(path(&Tile::new(HEIGHT, 0, index >> HEIGHT, width, true))))?;
        let mut rest = bundle.as_slice();
        while let Some((length, tail)) = rest.split_first_chunk() {
            let (entry, tail) = tail.split_at(u16::from_be_bytes(*length).into());
            let leaf = record_hash(entry);
            let stored = reader.read_hashes(&[stored_hash_index(0, index)]).ok().context("no leaf hash")?;
            ensure!(stored == [leaf], "entry {index} is not in the tree");
            if index % 97 == 0 {
                let proof = prove_record(size, index, &reader).ok().context("no proof")?;
                check_record(&proof, size, root, index, leaf).ok().context("the proof does not hold")?;
            }
            (index, rest) = (index + 1, tail);
        }
    }
    ensure!(index == size, "{index} entries instead of {size}");
    let Some(old) = old.map(|old| checkpoint(old, &key)).transpose()? else { return Ok(()) };
    let proof = prove_tree(size, old.size(), &reader).ok().context("no proof of consistency")?;
    let continues: Result<(), Error> = check_tree(&proof, size, root, old.size(), Hash(old.hash().0));
    continues.ok().context("the log does not continue the older one")
}
