//! Log entries. They are appended in the transaction of the state change that they tell; their order is their leaf index, taken
//! from a counter in the same transaction.

use std::ops::Range;

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use super::about;
use crate::engine::{Column, OnConflict, Row, StoreError, Table, Tx, Value};

/// The most entries that one read returns: what a page may hold in memory.
pub(super) const MAX_PAGE: u32 = 4096;

/// An entry's exact bytes with the columns that repeat them for filters.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Number of the kind.
    pub kind: i32,
    /// Number of the direction.
    pub direction: i32,
    /// The other agency; empty if there is none.
    pub peer: String,
    /// Number of the decision.
    pub decision: i32,
    /// Record.
    pub record_id: Option<Id>,
    /// Exact bytes: leaf hash = SHA-256(0x00 ‖ bytes).
    pub bytes: Vec<u8>,
}

impl Entry {
    /// Returns the leaf hash.
    pub fn leaf_hash(&self) -> Digest {
        Digest::of_leaf(&self.bytes)
    }
}

static INSERT: Table<9> = Table {
    name: "log_entry",
    columns: [
        Column::int("generation"),
        Column::int("leaf_index"),
        Column::int("at"),
        Column::int("kind"),
        Column::int("direction"),
        Column::text("peer"),
        Column::int("decision"),
        Column::blob("record_id"),
        Column::blob("entry"),
    ],
};

/// Appends entries as leaves from `first` on; the caller has taken these numbers from [`crate::counter::Counter::Leaf`].
pub async fn append(tx: &mut Tx, generation: u32, first: u64, entries: Vec<Entry>) -> Result<(), StoreError> {
    let row = |(offset, entry): (usize, Entry)| {
        [
            generation.into(),
            place(first.saturating_add(offset as u64)).into(),
            entry.at.into(),
            entry.kind.into(),
            entry.direction.into(),
            entry.peer.into(),
            entry.decision.into(),
            entry.record_id.into(),
            entry.bytes.into(),
        ]
    };
    tx.insert_many(&INSERT, entries.into_iter().enumerate().map(row).collect(), OnConflict::Fail).await.map(|_| ())
}

/// An entry with its place.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Leaf index.
    pub index: u64,
    /// Entry.
    pub entry: Entry,
}

/// Reads entries from a leaf index on, in order, at most 4,096.
pub async fn read(tx: &mut Tx, generation: u32, from: u64, limit: u32) -> Result<Vec<Leaf>, StoreError> {
    let sql = "SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
               WHERE generation = $1 AND leaf_index >= $2 ORDER BY leaf_index LIMIT $3";
    tx.fetch(sql, [generation.into(), place(from).into(), limit.min(MAX_PAGE).into()]).await?.iter().map(leaf).collect()
}

pub(super) fn leaf(row: &Row) -> Result<Leaf, StoreError> {
    Ok(Leaf {
        index: row.get(0)?,
        entry: Entry {
            at: row.get(1)?,
            kind: row.get(2)?,
            direction: row.get(3)?,
            peer: row.get(4)?,
            decision: row.get(5)?,
            record_id: row.get(6)?,
            bytes: row.get(7)?,
        },
    })
}

/// Finds one entry.
pub async fn find(tx: &mut Tx, generation: u32, index: u64) -> Result<Option<Leaf>, StoreError> {
    let sql = "SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
               WHERE generation = $1 AND leaf_index = $2";
    tx.fetch_optional(sql, [generation.into(), place(index).into()]).await?.as_ref().map(leaf).transpose()
}

/// What a list of entries is narrowed to. Empty fields do not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Number of the kind.
    pub kind: Option<i32>,
    /// Number of the direction.
    pub direction: Option<i32>,
    /// The other agency.
    pub peer: Option<AgencyId>,
    /// Record: with the answers to it, and with the receipts for what was sent.
    pub record_id: Option<Id>,
    /// Number of the decision.
    pub decision: Option<i32>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Returns what every list compares with: kind, peer, decision, from, until, direction. The record is found otherwise.
    pub(super) fn values(&self) -> [Value; 6] {
        [
            self.kind.into(),
            self.peer.as_ref().into(),
            self.decision.into(),
            self.from.unwrap_or(Timestamp::from_micros(i64::MIN)).into(),
            self.until.unwrap_or(Timestamp::from_micros(i64::MAX)).into(),
            self.direction.into(),
        ]
    }
}

/// Returns the leaf index that the next entry of a generation gets, as far as the stored ones tell.
pub async fn end(tx: &mut Tx, generation: u32) -> Result<u64, StoreError> {
    let sql = "SELECT leaf_index FROM log_entry WHERE generation = $1 ORDER BY leaf_index DESC LIMIT 1";
    let newest = tx.fetch_optional(sql, [generation.into()]).await?;
    newest.map_or(Ok(0), |row| Ok(row.get::<i64>(0)?.cast_unsigned().saturating_add(1)))
}

