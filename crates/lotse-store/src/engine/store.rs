//! The store: the one entry for writes, and snapshots to read.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::ConnectOptions;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use super::counters::Meter;
use super::faults::Fault;
use super::job::{Waiting, run_once};
use super::options::Place;
use super::sqlite::WriteConnection;
use super::tx::{Link, Tx};
use super::writer::{Request, Writer};
use super::{Counters, EngineKind, StoreError, StoreOptions, postgres, sqlite};

/// The tables of a node, in SQLite or PostgreSQL. Cloning it is cheap; all clones are one store.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    shared: Arc<Shared>,
}

#[derive(Clone)]
enum Engine {
    Sqlite { writer: mpsc::Sender<Request>, readers: SqlitePool },
    Postgres(PgPool),
}

/// What all connections of a store share.
pub(super) struct Shared {
    pub(super) meter: Meter,
    faults: Option<Arc<super::Faults>>,
    synchronous: String,
}

impl Shared {
    pub(super) fn next_fault(&self) -> Option<Fault> {
        self.faults.as_ref().and_then(|faults| faults.next())
    }
}

impl Store {
    /// Opens the database of a URL, `sqlite:///path/to/file` or `postgres://user@host/database`, and brings its tables up
    /// to date.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Store, StoreError> {
        match Place::parse(url)? {
            Place::Sqlite(path) => Store::open_sqlite(path, options).await,
            Place::Postgres(url) => {
                let (pool, synchronous) = postgres::open(&url, &options).await?;
                let shared = Shared { meter: Meter::default(), faults: options.faults, synchronous };
                Ok(Store { engine: Engine::Postgres(pool), shared: Arc::new(shared) })
            }
        }
    }

    async fn open_sqlite(path: PathBuf, options: StoreOptions) -> Result<Store, StoreError> {
        let failed = |error: sqlx::Error| StoreError::Open(format!("{}: {error}", path.display()));
        sqlite::create_file(&path)?;
        let mut connection = sqlite::writer(&path).connect().await.map_err(failed)?;
        let synchronous = sqlite::prepare(&mut connection).await?;
        let readers = sqlite::readers(&path, &options);
        let (writer, requests) = mpsc::channel(options.waiting_works.max(1));
        let shared = Arc::new(Shared { meter: Meter::default(), faults: options.faults, synchronous });
        let task = Writer::new(path, Arc::clone(&shared), requests, WriteConnection::new(connection));
        tokio::spawn(task.serve());
        Ok(Store { engine: Engine::Sqlite { writer, readers }, shared })
    }

    /// Runs a work in a transaction and answers after its commit is durable. The name is a metric label.
    ///
    /// The work may run more than once, so it must not do anything but statements on its `Tx`; what it uses up it clones.
    /// Whatever it returns as `Ok` is committed: a refusal that was decided inside is a value of `T`, not an error. After an
    /// error nothing is stored, except [`StoreError::InDoubt`]. A caller that is dropped does not stop a work that runs.
    pub async fn transact<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite { writer, .. } => {
                let (caller, answer) = oneshot::channel();
                let span = tracing::debug_span!("transact", name);
                let job = Box::new(Waiting { name, work, result: None, caller, span });
                writer.send(Request::Work(job)).await.map_err(|_| StoreError::Closed)?;
                answer.await.map_err(|_| StoreError::Closed)?
            }
            Engine::Postgres(pool) => {
                let (pool, shared) = (pool.clone(), Arc::clone(&self.shared));
                let task = async move { postgres::transact(&pool, &shared, name, &work).await };
                tokio::spawn(task).await.map_err(|_| StoreError::Closed)?
            }
        }
    }

    /// Runs a work that only reads, on one consistent snapshot, beside the writer.
    pub async fn read<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send,
        T: Send,
    {
        let mut tx = match &self.engine {
            Engine::Sqlite { readers, .. } => {
                let begun = readers.begin_with("BEGIN").await.map_err(StoreError::from_sqlx)?;
                Tx::new(Link::SqliteReader(begun))
            }
            Engine::Postgres(pool) => postgres::read(pool).await?,
        };
        run_once(name, work, &mut tx, &self.shared.meter).await
    }

    /// Removes what was deleted from SQLite's write-ahead log too; the end of a purge. On PostgreSQL the server's own vacuum
    /// and log recycling do this, and the call does nothing.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::Sqlite { writer, .. } => {
                let (caller, answer) = oneshot::channel();
                writer.send(Request::EmptyLog(caller)).await.map_err(|_| StoreError::Closed)?;
                answer.await.map_err(|_| StoreError::Closed)?
            }
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Tells which database is behind the store.
    pub fn engine(&self) -> EngineKind {
        match self.engine {
            Engine::Sqlite { .. } => EngineKind::Sqlite,
            Engine::Postgres(_) => EngineKind::Postgres,
        }
    }

    /// Reads the counters.
    pub fn counters(&self) -> Counters {
        self.shared.meter.read(&self.shared.synchronous)
    }

    /// Finishes the works that were already handed in, refuses later ones, and closes every connection.
    pub async fn close(self) {
        match self.engine {
            Engine::Sqlite { writer, readers } => {
                // Readers first: the last connection empties the write-ahead log, and only a writing one can.
                readers.close().await;
                let (caller, answer) = oneshot::channel();
                if writer.send(Request::Close(caller)).await.is_ok() {
                    let _ = answer.await;
                }
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }
}
