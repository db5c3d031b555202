//! The exchange log's rows. Entries are appended in the transaction of the state change that they tell; their order is their
//! leaf index, taken from a counter in the same transaction.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Column, OnConflict, Row, StoreError, Table, Tx};

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
            (first as i64 + offset as i64).into(),
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

/// Reads entries from a leaf index on, in order.
pub async fn read(tx: &mut Tx, generation: u32, from: u64, limit: u32) -> Result<Vec<Leaf>, StoreError> {
    let sql = "SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
               WHERE generation = $1 AND leaf_index >= $2 ORDER BY leaf_index LIMIT $3";
    tx.fetch(sql, [generation.into(), (from as i64).into(), limit.into()]).await?.iter().map(leaf).collect()
}

pub(crate) fn leaf(row: &Row) -> Result<Leaf, StoreError> {
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

/// What a list of entries is narrowed to. Empty fields do not narrow.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Number of the kind.
    pub kind: Option<i32>,
    /// The other agency.
    pub peer: Option<AgencyId>,
    /// Record.
    pub record_id: Option<Id>,
    /// Number of the decision.
    pub decision: Option<i32>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}
