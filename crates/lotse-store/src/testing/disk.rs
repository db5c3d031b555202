//! A full disk, played by a limit of SQLite's for the file.

use crate::Store;

/// Lets a SQLite file grow no more.
pub async fn fill(store: &Store) {
    limit(store, "PRAGMA max_page_count = 1").await;
}

/// Lets it grow again.
pub async fn make_room(store: &Store) {
    limit(store, "PRAGMA max_page_count = 4294967294").await;
}

async fn limit(store: &Store, sql: &'static str) {
    let limited = store.transact("limit", move |tx| Box::pin(async move { tx.fetch(sql, []).await.map(drop) }));
    limited.await.expect("the limit is set");
}
