//! Entries about one record, found without reading the whole log and without an index that each release would have to write.
//!
//! What a record's own rows tell (it was released, taken, or is a consent that was recorded) they tell with its time, and places in
//! the log follow each other in time. Everything else about records is rare and has an index.
//!
//! An answer is a record of its own. Who asks for a referral asks what became of it: the answers in its thread belong to what is
//! found, and so do the receipts for what was sent, which are about whole batches and name no record.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use lotse_core::id::Id;
use lotse_core::time::Timestamp;

use super::entry::{Entry, Filter, Leaf, MAX_PAGE, leaf, place};
use crate::engine::{Row, StoreError, Tx, Value};
use crate::{custody, outbox};

/// How far entries may stand out of the order of their times: the clock may step back so far before releases stop. Where somebody
/// confirmed a clock that stepped back further, a release of the hours that came twice may be missing from what is found here; a
/// list narrowed by its time has it.
const STEP_BACK: Duration = Duration::from_secs(120);

/// Entries that no row leads to, by the partial index, whose condition this text repeats. The sign before `generation` keeps the
/// primary key from being taken instead.
const RARE: &str = "
    SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
    WHERE record_id = $1 AND record_id IS NOT NULL AND kind NOT IN (2, 6, 9)
    AND +generation = $2 AND leaf_index >= $3 AND leaf_index < $4 AND (kind = $5 OR $5 IS NULL)
    AND (peer = $6 OR $6 IS NULL) AND (decision = $7 OR $7 IS NULL) AND at >= $8 AND at < $9
    AND (direction = $10 OR $10 IS NULL) ORDER BY leaf_index DESC LIMIT $11";

/// Entries that a row of the record leads to, between two places, with the receipts of the time at which its batch was answered.
/// They are few: a record is released once for each batch that it goes in.
const TOLD: &str = "
    SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
    WHERE (record_id = $1 AND kind IN (2, 6, 9) OR kind = 3 AND at = $11)
    AND generation = $2 AND leaf_index >= $3 AND leaf_index < $4 AND (kind = $5 OR $5 IS NULL)
    AND (peer = $6 OR $6 IS NULL) AND (decision = $7 OR $7 IS NULL) AND at >= $8 AND at < $9
    AND (direction = $10 OR $10 IS NULL)";

/// The answers to a referral, each by the index of its table.
const ANSWERS: &str = "
    SELECT record_id FROM outbox WHERE kind = 2 AND thread_id = $1
    UNION SELECT record_id FROM custody WHERE kind = 2 AND thread_id = $1";

/// What a row tells of the entries about its record.
struct Trail {
    record_id: Id,
    /// When the first of them was written.
    first: Timestamp,
    /// When the last of them was: for what was sent, the time of the receipt for its last batch. While there is none it may be
    /// released again.
    last: Option<Timestamp>,
    /// The batch in which it was sent last.
    batch_id: Option<Id>,
}

