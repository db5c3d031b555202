//! Where a URL points to, and how to get connections to it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::SqlSafeStr;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::link::{Connection, Link};
use super::opener::lock_sqlite;
use super::store::Shared;
use super::{EngineKind, Opener, StoreError, StoreOptions, postgres, reader, sqlite};

/// Connections to SQLite that read.
const SQLITE_READERS: u32 = 4;

/// A database that can be connected to.
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// The connections that read.
#[derive(Clone)]
pub(super) enum Readers {
    Sqlite(reader::Readers),
    /// With a permit for each connection that lists may use, and with how long its close waits for reads that run.
    Postgres(PgPool, Arc<Semaphore>, Duration),
}

impl Target {
    /// Reads `sqlite:///path/to/file` or `postgres://…`. The error never quotes the URL, which may hold a password.
    pub(super) fn parse(url: &str) -> Result<Target, StoreError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            if path.is_empty() || path.contains('?') || path.contains(":memory:") {
                let why = "sqlite needs a file and takes no parameters: sqlite:///var/lib/lotse/lotse.db";
                return Err(StoreError::Open(why.to_owned()));
            }
            return Ok(Target::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Target::Postgres(Box::new(postgres::connection(url)?)));
        }
        Err(StoreError::Open("use sqlite:///path/to/file or postgres://user@host/database".to_owned()))
    }

    /// Opens the connection that writes, brings the tables up to date, and returns what the database says about how it commits.
    pub(super) async fn prepare(&self, opener: Opener, longest_work: Duration) -> Result<(Link, String), StoreError> {
        match self {
            Target::Sqlite(path) => {
                let path = path.clone();
                let prepared = spawn_blocking(move || sqlite::prepare(&path)).await;
                let (connection, synchronous) = prepared.map_err(|error| StoreError::Open(error.to_string()))??;
                Ok((Link::new(Connection::SqliteWriter(connection)), synchronous))
            }
            Target::Postgres(options) => {
                let (connection, synchronous) = postgres::prepare(options, opener, longest_work).await?;
                Ok((Link::new(Connection::PostgresWriter(connection)), synchronous))
            }
        }
    }

    /// Locks a file for the node; a server's database is locked by the connection that writes.
    pub(super) async fn lock(&self, opener: Opener) -> Result<Option<File>, StoreError> {
        match (self, opener) {
            (Target::Sqlite(path), Opener::Node { patience }) => lock_sqlite(path, patience).await.map(Some),
            _ => Ok(None),
        }
    }

    /// Opens another connection that writes, after the one before was lost.
    pub(super) async fn connect(&self, opener: Opener, longest_work: Duration) -> Result<Link, StoreError> {
        let connection = match self {
            Target::Sqlite(path) => Connection::SqliteWriter(sqlite::writer(path)?),
            Target::Postgres(options) => {
                let mut connection = postgres::writer(options, opener).await?;
                postgres::limit(&mut connection, longest_work).await.map_err(StoreError::from_sqlx)?;
                Connection::PostgresWriter(connection)
            }
        };
        Ok(Link::new(connection))
    }

    /// Makes the connections that read; they are opened when needed.
    pub(super) fn readers(&self, options: &StoreOptions, shared: &Arc<Shared>) -> Result<Readers, StoreError> {
        Ok(match self {
            Target::Sqlite(path) => {
                let count = options.readers.unwrap_or(SQLITE_READERS);
                Readers::Sqlite(reader::Readers::start(path.clone(), count, options, shared)?)
            }
            Target::Postgres(connect) => {
                let pool = postgres::readers(connect.as_ref().clone(), options);
                let for_lists = pool.options().get_max_connections().saturating_sub(1).max(1);
                let lists = Arc::new(Semaphore::new(for_lists as usize));
                Readers::Postgres(pool, lists, options.reading_grace)
            }
        })
    }
}

/// Begins a consistent snapshot on PostgreSQL.
pub(super) async fn begin_reading(pool: &PgPool) -> Result<Link, StoreError> {
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".into_sql_str();
    let begun = pool.begin_with(begin).await.map(Connection::PostgresReader);
    begun.map(Link::new).map_err(|error| postgres::failed_at(&pool.connect_options(), error))
}

impl Readers {
    pub(super) fn engine(&self) -> EngineKind {
        match self {
            Readers::Sqlite(_) => EngineKind::Sqlite,
            Readers::Postgres(..) => EngineKind::Postgres,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Readers::Sqlite(readers) => readers.close().await,
            Readers::Postgres(pool, lists, grace) => {
                lists.close();
                if timeout(*grace, pool.close()).await.is_err() {
                    tracing::warn!("the database is closed while somebody reads: the server ends what is left");
                }
            }
        }
    }
}
