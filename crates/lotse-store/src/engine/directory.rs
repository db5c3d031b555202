//! Where the rows of records stand: an index over random ids that is written late.
//!
//! An index over random ids is written on a page of its own for nearly every new row. On SQLite memory keeps the newest ids instead,
//! and each commit hands as many on to a table of places as came with it, in the order of the ids: a narrow range of them, which
//! falls on few pages. One way through all ids is a lap. At its end every row that was there when it began has its place in the
//! table, and a mark says so: a start reads the rows behind the mark. PostgreSQL keeps an ordinary index: it logs what changed of a
//! page, not the page.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lotse_core::id::Id;

use super::link::{Bound, Outcome, Prepared, built};
use super::many::{Columns, OnConflict, Table};
use super::row::{Row, readable};
use super::tx::Tx;
use super::value::{Column, Value};
use super::{EngineKind, StoreError};

/// Entries that one commit hands on at most: after a start there may be many.
const MOST: usize = 1_024;

/// As few as this share of those in memory are not handed on yet: works that come one by one would write pages for each.
const FEWEST: usize = 128;

/// A table whose rows are found by random ids, of which several rows may have the same. Its column `seq` is the place of a row. Rows
/// with [`Id::NIL`] have no id and are not found by it: there may be any number of them.
pub(crate) struct Directory {
    /// The table.
    pub(crate) table: &'static str,
    /// What texts call it.
    pub(crate) alias: &'static str,
    /// The column with the id.
    pub(crate) id: &'static str,
    /// The table of places on SQLite, with the columns `id` and `seq`; its laps are a row of `directory`.
    pub(crate) places: &'static str,
    /// How many ids memory keeps.
    pub(crate) young: usize,
}

/// An id and the place of a row that has it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The id's bytes as a number, which is compared faster.
    number: u128,
    place: i64,
}

impl Entry {
    fn new(id: Id, place: i64) -> Entry {
        Entry { number: u128::from_be_bytes(*id.as_bytes()), place }
    }

    fn id(self) -> Id {
        Id::from_bytes(self.number.to_be_bytes())
    }
}

/// The newest entries of one directory.
struct Young {
    directory: &'static Directory,
    /// Whether the table of places has the entry. One that it has stays for a lap, for readers whose snapshot is older. One whose
    /// row was rolled back stays too: whoever looks it up compares the row's id.
    entries: BTreeMap<Entry, bool>,
    /// How many of them the table has not.
    waiting: usize,
    /// The entry that this lap has come to.
    reached: Option<Entry>,
    /// The laps that were ended, as the table of directories counts them.
    laps: i64,
    /// The newest row when this lap began.
    newest: i64,
}

/// What a commit hands on of one directory.
pub(super) struct Step {
    directory: &'static Directory,
    handed: Vec<Entry>,
    /// Entries that were handed on a lap ago.
    dropped: Vec<Entry>,
    reached: Option<Entry>,
    /// Where the lap ends here: the mark to write, and the newest row at the beginning of the next one.
    ends: Option<Mark>,
}

#[derive(Clone, Copy)]
struct Mark {
    swept: i64,
    newest: i64,
}

impl Young {
    fn remember(&mut self, entry: Entry) {
        if names_a_row(entry.id()) && self.entries.insert(entry, false) != Some(false) {
            self.waiting += 1;
        }
    }

    fn find(&self, ids: &[Id]) -> Vec<Entry> {
        // Not a range with two ends: each end is a search of its own.
        let from = |&id: &Id| {
            let first = Entry::new(id, i64::MIN);
            self.entries.range(first..).map(|(&entry, _)| entry).take_while(move |entry| entry.number == first.number)
        };
        ids.iter().flat_map(from).collect()
    }

