//! How the coverage of consents shrinks: withdrawn, expired, superseded. It never grows; more is a new consent.

use std::collections::BTreeMap;

use lotse_core::category::Categories;
use lotse_core::consent::{ConsentState, Withdrawn};
use lotse_core::id::{AgencyId, Id, Sequence};
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;

use crate::counter::{self, Counter};
use crate::engine::{Column, Columns, Row, StoreError, Tx};

/// A recipient of a consent, with what was withdrawn towards it.
#[derive(Clone, Debug)]
pub struct Recipient {
    /// Consent.
    pub consent_id: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// How the recipient knows the consent.
    pub consent_ref: Id,
    /// Epoch.
    pub epoch: Sequence,
    /// What was withdrawn.
    pub withdrawn: Withdrawn,
}

/// Finds the recipients of consents.
pub async fn recipients(tx: &mut Tx, consent_ids: &[Id]) -> Result<Vec<Recipient>, StoreError> {
    let rows = tx
        .fetch_in(
            "SELECT consent_id, recipient, consent_ref, epoch, withdrawn, withdrawn_purposes, withdrawn_categories
             FROM consent_recipient WHERE consent_id",
            consent_ids.iter().map(|&id| id.into()).collect(),
            " ORDER BY consent_id, recipient",
            [],
        )
        .await?;
    rows.iter().map(recipient).collect()
}

fn recipient(row: &Row) -> Result<Recipient, StoreError> {
    Ok(Recipient {
        consent_id: row.get(0)?,
        recipient: row.get(1)?,
        consent_ref: row.get(2)?,
        epoch: row.get(3)?,
        withdrawn: Withdrawn {
            whole: row.get(4)?,
            purposes: Purposes::from_bits(row.get(5)?),
            categories: Categories::from_bits(row.get(6)?),
        },
    })
}

const NARROWED: Columns<5> = [
    Column::blob("consent_id"),
    Column::text("recipient"),
    Column::int("withdrawn"),
    Column::int("withdrawn_purposes"),
    Column::int("withdrawn_categories"),
];

/// Writes what is withdrawn towards recipients. What was withdrawn before must be in it: the caller adds to what it read.
pub async fn narrow(tx: &mut Tx, recipients: &[Recipient]) -> Result<(), StoreError> {
    let row = |r: &Recipient| {
        let Withdrawn { whole, purposes, categories } = r.withdrawn;
        [r.consent_id.into(), (&r.recipient).into(), whole.into(), purposes.bits().into(), categories.bits().into()]
    };
    let sql = "UPDATE consent_recipient SET withdrawn = v.withdrawn, withdrawn_purposes = v.withdrawn_purposes,
                   withdrawn_categories = v.withdrawn_categories
               FROM v WHERE consent_recipient.consent_id = v.consent_id AND consent_recipient.recipient = v.recipient";
    tx.execute_with(&NARROWED, recipients.iter().map(row).collect(), sql).await.map(|_| ())
}

/// A consent that changed towards a recipient, with its new epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Consent.
    pub consent_id: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// How the recipient knows the consent.
    pub consent_ref: Id,
    /// New epoch.
    pub epoch: Sequence,
}

const EPOCH: Columns<3> = [Column::blob("consent_id"), Column::text("recipient"), Column::int("epoch")];

/// Gives each of the recipients a new epoch, from the counter of its peer in the present generation.
pub async fn raise_epochs(tx: &mut Tx, generation: u32, recipients: &[Recipient]) -> Result<Vec<Touched>, StoreError> {
    let mut drawn = draw_epochs(tx, generation, recipients.iter().map(|r| &r.recipient)).await?.into_iter();
    let touched = |r: &Recipient| {
        let epoch = drawn.next().ok_or(StoreError::NoRow)?;
        Ok(Touched { consent_id: r.consent_id, recipient: r.recipient.clone(), consent_ref: r.consent_ref, epoch })
    };
    let touched = recipients.iter().map(touched).collect::<Result<Vec<_>, StoreError>>()?;
    let rows = touched.iter().map(|t| [t.consent_id.into(), (&t.recipient).into(), t.epoch.into()]).collect();
    let sql = "UPDATE consent_recipient SET epoch = v.epoch FROM v
               WHERE consent_recipient.consent_id = v.consent_id AND consent_recipient.recipient = v.recipient";
    tx.execute_with(&EPOCH, rows, sql).await?;
    Ok(touched)
}

