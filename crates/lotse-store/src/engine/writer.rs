//! The writer: one task owns the one connection that writes, and works that wait share a commit. On SQLite the task has a thread
//! of its own, on which statements and commits run where they are called.
//!
//! The works queued at one moment run one after another in ONE transaction without savepoints. If one of them fails, all are
//! rolled back and run again, each under its own savepoint; the one that fails gets its error, the others are committed together.
//! Every caller is answered after the commit. When idle nothing waits: a lone work is a group of one.
//!
//! PostgreSQL has one writer too: works of a node meet in the same few rows (the next leaf of the log, the next revision of a
//! peer), so that side by side they would only roll each other back, and would not share a flush.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::faults::Fault;
use super::job::Job;
use super::store::Shared;
use super::target::Target;
use super::tx::Tx;
use super::watch::Watch;
use super::{Opener, StoreError, WriteAheadLog};

/// Works that share one commit at most.
const GROUP: usize = 64;

/// Runs of one group at most, where the database asks to run it again; each begins after a random wait that doubles.
const RUNS: u32 = 10;
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// The writer's slot in its watch, which looks after nobody else.
const WRITER: usize = 0;

/// What callers ask of the writer.
pub(super) enum Request {
    Work(Box<dyn Job>),
    EmptyLog(oneshot::Sender<Result<WriteAheadLog, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// The task's state.
pub(super) struct Writer {
    pub(super) target: Target,
    pub(super) opener: Opener,
    /// Held until the last connection is closed.
    pub(super) lock: Option<File>,
    pub(super) shared: Arc<Shared>,
    pub(super) longest_work: Duration,
    /// On SQLite.
    pub(super) watch: Option<Watch>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// `None` after a failure that leaves the connection in doubt; the next run opens another.
    pub(super) tx: Option<Tx>,
}

impl Writer {
    /// Serves until the store is closed or its last handle is gone.
    pub(super) async fn serve(mut self) {
        let mut requests = Vec::with_capacity(GROUP);
        let mut closing = Vec::new();
        self.learn().await;
        while self.requests.recv_many(&mut requests, GROUP).await > 0 {
            let mut jobs = Vec::with_capacity(requests.len());
            let mut emptying = Vec::new();
            for request in requests.drain(..) {
                match request {
                    Request::Work(job) if job.is_abandoned() => {}
                    Request::Work(job) => jobs.push(job),
                    Request::EmptyLog(caller) => emptying.push(caller),
                    Request::Close(caller) => {
                        self.requests.close();
                        closing.push(caller);
                    }
                }
            }
            if !jobs.is_empty() {
                self.commit_group(jobs).await;
            }
            for caller in emptying {
                let _ = caller.send(self.empty_log().await);
            }
        }
        if let Some(tx) = self.tx {
            tx.into_link().close().await;
        }
        drop(self.lock);
        for caller in closing {
            let _ = caller.send(());
        }
    }

    /// Learns where the newest records stand, so that the first who asks does not wait. What fails is learned when it is needed.
    async fn learn(&mut self) {
        let Some(tx) = self.tx.as_mut().filter(|tx| tx.is_alone_on_sqlite()) else { return };
        for directory in crate::DIRECTORIES {
            if let Err(error) = tx.learn(directory).await {
                tracing::warn!(%error, "the newest records are not yet known");
            }
        }
        self.rollback().await;
    }

    /// Runs the jobs in one transaction and answers all of them.
    async fn commit_group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let mut separately = false;
        let mut run = 1;
        let outcome = loop {
            let ran = match separately {
                false => self.run_together(&mut jobs).await,
                true => self.run_separately(&mut jobs).await,
            };
            let has_run = ran.is_ok();
            let Err(error) = (if has_run { self.commit().await } else { ran }) else { break Ok(()) };
            self.shared.disk.note_failure(&error);
            if has_run {
                self.shared.directories.forget();
            }
            self.rollback().await;
            if error.may_pass_again() && run < RUNS {
                tokio::time::sleep(wait_before(run)).await;
                run += 1;
            } else if !has_run && !separately && jobs.len() > 1 {
                separately = true;
            } else {
                break Err(error);
            }
        };
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    async fn run_together(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        for job in jobs {
            self.run(job.as_mut()).await?;
        }
        Ok(())
    }

    /// Runs a job in the open transaction. If it takes too long its statement is interrupted, or the connection is given up, and
    /// with it the transaction.
    async fn run(&mut self, job: &mut dyn Job) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let longest = self.longest_work;
        let handle = self.tx().await?.link().interrupt_handle();
        let _watched = self.watch.as_ref().map(|watch| watch.over(WRITER, handle));
        let tx = self.tx().await?;
        let Ok(outcome) = timeout(longest, job.run(tx, &shared.meter)).await else {
            self.tx = None;
            return Err(StoreError::timeout());
        };
        outcome
    }

    /// Runs each job under its own savepoint. Answers and removes those that fail; fails if the transaction itself is lost.
    async fn run_separately(&mut self, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        let mut next = 0;
        while let Some(job) = jobs.get_mut(next) {
            self.control("SAVEPOINT work").await?;
            match self.run(job.as_mut()).await {
                Ok(()) => next += 1,
                Err(error) if error.may_pass_again() => return Err(error),
                Err(error) if error.is_timeout() => {
                    jobs.remove(next).answer(Err(error));
                    return Err(StoreError::lost());
                }
                Err(error) => {
                    self.shared.disk.note_failure(&error);
                    self.control("ROLLBACK TO SAVEPOINT work").await?;
                    jobs.remove(next).answer(Err(error));
                }
            }
            self.control("RELEASE SAVEPOINT work").await?;
        }
        Ok(())
    }

    /// Commits if anything was written. A test's plan of faults may interfere.
    async fn commit(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let longest = self.longest_work;
        let tx = self.tx().await?;
        if !tx.link().has_begun() {
            return Ok(());
        }
        let fault = shared.next_fault();
        if fault == Some(Fault::FailBeforeCommit) {
            return Err(StoreError::Database { code: "fault".to_owned(), message: "a planned fault".to_owned() });
        }
        let steps = tx.hand_on().await?;
        let has_written = tx.link().has_written();
        let Ok(committed) = timeout(longest, tx.link().commit()).await else {
            self.tx = None;
            return Err(StoreError::InDoubt("the commit took too long".to_owned()));
        };
        committed?;
        shared.directories.advance(&steps);
        shared.meter.count_commit();
        if has_written {
            shared.disk.note_commit();
        }
        match fault {
            Some(_) => Err(StoreError::InDoubt("a planned fault".to_owned())),
            None => Ok(()),
        }
    }

    /// Takes everything back; a connection on which that fails is thrown away.
    async fn rollback(&mut self) {
        let Some(tx) = &mut self.tx else { return };
        let rolled_back = timeout(self.longest_work, tx.link().rollback()).await;
        if let Err(error) = rolled_back.unwrap_or_else(|_| Err(StoreError::timeout())) {
            tracing::warn!(%error, "the writer replaces its connection");
            self.tx = None;
        }
    }

    async fn control(&mut self, sql: &'static str) -> Result<(), StoreError> {
        self.tx().await?.link().control(sql).await
    }

    async fn empty_log(&mut self) -> Result<WriteAheadLog, StoreError> {
        self.tx().await?.link().empty_log()
    }

    async fn tx(&mut self) -> Result<&mut Tx, StoreError> {
        match &mut self.tx {
            Some(tx) => Ok(tx),
            none => {
                let link = self.target.connect(self.opener, self.longest_work).await?;
                self.shared.directories.forget();
                Ok(none.insert(Tx::new(link, &self.shared.directories)))
            }
        }
    }
}

/// A random share of a wait that doubles with each run ("full jitter"), so that those who collided do not collide again.
fn wait_before(run: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << run.min(16)).min(LONGEST_WAIT);
    // Each RandomState is keyed differently; nothing here needs a better source.
    let share = RandomState::new().hash_one(run) >> 32;
    longest.mul_f64(share as f64 / f64::from(u32::MAX))
}