/// Lists entries newest first, those with a leaf index of the range only. Those about one record are found by what is known of it,
/// whatever the range begins with; any other filter reads all of the range until the page is full.
pub async fn list(
    tx: &mut Tx,
    generation: u32,
    filter: &Filter,
    range: Range<u64>,
    limit: u32,
) -> Result<Vec<Leaf>, StoreError> {
    if let Some(record_id) = filter.record_id {
        return about::list(tx, generation, record_id, filter, Some(range.end), limit).await;
    }
    let sql = "SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
               WHERE generation = $1 AND leaf_index < $2 AND (kind = $3 OR $3 IS NULL) AND (peer = $4 OR $4 IS NULL)
               AND (decision = $5 OR $5 IS NULL) AND at >= $6 AND at < $7 AND (direction = $8 OR $8 IS NULL)
               AND leaf_index >= $10 ORDER BY leaf_index DESC LIMIT $9";
    let [kind, peer, decision, from, until, direction] = filter.values();
    let values = [
        generation.into(),
        place(range.end).into(),
        kind,
        peer,
        decision,
        from,
        until,
        direction,
        limit.min(MAX_PAGE).into(),
        place(range.start).into(),
    ];
    tx.fetch(sql, values).await?.iter().map(leaf).collect()
}

/// Moves the entries from a leaf index on to another generation, where they become leaves from `first` on, in their order.
/// Returns how many they are.
pub async fn carry(tx: &mut Tx, from: (u32, u64), to: (u32, u64)) -> Result<u64, StoreError> {
    let sql = "UPDATE log_entry SET generation = $3, leaf_index = leaf_index - $2 + $4
               WHERE generation = $1 AND leaf_index >= $2";
    tx.execute(sql, [from.0.into(), place(from.1).into(), to.0.into(), place(to.1).into()]).await
}

/// Lists the generations of which anything is stored, in order. Values that are no generation are listed too.
pub async fn generations(tx: &mut Tx) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT generation FROM log_entry UNION SELECT generation FROM log_tile
               UNION SELECT generation FROM checkpoint ORDER BY 1";
    tx.fetch(sql, []).await?.iter().map(|row| row.get(0)).collect()
}

/// How many entries of a generation are stored, and between which places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Number of rows.
    pub count: u64,
    /// Lowest leaf index.
    pub lowest: Option<i64>,
    /// Highest leaf index.
    pub highest: Option<i64>,
}

/// Measures the entries of a generation, without reading them.
pub async fn extent(tx: &mut Tx, generation: u32) -> Result<Extent, StoreError> {
    let sql = "SELECT COUNT(*), MIN(leaf_index), MAX(leaf_index) FROM log_entry WHERE generation = $1";
    let row = tx.fetch_one(sql, [generation.into()]).await?;
    Ok(Extent { count: row.get(0)?, lowest: row.get(1)?, highest: row.get(2)? })
}

/// A row as it is, for verification: what was changed by a foreign hand may not even be an entry.
#[derive(Clone, Debug)]
pub struct RawLeaf {
    /// Leaf index, which may be negative.
    pub index: i64,
    /// The entry, or why the row cannot be one.
    pub entry: Result<Entry, StoreError>,
}

/// Reads entries between two leaf indices, the second one excluded, in order, whatever they hold.
pub async fn read_unchecked(tx: &mut Tx, generation: u32, from: u64, until: u64) -> Result<Vec<RawLeaf>, StoreError> {
    let sql = "SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
               WHERE generation = $1 AND leaf_index >= $2 AND leaf_index < $3 ORDER BY leaf_index LIMIT $4";
    let values = [generation.into(), place(from).into(), place(until).into(), MAX_PAGE.into()];
    let raw = |row: &Row| Ok(RawLeaf { index: row.get(0)?, entry: leaf(row).map(|leaf| leaf.entry) });
    tx.fetch(sql, values).await?.iter().map(raw).collect()
}

/// Lists leaf indices that lie before the first place or at or behind `end`, at most `limit`.
pub async fn outside(tx: &mut Tx, generation: u32, end: u64, limit: u32) -> Result<Vec<i64>, StoreError> {
    let sql = "SELECT leaf_index FROM log_entry WHERE generation = $1 AND (leaf_index < 0 OR leaf_index >= $2)
               ORDER BY leaf_index LIMIT $3";
    let rows = tx.fetch(sql, [generation.into(), place(end).into(), limit.into()]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// A leaf index as the database counts: one that is too high is behind every row.
pub(super) fn place(index: u64) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}
