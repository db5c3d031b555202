//! Batches on their way: one row per claim, with the seal that was sent and the receipt that came back.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Column, Columns, Readable, Row, StoreError, Tx, readable};

/// A lease runs, or ran when the node stopped.
const OPEN: i64 = 1;
/// The lease ended without a receipt: its items are in doubt and may be claimed again.
pub(crate) const LAPSED: i64 = 2;
/// All its items went into later batches; a receipt for it still counts.
const MOVED: i64 = 4;
/// A valid receipt is here.
pub(crate) const ANSWERED: i32 = 3;

/// Bytes of one item in a batch's list: record id and envelope digest.
const ITEM_BYTES: usize = 48;

/// One item of a batch, in batch order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem {
    /// Record id.
    pub record_id: Id,
    /// Digest of the envelope.
    pub digest: Digest,
}

/// A batch as it is claimed.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// Batch.
    pub batch_id: Id,
    /// Recipient.
    pub peer: AgencyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Root over the digests.
    pub root: Digest,
    /// The seal, encoded.
    pub seal: Vec<u8>,
    /// Items in batch order.
    pub items: Vec<BatchItem>,
    /// How often its items were sent before.
    pub attempts: u32,
    /// When content of its items has to go first, if they are released in it; what is sent again goes by its first batch.
    pub content_until: Option<Timestamp>,
}

/// Writes a batch with a running lease.
pub async fn insert(tx: &mut Tx, batch: &NewBatch) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO batch (batch_id, peer, state, created_at, root, seal, items, in_doubt, attempts, next_attempt_at,
             content_until)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $4, $10)",
        [
            batch.batch_id.into(),
            (&batch.peer).into(),
            OPEN.into(),
            batch.created_at.into(),
            batch.root.into(),
            batch.seal.clone().into(),
            encode_items(&batch.items).into(),
            (batch.items.len() as i64).into(),
            batch.attempts.into(),
            batch.content_until.into(),
        ],
    )
    .await
    .map(|_| ())
}

/// Marks a batch whose lease ended without a receipt: its items may be claimed again from a time on.
pub async fn lapse(tx: &mut Tx, batch_id: Id, next_attempt_at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE batch SET state = $2, next_attempt_at = $4 WHERE batch_id = $1 AND state = $3";
    tx.execute(sql, [batch_id.into(), LAPSED.into(), OPEN.into(), next_attempt_at.into()]).await.map(|_| ())
}

/// Marks batches whose lease ran when the node stopped, so many at most. Returns how many.
pub async fn lapse_all(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let sql = "UPDATE batch SET state = $1 WHERE batch_id IN (
                   SELECT batch_id FROM batch WHERE state < 3 AND state = $2 LIMIT $3)";
    tx.execute(sql, [LAPSED.into(), OPEN.into(), limit.into()]).await
}

/// Writes that so many items of a lapsed batch stay in doubt in it, to be looked at again from a time on; none: all of them went
/// into later batches.
pub async fn leave(tx: &mut Tx, batch_id: Id, staying: usize, next_attempt_at: Timestamp) -> Result<(), StoreError> {
    let state = if staying == 0 { MOVED } else { LAPSED };
    tx.execute(
        "UPDATE batch SET state = $2, in_doubt = $3, next_attempt_at = $4, attempts = attempts + 1
         WHERE batch_id = $1 AND state = $5",
        [batch_id.into(), state.into(), (staying as i64).into(), next_attempt_at.into(), LAPSED.into()],
    )
    .await
    .map(|_| ())
}

/// Batches in doubt that are looked at again at once; the others when their own pause is over.
const AT_ONCE: i64 = 10_000;

/// Lets items in doubt towards a peer be looked at again at once: something changed that may let them go.
pub async fn retry_now(tx: &mut Tx, peer: &AgencyId) -> Result<(), StoreError> {
    let sql = "UPDATE batch SET next_attempt_at = 0 WHERE batch_id IN (
                   SELECT batch_id FROM batch WHERE peer = $1 AND state < 3 AND state = $2
                   ORDER BY next_attempt_at LIMIT $3)";
    tx.execute(sql, [peer.into(), LAPSED.into(), AT_ONCE.into()]).await.map(|_| ())
}

/// A batch that is not answered.
#[derive(Clone, Debug)]
pub struct OpenBatch {
    /// Batch.
    pub batch_id: Id,
    /// Recipient.
    pub peer: AgencyId,
    /// Root over the digests.
    pub root: Digest,
    /// Items in batch order.
    pub items: Vec<BatchItem>,
    /// How often its items were sent before.
    pub attempts: u32,
    /// Whether items of it went into later batches.
    pub moved: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Finds the batch to a peer whose lease ended without a receipt and that has waited longest for another attempt.
pub async fn lapsed(tx: &mut Tx, peer: &AgencyId, at: Timestamp) -> Result<Option<OpenBatch>, StoreError> {
    let sql = "SELECT batch_id, peer, root, items, attempts, in_doubt, created_at FROM batch
               WHERE peer = $1 AND state < 3 AND state = $2 AND next_attempt_at <= $3 ORDER BY next_attempt_at LIMIT 8";
    // One that cannot be read stays where it is, and the next is looked at.
    let rows = tx.fetch(sql, [peer.into(), LAPSED.into(), at.into()]).await?;
    Ok(readable(&rows, 0, open_batch).rows.into_iter().next())
}

/// Finds a batch, whatever its state.
pub async fn find(tx: &mut Tx, batch_id: Id) -> Result<Option<OpenBatch>, StoreError> {
    let sql = "SELECT batch_id, peer, root, items, attempts, in_doubt, created_at FROM batch WHERE batch_id = $1";
    tx.fetch_optional(sql, [batch_id.into()]).await?.as_ref().map(open_batch).transpose()
}

/// What was signed about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSeals {
    /// Batch.
    pub batch_id: Id,
    /// The seal that was sent, encoded.
    pub seal: Vec<u8>,
    /// The receipt that came back, encoded.
    pub receipt: Option<Vec<u8>>,
}

