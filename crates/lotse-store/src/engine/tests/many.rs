//! Statements over many rows.

use super::*;
use crate::engine::{Columns, Row};
use crate::testing::on_both_engines;

on_both_engines! {
    a_thousand_rows_with_nulls_come_back_as_they_went_in
    more_rows_than_sqlite_has_parameters_are_inserted
    known_rows_are_told_from_new_ones
    a_fencing_number_keeps_a_late_update_out
    rows_are_found_by_keys_and_further_values
    a_value_of_another_kind_is_refused
}

/// Runs a work whose parts live as long as the test.
async fn run<T, W>(store: &Store, work: W) -> T
where
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
    T: Send + 'static,
{
    store.transact("test", work).await.expect("commits")
}

fn sparse(number: i64) -> [Value; 4] {
    let word = (number % 3 != 0).then(|| format!("wörd {number}"));
    let bytes = (number % 5 != 0).then(|| vec![number as u8; (number % 300) as usize]);
    let number_or_null = (number % 7 != 0).then_some(number);
    [id(number), number_or_null.into(), word.into(), bytes.into()]
}

async fn a_thousand_rows_with_nulls_come_back_as_they_went_in(database: Database) {
    let store = with_items(&database).await;
    let inserted =
        run(&store, |tx| Box::pin(tx.insert_many(&ITEM, (0..1000).map(sparse).collect(), OnConflict::Fail))).await;
    assert_eq!(inserted, 1000);
    let rows = run(&store, |tx| {
        Box::pin(async move {
            let rows = tx.fetch("SELECT id, number, word, bytes FROM item ORDER BY id", []).await?;
            rows.iter().map(read_sparse).collect::<Result<Vec<_>, _>>()
        })
    });
    for (number, row) in (0..).zip(rows.await) {
        let (id, stored, word, bytes) = row;
        assert_eq!(id, i64::to_be_bytes(number));
        assert_eq!(stored, (number % 7 != 0).then_some(number));
        assert_eq!(word, (number % 3 != 0).then(|| format!("wörd {number}")));
        assert_eq!(bytes, (number % 5 != 0).then(|| vec![number as u8; (number % 300) as usize]));
    }
    assert_eq!(store.counters().work("test").statements, 2);
}

type Sparse = ([u8; 8], Option<i64>, Option<String>, Option<Vec<u8>>);

fn read_sparse(row: &Row) -> Result<Sparse, StoreError> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

async fn more_rows_than_sqlite_has_parameters_are_inserted(database: Database) {
    let store = with_items(&database).await;
    let inserted =
        run(&store, |tx| Box::pin(tx.insert_many(&ITEM, (0..10_000).map(item).collect(), OnConflict::Fail))).await;
    assert_eq!(inserted, 10_000);
    assert_eq!(numbers(&store).await.len(), 10_000);
}

async fn known_rows_are_told_from_new_ones(database: Database) {
    let store = with_items(&database).await;
    run(&store, |tx| Box::pin(tx.insert_many(&ITEM, (0..5).map(item).collect(), OnConflict::Fail))).await;
    let mut new: Vec<i64> = run(&store, |tx| {
        Box::pin(async move {
            let rows = (3..8).map(item).collect();
            let rows = tx.insert_many_returning(&ITEM, rows, OnConflict::Ignore, "number").await?;
            rows.iter().map(|row| row.get(0)).collect()
        })
    })
    .await;
    new.sort_unstable();
    assert_eq!(new, [5, 6, 7]);
    let upsert = OnConflict::Do("(id) DO UPDATE SET word = excluded.word");
    let mut row = item(0);
    row[2] = "changed".into();
    run(&store, move |tx| Box::pin(tx.insert_many(&ITEM, vec![row.clone()], upsert))).await;
    assert_eq!(word(&store, 0).await.as_deref(), Some("changed"));
}

async fn word(store: &Store, number: i64) -> Option<String> {
    run(store, move |tx| {
        Box::pin(async move { tx.fetch_one("SELECT word FROM item WHERE id = $1", [id(number)]).await?.get(0) })
    })
    .await
}

async fn a_fencing_number_keeps_a_late_update_out(database: Database) {
    const CLAIM: Columns<2> = [Column::blob("id"), Column::int("number")];
    static CLAIMS: Columns<2> = CLAIM;
    let store = with_items(&database).await;
    run(&store, |tx| Box::pin(tx.insert_many(&ITEM, (0..4).map(item).collect(), OnConflict::Fail))).await;
    let finished: Vec<i64> = run(&store, |tx| {
        Box::pin(async move {
            let claims = vec![[id(1), 1.into()], [id(2), 7.into()], [id(3), 3.into()]];
            let sql = "UPDATE item SET word = 'done' FROM v WHERE item.id = v.id AND item.number = v.number
                       RETURNING item.number";
            let rows = tx.fetch_with(&CLAIMS, claims, sql).await?;
            rows.iter().map(|row| row.get(0)).collect()
        })
    })
    .await;
    assert_eq!(finished.len(), 2);
    assert!(finished.contains(&1) && finished.contains(&3));
    assert_eq!(word(&store, 2).await.as_deref(), Some("word 2"));
}

async fn rows_are_found_by_keys_and_further_values(database: Database) {
    let store = with_items(&database).await;
    run(&store, |tx| Box::pin(tx.insert_many(&ITEM, (0..50).map(item).collect(), OnConflict::Fail))).await;
    let found: Vec<i64> = run(&store, |tx| {
        Box::pin(async move {
            let keys = (10..100).map(id).collect();
            let after = " AND number >= $2 AND number < $3 ORDER BY number";
            let rows = tx.fetch_in("SELECT number FROM item WHERE id", keys, after, [20.into(), 23.into()]).await?;
            assert!(tx.fetch_in("SELECT number FROM item WHERE id", vec![], "", []).await?.is_empty());
            rows.iter().map(|row| row.get(0)).collect()
        })
    })
    .await;
    assert_eq!(found, [20, 21, 22]);
}

async fn a_value_of_another_kind_is_refused(database: Database) {
    let store = with_items(&database).await;
    let wrong = || vec![[id(1), "not a number".into(), 3.into(), Value::from(None::<Vec<u8>>)]];
    let refused = store.transact("wrong", move |tx| Box::pin(tx.insert_many(&ITEM, wrong(), OnConflict::Fail))).await;
    assert!(matches!(refused, Err(StoreError::Value(_))));
    assert!(numbers(&store).await.is_empty());
}
