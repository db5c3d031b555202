//! A look at the database itself, without changing anything: is it up to date, durable, unharmed?

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::Connection;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::spawn_blocking;

use super::target::Target;
use super::{EngineKind, StoreError, postgres, sqlite};

/// Faults that SQLite lists at most.
const QUICK_CHECK: &str = "PRAGMA quick_check(10)";

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkup {
    /// Which database it is.
    pub engine: EngineKind,
    /// Its version.
    pub version: String,
    /// Migrations that this program knows and the database has not.
    pub missing_migrations: Vec<i64>,
    /// Migrations that the database has and this program does not know.
    pub unknown_migrations: Vec<i64>,
    /// The settings that make a commit durable, as the database answers them; those of a connection are not among them.
    pub durability: String,
    /// Those of them by which a power cut loses commits.
    pub durability_faults: Vec<String>,
    /// How its integrity was looked at.
    pub integrity: String,
    /// What was found then.
    pub integrity_faults: Vec<String>,
}

/// Asks the database of a URL. It may take as long as reading every page of a SQLite file.
pub async fn check_up(url: &str) -> Result<Checkup, StoreError> {
    match Target::parse(url)? {
        Target::Sqlite(path) => {
            let checked = spawn_blocking(move || check_up_sqlite(&path)).await;
            checked.map_err(|error| StoreError::Open(error.to_string()))?
        }
        Target::Postgres(options) => {
            let connection = postgres::connect(&options).await?;
            check_up_postgres(connection).await.map_err(StoreError::from_sqlx)
        }
    }
}

/// Makes sure that the tables behind a URL are those that this program knows, for whoever reads without bringing them up to date.
pub async fn check_tables(url: &str) -> Result<(), StoreError> {
    let (missing, unknown) = match Target::parse(url)? {
        Target::Sqlite(path) => {
            let applied =
                spawn_blocking(move || applied_sqlite(&sqlite::reader(&path)?).map_err(StoreError::from_sqlite));
            let applied = applied.await.map_err(|error| StoreError::Open(error.to_string()))??;
            compare(&sqlite::MIGRATIONS, applied)
        }
        Target::Postgres(options) => compare(&postgres::MIGRATIONS, applied_on_server(&options).await?),
    };
    let refused = match (unknown.first(), missing.first()) {
        (None, None) => return Ok(()),
        (Some(unknown), _) => {
            format!("its tables are newer than this program, migration {unknown}: use the newer version")
        }
        (None, Some(missing)) => format!(
            "its tables are older than this program, migration {missing} is not applied, and reading changes nothing: use \
             the version that wrote them; the next start of a node with this version brings them up to date"
        ),
    };
    Err(StoreError::Open(refused))
}

/// Tells whether a database has tables of a node; one that is not there has none, and is not made.
pub async fn has_tables(url: &str) -> Result<bool, StoreError> {
    match Target::parse(url)? {
        Target::Sqlite(path) if !path.exists() => Ok(false),
        Target::Sqlite(path) => {
            let failed = path.display().to_string();
            let applied =
                spawn_blocking(move || applied_sqlite(&sqlite::reader(&path)?).map_err(StoreError::from_sqlite));
            let applied = applied.await.map_err(|error| StoreError::Open(error.to_string()))?;
            let applied = applied.map_err(|error| StoreError::Open(format!("{failed}: {error}")))?;
            Ok(!applied.is_empty())
        }
        Target::Postgres(options) => Ok(!applied_on_server(&options).await?.is_empty()),
    }
}

async fn applied_on_server(options: &PgConnectOptions) -> Result<BTreeSet<i64>, StoreError> {
    let mut connection = postgres::connect(options).await?;
    let applied = applied_postgres(&mut connection).await.map_err(StoreError::from_sqlx)?;
    connection.close().await.map_err(StoreError::from_sqlx)?;
    Ok(applied)
}

fn check_up_sqlite(path: &Path) -> Result<Checkup, StoreError> {
    ask_sqlite(&sqlite::reader(path)?).map_err(StoreError::from_sqlite)
}

