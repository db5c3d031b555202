//! Agreements: the exact bytes of each version, the seals that were verified, and which agreements are suspended here.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Column, OnConflict, Row, StoreError, Table, Tx};
use crate::peer::Suspension;

/// A version of an agreement as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAgreement {
    /// SHA-256 of the sealed bytes.
    pub digest: Digest,
    /// Agreement.
    pub agreement_id: Id,
    /// Version.
    pub version: u32,
    /// The bytes that are sealed.
    pub payload: Vec<u8>,
    /// When it came here.
    pub offered_at: Timestamp,
    /// Peer that offered it; none if it was this agency, or nobody knows any more.
    pub offered_by: Option<AgencyId>,
    /// When the last missing seal came; none while one is missing.
    pub completed_at: Option<Timestamp>,
}

/// A party's seal of a version. It was verified with a key of that party's card when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSeal {
    /// Digest of the version.
    pub digest: Digest,
    /// Who sealed it.
    pub agency: AgencyId,
    /// The signature, encoded.
    pub signature: Vec<u8>,
    /// When it came here.
    pub sealed_at: Timestamp,
}

/// Writes a version. There is one text of each version of an agreement.
pub async fn insert(tx: &mut Tx, agreement: &StoredAgreement) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO agreement (digest, agreement_id, version, payload, offered_at, offered_by, completed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            agreement.digest.into(),
            agreement.agreement_id.into(),
            agreement.version.into(),
            agreement.payload.clone().into(),
            agreement.offered_at.into(),
            agreement.offered_by.as_ref().into(),
            agreement.completed_at.into(),
        ],
    )
    .await
    .map(|_| ())
}

/// Removes a version with its seals, to make room for another text. Only for one that this node has not sealed; one that is
/// complete stays.
pub async fn remove(tx: &mut Tx, digest: Digest) -> Result<(), StoreError> {
    let sql = "DELETE FROM agreement_seal WHERE digest = $1
               AND digest IN (SELECT digest FROM agreement WHERE digest = $1 AND completed_at IS NULL)";
    tx.execute(sql, [digest.into()]).await?;
    let sql = "DELETE FROM agreement WHERE digest = $1 AND completed_at IS NULL";
    tx.execute(sql, [digest.into()]).await.map(|_| ())
}

/// Notes when a version became complete; the first time stays.
pub async fn complete(tx: &mut Tx, digest: Digest, at: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE agreement SET completed_at = $2 WHERE digest = $1 AND completed_at IS NULL";
    tx.execute(sql, [digest.into(), at.into()]).await.map(|_| ())
}

static SEAL: Table<4> = Table {
    name: "agreement_seal",
    columns: [Column::blob("digest"), Column::text("agency"), Column::blob("signature"), Column::int("sealed_at")],
};

/// Writes seals; a later one of the same party takes the place of the one before.
pub async fn put_seals(tx: &mut Tx, seals: &[StoredSeal]) -> Result<(), StoreError> {
    let row = |seal: &StoredSeal| {
        [seal.digest.into(), (&seal.agency).into(), seal.signature.clone().into(), seal.sealed_at.into()]
    };
    let replace = "(digest, agency) DO UPDATE SET signature = excluded.signature, sealed_at = excluded.sealed_at";
    tx.insert_many(&SEAL, seals.iter().map(row).collect(), OnConflict::Do(replace)).await.map(|_| ())
}

/// Suspends an agreement at this node or lifts the suspension.
pub async fn suspend(tx: &mut Tx, id: Id, suspension: Suspension, at: Timestamp) -> Result<(), StoreError> {
    match suspension {
        Suspension::Suspended => {
            let sql = "INSERT INTO agreement_suspension (agreement_id, suspended_at) VALUES ($1, $2)
                       ON CONFLICT DO NOTHING";
            tx.execute(sql, [id.into(), at.into()]).await
        }
        Suspension::Lifted => tx.execute("DELETE FROM agreement_suspension WHERE agreement_id = $1", [id.into()]).await,
    }
    .map(|_| ())
}

/// Reads all versions, by agreement and version.
pub async fn all(tx: &mut Tx) -> Result<Vec<StoredAgreement>, StoreError> {
    let sql = "SELECT digest, agreement_id, version, payload, offered_at, offered_by, completed_at FROM agreement
               ORDER BY agreement_id, version";
    tx.fetch(sql, []).await?.iter().map(stored).collect()
}

/// Reads all seals, by version and agency.
pub async fn all_seals(tx: &mut Tx) -> Result<Vec<StoredSeal>, StoreError> {
    let sql = "SELECT digest, agency, signature, sealed_at FROM agreement_seal ORDER BY digest, agency";
    tx.fetch(sql, []).await?.iter().map(stored_seal).collect()
}

/// Reads versions by their digests; those that are not known are left out.
pub async fn find(tx: &mut Tx, digests: &[Digest]) -> Result<Vec<StoredAgreement>, StoreError> {
    let sql = "SELECT digest, agreement_id, version, payload, offered_at, offered_by, completed_at FROM agreement WHERE digest";
    let keys = digests.iter().map(|&digest| digest.into()).collect();
    tx.fetch_in(sql, keys, " ORDER BY digest", []).await?.iter().map(stored).collect()
}

/// Reads the seals of versions, by version and agency.
pub async fn seals_of(tx: &mut Tx, digests: &[Digest]) -> Result<Vec<StoredSeal>, StoreError> {
    let sql = "SELECT digest, agency, signature, sealed_at FROM agreement_seal WHERE digest";
    let keys = digests.iter().map(|&digest| digest.into()).collect();
    tx.fetch_in(sql, keys, " ORDER BY digest, agency", []).await?.iter().map(stored_seal).collect()
}

/// Reads which agreements are suspended here.
pub async fn suspended(tx: &mut Tx) -> Result<Vec<Id>, StoreError> {
    let rows = tx.fetch("SELECT agreement_id FROM agreement_suspension ORDER BY agreement_id", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

fn stored(row: &Row) -> Result<StoredAgreement, StoreError> {
    Ok(StoredAgreement {
        digest: row.get(0)?,
        agreement_id: row.get(1)?,
        version: row.get(2)?,
        payload: row.get(3)?,
        offered_at: row.get(4)?,
        offered_by: row.get(5)?,
        completed_at: row.get(6)?,
    })
}

fn stored_seal(row: &Row) -> Result<StoredSeal, StoreError> {
    Ok(StoredSeal { digest: row.get(0)?, agency: row.get(1)?, signature: row.get(2)?, sealed_at: row.get(3)? })
}

#[cfg(test)]
mod tests;