    /// Tells what to hand on, if it is worth it.
    fn step(&self) -> Option<Step> {
        let excess = self.waiting.saturating_sub(self.directory.young);
        if excess <= self.directory.young / FEWEST {
            return None;
        }
        let (mut handed, mut dropped, mut ends) = (Vec::new(), Vec::new(), None);
        let mut ahead = self.entries.range((self.reached.map_or(Unbounded, Excluded), Unbounded));
        let mut reached = self.reached;
        while handed.len() < excess.min(MOST) {
            let Some((&entry, &is_handed)) = ahead.next() else {
                ends = Some(Mark { swept: self.newest, newest: self.newest });
                reached = None;
                break;
            };
            if is_handed {
                dropped.push(entry)
            } else {
                handed.push(entry)
            }
            reached = Some(entry);
        }
        Some(Step { directory: self.directory, handed, dropped, reached, ends })
    }

    fn advance(&mut self, step: &Step) {
        for entry in &step.handed {
            self.entries.insert(*entry, true);
        }
        for entry in &step.dropped {
            self.entries.remove(entry);
        }
        self.waiting -= step.handed.len();
        self.reached = step.reached;
        if let Some(mark) = step.ends {
            self.laps += 1;
            self.newest = mark.newest;
        }
    }
}

/// The directories of a store, as its writer knows them.
pub(super) struct Directories {
    /// Whether nobody else writes, so that readers may rely on what the writer knows.
    is_alone: bool,
    young: Mutex<BTreeMap<&'static str, Young>>,
}

