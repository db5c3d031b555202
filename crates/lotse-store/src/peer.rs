//! Peers: agencies whose first card an administrator has accepted.

use lotse_core::id::AgencyId;
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

/// Reads all peers, by agency.
pub async fn all(tx: &mut Tx) -> Result<Vec<StoredPeer>, StoreError> {
    let sql = "SELECT agency, accepted_at, suspended, generation FROM peer ORDER BY agency";
    tx.fetch(sql, []).await?.iter().map(stored).collect()
}

/// Tells whether anything ever went to a peer or came from it, so that either side may hold something of the other.
pub async fn has_exchanged(tx: &mut Tx, agency: &AgencyId) -> Result<bool, StoreError> {
    let sql = "SELECT agency FROM peer WHERE agency = $1 AND (EXISTS (SELECT 1 FROM batch WHERE peer = $1)
                                                  OR EXISTS (SELECT 1 FROM received_batch WHERE peer = $1))";
    Ok(tx.fetch_optional(sql, [agency.into()]).await?.is_some())
}

fn stored(row: &Row) -> Result<StoredPeer, StoreError> {
    Ok(StoredPeer { agency: row.get(0)?, accepted_at: row.get(1)?, suspended: row.get(2)?, generation: row.get(3)? })
}
