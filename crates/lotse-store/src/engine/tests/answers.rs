//! Who shares a commit, who gets which answer, and when.

use futures_util::FutureExt;

use super::*;
use crate::StoreOptions;
use crate::testing::on_both_engines;

on_both_engines! {
    works_that_wait_share_one_commit
    a_failing_work_does_not_take_others_with_it
    a_panicking_work_gets_an_error_and_the_writer_lives_on
    a_failure_that_a_work_hides_is_not_committed
    a_work_that_never_ends_is_given_up_alone
    a_statement_that_never_ends_is_interrupted_alone
    a_work_is_answered_only_after_the_commit
    a_running_work_goes_on_without_its_caller
    a_work_that_has_not_begun_is_left_out_without_its_caller
    statements_are_counted_by_work
    an_observer_is_told_of_each_work_and_how_it_ended
}

/// Lets a caller hand in its work; the answer must not be there yet.
async fn hand_in<T>(work: &mut BoxFuture<'_, T>) {
    assert!(work.now_or_never().is_none());
    // Otherwise tokio makes a task pause that has done much without waiting.
    tokio::task::yield_now().await;
}

async fn works_that_wait_share_one_commit(database: Database) {
    let store = with_items(&database).await;
    let gate = Gate::new();
    let mut first = store.transact("first", gate.insert(0)).boxed();
    hand_in(&mut first).await;
    gate.entered().await;
    let mut waiting: Vec<_> = (1..=64).map(|n| store.transact("insert", insert(n)).boxed()).collect();
    for work in &mut waiting {
        hand_in(work).await;
    }
    let before = store.counters().commits;
    gate.open();
    first.await.expect("commits");
    for work in waiting {
        work.await.expect("commits");
    }
    assert_eq!(store.counters().commits - before, 2);
    assert_eq!(numbers(&store).await, (0..=64).collect::<Vec<_>>());
}

async fn a_failing_work_does_not_take_others_with_it(database: Database) {
    let store = with_items(&database).await;
    let gate = Gate::new();
    let mut first = store.transact("first", gate.insert(0)).boxed();
    hand_in(&mut first).await;
    gate.entered().await;
    fn fails(tx: &mut Tx) -> BoxFuture<'_, Result<u64, StoreError>> {
        Box::pin(async move {
            tx.insert_many(&ITEM, vec![item(100)], OnConflict::Fail).await?;
            tx.insert_many(&ITEM, vec![item(0)], OnConflict::Fail).await
        })
    }
    let mut before = store.transact("insert", insert(1)).boxed();
    let mut failing = store.transact("fails", fails).boxed();
    let mut after = store.transact("insert", insert(2)).boxed();
    hand_in(&mut before).await;
    hand_in(&mut failing).await;
    hand_in(&mut after).await;
    let commits = store.counters().commits;
    gate.open();
    assert_eq!((first.await, before.await, after.await), (Ok(1), Ok(1), Ok(1)));
    assert!(matches!(failing.await, Err(StoreError::Constraint { .. })));
    assert_eq!(numbers(&store).await, [0, 1, 2]);
    assert_eq!(store.counters().commits - commits, 2);
}

async fn a_panicking_work_gets_an_error_and_the_writer_lives_on(database: Database) {
    let store = with_items(&database).await;
    fn panics(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tx.insert_many(&ITEM, vec![item(9)], OnConflict::Fail).await?;
            panic!("a work went wrong on purpose")
        })
    }
    assert_eq!(store.transact("panics", panics).await, Err(StoreError::Panicked("panics")));
    store.transact("insert", insert(1)).await.expect("the writer lives");
    assert_eq!(numbers(&store).await, [1]);
}

async fn a_failure_that_a_work_hides_is_not_committed(database: Database) {
    let store = with_items(&database).await;
    store.transact("insert", insert(1)).await.expect("commits");
    fn hides(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tx.insert_many(&ITEM, vec![item(2)], OnConflict::Fail).await?;
            let _ = tx.insert_many(&ITEM, vec![item(1)], OnConflict::Fail).await;
            Ok(())
        })
    }
    assert!(matches!(store.transact("hides", hides).await, Err(StoreError::Constraint { .. })));
    assert_eq!(numbers(&store).await, [1]);
}

async fn a_work_that_never_ends_is_given_up_alone(database: Database) {
    fn never_ends(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tx.insert_many(&ITEM, vec![item(9)], OnConflict::Fail).await?;
            std::future::pending().await
        })
    }
    let longest_work = std::time::Duration::from_millis(300);
    let store = database.open_with(StoreOptions { longest_work, ..StoreOptions::default() }).await;
    create_items(&store).await;
    let (before, stuck, after) = tokio::join!(
        store.transact("insert", insert(1)),
        store.transact("stuck", never_ends),
        store.transact("insert", insert(2))
    );
    assert_eq!((before, stuck, after), (Ok(1), Err(StoreError::timeout()), Ok(1)));
    assert_eq!(numbers(&store).await, [1, 2]);
}

