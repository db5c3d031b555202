//! What survives, what a failed commit leaves behind, and how the database is set up.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::testing::on_both_engines;
use crate::{Fault, Faults, StoreOptions, WriteAheadLog};

on_both_engines! {
    committed_works_survive_reopening
    a_commit_that_fails_stores_nothing_and_says_so
    a_commit_whose_answer_is_lost_is_in_doubt
    handed_in_works_are_finished_before_closing
    two_writers_lose_no_update
}

async fn committed_works_survive_reopening(database: Database) {
    let store = with_items(&database).await;
    store.transact("insert", insert(1)).await.expect("commits");
    store.close().await;
    assert_eq!(numbers(&database.open().await).await, [1]);
}

/// A store on which the next commits go wrong.
async fn with_faults(database: &Database) -> (Store, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let options = StoreOptions { faults: Some(Arc::clone(&faults)), ..StoreOptions::default() };
    let store = database.open_with(options).await;
    create_items(&store).await;
    (store, faults)
}

async fn a_commit_that_fails_stores_nothing_and_says_so(database: Database) {
    let (store, faults) = with_faults(&database).await;
    faults.plan(2, Fault::FailBeforeCommit);
    store.transact("insert", insert(1)).await.expect("commits");
    assert!(matches!(store.transact("insert", insert(2)).await, Err(StoreError::Database { .. })));
    assert_eq!(numbers(&store).await, [1]);
    store.transact("insert", insert(2)).await.expect("the same work passes later");
    assert_eq!(numbers(&store).await, [1, 2]);
}

async fn a_commit_whose_answer_is_lost_is_in_doubt(database: Database) {
    let (store, faults) = with_faults(&database).await;
    faults.plan(1, Fault::StoreButReportFailure);
    assert!(matches!(store.transact("insert", insert(1)).await, Err(StoreError::InDoubt(_))));
    assert_eq!(numbers(&store).await, [1]);
    store.transact("insert", insert(2)).await.expect("the writer lives");
}

async fn handed_in_works_are_finished_before_closing(database: Database) {
    let store = with_items(&database).await;
    let gate = Gate::new();
    let first = tokio::spawn({
        let (store, work) = (store.clone(), gate.insert(1));
        async move { store.transact("first", work).await }
    });
    gate.entered().await;
    let closing = tokio::spawn(store.clone().close());
    gate.open();
    first.await.expect("runs").expect("commits");
    closing.await.expect("closes");
    assert_eq!(store.transact("late", insert(2)).await, Err(StoreError::Closed));
    assert_eq!(numbers(&database.open().await).await, [1]);
}

/// Reads and then writes: a lost update would show in the sum.
fn increment(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
    Box::pin(async move {
        let row = tx.fetch_one("SELECT number FROM item WHERE id = $1", [id(0)]).await?;
        let number: i64 = row.get(0)?;
        tx.execute("UPDATE item SET number = $1 WHERE id = $2", [(number + 1).into(), id(0)]).await.map(drop)
    })
}

async fn two_writers_lose_no_update(database: Database) {
    let store = with_items(&database).await;
    let other = database.open().await;
    store.transact("insert", insert(0)).await.expect("commits");
    let works = [store.clone(), other].map(|store| {
        tokio::spawn(async move {
            for _ in 0..30 {
                store.transact("increment", increment).await.expect("commits");
            }
        })
    });
    for work in works {
        work.await.expect("runs");
    }
    assert_eq!(numbers(&store).await, [60]);
}

