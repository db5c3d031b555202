//! What a statement, a commit and a batch cost. Run alone, in release:
//! `cargo test --release -p lotse-store speed -- --ignored --nocapture --test-threads 1`

use std::time::Instant;

use super::*;
use crate::engine::Columns;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed_on_sqlite() {
    speed(Database::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn speed_on_postgres() {
    if let Some(database) = Database::postgres().await {
        speed(database).await;
    }
}

fn wide(number: i64) -> [Value; 4] {
    [id(number), number.into(), "a word".into(), vec![7_u8; 2560].into()]
}

async fn timed<F: std::future::Future<Output = ()>>(what: &str, count: i64, work: F) {
    let before = Instant::now();
    work.await;
    let spent = before.elapsed();
    println!(
        "{what:50} {:10.1} us each, {:10.0}/s",
        spent.as_secs_f64() * 1e6 / count as f64,
        count as f64 / spent.as_secs_f64()
    );
}

async fn speed(database: Database) {
    let store = with_items(&database).await;
    println!("{:?}", store.engine());
    timed("lone works of one statement, commit each", 500, async {
        for n in 0..500 {
            store.transact("lone", insert(n)).await.unwrap();
        }
    })
    .await;
    timed("single inserts in one work", 5000, async {
        store
            .transact("single", |tx| {
                Box::pin(async move {
                    for n in 1000..6000 {
                        tx.insert_many(&ITEM, vec![wide(n)], OnConflict::Fail).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
    })
    .await;
    for size in [16, 64, 256] {
        timed(&format!("4 statements of {size} rows, commit each, per row of 1 of 4"), 40 * size, async {
            for batch in 0..40_i64 {
                let first = 10_000_000 * size + batch * size * 4;
                store
                    .transact("batch", move |tx| {
                        Box::pin(async move {
                            for part in 0..4 {
                                let from = first + part * size;
                                let rows = (from..from + size).map(if part == 0 { wide } else { item }).collect();
                                tx.insert_many(&ITEM, rows, OnConflict::Fail).await?;
                            }
                            Ok(())
                        })
                    })
                    .await
                    .unwrap();
            }
        })
        .await;
    }
    timed("select by key in one work", 5000, async {
        store
            .transact("select", |tx| {
                Box::pin(async move {
                    for n in 1000..6000 {
                        tx.fetch_one("SELECT number, bytes FROM item WHERE id = $1", [id(n)]).await?.get::<i64>(0)?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
    })
    .await;
    timed("fetch_in of 256 rows of 2.5 KiB, per row", 100 * 256, async {
        for _ in 0..100 {
            store
                .transact("fetch_in", |tx| {
                    Box::pin(async move {
                        let keys = (1000..1256).map(id).collect();
                        let rows = tx.fetch_in("SELECT number, bytes FROM item WHERE id", keys, "", []).await?;
                        rows.iter().map(|row| Ok(row.get::<Vec<u8>>(1)?.len())).sum::<Result<usize, StoreError>>()
                    })
                })
                .await
                .unwrap();
        }
    })
    .await;
    timed("lone reads of one statement", 2000, async {
        for n in 0..2000 {
            store
                .read("read", move |tx| {
                    Box::pin(async move {
                        tx.fetch("SELECT number, bytes FROM item WHERE id = $1", [id(n)]).await.map(drop)
                    })
                })
                .await
                .unwrap();
        }
    })
    .await;
    timed("execute_with of 256 rows, per row", 40 * 256, async {
        const CHANGE: Columns<2> = [Column::blob("id"), Column::text("word")];
        let sql = "UPDATE item SET word = v.word FROM v WHERE item.id = v.id";
        for _ in 0..40 {
            store
                .transact("update", move |tx| {
                    Box::pin(async move {
                        let rows = (1000..1256).map(|n| [id(n), "changed".into()]).collect();
                        tx.execute_with(&CHANGE, rows, sql).await
                    })
                })
                .await
                .unwrap();
        }
    })
    .await;
    for waiting in [16, 64, 256] {
        timed(&format!("works of one insert, {waiting} waiting"), 20 * waiting, async {
            for round in 0..20_i64 {
                let works = (0..waiting)
                    .map(|n| store.transact("waiting", insert(1_000_000_000 * waiting + round * waiting + n)));
                for done in futures_util::future::join_all(works).await {
                    done.unwrap();
                }
            }
        })
        .await;
    }
}

#[test]
#[ignore = "measures"]
fn speed_of_the_vault() {
    use crate::vault::{Place, Vault};
    struct Os;
    impl lotse_core::random::Random for Os {
        #[expect(clippy::disallowed_methods, reason = "the real source is what is measured")]
        fn fill(&self, buffer: &mut [u8]) {
            aws_lc_rs::rand::fill(buffer).unwrap();
        }
    }
    let vault = Vault::load(&Vault::generate(&Os, "2026-11").unwrap()).unwrap();
    let ids: Vec<[u8; 16]> = (0..256_u128).map(u128::to_be_bytes).collect();
    let plaintext = vec![7; 2560];
    let records: Vec<_> = ids.iter().map(|id| (Place { table: "outbox", id }, plaintext.as_slice())).collect();
    let mut sealed = Vec::new();
    let before = Instant::now();
    for _ in 0..100 {
        sealed = vault.seal_many(&Os, &records).unwrap();
    }
    println!("seal_many {:.2} us each", before.elapsed().as_secs_f64() * 1e6 / 25_600.0);
    let before = Instant::now();
    for _ in 0..100 {
        for ((place, _), (sealed, _)) in records.iter().zip(&sealed) {
            assert_eq!(vault.open(*place, sealed).unwrap().len(), 2560);
        }
    }
    println!("open {:.2} us each", before.elapsed().as_secs_f64() * 1e6 / 25_600.0);
}