/// Reads what was signed about batches, in the order of their ids; those that are not known are left out.
pub async fn seals(tx: &mut Tx, batch_ids: &[Id]) -> Result<Vec<BatchSeals>, StoreError> {
    let keys = batch_ids.iter().map(|&id| id.into()).collect();
    let sql = "SELECT batch_id, seal, receipt FROM batch WHERE batch_id";
    let rows = tx.fetch_in(sql, keys, " ORDER BY batch_id", []).await?;
    let read = |row: &Row| Ok(BatchSeals { batch_id: row.get(0)?, seal: row.get(1)?, receipt: row.get(2)? });
    rows.iter().map(read).collect()
}

/// Finds the batches whose lease may still run. One that cannot be read may be on its way, too.
pub async fn leased(tx: &mut Tx) -> Result<Readable<OpenBatch>, StoreError> {
    let sql =
        "SELECT batch_id, peer, root, items, attempts, in_doubt, created_at FROM batch WHERE state < 3 AND state = $1";
    let rows = tx.fetch(sql, [OPEN.into()]).await?;
    Ok(readable(&rows, 0, open_batch))
}

/// Finds those of the batches whose lease may still run.
pub async fn still_leased(tx: &mut Tx, batch_ids: &[Id]) -> Result<Vec<Id>, StoreError> {
    let keys = batch_ids.iter().map(|&id| id.into()).collect();
    let rows = tx.fetch_in("SELECT batch_id FROM batch WHERE batch_id", keys, " AND state = 1", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Finds batches in which content was released that has to go by now, the longest overdue first, with their records.
pub(crate) async fn content_over(tx: &mut Tx, at: Timestamp, limit: u32) -> Result<Vec<(Id, Vec<Id>)>, StoreError> {
    let sql = "SELECT batch_id, items FROM batch WHERE content_until <= $1 ORDER BY content_until LIMIT $2";
    let batch = |row: &Row| {
        let items = decode_items(&row.get::<Vec<u8>>(1)?)?;
        Ok((row.get(0)?, items.iter().map(|item| item.record_id).collect()))
    };
    let rows = tx.fetch(sql, [at.into(), limit.into()]).await?;
    Ok(readable(&rows, 0, batch).rows)
}

const CONTENT_UNTIL: Columns<2> = [Column::blob("batch_id"), Column::int("content_until")];

/// Writes when content of batches has to go next; none: nothing of it is left.
pub(crate) async fn set_content_until(tx: &mut Tx, next: Vec<(Id, Option<Timestamp>)>) -> Result<(), StoreError> {
    let rows = next.into_iter().map(|(batch_id, until)| [batch_id.into(), until.into()]).collect();
    let sql = "UPDATE batch SET content_until = v.content_until FROM v WHERE batch.batch_id = v.batch_id";
    tx.execute_with(&CONTENT_UNTIL, rows, sql).await.map(|_| ())
}

/// Records a valid receipt. Returns whether it is the first one for this batch.
pub async fn answer(tx: &mut Tx, batch_id: Id, receipt: Vec<u8>, at: Timestamp) -> Result<bool, StoreError> {
    let sql =
        "UPDATE batch SET state = $2, receipt = $3, answered_at = $4, in_doubt = 0 WHERE batch_id = $1 AND state <> $2";
    let changed = tx.execute(sql, [batch_id.into(), ANSWERED.into(), receipt.into(), at.into()]).await?;
    Ok(changed > 0)
}

fn encode_items(items: &[BatchItem]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * ITEM_BYTES);
    for item in items {
        bytes.extend_from_slice(item.record_id.as_bytes());
        bytes.extend_from_slice(item.digest.as_bytes());
    }
    bytes
}

fn decode_items(bytes: &[u8]) -> Result<Vec<BatchItem>, StoreError> {
    let (items, rest) = bytes.as_chunks::<ITEM_BYTES>();
    if !rest.is_empty() {
        return Err(StoreError::Value("list of a batch's items"));
    }
    let item = |bytes: &[u8; ITEM_BYTES]| {
        let (record_id, digest) = bytes.split_at(16);
        let unfit = StoreError::Value("list of a batch's items");
        match (Id::from_slice(record_id), Digest::from_slice(digest)) {
            (Ok(record_id), Ok(digest)) => Ok(BatchItem { record_id, digest }),
            _ => Err(unfit),
        }
    };
    items.iter().map(item).collect()
}

fn open_batch(row: &Row) -> Result<OpenBatch, StoreError> {
    let items = decode_items(&row.get::<Vec<u8>>(3)?)?;
    let moved = row.get::<i64>(5)? != items.len() as i64;
    Ok(OpenBatch {
        batch_id: row.get(0)?,
        peer: row.get(1)?,
        root: row.get(2)?,
        items,
        attempts: row.get(4)?,
        moved,
        created_at: row.get(6)?,
    })
}

#[cfg(test)]
pub(crate) mod tests;