/// Takes one epoch for each of the agencies, in their order: numbers that were never used towards them, higher than all before.
pub async fn draw_epochs<'a>(
    tx: &mut Tx,
    generation: u32,
    agencies: impl Iterator<Item = &'a AgencyId> + Clone,
) -> Result<Vec<Sequence>, StoreError> {
    let mut wanted: BTreeMap<&AgencyId, i64> = BTreeMap::new();
    agencies.clone().for_each(|agency| *wanted.entry(agency).or_default() += 1);
    let counters: Vec<_> = wanted.iter().map(|(&agency, &count)| (Counter::Revision(agency.clone()), count)).collect();
    let taken = counter::take(tx, &counters).await?;
    let mut next: BTreeMap<&AgencyId, u64> = wanted
        .iter()
        .map(|(&agency, &count)| (agency, taken.first(&Counter::Revision(agency.clone()), count as usize)))
        .collect();
    agencies
        .map(|agency| {
            let next = next.get_mut(agency).ok_or(StoreError::NoRow)?;
            *next += 1; // counted from 1, like revisions
            epoch(generation, *next)
        })
        .collect()
}

fn epoch(generation: u32, number: u64) -> Result<Sequence, StoreError> {
    let counter = u32::try_from(number).map_err(|_| StoreError::Value("the counter of epochs is used up"))?;
    Ok(Sequence::new(generation, counter))
}

/// Ends consents that are given because others replace them. Returns those that were given until now.
pub async fn supersede(tx: &mut Tx, consent_ids: &[Id]) -> Result<Vec<Id>, StoreError> {
    end(tx, consent_ids, ConsentState::Superseded).await
}

/// Ends consents that are given because they are withdrawn as a whole.
pub async fn withdraw(tx: &mut Tx, consent_ids: &[Id]) -> Result<(), StoreError> {
    end(tx, consent_ids, ConsentState::Withdrawn).await.map(|_| ())
}

/// Finds consents whose time is over and that are not committed as expired, the oldest first.
pub async fn due_to_expire(tx: &mut Tx, at: Timestamp, limit: u32) -> Result<Vec<Id>, StoreError> {
    let sql = "SELECT consent_id FROM consent WHERE state = 1 AND expires_at <= $1 ORDER BY expires_at LIMIT $2";
    tx.fetch(sql, [at.into(), limit.into()]).await?.iter().map(|row| row.get(0)).collect()
}

/// Commits given consents as expired and raises their epochs. Returns what changed: one entry per recipient; none for what was
/// not given any more. The caller has seen that their time is over, and writes the log entries.
pub async fn expire(tx: &mut Tx, generation: u32, consent_ids: &[Id]) -> Result<Vec<Touched>, StoreError> {
    let expired = end(tx, consent_ids, ConsentState::Expired).await?;
    let recipients = recipients(tx, &expired).await?;
    if recipients.is_empty() { Ok(Vec::new()) } else { raise_epochs(tx, generation, &recipients).await }
}

/// Ends consents that are given; only they can end. Returns those that did.
async fn end(tx: &mut Tx, consent_ids: &[Id], ended: ConsentState) -> Result<Vec<Id>, StoreError> {
    let sql = match ended {
        ConsentState::Withdrawn => "UPDATE consent SET state = 2 WHERE consent_id",
        ConsentState::Expired => "UPDATE consent SET state = 3 WHERE consent_id",
        ConsentState::Superseded => "UPDATE consent SET state = 4 WHERE consent_id",
        ConsentState::Given | ConsentState::Refused => return Err(StoreError::Value("not an end of a consent")),
    };
    let keys = consent_ids.iter().map(|&id| id.into()).collect();
    let rows = tx.fetch_in(sql, keys, " AND state = 1 RETURNING consent_id", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}
