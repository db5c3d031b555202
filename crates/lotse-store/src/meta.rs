//! Facts about the database itself: which generation of the node it is, since when it was last restored, and when
//! its clock was last trusted.

use lotse_core::time::Timestamp;

use crate::engine::{StoreError, Tx};

/// Name of the present generation's row.
const GENERATION: &str = "generation";
/// Name of the row that a probe writes.
const PROBE: &str = "probe";
/// Bytes that a probe writes.
const PROBE_BYTES: usize = 4096;
/// Name of the row with the time of the last resume.
const RESTORE_POINT: &str = "restore_point";
/// Name of the row with the last time at which nothing spoke against the clock.
const CLOCK_TRUSTED_AT: &str = "clock_trusted_at";
/// Name of the row with the grants of the agency's systems at the last start.
const GRANTS: &str = "grants";
/// Name of the row with the number of certificate acts that have their log entry.
const CERTIFICATE_ACTS: &str = "certificate_acts";

/// Reads the node's generation; nothing before its log has begun.
pub async fn generation(tx: &mut Tx) -> Result<Option<u32>, StoreError> {
    let number = read(tx, GENERATION).await?.map(|bytes| bytes.try_into().map(u32::from_be_bytes));
    number.transpose().map_err(|_| StoreError::Value("the stored generation is not 4 bytes"))
}

/// Sets the node's generation.
pub async fn set_generation(tx: &mut Tx, generation: u32) -> Result<(), StoreError> {
    write(tx, GENERATION, generation.to_be_bytes().to_vec()).await
}

/// Reads the time up to which the node was last restored.
pub async fn restore_point(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let number = read(tx, RESTORE_POINT).await?.map(|bytes| bytes.try_into().map(i64::from_be_bytes));
    let micros = number.transpose().map_err(|_| StoreError::Value("the stored restore point is not 8 bytes"))?;
    Ok(micros.map(Timestamp::from_micros))
}

/// Sets the time up to which the node was restored.
pub async fn set_restore_point(tx: &mut Tx, at: Timestamp) -> Result<(), StoreError> {
    write(tx, RESTORE_POINT, at.micros().to_be_bytes().to_vec()).await
}

/// Reads the last time at which nothing spoke against the node's clock.
pub async fn clock_trusted_at(tx: &mut Tx) -> Result<Option<Timestamp>, StoreError> {
    let number = read(tx, CLOCK_TRUSTED_AT).await?.map(|bytes| bytes.try_into().map(i64::from_be_bytes));
    let micros = number.transpose().map_err(|_| StoreError::Value("the stored time of the clock is not 8 bytes"))?;
    Ok(micros.map(Timestamp::from_micros))
}

/// Writes the last time at which nothing spoke against the node's clock: the next start compares its clock with it.
pub async fn set_clock_trusted_at(tx: &mut Tx, at: Timestamp) -> Result<(), StoreError> {
    write(tx, CLOCK_TRUSTED_AT, at.micros().to_be_bytes().to_vec()).await
}

/// Reads how many checkpoints a closed generation had.
pub async fn closed_checkpoints(tx: &mut Tx, generation: u32) -> Result<Option<u64>, StoreError> {
    let number = read(tx, &checkpoints_of(generation)).await?.map(|bytes| bytes.try_into().map(u64::from_be_bytes));
    number.transpose().map_err(|_| StoreError::Value("the stored number of checkpoints is not 8 bytes"))
}

/// Remembers how many checkpoints a generation had when it was closed, so that a removed one is noticed.
pub async fn set_closed_checkpoints(tx: &mut Tx, generation: u32, count: u64) -> Result<(), StoreError> {
    write(tx, &checkpoints_of(generation), count.to_be_bytes().to_vec()).await
}

/// Reads the grants of the agency's systems at the last start, as the node wrote them; nothing before the first start.
pub async fn grants(tx: &mut Tx) -> Result<Option<Vec<u8>>, StoreError> {
    read(tx, GRANTS).await
}

/// Stores the grants of the agency's systems.
pub async fn set_grants(tx: &mut Tx, grants: Vec<u8>) -> Result<(), StoreError> {
    write(tx, GRANTS, grants).await
}

/// Reads how many certificate acts have their log entry.
pub async fn certificate_acts(tx: &mut Tx) -> Result<u64, StoreError> {
    let number = read(tx, CERTIFICATE_ACTS).await?.map(|bytes| bytes.try_into().map(u64::from_be_bytes));
    let number =
        number.transpose().map_err(|_| StoreError::Value("the stored number of certificate acts is not 8 bytes"))?;
    Ok(number.unwrap_or(0))
}

/// Stores how many certificate acts have their log entry.
pub async fn set_certificate_acts(tx: &mut Tx, count: u64) -> Result<(), StoreError> {
    write(tx, CERTIFICATE_ACTS, count.to_be_bytes().to_vec()).await
}

/// Writes a row that means nothing, to learn whether the disk has room again.
pub async fn probe(tx: &mut Tx) -> Result<(), StoreError> {
    write(tx, PROBE, vec![0; PROBE_BYTES]).await
}

fn checkpoints_of(generation: u32) -> String {
    format!("checkpoints/{generation}")
}

pub(crate) async fn read(tx: &mut Tx, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let row = tx.fetch_optional("SELECT value FROM meta WHERE name = $1", [name.into()]).await?;
    row.map(|row| row.get(0)).transpose()
}

pub(crate) async fn write(tx: &mut Tx, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
    let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, [name.into(), value.into()]).await.map(|_| ())
}
