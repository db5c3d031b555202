//! The writer of SQLite: one task owns the one connection that writes, and works that wait share a commit.
//!
//! The works queued at one moment run one after another in ONE transaction without savepoints. If one of them fails, all are
//! rolled back and run again, each under its own savepoint; the one that fails gets its error, the others are committed together.
//! Every caller is answered after the commit. When idle nothing waits: a lone work is a group of one.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::ConnectOptions;
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::faults::Fault;
use super::job::Job;
use super::sqlite::{self, WriteConnection};
use super::store::Shared;
use super::tx::{Link, Tx};

/// Works that share one commit at most.
const GROUP: usize = 64;

/// What callers ask of the writer.
pub(super) enum Request {
    Work(Box<dyn Job>),
    EmptyLog(oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<()>),
}

/// The task's state.
pub(super) struct Writer {
    path: PathBuf,
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    /// `None` after a failure that leaves the connection in doubt; the next group opens another.
    tx: Option<Tx>,
}

impl Writer {
    pub(super) fn new(
        path: PathBuf,
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        connection: WriteConnection,
    ) -> Writer {
        Writer { path, shared, requests, tx: Some(Tx::new(Link::SqliteWriter(connection))) }
    }

    /// Serves until the store is closed or its last handle is gone.
    pub(super) async fn serve(mut self) {
        let mut requests = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        while self.requests.recv_many(&mut requests, GROUP).await > 0 {
            let mut jobs = Vec::with_capacity(requests.len());
            let mut emptied = Vec::new();
            for request in requests.drain(..) {
                match request {
                    Request::Work(job) if job.is_abandoned() => {}
                    Request::Work(job) => jobs.push(job),
                    Request::EmptyLog(caller) => emptied.push(caller),
                    Request::Close(caller) => {
                        self.requests.close();
                        closing.push(caller);
                    }
                }
            }
            if !jobs.is_empty() {
                self.commit_group(jobs).await;
            }
            for caller in emptied {
                let _ = caller.send(self.empty_log().await);
            }
        }
        if let Some(Link::SqliteWriter(connection)) = self.tx.map(Tx::into_link) {
            connection.close().await;
        }
        for caller in closing {
            let _ = caller.send(());
        }
    }

    /// Runs the jobs in one transaction and answers all of them.
    async fn commit_group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let outcome = match self.run_together(&mut jobs).await {
            Ok(()) => self.commit().await,
            Err(error) => {
                self.rollback().await;
                if jobs.len() > 1 {
                    return self.commit_one_by_one(jobs).await;
                }
                Err(error)
            }
        };
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    async fn run_together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let tx = self.tx().await?;
        for job in jobs {
            job.run(tx, &shared.meter).await?;
        }
        Ok(())
    }

    /// Runs each job under its own savepoint, commits those that succeed and answers all.
    async fn commit_one_by_one(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut passed = Vec::with_capacity(jobs.len());
        let mut broken = None;
        for mut job in jobs {
            let outcome = match &broken {
                Some(error) => Err(StoreError::clone(error)),
                None => self.run_under_savepoint(job.as_mut(), &mut broken).await,
            };
            match outcome {
                Ok(()) => passed.push(job),
                Err(error) => job.answer(Err(error)),
            }
        }
        let outcome = match broken {
            None => self.commit().await,
            Some(error) => {
                self.rollback().await;
                Err(error)
            }
        };
        for job in passed {
            job.answer(outcome.clone());
        }
    }

    /// A failure of the savepoint itself means that the outer transaction is lost, and with it what passed before.
    async fn run_under_savepoint(
        &mut self,
        job: &mut dyn Job,
        broken: &mut Option<StoreError>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let guarded = async {
            let tx = self.tx().await?;
            control(tx, "SAVEPOINT work").await?;
            let outcome = job.run(tx, &shared.meter).await;
            let end = if outcome.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
            control(tx, end).await?;
            Ok(outcome)
        };
        match guarded.await {
            Ok(outcome) => outcome,
            Err(error) => {
                *broken = Some(StoreError::clone(&error));
                Err(error)
            }
        }
    }

    /// Commits if anything was written. A test's fault plan may interfere.
    async fn commit(&mut self) -> Result<(), StoreError> {
        let Some(Link::SqliteWriter(connection)) = self.tx.as_mut().map(Tx::link) else {
            return Err(StoreError::Closed);
        };
        if !connection.has_begun() {
            return Ok(());
        }
        let fault = self.shared.next_fault();
        let committed = match fault {
            Some(Fault::FailBeforeCommit) => Err(StoreError::injected()),
            _ => connection.commit().await.map_err(StoreError::from_commit),
        };
        match committed {
            Ok(()) => self.shared.meter.count_commit(),
            Err(_) => self.rollback().await,
        }
        match fault {
            Some(Fault::StoreButReportFailure) => committed.and(Err(StoreError::InDoubt("a planned fault".to_owned()))),
            _ => committed,
        }
    }

    /// Takes everything back; a connection on which that fails is thrown away.
    async fn rollback(&mut self) {
        if let Some(Link::SqliteWriter(connection)) = self.tx.as_mut().map(Tx::link)
            && let Err(error) = connection.rollback().await
        {
            tracing::warn!(%error, "the writer replaces its connection");
            self.tx = None;
        }
    }

    async fn tx(&mut self) -> Result<&mut Tx, StoreError> {
        if self.tx.is_none() {
            let connection = sqlite::writer(&self.path).connect().await.map_err(StoreError::from_sqlx)?;
            self.tx = Some(Tx::new(Link::SqliteWriter(WriteConnection::new(connection))));
        }
        self.tx.as_mut().ok_or(StoreError::Closed)
    }

    async fn empty_log(&mut self) -> Result<(), StoreError> {
        match self.tx().await?.link() {
            Link::SqliteWriter(connection) => connection.empty_log().await,
            _ => Ok(()),
        }
    }
}

async fn control(tx: &mut Tx, sql: &'static str) -> Result<(), StoreError> {
    match tx.link() {
        Link::SqliteWriter(connection) => connection.control(sql).await.map_err(StoreError::from_sqlx),
        _ => Ok(()),
    }
}