async fn a_statement_that_never_ends_is_interrupted_alone(database: Database) {
    let longest_work = std::time::Duration::from_millis(300);
    let store = database.open_with(StoreOptions { longest_work, ..StoreOptions::default() }).await;
    create_items(&store).await;
    let endless = endless(&store);
    let stuck = store.transact("stuck", move |tx| {
        Box::pin(async move {
            tx.insert_many(&ITEM, vec![item(9)], OnConflict::Fail).await?;
            tx.fetch(endless, []).await.map(|rows| rows.len() as u64)
        })
    });
    let all = async { tokio::join!(store.transact("insert", insert(1)), stuck, store.transact("insert", insert(2))) };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), all).await.expect("all are answered");
    assert_eq!(ended, (Ok(1), Err(StoreError::timeout()), Ok(1)));
    store.transact("insert", insert(3)).await.expect("the writer goes on");
    assert_eq!(numbers(&store).await, [1, 2, 3]);
}

async fn a_work_is_answered_only_after_the_commit(database: Database) {
    let store = with_items(&database).await;
    let (hold, gate) = (Gate::new(), Gate::new());
    let mut holds = store.transact("holds", hold.insert(0)).boxed();
    hand_in(&mut holds).await;
    hold.entered().await;
    let mut done = store.transact("done", insert(1)).boxed();
    let mut slow = store.transact("slow", gate.insert(2)).boxed();
    hand_in(&mut done).await;
    hand_in(&mut slow).await;
    hold.open();
    // The work `done` has run when `slow`, behind it in the same group, stands in the gate; it is not committed yet.
    gate.entered().await;
    hand_in(&mut done).await;
    assert_eq!(numbers(&store).await, [0]);
    gate.open();
    done.await.expect("commits");
    assert_eq!(numbers(&store).await, [0, 1, 2]);
}

async fn a_running_work_goes_on_without_its_caller(database: Database) {
    let store = with_items(&database).await;
    let gate = Gate::new();
    let mut caller = store.transact("abandoned", gate.insert(1)).boxed();
    hand_in(&mut caller).await;
    gate.entered().await;
    drop(caller);
    gate.open();
    store.transact("insert", insert(2)).await.expect("commits");
    assert_eq!(numbers(&store).await, [1, 2]);
}

async fn a_work_that_has_not_begun_is_left_out_without_its_caller(database: Database) {
    let store = with_items(&database).await;
    let gate = Gate::new();
    let mut first = store.transact("first", gate.insert(0)).boxed();
    hand_in(&mut first).await;
    gate.entered().await;
    let mut caller = store.transact("abandoned", insert(1)).boxed();
    hand_in(&mut caller).await;
    drop(caller);
    gate.open();
    first.await.expect("commits");
    store.transact("insert", insert(2)).await.expect("commits");
    assert_eq!(numbers(&store).await, [0, 2]);
}

async fn statements_are_counted_by_work(database: Database) {
    let store = with_items(&database).await;
    fn work(tx: &mut Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            tx.insert_many(&ITEM, (0..10).map(item).collect(), OnConflict::Fail).await?;
            tx.execute("UPDATE item SET word = $1", ["x".into()]).await?;
            tx.fetch("SELECT id FROM item WHERE number < $1", [3.into()]).await.map(drop)
        })
    }
    store.transact("three", work).await.expect("commits");
    let counted = store.counters().work("three");
    assert_eq!((counted.runs, counted.statements, counted.rows), (1, 3, 23));
    assert_eq!(store.counters().work("never"), Default::default());
}

async fn an_observer_is_told_of_each_work_and_how_it_ended(database: Database) {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let writes = Arc::clone(&told);
    let observer: crate::WorkObserver = Arc::new(move |work: crate::EndedWork| {
        assert!(work.duration > std::time::Duration::ZERO);
        writes.lock().expect("no panic").push((work.name, work.succeeded));
    });
    let store = database.open_with(StoreOptions { observer: Some(observer), ..StoreOptions::default() }).await;
    create_items(&store).await;
    store.transact("good", insert(1)).await.expect("commits");
    store.transact("twice", insert(1)).await.expect_err("it is there already");
    assert_eq!(*told.lock().expect("no panic"), [("create", true), ("good", true), ("twice", false)]);
}