#[tokio::test]
async fn sqlite_is_set_up_to_be_durable_and_to_forget() {
    let database = Database::sqlite();
    let store = with_items(&database).await;
    assert_eq!(store.counters().synchronous, "2");
    let settings = store.transact("settings", |tx| {
        Box::pin(async move {
            let mut settings = Vec::new();
            for pragma in ["PRAGMA synchronous", "PRAGMA secure_delete", "PRAGMA foreign_keys", "PRAGMA page_size"] {
                settings.push(tx.fetch_one(pragma, []).await?.get::<i64>(0)?);
            }
            Ok(settings)
        })
    });
    assert_eq!(settings.await.expect("reads"), [2, 1, 1, 8_192]);
    let folder = database.folder().expect("a folder");
    for file in ["lotse.db", "lotse.db-wal", "lotse.db-shm"] {
        let mode = std::fs::metadata(folder.join(file)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn deleted_bytes_are_gone_from_the_file_and_from_its_log() {
    let database = Database::sqlite();
    let store = with_items(&database).await;
    let secret = b"Name und Anschrift".repeat(40);
    let kept = secret.clone();
    store
        .transact("insert", move |tx| {
            let row = [id(1), 1.into(), "word".into(), kept.clone().into()];
            Box::pin(async move { tx.insert_many(&ITEM, vec![row], OnConflict::Fail).await })
        })
        .await
        .expect("commits");
    let is_there = || {
        let files = std::fs::read_dir(database.folder().expect("a folder")).expect("lists");
        let files: Vec<_> = files.map(|file| std::fs::read(file.expect("lists").path()).expect("reads")).collect();
        files.iter().any(|bytes| bytes.windows(18).any(|part| part == &secret[..18]))
    };
    assert!(is_there());
    fn delete(tx: &mut Tx) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move { tx.execute("DELETE FROM item", []).await })
    }
    store.transact("delete", delete).await.expect("commits");
    assert_eq!(store.empty_log().await, Ok(WriteAheadLog::Empty));
    assert!(!is_there());
}

#[tokio::test]
async fn a_reader_that_keeps_a_snapshot_holds_up_no_write() {
    let database = Database::sqlite();
    let store = with_items(&database).await;
    store.transact("insert", insert(1)).await.expect("commits");
    let gate = ReadGate::hold(&store).await;
    store.transact("insert", insert(2)).await.expect("commits");
    let begun = std::time::Instant::now();
    for number in 3..6 {
        assert_eq!(store.empty_log().await, Ok(WriteAheadLog::KeptByReader));
        store.transact("insert", insert(number)).await.expect("commits");
    }
    assert!(begun.elapsed() < PATIENCE_WITH_OTHERS / 2, "the writer slept: {:?}", begun.elapsed());
    gate.release().await;
    assert_eq!(store.empty_log().await, Ok(WriteAheadLog::Empty));
    let log = database.folder().expect("a folder").join("lotse.db-wal");
    assert_eq!(std::fs::metadata(log).expect("is there").len(), 0);
    let patience = store.transact("patience", |tx| {
        Box::pin(async move { tx.fetch_one("PRAGMA busy_timeout", []).await?.get::<i64>(0) })
    });
    let wanted = PATIENCE_WITH_OTHERS.as_millis() as i64;
    assert_eq!(patience.await, Ok(wanted), "another process that writes is still waited for");
}

/// How long a statement waits for another process that writes.
const PATIENCE_WITH_OTHERS: std::time::Duration = std::time::Duration::from_secs(5);

/// A read that keeps its snapshot until it is released.
struct ReadGate {
    end: tokio::sync::oneshot::Sender<()>,
    read: tokio::task::JoinHandle<()>,
}

impl ReadGate {
    async fn hold(store: &Store) -> ReadGate {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let store = store.clone();
        let read = tokio::spawn(async move {
            let hold = store.read("hold", move |tx| {
                Box::pin(async move {
                    tx.fetch("SELECT COUNT(*) FROM item", []).await?;
                    begin.send(()).expect("somebody waits");
                    ended.await.expect("it is released");
                    Ok::<(), StoreError>(())
                })
            });
            hold.await.expect("reads");
        });
        begun.await.expect("begins");
        ReadGate { end, read }
    }

    async fn release(self) {
        self.end.send(()).expect("it reads");
        self.read.await.expect("it ends");
    }
}

/// Allows the file so many pages (SQLite keeps those that are used) and then inserts a row of 1 MiB.
fn insert_big(
    number: i64,
    limit: &'static str,
) -> impl for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<u64, StoreError>> {
    move |tx| {
        let row = [id(number), number.into(), "big".into(), vec![7; 1 << 20].into()];
        Box::pin(async move {
            tx.fetch(limit, []).await?;
            tx.insert_many(&ITEM, vec![row], OnConflict::Fail).await
        })
    }
}

#[tokio::test]
async fn a_full_disk_fails_works_until_there_is_room_again() {
    let database = Database::sqlite();
    let store = with_items(&database).await;
    for _ in 0..2 {
        let refused = store.transact("full", insert_big(1, "PRAGMA max_page_count = 1")).await.unwrap_err();
        assert!(refused.is_disk_full() && store.is_disk_full(), "{refused:?}");
    }
    let read =
        store.transact("read", |tx| Box::pin(async move { tx.fetch("SELECT number FROM item", []).await.map(drop) }));
    read.await.expect("reads");
    assert!(store.is_disk_full(), "what writes nothing needs no room");
    store.transact("room", insert_big(2, "PRAGMA max_page_count = 1000000")).await.expect("commits");
    assert!(!store.is_disk_full());
    assert_eq!(numbers(&store).await, [2]);
}

#[test]
fn a_full_disk_is_recognised_by_the_codes_of_both_engines() {
    let failed = |code: &str| StoreError::Database { code: code.into(), message: "no room".into() };
    for code in ["13", "53100"] {
        assert!(failed(code).is_disk_full() && failed(code).into_commit().is_disk_full(), "{code}");
    }
    assert!(!failed("5").is_disk_full() && !failed("113").into_commit().is_disk_full());
    assert!(!StoreError::Closed.is_disk_full());
}

#[tokio::test]
async fn postgres_replaces_a_lost_connection() {
    let Some(database) = Database::postgres().await else { return };
    let store = with_items(&database).await;
    assert_eq!(store.counters().synchronous, "on");
    let other = database.open().await;
    fn terminate(tx: &mut Tx) -> BoxFuture<'_, Result<u64, StoreError>> {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE pid <> pg_backend_pid() AND datname = current_database()";
        Box::pin(async move { Ok(tx.fetch(sql, []).await?.len() as u64) })
    }
    assert!(other.transact("terminate", terminate).await.expect("runs") > 0);
    store.transact("insert", insert(1)).await.expect("passes on another connection");
    assert_eq!(numbers(&other).await, [1]);
}

