//! Rows are found by their ids, whatever was rolled back, handed on, forgotten or opened anew meanwhile.

use std::time::Duration;

use lotse_core::id::Id;

use super::*;
use crate::engine::{Columns, Directory};
use crate::testing::on_both_engines;
use crate::{Fault, Faults, Opener, StoreOptions};

on_both_engines! {
    rows_of_records_are_found_and_changed_by_their_ids
    whatever_is_there_is_found_and_nothing_else
}

/// Memory keeps few, so that they are handed on soon.
static PAPER: Directory = Directory { table: "paper", alias: "p", id: "record_id", places: "paper_place", young: 40 };

static INSERT: Table<2> = Table { name: "paper", columns: [Column::blob("record_id"), Column::int("number")] };

const SQLITE: [&str; 3] = [
    "CREATE TABLE paper (seq INTEGER PRIMARY KEY, record_id BLOB NOT NULL, number INTEGER NOT NULL) STRICT",
    "CREATE TABLE paper_place (id BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (id, seq)) STRICT, WITHOUT ROWID",
    "INSERT INTO directory VALUES ('paper', 0, 0)",
];
const POSTGRES: [&str; 2] = [
    "CREATE TABLE paper (seq BIGSERIAL PRIMARY KEY, record_id BYTEA NOT NULL, number BIGINT NOT NULL)",
    "CREATE INDEX paper_record ON paper (record_id)",
];

async fn create_papers(store: &Store) {
    let create = if store.engine() == EngineKind::Sqlite { SQLITE.as_slice() } else { &POSTGRES };
    for sql in create {
        store.transact("create", move |tx| Box::pin(tx.execute(sql, []))).await.expect("the table is made");
    }
}

