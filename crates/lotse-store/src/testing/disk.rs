//! A full disk, played by a limit of SQLite's for the file.

use crate::Store;

/// Rows beside the one that a probe writes, and as long: they take what is free inside the file.
const ROW: &str = "INSERT INTO meta (name, value) SELECT 'probe/' || hex(randomblob(8)), zeroblob(4096)";

/// Lets a SQLite file grow no more, and fills it.
pub async fn fill(store: &Store) {
    limit(store, "PRAGMA max_page_count = 1").await;
    while store.transact("fill", |tx| Box::pin(tx.execute(ROW, []))).await.is_ok() {}
}

/// Lets it grow again.
pub async fn make_room(store: &Store) {
    limit(store, "PRAGMA max_page_count = 4294967294").await;
}

async fn limit(store: &Store, sql: &'static str) {
    let limited = store.transact("limit", move |tx| Box::pin(async move { tx.fetch(sql, []).await.map(drop) }));
    limited.await.expect("the limit is set");
}
