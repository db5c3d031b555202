//! Checkpoints: the heads that this node has signed. A row is a function of the entries and the log key alone, so that the row
//! that a crash prevented is written as it would have been, and each column can be verified.

use lotse_core::log::proof::TreeHead;
use lotse_core::time::Timestamp;

use super::entry::place;
use crate::engine::{Row, StoreError, Tx};

/// A signed head as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Size and root.
    pub head: TreeHead,
    /// Time of the newest entry that it covers: it was signed then or a moment later.
    pub signed_at: Timestamp,
    /// The signed note (C2SP tlog-checkpoint).
    pub note: String,
}

/// Writes a checkpoint. The same size twice is an error: a log has one head of each size.
pub async fn insert_checkpoint(tx: &mut Tx, generation: u32, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let sql = "INSERT INTO checkpoint (generation, size, root, signed_at, note) VALUES ($1, $2, $3, $4, $5)";
    let Checkpoint { head, signed_at, note } = checkpoint;
    let values =
        [generation.into(), place(head.size).into(), head.root.into(), (*signed_at).into(), note.clone().into()];
    tx.execute(sql, values).await.map(|_| ())
}

/// Returns the newest checkpoint of a generation.
pub async fn newest_checkpoint(tx: &mut Tx, generation: u32) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT size, root, signed_at, note FROM checkpoint WHERE generation = $1 ORDER BY size DESC LIMIT 1";
    tx.fetch_optional(sql, [generation.into()]).await?.as_ref().map(checkpoint).transpose()
}

/// Counts the checkpoints of a generation.
pub async fn count_checkpoints(tx: &mut Tx, generation: u32) -> Result<u64, StoreError> {
    tx.fetch_one("SELECT COUNT(*) FROM checkpoint WHERE generation = $1", [generation.into()]).await?.get(0)
}

/// Lists the checkpoints of a generation behind a size, in order, with the size of each as it is stored. A row that is no
/// checkpoint comes as the error it is.
pub async fn checkpoints(
    tx: &mut Tx,
    generation: u32,
    after: Option<i64>,
    limit: u32,
) -> Result<Vec<(i64, Result<Checkpoint, StoreError>)>, StoreError> {
    let sql = "SELECT size, root, signed_at, note FROM checkpoint WHERE generation = $1 AND size > $2
               ORDER BY size LIMIT $3";
    let rows = tx.fetch(sql, [generation.into(), after.unwrap_or(i64::MIN).into(), limit.into()]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, checkpoint(row)))).collect()
}

fn checkpoint(row: &Row) -> Result<Checkpoint, StoreError> {
    let head = TreeHead { size: row.get(0)?, root: row.get(1)? };
    Ok(Checkpoint { head, signed_at: row.get(2)?, note: row.get(3)? })
}
