//! When the content of outgoing items goes: key and bytes. Row and digest stay.

use std::collections::HashMap;

use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Id};
use lotse_core::purpose::Purpose;
use lotse_core::time::Timestamp;

use super::{AT_ONCE, RECORDS, purpose, sealed};
use crate::batch;
use crate::engine::{Column, Columns, Readable, Row, StoreError, Tx, readable};
use crate::vault::Sealed;

/// Destroys the content of items that were refused or ended, of so many at most. Returns of how many.
pub async fn purge_ended(tx: &mut Tx, limit: u32) -> Result<u64, StoreError> {
    let sql = "UPDATE outbox SET content_key = NULL, content = NULL WHERE seq IN (
                   SELECT seq FROM outbox WHERE state >= 4 AND content IS NOT NULL LIMIT $1)";
    tx.execute(sql, [limit.into()]).await
}

/// What was found overdue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// Batches that were looked at.
    pub batches: usize,
    /// Items whose content was destroyed.
    pub purged: u64,
}

/// Destroys the content of released items that nobody may hold any longer, taken or in doubt; looks at so many batches at most. What
/// is due again goes when it was released again, or ended.
pub async fn purge_overdue(tx: &mut Tx, at: Timestamp, batches: u32) -> Result<Overdue, StoreError> {
    let found = batch::content_over(tx, at, batches).await?;
    if found.is_empty() {
        return Ok(Overdue { batches: 0, purged: 0 });
    }
    let records: Vec<Id> = found.iter().flat_map(|(_, records)| records).copied().collect();
    let mut held = HashMap::new();
    for records in records.chunks(AT_ONCE) {
        let sql = "SELECT o.record_id, o.hold_until FROM outbox o";
        for row in tx.fetch_by(&RECORDS, sql, records, " AND o.state = 2 AND o.content IS NOT NULL", []).await? {
            held.insert(row.get::<Id>(0)?, row.get::<Timestamp>(1)?);
        }
    }
    let over: Vec<Id> = held.iter().filter(|&(_, until)| *until <= at).map(|(record, _)| *record).collect();
    let purged = purge(tx, &over).await?;
    held.retain(|_, until| *until > at);
    let next = |records: &[Id]| records.iter().filter_map(|record| held.get(record)).min().copied();
    let next = found.iter().map(|(batch_id, records)| (*batch_id, next(records))).collect();
    batch::set_content_until(tx, next).await?;
    Ok(Overdue { batches: found.len(), purged })
}

/// Destroys the content of these items, unless they are due. Returns how many had any.
pub async fn purge(tx: &mut Tx, record_ids: &[Id]) -> Result<u64, StoreError> {
    const KEYS: Columns<1> = [Column::blob("record_id")];
    if record_ids.is_empty() {
        return Ok(0);
    }
    let rows = record_ids.iter().map(|&id| [id.into()]).collect();
    let sql = "UPDATE outbox SET content_key = NULL, content = NULL
               FROM v WHERE outbox.record_id = v.record_id AND outbox.state <> 1 AND outbox.content IS NOT NULL";
    tx.update_by(&RECORDS, &KEYS, rows, sql).await
}

/// A released item, taken or in doubt, whose content is still here.
pub struct Kept {
    /// Record.
    pub record_id: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Categories that were sent.
    pub sent: Categories,
    /// Content, encrypted.
    pub content: Sealed,
}

/// Finds those of the records that were released under a consent and whose content is still here.
pub async fn kept(tx: &mut Tx, consent_id: Id, record_ids: &[Id]) -> Result<Readable<Kept>, StoreError> {
    let sql = "SELECT o.record_id, o.recipient, o.purpose, o.sent, o.content_key, o.content FROM outbox o";
    let here = " AND o.state = 2 AND o.content IS NOT NULL AND o.consent_id = $2";
    let item = |row: &Row| {
        let content = sealed(row, 4)?.ok_or(StoreError::Value("content of an item"))?;
        let sent = Categories::from_bits(row.get(3)?);
        Ok(Kept { record_id: row.get(0)?, recipient: row.get(1)?, purpose: purpose(row, 2)?, sent, content })
    };
    let rows = tx.fetch_by(&RECORDS, sql, record_ids, here, [consent_id.into()]).await?;
    Ok(readable(&rows, 0, item))
}

#[cfg(test)]
mod tests;
