//! Tiles: the hashes over the entries (C2SP tlog-tiles). A row holds a tile in its present width; partial ones are overwritten as
//! they grow.

use std::collections::BTreeMap;

use lotse_core::id::Digest;
use lotse_core::log::tile::{Tile, decode_hashes, encode_hashes};
use lotse_core::log::tree::TileUpdate;

use super::entry::place;
use crate::engine::{Column, Columns, OnConflict, Row, StoreError, Table, Tx};

static UPSERT: Table<4> = Table {
    name: "log_tile",
    columns: [Column::int("generation"), Column::int("level"), Column::int("tile_index"), Column::blob("hashes")],
};

/// Writes tiles, in place of what is stored under their level and index.
pub async fn write_tiles(tx: &mut Tx, generation: u32, updates: &[TileUpdate]) -> Result<(), StoreError> {
    let row = |TileUpdate { tile, hashes }: &TileUpdate| {
        [generation.into(), tile.level().into(), place(tile.index()).into(), encode_hashes(hashes).into()]
    };
    let grown = OnConflict::Do("(generation, level, tile_index) DO UPDATE SET hashes = excluded.hashes");
    tx.insert_many(&UPSERT, updates.iter().map(row).collect(), grown).await.map(|_| ())
}

/// Some tiles of a log, as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tiles(BTreeMap<(u8, u64), Vec<Digest>>);

impl Tiles {
    /// Returns the hashes stored at a tile's place; there may be more than the tile is wide.
    pub fn get(&self, tile: Tile) -> Option<&[Digest]> {
        self.0.get(&(tile.level(), tile.index())).map(Vec::as_slice)
    }
}

const WANTED: Columns<3> = [Column::int("generation"), Column::int("level"), Column::int("tile_index")];

/// Reads the tiles at these places; those that are not stored, or are no tiles, are left out.
pub async fn read_tiles(tx: &mut Tx, generation: u32, wanted: &[Tile]) -> Result<Tiles, StoreError> {
    let key = |tile: &Tile| [generation.into(), tile.level().into(), place(tile.index()).into()];
    let rows = tx
        .fetch_with(
            &WANTED,
            wanted.iter().map(key).collect(),
            "SELECT t.level, t.tile_index, t.hashes FROM v JOIN log_tile t
             ON t.generation = v.generation AND t.level = v.level AND t.tile_index = v.tile_index",
        )
        .await?;
    let mut tiles = Tiles::default();
    for row in &rows {
        let bytes: Vec<u8> = row.get(2)?;
        if let Ok(hashes) = decode_hashes(&bytes) {
            tiles.0.insert((row.get(0)?, row.get(1)?), hashes);
        }
    }
    Ok(tiles)
}

/// A tile's row as it is, for verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTile {
    /// Level.
    pub level: i64,
    /// Place within the level.
    pub index: i64,
    /// Hashes, one after another, if it is in order.
    pub hashes: Vec<u8>,
}

/// Lists the tiles of a generation behind a level and index, in order.
pub async fn stored_tiles(
    tx: &mut Tx,
    generation: u32,
    after: Option<(i64, i64)>,
    limit: u32,
) -> Result<Vec<StoredTile>, StoreError> {
    let sql = "SELECT level, tile_index, hashes FROM log_tile
               WHERE generation = $1 AND (level > $2 OR (level = $2 AND tile_index > $3))
               ORDER BY level, tile_index LIMIT $4";
    let (level, index) = after.unwrap_or((i64::MIN, i64::MIN));
    let tile = |row: &Row| Ok(StoredTile { level: row.get(0)?, index: row.get(1)?, hashes: row.get(2)? });
    tx.fetch(sql, [generation.into(), level.into(), index.into(), limit.into()]).await?.iter().map(tile).collect()
}
