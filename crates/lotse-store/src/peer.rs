//! Peers: agencies whose first card an administrator has accepted.

use lotse_core::id::AgencyId;
use lotse_core::numbers::HighestNumbers;
use lotse_core::time::Timestamp;

use crate::engine::{Row, StoreError, Tx};

/// Whether releases to a peer, or under an agreement, are stopped at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspension {
    /// Nothing is released.
    Suspended,
    /// Releases go on.
    Lifted,
}

/// A peer as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPeer {
    /// The agency.
    pub agency: AgencyId,
    /// When its first card was accepted.
    pub accepted_at: Timestamp,
    /// Whether releases to it are suspended here.
    pub suspended: bool,
    /// Its generation as last known.
    pub generation: u32,
    /// Since when the exchange with it is stopped, as it has seen later numbers of this node than the node knows.
    pub stopped_at: Option<Timestamp>,
    /// Highest numbers of this node that it had named when it was stopped last.
    pub named: HighestNumbers,
}

/// Writes a peer that was just accepted.
pub async fn insert(tx: &mut Tx, agency: &AgencyId, accepted_at: Timestamp, generation: u32) -> Result<(), StoreError> {
    let sql = "INSERT INTO peer (agency, accepted_at, generation) VALUES ($1, $2, $3)";
    tx.execute(sql, [agency.into(), accepted_at.into(), generation.into()]).await.map(|_| ())
}

/// Suspends a peer or lifts the suspension.
pub async fn suspend(tx: &mut Tx, agency: &AgencyId, suspension: Suspension) -> Result<(), StoreError> {
    let suspended = suspension == Suspension::Suspended;
    let sql = "UPDATE peer SET suspended = $2 WHERE agency = $1";
    tx.execute(sql, [agency.into(), suspended.into()]).await.map(|_| ())
}

/// Notes the generation that a peer's card shows; a lower one than known changes nothing.
pub async fn raise_generation(tx: &mut Tx, agency: &AgencyId, generation: u32) -> Result<(), StoreError> {
    let sql = "UPDATE peer SET generation = $2 WHERE agency = $1 AND generation < $2";
    tx.execute(sql, [agency.into(), generation.into()]).await.map(|_| ())
}

/// Stops the exchange with a peer that has named later numbers of this node than the node knows.
pub async fn stop(tx: &mut Tx, agency: &AgencyId, named: &HighestNumbers, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE peer SET stopped_at = $2, named_generation = $3, highest_epoch = $4, highest_revision = $5,
                               highest_receipt_number = $6 WHERE agency = $1";
    let HighestNumbers { generation, epoch, revision, receipt } = *named;
    tx.execute(sql, [agency.into(), at.into(), generation.into(), epoch.into(), revision.into(), receipt.into()])
        .await
        .map(|_| ())
}

/// Lets the exchange with a peer go on. What it has named stays: the same numbers do not stop it again.
pub async fn lift_stop(tx: &mut Tx, agency: &AgencyId) -> Result<(), StoreError> {
    tx.execute("UPDATE peer SET stopped_at = NULL WHERE agency = $1", [agency.into()]).await.map(|_| ())
}

/// Lets the exchange with all peers go on: the numbers of a new generation are above all that they have seen.
pub async fn lift_stops(tx: &mut Tx) -> Result<(), StoreError> {
    tx.execute("UPDATE peer SET stopped_at = NULL", []).await.map(|_| ())
}

/// Reads all peers, by agency.
pub async fn all(tx: &mut Tx) -> Result<Vec<StoredPeer>, StoreError> {
    let sql = "SELECT agency, accepted_at, suspended, generation, stopped_at, named_generation, highest_epoch,
                      highest_revision, highest_receipt_number FROM peer ORDER BY agency";
    tx.fetch(sql, []).await?.iter().map(stored).collect()
}

/// Tells whether anything ever went to a peer or came from it, so that either side may hold something of the other.
pub async fn has_exchanged(tx: &mut Tx, agency: &AgencyId) -> Result<bool, StoreError> {
    let sql = "SELECT agency FROM peer WHERE agency = $1 AND (EXISTS (SELECT 1 FROM batch WHERE peer = $1)
                                                  OR EXISTS (SELECT 1 FROM received_batch WHERE peer = $1))";
    Ok(tx.fetch_optional(sql, [agency.into()]).await?.is_some())
}

fn stored(row: &Row) -> Result<StoredPeer, StoreError> {
    Ok(StoredPeer {
        agency: row.get(0)?,
        accepted_at: row.get(1)?,
        suspended: row.get(2)?,
        generation: row.get(3)?,
        stopped_at: row.get(4)?,
        named: HighestNumbers {
            generation: row.get(5)?,
            epoch: row.get(6)?,
            revision: row.get(7)?,
            receipt: row.get(8)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use lotse_core::id::Sequence;

    use super::*;
    use crate::testing::{Database, on_both_engines, reading, writing};

    on_both_engines! {
        a_stop_is_kept_with_the_numbers_that_the_peer_named_also_when_it_is_lifted
    }

    async fn a_stop_is_kept_with_the_numbers_that_the_peer_named_also_when_it_is_lifted(database: Database) {
        let store = database.open().await;
        let one = || "a.example".parse::<AgencyId>().unwrap();
        let two = || "b.example".parse::<AgencyId>().unwrap();
        let at = Timestamp::from_micros;
        writing!(store, tx => insert(tx, &one(), at(1), 1)).unwrap();
        writing!(store, tx => insert(tx, &two(), at(1), 1)).unwrap();
        let (last, first) = (Sequence::from_u64(u64::MAX), Sequence::new(1, 1));
        let named = HighestNumbers { generation: 3, epoch: first, revision: last, receipt: first };
        writing!(store, tx => stop(tx, &one(), &named, at(20))).unwrap();
        writing!(store, tx => stop(tx, &two(), &named, at(30))).unwrap();
        let stops = |peers: Vec<StoredPeer>| peers.iter().map(|peer| peer.stopped_at).collect::<Vec<_>>();
        let found = reading!(store, tx => all(tx));
        assert_eq!((found[0].named, stops(found)), (named, vec![Some(at(20)), Some(at(30))]));
        writing!(store, tx => lift_stop(tx, &one())).unwrap();
        let found = reading!(store, tx => all(tx));
        assert_eq!((found[0].named, stops(found)), (named, vec![None, Some(at(30))]));
        writing!(store, tx => lift_stops(tx)).unwrap();
        assert_eq!(stops(reading!(store, tx => all(tx))), [None, None]);
    }
}