/// An id that stands anywhere in the order of ids, and is never the one that is none.
fn paper(number: i64) -> Id {
    Id::from_bytes(u128::from(number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

/// A work that inserts a row for each number, and then fails if it should.
fn insert_papers(
    numbers: Vec<i64>,
    fails: bool,
) -> impl for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(), StoreError>> + Send + Sync + 'static {
    move |tx| {
        let rows = numbers.iter().map(|&number| [paper(number).into(), number.into()]).collect();
        Box::pin(async move {
            tx.insert_into(&PAPER, &INSERT, rows).await?;
            if fails { Err(StoreError::Value("planned")) } else { Ok(()) }
        })
    }
}

async fn find(tx: &mut Tx, numbers: &[i64]) -> Result<Vec<i64>, StoreError> {
    let ids: Vec<Id> = numbers.iter().map(|&number| paper(number)).collect();
    let rows = tx.fetch_by(&PAPER, "SELECT p.number FROM paper p", &ids, "", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Asks for numbers as a reader, and as the writer.
async fn found(store: &Store, numbers: &[i64]) -> [Vec<i64>; 2] {
    let (asked, again) = (numbers.to_vec(), numbers.to_vec());
    let read = store.read("find", move |tx| Box::pin(async move { find(tx, &asked).await }));
    let written = store.transact("find", move |tx| {
        let asked = again.clone();
        Box::pin(async move { find(tx, &asked).await })
    });
    [read.await.expect("reads"), written.await.expect("reads")]
}

async fn rows_of_records_are_found_and_changed_by_their_ids(database: Database) {
    let store = database.open().await;
    create_papers(&store).await;
    store.transact("insert", insert_papers(vec![3, 1, 2, 1], false)).await.expect("commits");
    for found in found(&store, &[1, 2, 9, 1]).await {
        assert_eq!(found, [1, 2, 1], "each row once, in the order of their places");
    }
    let changed = store.transact("change", |tx| {
        const NUMBER: Columns<2> = [Column::blob("record_id"), Column::int("number")];
        Box::pin(async move {
            let rows =
                || vec![[paper(1).into(), 10.into()], [paper(9).into(), 90.into()], [paper(3).into(), 30.into()]];
            let set = tx.set_by(&PAPER, &NUMBER, rows()).await?;
            let sql = "UPDATE paper SET number = paper.number + v.number
                       FROM v WHERE paper.record_id = v.record_id AND paper.number = 30";
            Ok((set, tx.update_by(&PAPER, &NUMBER, rows(), sql).await?))
        })
    });
    assert_eq!(changed.await.expect("commits"), (3, 1));
    let bounded = store.read("find", |tx| {
        Box::pin(async move {
            let ids = [paper(1), paper(2), paper(3)];
            let (sql, after) = ("SELECT p.number FROM paper p", " AND p.number > $2 AND p.number < $3");
            let rows = tx.fetch_by(&PAPER, sql, &ids, after, [9.into(), 60.into()]).await?;
            let none = tx.fetch_by(&PAPER, sql, &[], "", []).await?;
            Ok((rows.iter().map(|row| row.get(0)).collect::<Result<Vec<i64>, _>>()?, none.len()))
        })
    });
    assert_eq!(bounded.await.expect("reads"), (vec![10, 10], 0));
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A store, what is in it, and the failures to come.
struct World {
    database: Database,
    store: Store,
    faults: Arc<Faults>,
    there: Vec<i64>,
    next: i64,
}

impl World {
    async fn new(database: Database) -> World {
        let (store, faults) = open(&database).await;
        create_papers(&store).await;
        World { database, store, faults, there: Vec::new(), next: 0 }
    }

    /// New numbers, and now and then one that is there.
    fn numbers(&mut self, dice: &mut Dice) -> Vec<i64> {
        let count = 1 + dice.below(30) as i64;
        let mut numbers: Vec<i64> = (self.next..self.next + count).collect();
        self.next += count;
        if let Some(&known) = self.there.get(dice.below(1_000) as usize) {
            numbers.push(known);
        }
        numbers
    }

    async fn step(&mut self, dice: &mut Dice) {
        let numbers = self.numbers(dice);
        let is_stored = match dice.below(12) {
            0 => {
                let failed = self.store.transact("fail", insert_papers(numbers.clone(), true)).await;
                failed.expect_err("it was planned");
                false
            }
            1 => {
                self.faults.plan(1, Fault::FailBeforeCommit);
                self.store.transact("fail", insert_papers(numbers.clone(), false)).await.expect_err("it was planned");
                false
            }
            2 => {
                self.faults.plan(1, Fault::StoreButReportFailure);
                self.store.transact("doubt", insert_papers(numbers.clone(), false)).await.expect_err("it was planned");
                true
            }
            3 => {
                self.store.clone().close().await;
                (self.store, self.faults) = open(&self.database).await;
                false
            }
            _ => {
                self.store.transact("insert", insert_papers(numbers.clone(), false)).await.expect("commits");
                true
            }
        };
        if is_stored {
            self.there.extend(numbers);
        }
    }

    /// All that is there is found by everybody, and what is not there by nobody.
    async fn check(&self) {
        let asked: Vec<i64> = (0..self.next).collect();
        let beside = Store::open_to_read(self.database.url(), &StoreOptions::default()).expect("opens");
        let [read, written] = found(&self.store, &asked).await;
        let foreign = beside.read("find", move |tx| Box::pin(async move { find(tx, &asked).await })).await;
        for found in [read, written, foreign.expect("reads")] {
            assert_eq!(found, self.there);
        }
        beside.close().await;
    }
}

async fn open(database: &Database) -> (Store, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let opener = Opener::Node { patience: Duration::from_secs(10) };
    let options = StoreOptions { opener, faults: Some(Arc::clone(&faults)), ..StoreOptions::default() };
    (database.open_with(options).await, faults)
}

async fn whatever_is_there_is_found_and_nothing_else(database: Database) {
    let (mut world, mut dice) = (World::new(database).await, Dice(7));
    for step in 0..400 {
        world.step(&mut dice).await;
        if step % 10 == 0 {
            world.check().await;
        }
    }
    assert!(world.there.len() > 3_000, "{} rows are enough for some laps", world.there.len());
    world.check().await;
}

/// How many rows have their place in the table, and how many laps were ended.
async fn handed_on(store: &Store) -> (i64, i64) {
    let sql = "SELECT (SELECT COUNT(*) FROM paper_place), laps FROM directory WHERE name = 'paper'";
    let read = store.read("count", move |tx| {
        Box::pin(async move { tx.fetch_one(sql, []).await.and_then(|row| Ok((row.get(0)?, row.get(1)?))) })
    });
    read.await.expect("reads")
}

#[tokio::test]
async fn a_snapshot_is_asked_for_rows_that_memory_has_dropped_meanwhile() {
    let database = Database::sqlite();
    let (store, _) = open(&database).await;
    create_papers(&store).await;
    let first: Vec<i64> = (0..60).collect();
    store.transact("insert", insert_papers(first.clone(), false)).await.expect("commits");
    let writer = store.clone();
    let seen = store.read("snapshot", move |tx| {
        Box::pin(async move {
            tx.fetch("SELECT COUNT(*) FROM directory", []).await?;
            for begin in (100..1_000).step_by(30) {
                writer.transact("insert", insert_papers((begin..begin + 30).collect(), false)).await?;
                let asked: Vec<i64> = (0..begin + 30).collect();
                assert_eq!(find(tx, &asked).await?, first, "with rows up to {begin} written since");
            }
            Ok(())
        })
    });
    seen.await.expect("reads");
    let (places, laps) = handed_on(&store).await;
    assert!(laps >= 4 && places > 800, "{places} rows were handed on in {laps} laps");
}

#[tokio::test]
async fn works_that_come_one_by_one_write_places_together() {
    static WIDE: Directory = Directory { young: 2_560, ..PAPER };
    let database = Database::sqlite();
    let (store, _) = open(&database).await;
    create_papers(&store).await;
    let rows = |numbers: std::ops::Range<i64>| {
        numbers.map(|number| -> [Value; 2] { [paper(number).into(), number.into()] }).collect::<Vec<_>>()
    };
    let mut written = Vec::new();
    for numbers in std::iter::once(0..2_560).chain((2_560..2_602).map(|number| number..number + 1)) {
        let insert = store.transact("insert", move |tx| {
            let rows = rows(numbers.clone());
            Box::pin(async move { tx.insert_into(&WIDE, &INSERT, rows).await })
        });
        insert.await.expect("commits");
        written.push(handed_on(&store).await.0);
    }
    written.dedup();
    assert_eq!(written, [0, 21, 42], "a share of what memory keeps is written at once");
}

#[tokio::test]
async fn a_command_finds_what_another_one_wrote() {
    let database = Database::sqlite();
    let (one, other) = (database.open().await, database.open().await);
    create_papers(&one).await;
    for begin in (0..600).step_by(20) {
        let store = if begin % 40 == 0 { &one } else { &other };
        store.transact("insert", insert_papers((begin..begin + 20).collect(), false)).await.expect("commits");
    }
    let all: Vec<i64> = (0..600).collect();
    for store in [&one, &other, &database.open().await] {
        for found in found(store, &all).await {
            assert_eq!(found, all);
        }
    }
}
