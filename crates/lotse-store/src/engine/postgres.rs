//! PostgreSQL: how the server is reached.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Row};
use tracing::log::LevelFilter;

use super::opener::lock_postgres;
use super::sqlite::{KEPT_STATEMENTS, SLOW};
use super::{Opener, StoreError, StoreOptions};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections that read.
const READERS: u32 = 15;

/// How long a reader waits for a connection.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);

/// A connection that rested longer is tested before use.
const REST: Duration = Duration::from_secs(5);

/// Parameters of a URL. sqlx prints those that it does not know, with their values, and goes on.
const PARAMETERS: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Refuses a URL with a parameter that is not known, and repeats nothing of it: what is misspelt may be a password.
fn known_parameters(url: &str) -> Result<&str, StoreError> {
    let parameters = url.split_once('?').map(|(_, parameters)| parameters).unwrap_or_default();
    let mut names = parameters.split('&').map(|parameter| parameter.split('=').next().unwrap_or_default());
    let is_known = |name: &str| name.is_empty() || PARAMETERS.contains(&name) || name.starts_with("options[");
    if names.all(is_known) {
        return Ok(url);
    }
    let known: Vec<&str> = PARAMETERS.into_iter().filter(|name| *name != "password").collect();
    let why = format!("the postgres URL has a parameter that is not known: use {}", known.join(", "));
    Err(StoreError::Open(why))
}

/// Names a database by server, name and user, without the password.
fn describe(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    let user = options.get_username();
    match options.get_socket() {
        Some(socket) => format!("the database {database} of {user} at {}", socket.display()),
        None => format!("the database {database} of {user} at {}:{}", options.get_host(), options.get_port()),
    }
}

/// Says of which database an error of its connection is.
pub(super) fn failed_at(options: &PgConnectOptions, error: sqlx::Error) -> StoreError {
    match StoreError::from_sqlx(error) {
        StoreError::Database { code, message } => {
            StoreError::Database { code, message: format!("{}: {message}", describe(options)) }
        }
        other => other,
    }
}

/// Opens one connection.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    options.connect().await.map_err(|error| failed_at(options, error))
}

/// Options of every connection. The error never quotes the URL, which may hold a password.
pub(super) fn connection(url: &str) -> Result<PgConnectOptions, StoreError> {
    let malformed = "the postgres URL is not well formed: postgres://user@host/database";
    let options = PgConnectOptions::from_str(known_parameters(url)?);
    let options = options.map_err(|_| StoreError::Open(malformed.to_owned()))?;
    Ok(options
        .application_name("lotse")
        .statement_cache_capacity(KEPT_STATEMENTS)
        .log_statements(LevelFilter::Off)
        .log_slow_statements(LevelFilter::Warn, SLOW))
}

/// The connections that read.
pub(super) fn readers(connect: PgConnectOptions, options: &StoreOptions) -> PgPool {
    let longest = options.longest_read;
    PgPoolOptions::new()
        .after_connect(move |connection, _| {
            Box::pin(async move {
                match longest {
                    Some(longest) => limit(connection, longest).await,
                    None => Ok(()),
                }
            })
        })
        .max_connections(options.readers.unwrap_or(READERS))
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
        .connect_lazy_with(connect)
}

/// Opens a connection that writes; the node's holds the lock of the database.
pub(super) async fn writer(options: &PgConnectOptions, opener: Opener) -> Result<PgConnection, StoreError> {
    let mut connection = connect(options).await?;
    if let Opener::Node { patience } = opener {
        expect_session(options, &mut connection).await?;
        lock_postgres(&mut connection, patience).await?;
    }
    Ok(connection)
}

const POOLED: &str = "a pooler stands in front of the server and gives each transaction another session (PgBouncer with pool_mode = \
                      transaction): the lock that keeps a second node away would hold nobody off; connect to the server directly, or \
                      use pool_mode = session";

/// Refuses a pooler that does not keep a session for a connection. Two connections that are open have two sessions, and each keeps its
/// own from one statement to the next.
async fn expect_session(options: &PgConnectOptions, connection: &mut PgConnection) -> Result<(), StoreError> {
    let mut other = connect(options).await?;
    let own = session(connection).await?;
    let others = session(&mut other).await?;
    // Whatever order a pooler gives its sessions in: with one it was the same twice, with more it is not the same three times.
    let is_kept = own == session(connection).await? && own == session(connection).await?;
    other.close().await.map_err(StoreError::from_sqlx)?;
    if is_kept && own != others { Ok(()) } else { Err(StoreError::Open(POOLED.to_owned())) }
}

/// Returns the number of the server's process that serves a connection, by a statement that is not prepared: a pooler need not know it.
async fn session(connection: &mut PgConnection) -> Result<i32, StoreError> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await.map_err(StoreError::from_sqlx)?;
    row.try_get(0).map_err(StoreError::from_sqlx)
}

/// Lets the server end a statement that takes longer than a work may: a session that was given up goes on with its statement else,
/// and holds its locks.
pub(super) async fn limit(connection: &mut PgConnection, longest_work: Duration) -> Result<(), sqlx::Error> {
    let text = format!("{}ms", longest_work.as_millis().max(1));
    sqlx::query("SELECT set_config('statement_timeout', $1, false)").bind(text).execute(connection).await.map(drop)
}

/// Opens the connection that writes, brings the tables up to date, and returns the answer to `SHOW synchronous_commit`.
pub(super) async fn prepare(
    options: &PgConnectOptions,
    opener: Opener,
    longest_work: Duration,
) -> Result<(PgConnection, String), StoreError> {
    let failed = |error: &dyn Display| StoreError::Open(error.to_string());
    let opened = writer(options, opener).await;
    let mut connection = opened.map_err(|error| match error {
        StoreError::Open(_) => error,
        other => failed(&other),
    })?;
    MIGRATIONS.run_direct(None, &mut connection, false).await.map_err(|error| failed(&error))?;
    let synchronous = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut connection).await;
    let synchronous: String = synchronous.map_err(|error| failed(&error))?;
    if synchronous == "off" {
        return Err(failed(&"the server answers commits before they are durable, set synchronous_commit to on"));
    }
    limit(&mut connection, longest_work).await.map_err(|error| failed(&error))?;
    Ok((connection, synchronous))
}
