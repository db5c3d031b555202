//! Who may open a database beside whom.

use std::time::Duration;

use super::*;
use crate::testing::on_both_engines;
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
