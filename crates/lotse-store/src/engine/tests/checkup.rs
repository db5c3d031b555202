//! What a look at the database tells, and that it changes nothing.

use super::*;
use crate::testing::on_both_engines;
use crate::{StoreOptions, check_tables, check_up};

on_both_engines! {
    a_new_database_is_up_to_date_and_told_as_durable_as_it_is
    migrations_too_few_and_too_many_are_told
    tables_of_another_version_are_refused_to_readers_and_left_alone
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
            assert_eq!(checkup.durability, "journal_mode wal");
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

async fn tables_of_another_version_are_refused_to_readers_and_left_alone(database: Database) {
    let store = database.open().await;
    check_tables(database.url()).await.expect("of this version");
    let older = "DELETE FROM _sqlx_migrations WHERE version = 3";
    store.transact("older", move |tx| Box::pin(tx.execute(older, []))).await.unwrap();
    let refused = check_tables(database.url()).await.unwrap_err().to_string();
    assert!(refused.contains("older than this program, migration 3"), "{refused}");
    let newer = "UPDATE _sqlx_migrations SET version = 4711 WHERE version = 2";
    store.transact("newer", move |tx| Box::pin(tx.execute(newer, []))).await.unwrap();
    let refused = check_tables(database.url()).await.unwrap_err().to_string();
    assert!(refused.contains("newer than this program, migration 4711"), "{refused}");
    let checkup = check_up(database.url()).await.unwrap();
    assert_eq!((checkup.missing_migrations, checkup.unknown_migrations), (vec![2, 3], vec![4711]), "as before");
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
