//! What a benchmark asks of a database: what one commit costs here, and how many rows there are. No action of a node uses it.

use crate::engine::{Store, StoreError, Tx};

/// Makes the table of [`commit_row`], in a database of its own.
pub async fn prepare(store: &Store) -> Result<(), StoreError> {
    store
        .transact("yardstick table", |tx| {
            Box::pin(async move {
                let sql =
                    "CREATE TABLE IF NOT EXISTS yardstick (seq INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT";
                tx.execute(sql, []).await.map(drop)
            })
        })
        .await
}

/// Commits one row: one work, one statement, one commit.
pub async fn commit_row(store: &Store, content: Vec<u8>) -> Result<(), StoreError> {
    store
        .transact("yardstick", move |tx| {
            let content = content.clone();
            Box::pin(async move {
                tx.execute("INSERT INTO yardstick (content) VALUES ($1)", [content.into()]).await.map(drop)
            })
        })
        .await
}

/// Counts the rows of every table to which the exchange of records adds rows.
pub async fn rows(tx: &mut Tx) -> Result<u64, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM batch) + (SELECT COUNT(*) FROM register)
               + (SELECT COUNT(*) FROM custody) + (SELECT COUNT(*) FROM received_batch)
               + (SELECT COUNT(*) FROM inbox_event) + (SELECT COUNT(*) FROM inbox_cursor)
               + (SELECT COUNT(*) FROM import_token) + (SELECT COUNT(*) FROM log_entry)
               + (SELECT COUNT(*) FROM log_tile) + (SELECT COUNT(*) FROM checkpoint)";
    tx.fetch_one(sql, []).await?.get(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Database;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn each_row_of_the_yardstick_is_one_commit() {
        let database = Database::sqlite();
        let store = database.open().await;
        prepare(&store).await.unwrap();
        let before = store.counters().commits;
        for _ in 0..3 {
            commit_row(&store, vec![7; 2048]).await.unwrap();
        }
        assert_eq!(store.counters().commits - before, 3);
        assert_eq!(store.read("rows", move |tx| Box::pin(rows(tx))).await.unwrap(), 0);
    }
}
