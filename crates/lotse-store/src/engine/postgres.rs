//! PostgreSQL: a pool, and transactions that are run again when the server asks for it.

use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tracing::log::LevelFilter;

use super::faults::Fault;
use super::job::run_once;
use super::sqlite::{KEPT_STATEMENTS, SLOW};
use super::store::Shared;
use super::tx::{Link, Tx};
use super::{StoreError, StoreOptions};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Runs of one work at most; each begins after a random wait that doubles.
const RUNS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// How long a work waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// A connection that rested longer is tested before use.
const REST: Duration = Duration::from_secs(5);

/// Connects, brings the tables up to date and returns what the server says about `synchronous_commit`.
pub(super) async fn open(url: &str, options: &StoreOptions) -> Result<(PgPool, String), StoreError> {
    let failed = |error: &dyn std::fmt::Display| StoreError::Open(error.to_string());
    let connect = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Open("the postgres URL is not well formed".to_owned()))?
        .application_name("lotse")
        .statement_cache_capacity(KEPT_STATEMENTS)
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Warn, SLOW);
    let pool = PgPoolOptions::new()
        .max_connections(options.connections.max(1))
        .acquire_timeout(CONNECTION_WAIT)
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > REST {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(connect)
        .await
        .map_err(|error| failed(&error))?;
    MIGRATIONS.run(&pool).await.map_err(|error| failed(&error))?;
    let synchronous: String =
        sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&pool).await.map_err(|error| failed(&error))?;
    if synchronous == "off" {
        return Err(StoreError::Open(
            "the server answers commits before they are durable: set synchronous_commit to on".to_owned(),
        ));
    }
    Ok((pool, synchronous))
}

/// Runs a work in a serializable transaction, again while the server asks for it, and commits.
///
/// Serializable, because works decide by what they read (consent, agreement, the head of the log) and SQLite gives the same.
pub(super) async fn transact<T, W>(
    pool: &PgPool,
    shared: &Shared,
    name: &'static str,
    work: &W,
) -> Result<T, StoreError>
where
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Sync,
{
    let mut run = 1;
    loop {
        match transact_once(pool, shared, name, work).await {
            Err(error) if error.asks_to_run_again() && run < RUNS => {
                tokio::time::sleep(wait_before(run)).await;
                run += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn transact_once<T, W>(pool: &PgPool, shared: &Shared, name: &'static str, work: &W) -> Result<T, StoreError>
where
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Sync,
{
    let begun = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.map_err(StoreError::from_sqlx)?;
    let mut tx = Tx::new(Link::Postgres(begun));
    // On an error the transaction is dropped, which rolls it back.
    let result = run_once(name, work, &mut tx, &shared.meter).await?;
    let Link::Postgres(transaction) = tx.into_link() else { return Err(StoreError::Closed) };
    let fault = shared.next_fault();
    if fault == Some(Fault::FailBeforeCommit) {
        transaction.rollback().await.map_err(StoreError::from_sqlx)?;
        return Err(StoreError::injected());
    }
    transaction.commit().await.map_err(StoreError::from_commit)?;
    shared.meter.count_commit();
    match fault {
        Some(_) => Err(StoreError::InDoubt("a planned fault".to_owned())),
        None => Ok(result),
    }
}

/// Begins a snapshot that only reads.
pub(super) async fn read(pool: &PgPool) -> Result<Tx, StoreError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    pool.begin_with(begin).await.map(|begun| Tx::new(Link::Postgres(begun))).map_err(StoreError::from_sqlx)
}

/// A random share of a wait that doubles with each run ("full jitter"), so that works which collided do not collide again.
fn wait_before(run: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << run.min(16)).min(LONGEST_WAIT);
    // Each RandomState is keyed differently; nothing here needs a better source.
    let share = RandomState::new().hash_one(run) >> 32;
    longest.mul_f64(share as f64 / f64::from(u32::MAX))
}
