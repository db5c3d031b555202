//! Who may open a database beside whom.

use std::time::Duration;

use super::*;
use crate::testing::on_both_engines;
use crate::testing::pooler::Pooler;
use crate::{Opener, StoreOptions};

on_both_engines! {
    one_node_at_a_time_opens_a_database_and_commands_beside_it
    a_node_waits_until_the_one_before_has_let_go_of_the_database
}

fn node(patience: Duration) -> StoreOptions {
    StoreOptions { opener: Opener::Node { patience }, ..StoreOptions::default() }
}

async fn one_node_at_a_time_opens_a_database_and_commands_beside_it(database: Database) {
    let first = database.open_with(node(Duration::ZERO)).await;
    create_items(&first).await;
    let second = Store::open(database.url(), node(Duration::from_millis(200))).await;
    let Err(StoreError::Open(refused)) = second.map(drop) else { panic!("a second node has opened the database") };
    assert!(refused.contains("another node") && refused.contains("stop the other one"), "{refused}");
    let command = database.open().await;
    first.transact("insert", insert(1)).await.expect("the first node writes");
    assert_eq!(numbers(&command).await, [1]);
    command.close().await;
    first.close().await;
}

async fn a_node_waits_until_the_one_before_has_let_go_of_the_database(database: Database) {
    let first = database.open_with(node(Duration::ZERO)).await;
    let url = database.url().to_owned();
    let second = tokio::spawn(async move { Store::open(&url, node(Duration::from_secs(20))).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "it waits");
    first.close().await;
    second.await.expect("no panic").expect("the second node opens the database").close().await;
    database.open_with(node(Duration::from_secs(5))).await.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_session_writes_again_only_when_no_other_node_has_come() {
    let Some(database) = Database::postgres().await else { return };
    let first = database.open_with(node(Duration::ZERO)).await;
    create_items(&first).await;
    let command = database.open().await;
    fn end_other_sessions(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE pid <> pg_backend_pid() AND datname = current_database()";
        Box::pin(async move { tx.fetch(sql, []).await.map(drop) })
    }
    command.transact("end", end_other_sessions).await.expect("runs");
    let second = database.open_with(node(Duration::from_secs(5))).await;
    second.transact("insert", insert(1)).await.expect("the second node writes");
    let refused = first.transact("insert", insert(2)).await;
    assert!(matches!(&refused, Err(StoreError::Open(why)) if why.contains("another node")), "{refused:?}");
    second.close().await;
    first.transact("insert", insert(2)).await.expect("the first node has its database again");
    assert_eq!(numbers(&command).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_keeps_no_session_for_a_node_is_refused() {
    let Some(database) = Database::postgres().await else { return };
    for sessions in 1..=3 {
        let pooler = Pooler::start(database.url(), sessions);
        let refused = Store::open(&pooler.url(), node(Duration::ZERO)).await.map(drop);
        let Err(StoreError::Open(why)) = refused else { panic!("{sessions} sessions: {refused:?}") };
        assert!(why.contains("PgBouncer") && why.contains("directly"), "{why}");
    }
    database.open_with(node(Duration::ZERO)).await.close().await;
}