impl Directories {
    pub(super) fn new(is_alone: bool) -> Directories {
        Directories { is_alone, young: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Young>> {
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets everything: the database may not have what it was thought to have.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// Notes that steps are durable.
    pub(super) fn advance(&self, steps: &[Step]) {
        let mut known = self.lock();
        for step in steps {
            if let Some(young) = known.get_mut(step.directory.table) {
                young.advance(step);
            }
        }
    }
}

impl Tx {
    /// Inserts rows of a directory's table; their places follow one another.
    pub(crate) async fn insert_into<const N: usize>(
        &mut self,
        directory: &'static Directory,
        table: &'static Table<N>,
        rows: Vec<[Value; N]>,
    ) -> Result<(), StoreError> {
        if self.engine() == EngineKind::Postgres {
            return self.insert_many(table, rows, OnConflict::Fail).await.map(drop);
        }
        let column = table.columns.iter().position(|column| column.name == directory.id);
        let ids = ids_of(&rows, column)?;
        self.learn(directory).await?;
        let last = self.insert_rows(table, rows).await?.last_place;
        let mut known = self.directories().lock();
        if let Some(young) = known.get_mut(directory.table) {
            (last + 1 - ids.len() as i64..).zip(ids).for_each(|(place, id)| young.remember(Entry::new(id, place)));
        }
        Ok(())
    }

    /// Runs `before` + `WHERE` its rows have one of these ids + `after`, and returns the rows in the order of their places. Further
    /// values are `$2`, `$3` … in `after`.
    pub(crate) async fn fetch_by<const N: usize>(
        &mut self,
        directory: &'static Directory,
        before: &'static str,
        ids: &[Id],
        after: &'static str,
        values: [Value; N],
    ) -> Result<Vec<Row>, StoreError> {
        let Directory { alias, id, .. } = directory;
        if self.engine() == EngineKind::Postgres {
            let (before, after) = (format!("{before} WHERE {alias}.{id}"), format!("{after} ORDER BY {alias}.seq"));
            return Ok(self.run_in(&before, keys(&real(ids)), &after, values.into()).await?.rows);
        }
        let mut entries = self.find_places(directory, ids).await?;
        if entries.is_empty() {
            return Ok(Vec::new());
        }
        entries.sort_unstable_by_key(|entry| entry.place);
        let place = N + 2;
        let sql = format!("{before} WHERE {alias}.{id} = $1 AND {alias}.seq = ${place}{after}");
        let row = |entry: Entry| [entry.id().into()].into_iter().chain(values.clone()).chain([entry.place.into()]);
        let values = entries.into_iter().flat_map(row).collect();
        Ok(self.run(built(sql), Bound::SqliteEach(values, place), Prepared::Keep).await?.rows)
    }

    /// Runs a statement that changes rows of a directory's table, like [`Tx::execute_with`]: the first of the columns is
    /// the id, and the text ends with the conditions on `v`.
    pub(crate) async fn update_by<const N: usize>(
        &mut self,
        directory: &'static Directory,
        columns: &'static Columns<N>,
        rows: Vec<[Value; N]>,
        sql: &str,
    ) -> Result<u64, StoreError> {
        if self.engine() == EngineKind::Postgres {
            return Ok(self.run_with(columns, rows.into_flattened(), &format!(" {sql}")).await?.changed);
        }
        let ids = ids_of(&rows, Some(0))?;
        let mut entries = self.find_places(directory, &ids).await?;
        entries.sort_unstable();
        let mut values = Vec::with_capacity(rows.len() * (N + 1));
        for (id, row) in ids.into_iter().zip(rows) {
            let first = entries.partition_point(|&entry| entry < Entry::new(id, i64::MIN));
            for entry in entries.iter().skip(first).take_while(|entry| entry.id() == id) {
                values.extend(row.iter().cloned().chain([entry.place.into()]));
            }
        }
        let columns: Vec<Column> = columns.iter().copied().chain([Column::int("place")]).collect();
        let sql = format!(" {sql} AND {}.seq = v.place", directory.table);
        Ok(self.run_with(&columns, values, &sql).await?.changed)
    }

    /// Sets columns of the rows that have these ids, like [`Tx::update_many`].
    pub(crate) async fn set_by<const N: usize>(
        &mut self,
        directory: &'static Directory,
        columns: &'static Columns<N>,
        rows: Vec<[Value; N]>,
    ) -> Result<u64, StoreError> {
        let set: Vec<String> = columns.iter().skip(1).map(|column| format!("{0} = v.{0}", column.name)).collect();
        let (Directory { table, id, .. }, set) = (directory, set.join(", "));
        let sql = format!("UPDATE {table} SET {set} FROM v WHERE {table}.{id} = v.{id}");
        self.update_by(directory, columns, rows, &sql).await
    }

    /// Finds where rows with these ids may stand. Whoever reads them compares the ids.
    async fn find_places(&mut self, directory: &'static Directory, ids: &[Id]) -> Result<Vec<Entry>, StoreError> {
        let ids = &real(ids);
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut entries = match self.find_young(directory, ids).await? {
            Some(entries) => entries,
            None => {
                let Directory { table, id, .. } = directory;
                let behind = format!(
                    "SELECT {id}, seq FROM {table} WHERE seq > (SELECT swept FROM directory WHERE name = '{table}') AND {id}"
                );
                read_entries(&self.run_in(&behind, keys(ids), "", Vec::new()).await?)
            }
        };
        let places = format!("SELECT id, seq FROM {} WHERE id = ?", directory.places);
        entries.extend(read_entries(&self.run(built(places), Bound::SqliteEach(keys(ids), 1), Prepared::Keep).await?));
        entries.sort_unstable();
        entries.dedup();
        Ok(entries)
    }

    /// Looks into memory; none if that may lack what this transaction sees. It then does if the table of places, as seen here, ended
    /// fewer laps.
    async fn find_young(
        &mut self,
        directory: &'static Directory,
        ids: &[Id],
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.is_writer() {
            self.learn(directory).await?;
            return Ok(self.directories().lock().get(directory.table).map(|young| young.find(ids)));
        }
        if !self.directories().is_alone {
            return Ok(None);
        }
        let (seen, _) = self.laps(directory).await?;
        let known = self.directories().lock();
        Ok(known.get(directory.table).filter(|young| young.laps <= seen).map(|young| young.find(ids)))
    }

    /// Reads how many laps were ended, and the mark of the last one.
    async fn laps(&mut self, directory: &'static Directory) -> Result<(i64, i64), StoreError> {
        let sql = "SELECT laps, swept FROM directory WHERE name = $1".to_owned();
        let answer = self.ask(sql, vec![directory.table.into()]).await?;
        let row = first(&answer)?;
        Ok((row.get(0)?, row.get(1)?))
    }

    /// Runs a statement of the directory's own, which does not count as one of the work.
    async fn ask(&mut self, sql: String, values: Vec<Value>) -> Result<Outcome, StoreError> {
        self.link().send(built(sql), Bound::Sqlite(values), Prepared::Keep).await
    }

    /// Makes sure that memory has the rows behind the mark.
    pub(super) async fn learn(&mut self, directory: &'static Directory) -> Result<(), StoreError> {
        self.forget_if_others_wrote().await?;
        if self.directories().lock().contains_key(directory.table) {
            return Ok(());
        }
        let (laps, newest) = self.laps(directory).await?;
        let (entries, waiting) = (BTreeMap::new(), 0);
        let mut young = Young { directory, entries, waiting, reached: None, laps, newest };
        let behind = format!("SELECT {}, seq FROM {} WHERE seq > $1", directory.id, directory.table);
        for entry in read_entries(&self.ask(behind, vec![newest.into()]).await?) {
            young.remember(entry);
        }
        self.directories().lock().insert(directory.table, young);
        Ok(())
    }

    /// A node is alone with its database; a command may meet others, and starts anew when they have written.
    async fn forget_if_others_wrote(&mut self) -> Result<(), StoreError> {
        if !self.directories().is_alone {
            let answer = self.ask("PRAGMA data_version".to_owned(), Vec::new()).await?;
            let version = first(&answer)?.get(0)?;
            if self.saw_version(version) != Some(version) {
                self.directories().forget();
            }
        }
        Ok(())
    }

    /// Tells whether nobody else writes to this SQLite.
    pub(super) fn is_alone_on_sqlite(&self) -> bool {
        self.engine() == EngineKind::Sqlite && self.directories().is_alone
    }

    /// Hands on what is too much for memory, as part of the transaction that is about to be committed.
    pub(super) async fn hand_on(&mut self) -> Result<Vec<Step>, StoreError> {
        if self.engine() == EngineKind::Postgres {
            return Ok(Vec::new());
        }
        self.forget_if_others_wrote().await?;
        let mut steps: Vec<Step> = self.directories().lock().values().filter_map(Young::step).collect();
        for step in &mut steps {
            let Directory { table, places, .. } = step.directory;
            let values = step.handed.iter().flat_map(|entry| [entry.id().into(), entry.place.into()]).collect();
            let sql = format!("INSERT INTO {places} (id, seq) VALUES (?, ?) ON CONFLICT DO NOTHING");
            self.link().send(built(sql), Bound::SqliteEach(values, 2), Prepared::Keep).await?;
            if let Some(mark) = &mut step.ends {
                let newest = self.ask(format!("SELECT COALESCE(MAX(seq), 0) FROM {table}"), Vec::new()).await?;
                mark.newest = first(&newest)?.get(0)?;
                let sql = format!("UPDATE directory SET laps = laps + 1, swept = $1 WHERE name = '{table}'");
                self.ask(sql, vec![mark.swept.into()]).await?;
            }
        }
        Ok(steps)
    }
}

fn first(answer: &Outcome) -> Result<&Row, StoreError> {
    answer.rows.first().ok_or(StoreError::NoRow)
}

fn keys(ids: &[Id]) -> Vec<Value> {
    ids.iter().map(Value::from).collect()
}

fn real(ids: &[Id]) -> Vec<Id> {
    ids.iter().copied().filter(|&id| names_a_row(id)).collect()
}

fn names_a_row(id: Id) -> bool {
    id != Id::NIL
}

/// The ids that the rows have in a column: each must have one, a row without would be missing in the directory.
fn ids_of<const N: usize>(rows: &[[Value; N]], column: Option<usize>) -> Result<Vec<Id>, StoreError> {
    let id = |row: &[Value; N]| if let Value::Id(id) = row.get(column?)? { Some(*id) } else { None };
    rows.iter().map(id).collect::<Option<_>>().ok_or(StoreError::Value("a row of a directory needs an id"))
}

/// Reads entries. A row whose id cannot be read is found by none, and keeps no other from being found.
fn read_entries(outcome: &Outcome) -> Vec<Entry> {
    readable(&outcome.rows, 0, |row| Ok(Entry::new(row.get(0)?, row.get(1)?))).rows
}
