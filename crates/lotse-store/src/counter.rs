//! Counters that several works share. They are taken in one statement, as late in a transaction as possible: PostgreSQL holds
//! their rows until the commit, which also keeps numbers in commit order and without gaps.

use std::collections::HashMap;

use lotse_core::id::AgencyId;

use crate::engine::{Column, OnConflict, StoreError, Table, Tx};

/// A counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Next leaf of the present generation's log.
    Leaf,
    /// Next inbox event.
    Event,
    /// Raised whenever cards, peers, agreements or their suspension change.
    Federation,
    /// Epochs and revisions towards a peer, in the present generation.
    Revision(AgencyId),
    /// Receipts to a peer, in the present generation.
    Receipt(AgencyId),
}

impl Counter {
    fn name(&self) -> String {
        match self {
            Counter::Leaf => "leaf".into(),
            Counter::Event => "event".into(),
            Counter::Federation => "federation".into(),
            Counter::Revision(peer) => format!("revision/{peer}"),
            Counter::Receipt(peer) => format!("receipt/{peer}"),
        }
    }
}

/// What counters stand at after numbers were taken from them.
#[derive(Debug, Default)]
pub struct Taken(HashMap<String, i64>);

impl Taken {
    /// Returns where a counter stands now: the numbers taken are the ones below.
    pub fn after(&self, counter: &Counter) -> u64 {
        self.0.get(&counter.name()).map_or(0, |&value| value.unsigned_abs())
    }

    /// Returns the first of `count` numbers that were taken from a counter, counting from 0.
    pub fn first(&self, counter: &Counter, count: usize) -> u64 {
        self.after(counter).saturating_sub(count as u64)
    }
}

static COUNTER: Table<2> = Table { name: "counter", columns: [Column::text("name"), Column::int("value")] };

/// Takes numbers from counters in one statement. Taking none reads a counter; taking less than none gives back what this
/// transaction took before.
pub async fn take(tx: &mut Tx, wanted: &[(Counter, i64)]) -> Result<Taken, StoreError> {
    let rows = wanted.iter().map(|(counter, by)| [counter.name().into(), (*by).into()]).collect();
    let add = OnConflict::Do("(name) DO UPDATE SET value = counter.value + excluded.value");
    let rows = tx.insert_many_returning(&COUNTER, rows, add, "name, value").await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect::<Result<_, _>>().map(Taken)
}

/// Sets a counter back to 0, for a new generation.
pub async fn reset(tx: &mut Tx, counter: &Counter) -> Result<(), StoreError> {
    tx.execute("DELETE FROM counter WHERE name = $1", [counter.name().into()]).await.map(|_| ())
}

/// Sets back the counters that belong to a generation: leaves, and the numbers that peers compare.
pub async fn begin_generation(tx: &mut Tx) -> Result<(), StoreError> {
    let sql = "DELETE FROM counter WHERE name = 'leaf' OR name LIKE 'revision/%' OR name LIKE 'receipt/%'";
    tx.execute(sql, []).await.map(|_| ())
}

/// Reads where a counter stands.
pub async fn read(tx: &mut Tx, counter: &Counter) -> Result<u64, StoreError> {
    let row = tx.fetch_optional("SELECT value FROM counter WHERE name = $1", [counter.name().into()]).await?;
    row.map_or(Ok(0), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_engines, reading, writing};

    on_both_engines! {
        a_counter_that_is_reset_counts_from_the_beginning_and_no_other_does
    }

    async fn a_counter_that_is_reset_counts_from_the_beginning_and_no_other_does(database: Database) {
        let store = database.open().await;
        let peer = || Counter::Receipt("a.example".parse().unwrap());
        let taken = writing!(store, tx => take(tx, &[(Counter::Leaf, 5), (peer(), 3)])).unwrap();
        assert_eq!((taken.first(&Counter::Leaf, 5), taken.after(&peer())), (0, 3));
        writing!(store, tx => reset(tx, &Counter::Leaf)).unwrap();
        writing!(store, tx => reset(tx, &Counter::Event)).unwrap();
        assert_eq!((reading!(store, tx => read(tx, &Counter::Leaf)), reading!(store, tx => read(tx, &peer()))), (0, 3));
        let taken = writing!(store, tx => take(tx, &[(Counter::Leaf, 2), (peer(), -1)])).unwrap();
        assert_eq!((taken.first(&Counter::Leaf, 2), taken.after(&peer())), (0, 2), "taking less than none gives back");
    }
}
