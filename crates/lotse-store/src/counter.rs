//! Counters that several works share. They are taken in one statement, as late in a transaction as possible: PostgreSQL holds
//! their rows until the commit, which also keeps numbers in commit order and without gaps.

use std::collections::HashMap;

use lotse_core::id::{AgencyId, Sequence};
use lotse_core::numbers::HighestNumbers;

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
    /// Highest epoch seen of a peer. Taking a number raises it to that; so do the next two.
    SeenEpoch(AgencyId),
    /// Highest revision seen of a peer.
    SeenRevision(AgencyId),
    /// Highest number of a receipt seen of a peer.
    SeenReceipt(AgencyId),
}

impl Counter {
    fn name(&self) -> String {
        match self {
            Counter::Leaf => "leaf".into(),
            Counter::Event => "event".into(),
            Counter::Federation => "federation".into(),
            Counter::Revision(peer) => format!("revision/{peer}"),
            Counter::Receipt(peer) => format!("receipt/{peer}"),
            Counter::SeenEpoch(peer) => format!("seen/epoch/{peer}"),
            Counter::SeenRevision(peer) => format!("seen/revision/{peer}"),
            Counter::SeenReceipt(peer) => format!("seen/receipt/{peer}"),
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
/// transaction took before. What is seen of a peer is raised and never falls.
pub async fn take(tx: &mut Tx, wanted: &[(Counter, i64)]) -> Result<Taken, StoreError> {
    let rows = wanted.iter().map(|(counter, by)| [counter.name().into(), (*by).into()]).collect();
    let add = OnConflict::Do(
        "(name) DO UPDATE SET value = CASE
             WHEN counter.name NOT LIKE 'seen/%' THEN counter.value + excluded.value
             WHEN excluded.value > counter.value THEN excluded.value
             ELSE counter.value END",
    );
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

/// Returns what a number that was seen raises its counter by at most: numbers of which nobody gives so many count as the highest.
pub fn seen(number: Sequence) -> i64 {
    i64::try_from(number.as_u64()).unwrap_or(i64::MAX)
}

/// Reads the highest numbers that this node has given towards each peer in its present generation.
pub async fn all_given(tx: &mut Tx, generation: u32) -> Result<HashMap<AgencyId, HighestNumbers>, StoreError> {
    let sql = "SELECT name, value FROM counter WHERE name LIKE 'revision/%' OR name LIKE 'receipt/%'";
    let mut all = HashMap::<AgencyId, HighestNumbers>::new();
    for row in tx.fetch(sql, []).await? {
        let (name, value): (String, u64) = (row.get(0)?, row.get(1)?);
        let Some((kind, peer)) = name.split_once('/') else { continue };
        let peer = peer.parse().map_err(|_| StoreError::Value("the name of a counter: no agency"))?;
        let number = Sequence::new(generation, u32::try_from(value).unwrap_or(u32::MAX));
        let given = all.entry(peer).or_insert(none_given(generation));
        match kind {
            "receipt" => given.receipt = number,
            // Epochs and revisions are drawn from one counter.
            _ => (given.epoch, given.revision) = (number, number),
        }
    }
    Ok(all)
}

/// Returns the numbers of a node that has given none in its present generation.
pub const fn none_given(generation: u32) -> HighestNumbers {
    let none = Sequence::new(generation, 0);
    HighestNumbers { generation, epoch: none, revision: none, receipt: none }
}

/// Reads the highest numbers that were seen of a peer; its generation is not among them.
pub async fn all_seen(tx: &mut Tx, peer: &AgencyId) -> Result<HighestNumbers, StoreError> {
    Ok(HighestNumbers {
        generation: 0,
        epoch: Sequence::from_u64(read(tx, &Counter::SeenEpoch(peer.clone())).await?),
        revision: Sequence::from_u64(read(tx, &Counter::SeenRevision(peer.clone())).await?),
        receipt: Sequence::from_u64(read(tx, &Counter::SeenReceipt(peer.clone())).await?),
    })
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
        what_is_seen_of_a_peer_only_rises_and_outlives_a_generation
        what_was_given_towards_each_peer_is_read_at_once
    }

    async fn what_is_seen_of_a_peer_only_rises_and_outlives_a_generation(database: Database) {
        let store = database.open().await;
        let peer = || "a.example".parse::<AgencyId>().unwrap();
        let (one, two) = (Sequence::new(1, 7), Sequence::new(2, 1));
        for number in [two, one] {
            let wanted = move || {
                let (revision, receipt) = (Counter::SeenRevision(peer()), Counter::SeenReceipt(peer()));
                [(revision, seen(number)), (receipt, seen(one)), (Counter::Leaf, 2)]
            };
            writing!(store, tx => take(tx, &wanted())).unwrap();
        }
        writing!(store, tx => begin_generation(tx)).unwrap();
        let found = reading!(store, tx => all_seen(tx, &peer()));
        assert_eq!((found.revision, found.receipt, found.epoch), (two, one, Sequence::default()));
        assert_eq!(seen(Sequence::from_u64(u64::MAX)), i64::MAX);
    }

    async fn what_was_given_towards_each_peer_is_read_at_once(database: Database) {
        let store = database.open().await;
        let one = || "a.example".parse::<AgencyId>().unwrap();
        let two = || "b.example".parse::<AgencyId>().unwrap();
        let wanted = move || {
            let of_one = [(Counter::Revision(one()), 3), (Counter::Receipt(one()), 2), (Counter::Leaf, 5)];
            let of_two = [(Counter::Receipt(two()), 9), (Counter::SeenReceipt(two()), 40)];
            of_one.into_iter().chain(of_two).collect::<Vec<_>>()
        };
        writing!(store, tx => take(tx, &wanted())).unwrap();
        let given = reading!(store, tx => all_given(tx, 4));
        let [third, second, ninth] = [3, 2, 9].map(|counter| Sequence::new(4, counter));
        assert_eq!(given.len(), 2);
        let of_one = HighestNumbers { generation: 4, epoch: third, revision: third, receipt: second };
        assert_eq!(given[&one()], of_one);
        assert_eq!(given[&two()], HighestNumbers { receipt: ninth, ..none_given(4) });
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
