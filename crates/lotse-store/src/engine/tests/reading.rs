//! Snapshots and rows.

use std::time::Duration;

use lotse_core::id::Id;
use tokio::time::timeout;

use super::*;
use crate::StoreOptions;
use crate::testing::on_both_engines;

on_both_engines! {
    a_reader_sees_one_snapshot
    a_reader_cannot_write
    a_reader_that_is_dropped_holds_nothing_back
    a_store_is_closed_although_reads_do_not_end
    a_read_that_takes_too_long_is_ended_and_its_connection_reads_on
    lists_that_do_not_end_leave_a_connection_for_the_node
    a_row_of_another_shape_is_an_error
}

async fn a_reader_sees_one_snapshot(database: Database) {
    let store = with_items(&database).await;
    store.transact("insert", insert(1)).await.expect("commits");
    let writer = store.clone();
    let seen = store.read("snapshot", move |tx| {
        Box::pin(async move {
            let before = read_numbers(tx).await?;
            writer.transact("insert", insert(2)).await?;
            Ok((before, read_numbers(tx).await?))
        })
    });
    assert_eq!(seen.await.expect("reads"), (vec![1], vec![1]));
    assert_eq!(numbers(&store).await, [1, 2]);
}

async fn a_reader_cannot_write(database: Database) {
    let store = with_items(&database).await;
    let write = store.read("write", move |tx| Box::pin(async move { tx.execute("DELETE FROM item", []).await }));
    assert!(matches!(write.await, Err(StoreError::Database { .. })));
}

async fn a_reader_that_is_dropped_holds_nothing_back(database: Database) {
    let store = with_items(&database).await;
    for number in 0..40 {
        let stuck = store.read("stuck", move |tx| {
            Box::pin(async move {
                read_numbers(tx).await?;
                std::future::pending::<Result<(), StoreError>>().await
            })
        });
        assert!(timeout(Duration::from_millis(5), stuck).await.is_err());
        store.transact("insert", insert(number)).await.expect("commits");
        assert_eq!(numbers(&store).await.len() as i64, number + 1);
    }
}

async fn a_store_is_closed_although_reads_do_not_end(database: Database) {
    let reading_grace = Duration::from_millis(200);
    let store = database.open_with(StoreOptions { reading_grace, ..StoreOptions::default() }).await;
    create_items(&store).await;
    let (endless, reader) = (endless(&store), store.clone());
    let (began, mut begun) = tokio::sync::mpsc::channel(2);
    for number in 0..2 {
        let (began, reader) = (began.clone(), reader.clone());
        tokio::spawn(async move {
            let read = reader.read("stuck", move |tx| {
                Box::pin(async move {
                    read_numbers(tx).await?;
                    began.send(()).await.expect("the test goes on");
                    if number == 0 {
                        std::future::pending::<()>().await;
                    }
                    tx.fetch(endless, []).await.map(drop)
                })
            });
            let _ = read.await;
        });
        begun.recv().await.expect("it reads");
    }
    timeout(Duration::from_secs(5), store.close()).await.expect("the store is closed");
    if let Some(folder) = database.folder() {
        assert!(!folder.join("lotse.db-wal").exists(), "the last connection has emptied the log");
    }
}

async fn a_row_of_another_shape_is_an_error(database: Database) {
    let store = with_items(&database).await;
    store.transact("insert", insert(-1)).await.expect("commits");
    let check = store.read("shape", move |tx| {
        Box::pin(async move {
            let row = tx.fetch_one("SELECT id, number, word, bytes FROM item", []).await?;
            assert_eq!(row.get::<Id>(0), Err(StoreError::Row { column: 0, expected: "an id" }));
            assert_eq!(row.get::<u32>(1), Err(StoreError::Row { column: 1, expected: "a count of 32 bits" }));
            assert!(row.get::<i64>(2).is_err() && row.get::<String>(1).is_err());
            assert_eq!(row.get::<Vec<u8>>(3), Err(StoreError::Row { column: 3, expected: "bytes" }));
            assert_eq!(row.get::<Option<Vec<u8>>>(3), Ok(None));
            assert!(row.get::<i64>(4).is_err());
            let none = tx.fetch_one("SELECT id FROM item WHERE number = $1", [7.into()]).await;
            assert!(matches!(none, Err(StoreError::NoRow)));
            Ok(())
        })
    });
    check.await.expect("reads");
}

async fn a_read_that_takes_too_long_is_ended_and_its_connection_reads_on(database: Database) {
    let longest_read = Some(Duration::from_millis(200));
    let store = database.open_with(StoreOptions { longest_read, readers: Some(1), ..StoreOptions::default() }).await;
    create_items(&store).await;
    for _ in 0..2 {
        let endless = endless(&store);
        let read = store.read("endless", move |tx| Box::pin(async move { tx.fetch(endless, []).await.map(drop) }));
        let ended = timeout(Duration::from_secs(20), read).await.expect("it is ended");
        assert_eq!(ended, Err(StoreError::timeout()));
        assert_eq!(numbers(&store).await, [0; 0]);
    }
}

async fn lists_that_do_not_end_leave_a_connection_for_the_node(database: Database) {
    let store = database.open_with(StoreOptions { readers: Some(2), ..StoreOptions::default() }).await;
    create_items(&store).await;
    let (began, mut begun) = tokio::sync::mpsc::channel(4);
    let (end, ended) = tokio::sync::watch::channel(false);
    let mut lists = Vec::new();
    for _ in 0..4 {
        let (began, mut ended, reader) = (began.clone(), ended.clone(), store.clone());
        lists.push(tokio::spawn(async move {
            let list = reader.read_list("list", move |tx| {
                Box::pin(async move {
                    read_numbers(tx).await?;
                    began.send(()).await.expect("the test goes on");
                    ended.wait_for(|ended| *ended).await.expect("the test goes on");
                    Ok::<(), StoreError>(())
                })
            });
            list.await.expect("reads");
        }));
    }
    begun.recv().await.expect("a list is read");
    for _ in 0..4 {
        assert_eq!(timeout(Duration::from_secs(5), numbers(&store)).await.expect("the node reads"), [0; 0]);
    }
    assert!(begun.try_recv().is_err(), "one connection of two reads lists");
    end.send_replace(true);
    for list in lists {
        list.await.expect("ends");
    }
}
