//! One generation's log: checkpoints first, then entries with the tiles over them, then all tiles, then the ends.

use std::collections::BTreeMap;

use lotse_core::id::Digest;
use lotse_core::key::PublicKey;
use lotse_core::log::checkpoint::{Checkpoint, Origin};
use lotse_core::log::note::Note;
use lotse_core::log::proof::TreeHead;
use lotse_core::log::tile::{TILE_WIDTH, Tile, encode_hashes};
use lotse_core::log::tree::{Frontier, TileUpdate};
use lotse_core::time::Timestamp;
use lotse_store::StoreError;
use lotse_store::log::{self, RawLeaf, StoredTile, Tiles};

use super::{Place, Report, Verified, entry};
use crate::entry::LogStart;
use crate::sequencer::reconcile::log_start;

/// The check of one generation, fed with what is stored.
pub(super) struct GenerationCheck<'a> {
    origin: Origin,
    keys: &'a [PublicKey],
    report: &'a mut Report,
    /// Checkpoints whose signature verified, by size.
    signed: Vec<(TreeHead, Timestamp)>,
    checkpoint_rows: u64,
    /// The tree over the tiles' leaf hashes, as far as it has been read.
    frontier: Frontier,
    next_checkpoint: usize,
    wrong_roots: u64,
    /// Tiles above the lowest level, as they must be; taken out when seen.
    upper: BTreeMap<(u8, u64), Vec<u8>>,
    entries: u64,
    start: Option<LogStart>,
}

/// What is known of a log's end from elsewhere.
pub(super) struct Ends {
    /// How many entries were ever written: the counter, or for a closed generation what its successor says.
    pub(super) written: u64,
    /// How many checkpoints were signed, where that is known.
    pub(super) checkpoints: Option<u64>,
}