/// Lists entries about a record newest first, as [`super::list`] does.
pub(super) async fn list(
    tx: &mut Tx,
    generation: u32,
    record_id: Id,
    filter: &Filter,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<Leaf>, StoreError> {
    let limit = limit.min(MAX_PAGE);
    let before = before.unwrap_or(u64::MAX);
    let records = thread(tx, record_id).await?;
    let mut found = BTreeMap::new();
    for &record_id in &records {
        let values = values(generation, record_id, filter, 0..before, limit.into());
        for row in tx.fetch(RARE, values).await? {
            let leaf = leaf(&row)?;
            found.insert(leaf.index, leaf);
        }
    }
    for trail in trails(tx, &records).await? {
        let places = places(tx, generation, &trail).await?;
        let values =
            values(generation, trail.record_id, filter, places.start..places.end.min(before), trail.last.into());
        for row in tx.fetch(TOLD, values).await? {
            let leaf = leaf(&row)?;
            if trail.leads_to(&leaf) {
                found.insert(leaf.index, leaf);
            }
        }
    }
    Ok(found.into_values().rev().take(limit as usize).collect())
}

fn values(generation: u32, record_id: Id, filter: &Filter, places: Range<u64>, eleventh: Value) -> [Value; 11] {
    let [kind, peer, decision, from, until, direction] = filter.values();
    [
        record_id.into(),
        generation.into(),
        place(places.start).into(),
        place(places.end).into(),
        kind,
        peer,
        decision,
        from,
        until,
        direction,
        eleventh,
    ]
}

/// Returns the record and, where it is a referral, the answers to it that were sent or taken.
async fn thread(tx: &mut Tx, record_id: Id) -> Result<Vec<Id>, StoreError> {
    let answers = tx.fetch(ANSWERS, [record_id.into()]).await?;
    [Ok(record_id)].into_iter().chain(answers.iter().map(|row| row.get(0))).collect()
}

/// Reads what the rows of these records tell. An item is released, perhaps more than once, between its submission and the receipt
/// for its last batch.
async fn trails(tx: &mut Tx, records: &[Id]) -> Result<Vec<Trail>, StoreError> {
    let sent = "SELECT o.record_id, o.submitted_at, b.answered_at, b.batch_id
                FROM outbox o JOIN batch b ON b.batch_id = o.batch_id";
    let taken = "SELECT c.record_id, c.taken_at, c.taken_at, NULL FROM custody c";
    let recorded = "SELECT consent_id, recorded_at, recorded_at, NULL FROM consent WHERE consent_id = $1";
    let mut rows = tx.fetch_by(&outbox::RECORDS, sent, records, "", []).await?;
    rows.extend(tx.fetch_by(&custody::RECORDS, taken, records, " AND c.outcome = 1", []).await?);
    for &record_id in records {
        rows.extend(tx.fetch(recorded, [record_id.into()]).await?);
    }
    rows.iter().map(trail).collect()
}

fn trail(row: &Row) -> Result<Trail, StoreError> {
    Ok(Trail { record_id: row.get(0)?, first: row.get(1)?, last: row.get(2)?, batch_id: row.get(3)? })
}

impl Trail {
    /// Whether an entry is about the record, or the receipt for the batch it went in: another one may be of the same time. An entry
    /// about a batch holds its id.
    fn leads_to(&self, leaf: &Leaf) -> bool {
        let Entry { record_id, bytes, .. } = &leaf.entry;
        let receipt = |batch_id: Id| bytes.windows(16).any(|part| part == batch_id.as_bytes());
        *record_id == Some(self.record_id) || self.batch_id.is_some_and(receipt)
    }
}

/// Finds between which places entries stand that a row leads to.
async fn places(tx: &mut Tx, generation: u32, trail: &Trail) -> Result<Range<u64>, StoreError> {
    let start = first_since(tx, generation, trail.first.minus(STEP_BACK)).await?;
    let end = match trail.last {
        Some(last) => first_since(tx, generation, last.plus(STEP_BACK + Duration::from_micros(1))).await?,
        None => u64::MAX,
    };
    Ok(start..end)
}

/// Finds the first place whose entry is not older, by halving: times grow with the places but for [`STEP_BACK`].
async fn first_since(tx: &mut Tx, generation: u32, at: Timestamp) -> Result<u64, StoreError> {
    let newest = "SELECT leaf_index FROM log_entry WHERE generation = $1 ORDER BY leaf_index DESC LIMIT 1";
    let next =
        "SELECT leaf_index, at FROM log_entry WHERE generation = $1 AND leaf_index >= $2 ORDER BY leaf_index LIMIT 1";
    let Some(newest) = tx.fetch_optional(newest, [generation.into()]).await? else { return Ok(0) };
    let mut open = 0..newest.get::<u64>(0)?.saturating_add(1);
    while open.start < open.end {
        let middle = open.start + (open.end - open.start) / 2;
        match tx.fetch_optional(next, [generation.into(), place(middle).into()]).await? {
            Some(row) if row.get::<Timestamp>(1)? < at => open.start = row.get::<u64>(0)?.saturating_add(1),
            _ => open.end = middle,
        }
    }
    Ok(open.start)
}

#[cfg(test)]
mod tests;
