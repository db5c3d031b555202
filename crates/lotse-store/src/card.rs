//! Cards: the own one and those of accepted peers, only the newest good one of each agency, exactly as it was sealed.

use lotse_core::id::{AgencyId, Digest};
use lotse_core::time::Timestamp;

use crate::engine::{Row, StoreError, Tx};

/// A card as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCard {
    /// The agency.
    pub agency: AgencyId,
    /// Version.
    pub version: u64,
    /// SHA-256 of the sealed bytes.
    pub digest: Digest,
    /// The seal, encoded.
    pub seal: Vec<u8>,
    /// When it was taken.
    pub taken_at: Timestamp,
}

/// Puts a card in the place of the agency's card before it.
pub async fn put(tx: &mut Tx, card: &StoredCard) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO card (agency, version, digest, seal, taken_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (agency) DO UPDATE SET version = excluded.version, digest = excluded.digest, seal = excluded.seal,
             taken_at = excluded.taken_at",
        [
            (&card.agency).into(),
            card.version.cast_signed().into(),
            card.digest.into(),
            card.seal.clone().into(),
            card.taken_at.into(),
        ],
    )
    .await
    .map(|_| ())
}

/// Reads all cards, by agency.
pub async fn all(tx: &mut Tx) -> Result<Vec<StoredCard>, StoreError> {
    let sql = "SELECT agency, version, digest, seal, taken_at FROM card ORDER BY agency";
    tx.fetch(sql, []).await?.iter().map(stored).collect()
}

/// Reads the cards of agencies, by agency; those that are not known are left out.
pub async fn find(tx: &mut Tx, agencies: &[AgencyId]) -> Result<Vec<StoredCard>, StoreError> {
    let sql = "SELECT agency, version, digest, seal, taken_at FROM card WHERE agency";
    let keys = agencies.iter().map(Into::into).collect();
    tx.fetch_in(sql, keys, " ORDER BY agency", []).await?.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<StoredCard, StoreError> {
    let version: i64 = row.get(1)?;
    Ok(StoredCard {
        agency: row.get(0)?,
        version: version.cast_unsigned(),
        digest: row.get(2)?,
        seal: row.get(3)?,
        taken_at: row.get(4)?,
    })
}
