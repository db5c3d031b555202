//! Receipts that this node signed: the same batch gets the same receipt bytes.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{StoreError, Tx};

/// A batch that arrived before.
#[derive(Clone, Debug)]
pub struct ReceivedBatch {
    /// Peer that sent it.
    pub peer: AgencyId,
    /// Root of the batch.
    pub root: Digest,
    /// The receipt, encoded.
    pub receipt: Vec<u8>,
}

/// Finds the receipt for a batch.
pub async fn find(tx: &mut Tx, batch_id: Id) -> Result<Option<ReceivedBatch>, StoreError> {
    let sql = "SELECT peer, root, receipt FROM received_batch WHERE batch_id = $1";
    let row = tx.fetch_optional(sql, [batch_id.into()]).await?;
    row.map(|row| Ok(ReceivedBatch { peer: row.get(0)?, root: row.get(1)?, receipt: row.get(2)? })).transpose()
}

/// Stores the receipt for a batch.
pub async fn insert(
    tx: &mut Tx,
    batch_id: Id,
    peer: &AgencyId,
    root: Digest,
    receipt: Vec<u8>,
    at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO received_batch (batch_id, peer, root, received_at, receipt) VALUES ($1, $2, $3, $4, $5)",
        [batch_id.into(), peer.into(), root.into(), at.into(), receipt.into()],
    )
    .await
    .map(|_| ())
}
