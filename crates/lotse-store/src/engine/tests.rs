//! The contract of the engine, the same on SQLite and PostgreSQL.

mod answers;
mod checkup;
mod directory;
mod durability;
mod many;
mod opener;
mod reading;
mod speed;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::{Column, EngineKind, OnConflict, Store, StoreError, Table, Tx, Value};
use crate::testing::Database;

static ITEM: Table<4> = Table {
    name: "item",
    columns: [Column::blob("id"), Column::int("number"), Column::text("word"), Column::blob("bytes")],
};

const SQLITE: &str = "CREATE TABLE item (id BLOB PRIMARY KEY, number INTEGER UNIQUE, word TEXT, bytes BLOB) STRICT";
const POSTGRES: &str = "CREATE TABLE item (id BYTEA PRIMARY KEY, number BIGINT UNIQUE, word TEXT, bytes BYTEA)";

/// Opens a store with a table to play with.
async fn with_items(database: &Database) -> Store {
    let store = database.open().await;
    create_items(&store).await;
    store
}

async fn create_items(store: &Store) {
    let create = if store.engine() == EngineKind::Sqlite { SQLITE } else { POSTGRES };
    store.transact("create", move |tx| Box::pin(tx.execute(create, []))).await.expect("the table is made");
}

fn item(number: i64) -> [Value; 4] {
    [id(number), number.into(), format!("word {number}").into(), Value::from(None::<Vec<u8>>)]
}

fn id(number: i64) -> Value {
    number.to_be_bytes().to_vec().into()
}

/// A work that inserts one item.
fn insert(
    number: i64,
) -> impl for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<u64, StoreError>> + Send + Sync + 'static {
    move |tx| Box::pin(async move { tx.insert_many(&ITEM, vec![item(number)], OnConflict::Fail).await })
}

/// A statement that takes longer than any test.
fn endless(store: &Store) -> &'static str {
    match store.engine() {
        EngineKind::Sqlite => {
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n WHERE i < 0"
        }
        EngineKind::Postgres => "SELECT 1 FROM pg_sleep(60)",
    }
}

/// Returns the numbers that are stored, in order.
async fn numbers(store: &Store) -> Vec<i64> {
    store.read("numbers", move |tx| Box::pin(read_numbers(tx))).await.expect("reads")
}

async fn read_numbers(tx: &mut Tx) -> Result<Vec<i64>, StoreError> {
    let rows = tx.fetch("SELECT number FROM item ORDER BY number", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Holds the writer inside a work until the gate is opened, so that a test decides what waits meanwhile.
struct Gate {
    entered: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Gate {
        Gate { entered: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }

    /// A work that inserts one item and then stands in the gate.
    fn insert(
        &self,
        number: i64,
    ) -> impl for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<u64, StoreError>> + Send + Sync + 'static {
        let (entered, opened) = (Arc::clone(&self.entered), Arc::clone(&self.opened));
        move |tx| {
            let (entered, opened) = (Arc::clone(&entered), Arc::clone(&opened));
            Box::pin(async move {
                let inserted = tx.insert_many(&ITEM, vec![item(number)], OnConflict::Fail).await?;
                entered.add_permits(1);
                drop(opened.acquire().await);
                Ok(inserted)
            })
        }
    }

    async fn entered(&self) {
        self.entered.acquire().await.expect("never closed").forget();
    }

    fn open(&self) {
        self.opened.add_permits(1_000);
    }
}
