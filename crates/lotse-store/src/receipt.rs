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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_engines, reading, writing};

    on_both_engines! {
        the_receipt_for_a_batch_is_kept_as_it_was_signed_and_never_replaced
    }

    async fn the_receipt_for_a_batch_is_kept_as_it_was_signed_and_never_replaced(database: Database) {
        let store = database.open().await;
        let [known, unknown] = [1, 2].map(|number| Id::from_bytes([number; 16]));
        let peer = || "a.example".parse::<AgencyId>().unwrap();
        let (root, at) = (Digest::of(b"root"), Timestamp::from_micros(10));
        writing!(store, tx => insert(tx, known, &peer(), root, vec![7], at)).unwrap();
        assert!(writing!(store, tx => insert(tx, known, &peer(), root, vec![8], at)).is_err());
        let found = reading!(store, tx => find(tx, known)).unwrap();
        assert_eq!((found.peer, found.root, found.receipt), (peer(), root, vec![7]));
        assert!(reading!(store, tx => find(tx, unknown)).is_none());
    }
}