impl<'a> GenerationCheck<'a> {
    pub(super) fn new(origin: Origin, keys: &'a [PublicKey], report: &'a mut Report) -> GenerationCheck<'a> {
        GenerationCheck {
            origin,
            keys,
            report,
            signed: Vec::new(),
            checkpoint_rows: 0,
            frontier: Frontier::empty(),
            next_checkpoint: 0,
            wrong_roots: 0,
            upper: BTreeMap::new(),
            entries: 0,
            start: None,
        }
    }

    /// Takes a checkpoint's row; to be called in order of size.
    pub(super) fn checkpoint(&mut self, size: i64, row: Result<log::Checkpoint, StoreError>) {
        self.checkpoint_rows += 1;
        match row.map_err(|error| error.to_string()).and_then(|row| self.open(&row).map(|()| row)) {
            Ok(row) => self.signed.push((row.head, row.signed_at)),
            Err(text) => self.find(Place::Checkpoint(size), text),
        }
    }

    fn open(&self, row: &log::Checkpoint) -> Result<(), String> {
        let note = Note::parse(row.note.as_bytes()).map_err(|error| error.to_string())?;
        let checkpoint = Checkpoint::open(&note, &self.origin, self.keys).map_err(|error| error.to_string())?;
        if checkpoint.head != row.head {
            return Err("size and root beside the signed note differ from it".to_owned());
        }
        let is_as_written = note.to_string() == row.note && note.signatures().len() == 1;
        if is_as_written { Ok(()) } else { Err("the note has more than the log's signature".to_owned()) }
    }

    /// Returns the size of the newest checkpoint that verified.
    pub(super) fn signed_size(&self) -> u64 {
        self.signed.last().map_or(0, |(head, _)| head.size)
    }

    /// Takes the rows of leaf indices `first..end`, of which all are under a signed head, and the tiles over them.
    pub(super) fn chunk(&mut self, first: u64, end: u64, rows: &[RawLeaf], tiles: &Tiles) {
        let size = self.signed_size();
        let mut rows = rows.iter().peekable();
        let mut leaves = Vec::new();
        for index in first..end {
            let tile = Tile::of_tree(0, index / TILE_WIDTH as u64, size);
            let hashes = tile.and_then(|tile| tiles.get(tile));
            let position = (index % TILE_WIDTH as u64) as usize;
            if hashes.is_none() && (position == 0 || index == first) {
                self.find(Place::Tile(0, (index / TILE_WIDTH as u64) as i64), "is missing or is no tile");
            }
            let row = rows.next_if(|row| u64::try_from(row.index) == Ok(index));
            let stored = self.entry(index, row);
            let signed = hashes.and_then(|hashes| hashes.get(position)).copied();
            if let (Some((hash, _)), Some(signed)) = (&stored, signed)
                && *hash != signed
            {
                self.find(
                    Place::Entry(index as i64),
                    "is not the entry that was signed: its hash differs from its tile's",
                );
            }
            let leaf = signed.or(stored.map(|(hash, _)| hash)).unwrap_or(Digest::from_bytes([0; 32]));
            leaves.push(leaf);
            self.close_checkpoint(index + 1, &mut leaves, stored.map(|(_, at)| at));
        }
        self.grow(&leaves);
    }

    /// Takes one row, sequenced or not. Returns its hash and time.
    fn entry(&mut self, index: u64, row: Option<&RawLeaf>) -> Option<(Digest, Timestamp)> {
        let place = Place::Entry(index as i64);
        let Some(row) = row else {
            self.find(place, "is missing");
            return None;
        };
        self.entries += 1;
        let entry = match &row.entry {
            Ok(entry) => entry,
            Err(error) => {
                self.find(place, error.to_string());
                return None;
            }
        };
        entry::faults(entry).into_iter().for_each(|fault| self.find(place, fault));
        if index == 0 {
            self.start = log_start(&entry.bytes);
            if self.start.is_none() {
                self.find(place, "is not the start of a log");
            }
        }
        Some((entry.leaf_hash(), entry.at))
    }

    /// Compares the checkpoint of this size with the tree, if there is one.
    fn close_checkpoint(&mut self, size: u64, leaves: &mut Vec<Digest>, newest_at: Option<Timestamp>) {
        let Some(&(head, signed_at)) = self.signed.get(self.next_checkpoint).filter(|(head, _)| head.size == size)
        else {
            return;
        };
        self.next_checkpoint += 1;
        self.grow(&std::mem::take(leaves));
        let place = Place::Checkpoint(size as i64);
        if newest_at.is_some_and(|at| at != signed_at) {
            self.find(place, "its time is not that of the newest entry under it");
        }
        if self.frontier.root() != head.root {
            self.wrong_roots += 1;
            if self.wrong_roots == 1 {
                self.find(place, "the stored hashes do not lead to its signed root");
            }
        }
    }

    fn grow(&mut self, leaves: &[Digest]) {
        let (grown, updates) = self.frontier.append(leaves);
        self.frontier = grown;
        for TileUpdate { tile, hashes } in updates.into_iter().filter(|update| update.tile.level() > 0) {
            self.upper.insert((tile.level(), tile.index()), encode_hashes(&hashes));
        }
    }

    /// Takes the rows behind the newest signed head, in order. Returns the leaf index behind the last one.
    pub(super) fn unsequenced(&mut self, first: u64, rows: &[RawLeaf]) -> u64 {
        let mut next = first;
        for row in rows {
            let Ok(index) = u64::try_from(row.index) else { continue };
            if index > next {
                self.find(Place::Entry(next as i64), format!("entries {next} to {} are missing", index - 1));
            }
            self.entry(index, Some(row));
            next = index + 1;
        }
        next
    }

    /// Takes any stored tile: it must stand in the tree of the newest head, in its width, with its hashes.
    pub(super) fn tile(&mut self, stored: &StoredTile) {
        let place = Place::Tile(stored.level, stored.index);
        let size = self.signed_size();
        let tile = match (u8::try_from(stored.level), u64::try_from(stored.index)) {
            (Ok(level), Ok(index)) => Tile::of_tree(level, index, size),
            _ => None,
        };
        let Some(tile) = tile else {
            return self.find(place, format!("stands outside of a tree of {size} entries"));
        };
        if stored.hashes.len() != tile.width() * 32 {
            return self.find(place, format!("has not the {} hashes that it must have", tile.width()));
        }
        if tile.level() > 0 && self.upper.remove(&(tile.level(), tile.index())).as_ref() != Some(&stored.hashes) {
            self.find(place, "its hashes are not those of the tiles below");
        }
    }

    /// Takes what is known of the ends; the last step. Returns what the generation's first entry says.
    pub(super) fn finish(mut self, ends: &Ends) -> Option<LogStart> {
        for (level, index) in std::mem::take(&mut self.upper).into_keys() {
            self.find(Place::Tile(level.into(), index as i64), "is missing");
        }
        if self.wrong_roots > 1 {
            self.find(Place::Log, format!("{} later checkpoints do not agree either", self.wrong_roots - 1));
        }
        if self.entries != ends.written {
            self.find(Place::Log, format!("{} entries are stored and {} were written", self.entries, ends.written));
        }
        if let Some(checkpoints) = ends.checkpoints.filter(|&signed| signed != self.checkpoint_rows) {
            let stored = self.checkpoint_rows;
            self.find(Place::Log, format!("{stored} checkpoints are stored and {checkpoints} were signed"));
        }
        self.report.verified.push(Verified {
            generation: self.origin.generation,
            entries: self.entries,
            signed: self.signed_size(),
            checkpoints: self.signed.len() as u64,
        });
        self.start
    }

    /// Returns the head of a size, if one was signed.
    pub(super) fn head_of(&self, size: u64) -> Option<TreeHead> {
        let at = self.signed.binary_search_by_key(&size, |(head, _)| head.size).ok()?;
        Some(self.signed[at].0)
    }

    pub(super) fn find(&mut self, place: Place, text: impl Into<String>) {
        self.report.find(self.origin.generation, place, text);
    }
}
