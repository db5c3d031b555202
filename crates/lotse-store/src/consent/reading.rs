//! Consents as the agency's own systems read them.

use lotse_core::category::Categories;
use lotse_core::consent::{ConsentCoverage, ConsentForm, ConsentState, covered};
use lotse_core::id::Id;
use lotse_core::purpose::{Purposes, RecordKinds};
use lotse_core::time::Timestamp;

use super::state;
use crate::engine::{Row, StoreError, Tx};
use crate::vault::Sealed;

/// A recorded consent with its content.
#[derive(Clone)]
pub struct Stored {
    /// Consent.
    pub consent_id: Id,
    /// Where it stands.
    pub state: ConsentState,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The consent as it was given, encrypted.
    pub content: Sealed,
}

/// Finds a consent.
pub async fn find(tx: &mut Tx, consent_id: Id) -> Result<Option<Stored>, StoreError> {
    let sql =
        "SELECT consent_id, state, expires_at, recorded_at, content_key, content FROM consent WHERE consent_id = $1";
    tx.fetch_optional(sql, [consent_id.into()]).await?.as_ref().map(stored).transpose()
}

/// Lists the consents of a subject, the newest first, before a place in this order.
pub async fn list(
    tx: &mut Tx,
    subject: Id,
    before: Option<(Timestamp, Id)>,
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let (at, id) = before.unwrap_or((Timestamp::from_micros(i64::MAX), Id::from_bytes([0xff; 16])));
    let sql = "SELECT consent_id, state, expires_at, recorded_at, content_key, content FROM consent
               WHERE subject_id = $1 AND (recorded_at < $2 OR (recorded_at = $2 AND consent_id < $3))
               ORDER BY recorded_at DESC, consent_id DESC LIMIT $4";
    tx.fetch(sql, [subject.into(), at.into(), id.into(), limit.into()]).await?.iter().map(stored).collect()
}

fn stored(row: &Row) -> Result<Stored, StoreError> {
    Ok(Stored {
        consent_id: row.get(0)?,
        state: state(row, 1)?,
        expires_at: row.get(2)?,
        recorded_at: row.get(3)?,
        content: Sealed { key: row.get(4)?, ciphertext: row.get(5)? },
    })
}

/// What a withdrawal needs to know of a consent.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Consent.
    pub consent_id: Id,
    /// Where it stands.
    pub state: ConsentState,
    /// Purposes as given.
    pub purposes: Purposes,
    /// Categories as given.
    pub categories: Categories,
    /// What was covered as it was given.
    pub coverage: ConsentCoverage,
}

/// Finds the heads of consents.
pub async fn heads(tx: &mut Tx, consent_ids: &[Id]) -> Result<Vec<Head>, StoreError> {
    let keys = consent_ids.iter().map(|&id| id.into()).collect();
    let sql = "SELECT consent_id, state, purposes, categories, record_kinds, explicit_categories, form FROM consent
               WHERE consent_id";
    let rows = tx.fetch_in(sql, keys, "", []).await?;
    rows.iter()
        .map(|row| {
            let (purposes, categories) = (Purposes::from_bits(row.get(2)?), Categories::from_bits(row.get(3)?));
            let explicit = Categories::from_bits(row.get(5)?);
            let form = ConsentForm::from_number(row.get(6)?).ok_or(StoreError::Value("form of a consent"))?;
            let record_kinds = RecordKinds::from_bits(row.get(4)?);
            let coverage = ConsentCoverage { purposes, record_kinds, categories: covered(categories, explicit, form) };
            Ok(Head { consent_id: row.get(0)?, state: state(row, 1)?, purposes, categories, coverage })
        })
        .collect()
}
