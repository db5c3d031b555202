//! Entries about one record, found without reading the whole log and without an index that each release would have to write.
//!
//! What a record's own rows tell (it was released, taken, or is a consent that was recorded) they tell with its time, and places in
//! the log follow each other in time. Everything else about records is rare and has an index.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use lotse_core::id::Id;
use lotse_core::time::Timestamp;

use super::entry::{Filter, Leaf, MAX_PAGE, leaf, place};
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

/// Entries that a row of the record leads to, between two places.
const TOLD: &str = "
    SELECT leaf_index, at, kind, direction, peer, decision, record_id, entry FROM log_entry
    WHERE record_id = $1 AND kind IN (2, 6, 9)
    AND generation = $2 AND leaf_index >= $3 AND leaf_index < $4 AND (kind = $5 OR $5 IS NULL)
    AND (peer = $6 OR $6 IS NULL) AND (decision = $7 OR $7 IS NULL) AND at >= $8 AND at < $9
    AND (direction = $10 OR $10 IS NULL) ORDER BY leaf_index DESC LIMIT $11";

/// Between which times entries were written that rows of the record lead to. An item is released, perhaps more than once, between its
/// submission and the receipt for its last batch; while there is none it may be released again.
async fn times(tx: &mut Tx, record_id: Id) -> Result<Vec<Row>, StoreError> {
    let sent = "SELECT o.submitted_at, b.answered_at FROM outbox o JOIN batch b ON b.batch_id = o.batch_id";
    let taken = "SELECT c.taken_at, c.taken_at FROM custody c";
    let recorded = "SELECT recorded_at, recorded_at FROM consent WHERE consent_id = $1";
    let mut times = tx.fetch_by(&outbox::RECORDS, sent, &[record_id], "", []).await?;
    times.extend(tx.fetch_by(&custody::RECORDS, taken, &[record_id], " AND c.outcome = 1", []).await?);
    times.extend(tx.fetch(recorded, [record_id.into()]).await?);
    Ok(times)
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
    let values = |places: Range<u64>| values(generation, record_id, filter, places, limit);
    let mut found = BTreeMap::new();
    for row in tx.fetch(RARE, values(0..before)).await? {
        let leaf = leaf(&row)?;
        found.insert(leaf.index, leaf);
    }
    for places in places(tx, generation, record_id).await? {
        for row in tx.fetch(TOLD, values(places.start..places.end.min(before))).await? {
            let leaf = leaf(&row)?;
            found.insert(leaf.index, leaf);
        }
    }
    Ok(found.into_values().rev().take(limit as usize).collect())
}

fn values(generation: u32, record_id: Id, filter: &Filter, places: Range<u64>, limit: u32) -> [Value; 11] {
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
        limit.into(),
    ]
}

/// Finds between which places entries stand that rows of the record lead to.
async fn places(tx: &mut Tx, generation: u32, record_id: Id) -> Result<Vec<Range<u64>>, StoreError> {
    let mut found = Vec::new();
    for times in times(tx, record_id).await? {
        let (first, last): (Timestamp, Option<Timestamp>) = (times.get(0)?, times.get(1)?);
        let start = first_since(tx, generation, first.minus(STEP_BACK)).await?;
        let end = match last {
            Some(last) => first_since(tx, generation, last.plus(STEP_BACK + Duration::from_micros(1))).await?,
            None => u64::MAX,
        };
        found.push(start..end);
    }
    Ok(found)
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
mod tests {
    use super::*;
    use crate::custody::{self, tests::arrival};
    use crate::log::{self, Entry};
    use crate::testing::{Database, on_both_engines};

    on_both_engines! {
        entries_about_a_record_are_found_around_the_times_that_its_rows_tell
    }

    const HOUR: i64 = 3_600_000_000;

    /// One entry an hour, each about a record of its own; every tenth one is of a kind that no row tells of.
    fn entry(number: u64) -> Entry {
        Entry {
            at: Timestamp::from_micros(number as i64 * HOUR),
            kind: if number.is_multiple_of(10) { 4 } else { 6 },
            direction: 1,
            peer: "jc.example".into(),
            decision: 1,
            record_id: Some(Id::from_bytes([number as u8; 16])),
            bytes: number.to_string().into_bytes(),
        }
    }

    async fn entries_about_a_record_are_found_around_the_times_that_its_rows_tell(database: Database) {
        let store = database.open().await;
        let written = store.transact("test", |tx| {
            Box::pin(async {
                log::append(tx, 1, 0, (0..250).map(entry).collect()).await?;
                custody::insert(tx, &[arrival(101, 101 * HOUR, 0), arrival(249, 249 * HOUR, 0)]).await
            })
        });
        written.await.unwrap();
        for (record, read) in [(101, vec![101]), (249, vec![249]), (100, vec![])] {
            let id = Id::from_bytes([record; 16]);
            let asked = Filter { record_id: Some(id), ..Filter::default() };
            let found = store.read("test", move |tx| {
                Box::pin(async move {
                    let nowhere = first_since(tx, 2, Timestamp::from_micros(0)).await?;
                    Ok((places(tx, 1, id).await?, log::list(tx, 1, &asked, None, 9).await?, nowhere))
                })
            });
            let (places, listed, nowhere) = found.await.unwrap();
            let places: Vec<u64> = places.into_iter().flatten().collect();
            assert_eq!(places, read, "so much of the log is read for record {record}");
            let indices: Vec<u64> = listed.iter().map(|leaf| leaf.index).collect();
            assert_eq!((indices, nowhere), (vec![u64::from(record)], 0));
        }
    }

    #[tokio::test]
    async fn what_is_read_about_a_record_is_searched_and_never_scanned_on_sqlite() {
        let database = Database::sqlite();
        let store = database.open().await;
        let searched = [
            (RARE, "SEARCH log_entry USING INDEX log_entry_record (record_id=?)"),
            (TOLD, "SEARCH log_entry USING PRIMARY KEY (generation=? AND leaf_index>? AND leaf_index<?)"),
        ];
        for (sql, step) in searched {
            let sql: &'static str = Box::leak(format!("EXPLAIN QUERY PLAN {sql}").into_boxed_str());
            let values = || values(1, Id::from_bytes([1; 16]), &Filter::default(), 0..9, 9);
            let plan = store.read("plan", move |tx| {
                Box::pin(async move { tx.fetch(sql, values()).await?.iter().map(|row| row.get(3)).collect() })
            });
            let plan: Vec<String> = plan.await.unwrap();
            assert_eq!(plan[0], step);
            assert!(!plan.iter().any(|step| step.starts_with("SCAN")), "{plan:?}");
        }
    }
}
