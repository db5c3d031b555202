//! What a look at the database tells, and that it changes nothing.

use super::*;
use crate::testing::on_both_engines;
use crate::{StoreOptions, check_up};

on_both_engines! {
    a_new_database_is_up_to_date_and_told_as_durable_as_it_is
    migrations_too_few_and_too_many_are_told
    a_store_opened_to_read_reads_and_refuses_to_write
}

async fn a_new_database_is_up_to_date_and_told_as_durable_as_it_is(database: Database) {
    let store = database.open().await;
    let checkup = check_up(database.url()).await.unwrap();
    assert_eq!(checkup.engine, store.engine());
    assert_eq!((checkup.missing_migrations, checkup.unknown_migrations), (vec![], vec![]));
    assert_eq!(checkup.integrity_faults, Vec::<String>::new());
    match store.engine() {
        EngineKind::Sqlite => {
            assert_eq!(checkup.durability, "synchronous 2, journal_mode wal");
            assert_eq!(checkup.durability_faults, Vec::<String>::new());
        }
        // The server of the tests flushes nothing.
        EngineKind::Postgres => assert_eq!(checkup.durability_faults, ["fsync is off, not on"]),
    }
}

async fn migrations_too_few_and_too_many_are_told(database: Database) {
    let store = database.open().await;
    let renumber = "UPDATE _sqlx_migrations SET version = 4711 WHERE version = 2";
    store.transact("renumber", move |tx| Box::pin(tx.execute(renumber, []))).await.unwrap();
    store.close().await;
    let checkup = check_up(database.url()).await.unwrap();
    assert_eq!((checkup.missing_migrations, checkup.unknown_migrations), (vec![2], vec![4711]));
}

async fn a_store_opened_to_read_reads_and_refuses_to_write(database: Database) {
    let store = with_items(&database).await;
    store.transact("insert", insert(1)).await.unwrap();
    let reader = Store::open_to_read(database.url(), &StoreOptions::default()).unwrap();
    assert_eq!(numbers(&reader).await, [1], "beside the writer");
    store.close().await;
    assert_eq!(numbers(&reader).await, [1], "and without it");
    assert_eq!(reader.transact("insert", insert(2)).await, Err(StoreError::Closed));
    reader.close().await;
    assert_eq!(numbers(&database.open().await).await, [1]);
}