#[tokio::test]
async fn an_unknown_url_is_refused_with_the_forms_that_are_known() {
    for url in ["", "mysql://localhost/x", "/var/lib/lotse.db", "sqlite://", "sqlite::memory:", "sqlite://:memory:"] {
        let error = Store::open(url, StoreOptions::default()).await.err().expect("refused");
        assert!(error.to_string().contains("sqlite:///"), "{error}");
    }
    for secret in [
        "postgres://user:geheim@host:port/x",
        "postgres://user@host/x?passwort=geheim",
        "postgres://user@host/x?geheim",
    ] {
        let error = Store::open(secret, StoreOptions::default()).await.err().expect("refused");
        assert!(!error.to_string().contains("geheim"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_without_the_password() {
    let url = "postgres://lotse:geheim@127.0.0.1:1/akten";
    let options = StoreOptions { readers: Some(1), ..StoreOptions::default() };
    let mut told = vec![Store::open(url, options.clone()).await.err(), crate::check_up(url).await.err()];
    told.extend([crate::check_tables(url).await.err(), crate::has_tables(url).await.err()]);
    for error in told {
        let message = error.expect("nobody listens").to_string();
        assert!(message.contains("the database akten of lotse at 127.0.0.1:1"), "{message}");
        assert!(!message.contains("geheim"), "{message}");
    }
}
