//! The store: the one entry for writes, and snapshots to read.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::counters::Meter;
use super::directory::Directories;
use super::disk::Disk;
use super::faults::Fault;
use super::job::{Asking, Waiting, run_once};
use super::reader::Asker;
use super::target::{Readers, Target, begin_reading};
use super::thread;
use super::tx::Tx;
use super::watch::Watch;
use super::writer::{Request, Writer};
use super::{Counters, EndedWork, EngineKind, Faults, Opener, StoreError, StoreOptions, WorkObserver, WriteAheadLog};

/// The tables of a node, in SQLite or PostgreSQL. Cloning it is cheap; all clones are one store.
#[derive(Clone)]
pub struct Store {
    writer: mpsc::Sender<Request>,
    readers: Readers,
    shared: Arc<Shared>,
}

/// What the writer and the readers share.
pub(super) struct Shared {
    pub(super) meter: Meter,
    pub(super) disk: Disk,
    pub(super) directories: Arc<Directories>,
    faults: Option<Arc<Faults>>,
    observer: Option<WorkObserver>,
    synchronous: String,
}

impl Shared {
    pub(super) fn next_fault(&self) -> Option<Fault> {
        self.faults.as_ref().and_then(|faults| faults.next())
    }
}

impl Store {
    /// Opens the database of a URL, `sqlite:///path/to/file` or `postgres://user@host/database`, and brings its tables up
    /// to date. Needs a tokio runtime, on which the writer lives until the store is closed or dropped.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Store, StoreError> {
        let target = Target::parse(url)?;
        let opener = options.opener;
        let lock = target.lock(opener).await?;
        let (link, synchronous) = target.prepare(opener, options.longest_work).await?;
        let (faults, observer) = (options.faults.clone(), options.observer.clone());
        let directories = Arc::new(Directories::new(matches!(opener, Opener::Node { .. })));
        let tx = Tx::new(link, &directories);
        let shared = Arc::new(Shared {
            meter: Meter::default(),
            disk: Disk::default(),
            directories,
            faults,
            observer,
            synchronous,
        });
        let readers = target.readers(&options, &shared)?;
        let (writer, requests) = mpsc::channel(options.waiting_works.max(1));
        let longest_work = options.longest_work;
        let watch = match readers.engine() {
            EngineKind::Sqlite => Some(Watch::start(longest_work, 1)?),
            EngineKind::Postgres => None,
        };
        let task =
            Writer { target, opener, lock, shared: Arc::clone(&shared), longest_work, watch, requests, tx: Some(tx) };
        match readers.engine() {
            EngineKind::Sqlite => thread::spawn("store-writer", task.serve())?,
            EngineKind::Postgres => drop(tokio::spawn(task.serve())),
        }
        Ok(Store { writer, readers, shared })
    }

    /// Opens the database of a URL to read only, beside a node that may be running: the tables stay as they are, and every write
    /// is refused. Errors of the connection show at the first read. Reads take as long as they take: a command verifies a whole log on
    /// one snapshot.
    pub fn open_to_read(url: &str, options: &StoreOptions) -> Result<Store, StoreError> {
        let options = &StoreOptions { longest_read: None, ..options.clone() };
        let (meter, directories) = (Meter::default(), Arc::new(Directories::new(false)));
        let disk = Disk::default();
        let shared =
            Arc::new(Shared { meter, disk, directories, faults: None, observer: None, synchronous: String::new() });
        let readers = Target::parse(url)?.readers(options, &shared)?;
        let (writer, _) = mpsc::channel(1);
        Ok(Store { writer, readers, shared })
    }

    /// Runs a work in a transaction and answers after its commit is durable. The name is a metric label.
    ///
    /// The work may run more than once, so it does nothing but statements on its `Tx`, and clones what it uses up. What it
    /// returns as `Ok` is committed: a refusal that was decided inside is a value of `T`, not an error. After an error
    /// nothing is stored, except after [`StoreError::InDoubt`]. A caller that is dropped does not stop a work that runs; a
    /// work that has not begun is then left out.
    pub async fn transact<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let Some(observe) = &self.shared.observer else { return self.work(name, work).await };
        let begun = Instant::now();
        let result = self.work(name, work).await;
        observe(EndedWork { name, duration: begun.elapsed(), succeeded: result.is_ok() });
        result
    }

    async fn work<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let span = tracing::debug_span!("transact", name);
        self.request(Request::Work(Box::new(Waiting { name, work, result: None, caller, span }))).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Runs a work that only reads, on one consistent snapshot, beside the writer.
    pub async fn read<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        self.read_for(Asker::Node, name, work).await
    }

    /// Reads a list that somebody looks at, as [`Store::read`] does. However many such lists are read, one connection is left for the
    /// node's own reads.
    pub async fn read_list<T, W>(&self, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        self.read_for(Asker::List, name, work).await
    }

    async fn read_for<T, W>(&self, asker: Asker, name: &'static str, work: W) -> Result<T, StoreError>
    where
        W: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        match &self.readers {
            Readers::Sqlite(readers) => {
                let (caller, answer) = oneshot::channel();
                let span = tracing::debug_span!("read", name);
                readers.ask(asker, Box::new(Asking { name, work: Some(work), result: None, caller, span })).await?;
                answer.await.map_err(|_| StoreError::Closed)?
            }
            Readers::Postgres(pool, lists, _) => {
                let _permit = match asker {
                    Asker::Node => None,
                    Asker::List => Some(lists.acquire().await.map_err(|_| StoreError::Closed)?),
                };
                let mut tx = Tx::new(begin_reading(pool).await?, &self.shared.directories);
                run_once(name, work, &mut tx, &self.shared.meter).await
            }
        }
    }

    /// Removes what was deleted from SQLite's write-ahead log too; the end of a purge. On PostgreSQL the server's vacuum and
    /// the recycling of its log do this, and the call does nothing. Never waits for a reader.
    pub async fn empty_log(&self) -> Result<WriteAheadLog, StoreError> {
        let (caller, answer) = oneshot::channel();
        self.request(Request::EmptyLog(caller)).await?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Tells which database is behind the store.
    pub fn engine(&self) -> EngineKind {
        self.readers.engine()
    }

    /// Tells whether the disk of the database is full: the last write found no room. It holds until a write is committed.
    pub fn is_disk_full(&self) -> bool {
        self.shared.disk.is_full()
    }

    /// Reads the counters.
    pub fn counters(&self) -> Counters {
        self.shared.meter.read(&self.shared.synchronous)
    }

    /// Finishes the works that were already handed in, refuses later ones, and closes every connection. Reads that run have
    /// [`StoreOptions::reading_grace`] to end.
    pub async fn close(self) {
        // Readers first: SQLite's last connection empties the write-ahead log, and only a writing one can.
        self.readers.close().await;
        let (caller, answer) = oneshot::channel();
        if self.request(Request::Close(caller)).await.is_ok() {
            // An error means that another handle has closed it meanwhile.
            let _ = answer.await;
        }
    }

    async fn request(&self, request: Request) -> Result<(), StoreError> {
        self.writer.send(request).await.map_err(|_| StoreError::Closed)
    }
}