fn ask_sqlite(connection: &rusqlite::Connection) -> Result<Checkup, rusqlite::Error> {
    let version: String = connection.query_row("SELECT sqlite_version()", [], |row| row.get(0))?;
    let journal: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let faults: Vec<String> =
        connection.prepare(QUICK_CHECK)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let applied = applied_sqlite(connection)?;
    // A copy that no node has opened yet keeps a rollback journal, which is as durable.
    let wanted = if journal == "delete" { "delete" } else { "wal" };
    // `synchronous` is each connection's own: here it would tell of this one, not of the node's.
    let settings = [("journal_mode", journal, wanted)];
    let (durability, durability_faults) = settings_of(&settings);
    let (missing_migrations, unknown_migrations) = compare(&sqlite::MIGRATIONS, applied);
    Ok(Checkup {
        engine: EngineKind::Sqlite,
        version,
        missing_migrations,
        unknown_migrations,
        durability,
        durability_faults,
        integrity: "quick_check".into(),
        integrity_faults: faults.into_iter().filter(|fault| fault != "ok").collect(),
    })
}

async fn check_up_postgres(mut connection: PgConnection) -> Result<Checkup, sqlx::Error> {
    let version: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await?;
    let checksums: String = sqlx::query_scalar("SHOW data_checksums").fetch_one(&mut connection).await?;
    let commit: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut connection).await?;
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await?;
    let pages: String = sqlx::query_scalar("SHOW full_page_writes").fetch_one(&mut connection).await?;
    let applied = applied_postgres(&mut connection).await?;
    connection.close().await?;
    // Every value but off waits at least for the own disk.
    let commit = if commit == "off" { commit } else { "on".into() };
    let settings = [("synchronous_commit", commit, "on"), ("fsync", fsync, "on"), ("full_page_writes", pages, "on")];
    let (durability, durability_faults) = settings_of(&settings);
    let (missing_migrations, unknown_migrations) = compare(&postgres::MIGRATIONS, applied);
    Ok(Checkup {
        engine: EngineKind::Postgres,
        version,
        missing_migrations,
        unknown_migrations,
        durability,
        durability_faults,
        integrity: format!("the server looks itself, data checksums {checksums}"),
        integrity_faults: Vec::new(),
    })
}

fn applied_sqlite(connection: &rusqlite::Connection) -> Result<BTreeSet<i64>, rusqlite::Error> {
    let table = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let there: i64 = connection.query_row(table, [], |row| row.get(0))?;
    if there == 0 {
        return Ok(BTreeSet::new());
    }
    connection.prepare("SELECT version FROM _sqlx_migrations")?.query_map([], |row| row.get(0))?.collect()
}

async fn applied_postgres(connection: &mut PgConnection) -> Result<BTreeSet<i64>, sqlx::Error> {
    let table = "SELECT count(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = ANY (current_schemas(false))";
    let there: i64 = sqlx::query_scalar(table).fetch_one(&mut *connection).await?;
    if there == 0 {
        return Ok(BTreeSet::new());
    }
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations").fetch_all(connection).await?;
    Ok(applied.into_iter().collect())
}

/// Returns the migrations that are missing in the database, and those that are unknown here.
fn compare(known: &Migrator, applied: BTreeSet<i64>) -> (Vec<i64>, Vec<i64>) {
    let known: BTreeSet<i64> = known.iter().map(|migration| migration.version).collect();
    (known.difference(&applied).copied().collect(), applied.difference(&known).copied().collect())
}

fn settings_of(settings: &[(&str, String, &str)]) -> (String, Vec<String>) {
    let told: Vec<String> = settings.iter().map(|(name, value, _)| format!("{name} {value}")).collect();
    let wrong = settings.iter().filter(|(_, value, wanted)| value != wanted);
    let faults = wrong.map(|(name, value, wanted)| format!("{name} is {value}, not {wanted}")).collect();
    (told.join(", "), faults)
}
