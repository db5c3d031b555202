//! Withdrawals of consents. A row is pending from the arrival until what is on its way under the old coverage is answered, taken
//! back or lapsed; then it takes effect.

use std::collections::{BTreeSet, HashMap};

use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Id};
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;

use crate::batch::OpenBatch;
use crate::engine::{Column, Columns, Row, StoreError, Tx, readable};
use crate::outbox;

/// What is withdrawn. Empty: all of it. Several lists mean all that matches any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Towards these recipients.
    pub recipients: Vec<AgencyId>,
    /// For these purposes.
    pub purposes: Purposes,
    /// For these categories.
    pub categories: Categories,
}

impl Scope {
    /// Tells whether the whole consent is withdrawn.
    pub fn is_whole(&self) -> bool {
        self.recipients.is_empty() && self.purposes.is_empty() && self.categories.is_empty()
    }

    /// Tells whether anything is withdrawn towards a recipient.
    pub fn touches(&self, recipient: &AgencyId) -> bool {
        self.is_whole()
            || !self.purposes.is_empty()
            || !self.categories.is_empty()
            || self.recipients.contains(recipient)
    }
}

/// A withdrawal.
#[derive(Clone, Debug)]
pub struct Withdrawal {
    /// Withdrawal.
    pub withdrawal_id: Id,
    /// Consent.
    pub consent_id: Id,
    /// What is withdrawn.
    pub scope: Scope,
    /// When it arrived.
    pub arrived_at: Timestamp,
    /// When it took effect; none while it is pending.
    pub effective_at: Option<Timestamp>,
    /// Who withdrew.
    pub by: WithdrawnBy,
}

/// The caller who withdrew a consent, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WithdrawnBy {
    /// Identity of the caller.
    pub actor: String,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// Trace of the call, 16 bytes, if it had one.
    pub trace_id: Option<Vec<u8>>,
}

/// Writes a withdrawal.
pub async fn insert(tx: &mut Tx, withdrawal: &Withdrawal) -> Result<(), StoreError> {
    let recipients: Vec<_> = withdrawal.scope.recipients.iter().map(AgencyId::as_str).collect();
    tx.execute(
        "INSERT INTO withdrawal (withdrawal_id, consent_id, recipients, purposes, categories, arrived_at, effective_at, actor,
             on_behalf_of, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            withdrawal.withdrawal_id.into(),
            withdrawal.consent_id.into(),
            recipients.join(" ").into(),
            withdrawal.scope.purposes.bits().into(),
            withdrawal.scope.categories.bits().into(),
            withdrawal.arrived_at.into(),
            withdrawal.effective_at.into(),
            withdrawal.by.actor.as_str().into(),
            withdrawal.by.on_behalf_of.as_str().into(),
            withdrawal.by.trace_id.clone().into(),
        ],
    )
    .await
    .map(|_| ())
}

/// Finds the withdrawals of consents, oldest first.
pub async fn of_consents(tx: &mut Tx, consent_ids: &[Id]) -> Result<Vec<Withdrawal>, StoreError> {
    let rows = tx
        .fetch_in(
            "SELECT withdrawal_id, consent_id, recipients, purposes, categories, arrived_at, effective_at, actor, on_behalf_of,
                    trace_id FROM withdrawal
             WHERE consent_id",
            consent_ids.iter().map(|&id| id.into()).collect(),
            " ORDER BY arrived_at, withdrawal_id",
            [],
        )
        .await?;
    rows.iter().map(withdrawal).collect()
}

/// Finds pending withdrawals that arrived by a time, oldest first.
pub async fn pending(tx: &mut Tx, arrived_by: Timestamp, limit: u32) -> Result<Vec<Withdrawal>, StoreError> {
    let sql =
        "SELECT withdrawal_id, consent_id, recipients, purposes, categories, arrived_at, effective_at, actor, on_behalf_of,
                    trace_id FROM withdrawal
               WHERE effective_at IS NULL AND arrived_at <= $1 ORDER BY arrived_at, withdrawal_id LIMIT $2";
    let rows = tx.fetch(sql, [arrived_by.into(), limit.into()]).await?;
    Ok(readable(&rows, 0, withdrawal).rows)
}

const EFFECT: Columns<2> = [Column::blob("withdrawal_id"), Column::int("effective_at")];

/// Marks pending withdrawals as effective and returns those that were pending.
pub async fn take_effect(tx: &mut Tx, withdrawal_ids: &[Id], at: Timestamp) -> Result<Vec<Withdrawal>, StoreError> {
    let rows = tx
        .fetch_with(
            &EFFECT,
            withdrawal_ids.iter().map(|&id| [id.into(), at.into()]).collect(),
            "UPDATE withdrawal SET effective_at = v.effective_at FROM v
             WHERE withdrawal.withdrawal_id = v.withdrawal_id AND withdrawal.effective_at IS NULL
             RETURNING withdrawal.withdrawal_id, withdrawal.consent_id, withdrawal.recipients, withdrawal.purposes,
                 withdrawal.categories, withdrawal.arrived_at, withdrawal.effective_at, withdrawal.actor, withdrawal.on_behalf_of,
                 withdrawal.trace_id",
        )
        .await?;
    rows.iter().map(withdrawal).collect()
}

fn withdrawal(row: &Row) -> Result<Withdrawal, StoreError> {
    let recipients: String = row.get(2)?;
    let recipient = |text: &str| text.parse().map_err(|_| StoreError::Value("recipient of a withdrawal"));
    Ok(Withdrawal {
        withdrawal_id: row.get(0)?,
        consent_id: row.get(1)?,
        scope: Scope {
            recipients: recipients.split_whitespace().map(recipient).collect::<Result<_, _>>()?,
            purposes: Purposes::from_bits(row.get(3)?),
            categories: Categories::from_bits(row.get(4)?),
        },
        arrived_at: row.get(5)?,
        effective_at: row.get(6)?,
        by: WithdrawnBy { actor: row.get(7)?, on_behalf_of: row.get(8)?, trace_id: row.get(9)? },
    })
}

/// Finds those of the batches that carry something released under one of the consents.
pub async fn carriers(tx: &mut Tx, consent_ids: &[Id], leased: &[OpenBatch]) -> Result<Vec<Id>, StoreError> {
    let carried =
        |batch: &OpenBatch| batch.items.iter().map(move |item| (item.record_id, batch.batch_id)).collect::<Vec<_>>();
    let batch_of: HashMap<Id, Id> = leased.iter().flat_map(carried).collect();
    let records: Vec<Id> = batch_of.keys().copied().collect();
    let mut found = BTreeSet::new();
    for records in records.chunks(outbox::AT_ONCE) {
        let sql = "SELECT o.record_id, o.consent_id FROM outbox o";
        for row in tx.fetch_by(&outbox::RECORDS, sql, records, " AND o.consent_id IS NOT NULL", []).await? {
            // Of an item that cannot be read nobody knows under which consent it goes.
            if row.get(1).map_or(true, |consent_id| consent_ids.contains(&consent_id)) {
                found.extend(batch_of.get(&row.get(0)?));
            }
        }
    }
    Ok(found.into_iter().collect())
}

#[cfg(test)]
mod tests;
