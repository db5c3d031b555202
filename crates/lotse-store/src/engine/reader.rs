//! The readers of SQLite: threads with a connection each, which take what is asked from one queue.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::InterruptHandle;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::timeout;

use super::job::Job;
use super::link::{Connection, Link};
use super::store::Shared;
use super::tx::Tx;
use super::watch::Watch;
use super::{StoreError, StoreOptions, sqlite, thread};

/// Questions that may wait before callers wait too.
const QUEUE: usize = 1024;

/// How often a statement is interrupted at the end of the grace: one that is just beginning hears nothing of it.
const INTERRUPTS: u32 = 100;

/// The pause between two of them.
const PAUSE: Duration = Duration::from_millis(20);

type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

/// A reader of the database: the node itself, or a caller whose list it reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// The node, for its own work.
    Node,
    /// Somebody who looks at a list, which may take long.
    List,
}

/// The thread that takes no questions of lists, unless it is the only one.
const FOR_NODE: usize = 0;

/// What ends a statement of each thread from another one; `None` where no connection is open.
type Interrupts = Arc<std::sync::Mutex<Vec<Option<InterruptHandle>>>>;

/// How far the readers have come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// They take questions.
    Open,
    /// They take none any more.
    Closing,
    /// What runs is cut.
    Cut,
}

/// Where questions are handed in. All clones are one set of threads.
#[derive(Clone)]
pub(super) struct Readers {
    questions: mpsc::Sender<Box<dyn Job>>,
    lists: mpsc::Sender<Box<dyn Job>>,
    phase: watch::Sender<Phase>,
    running: Arc<Mutex<mpsc::Receiver<()>>>,
    interrupts: Interrupts,
    grace: Duration,
}

impl Readers {
    /// Starts threads; each opens its connection when it is first needed.
    pub(super) fn start(
        path: PathBuf,
        count: u32,
        options: &StoreOptions,
        shared: &Arc<Shared>,
    ) -> Result<Readers, StoreError> {
        let (questions, queue) = mpsc::channel(QUEUE);
        let (lists, queue_of_lists) = mpsc::channel(QUEUE);
        let count = count.max(1) as usize;
        let watch = options.longest_read.map(|longest| Watch::start(longest, count)).transpose()?;
        let (alive, running) = mpsc::channel(1);
        let (phase, _) = watch::channel(Phase::Open);
        let (queue, queue_of_lists) = (Arc::new(Mutex::new(queue)), Arc::new(Mutex::new(queue_of_lists)));
        let interrupts = Interrupts::default();
        for place in 0..count {
            let takes_lists = place != FOR_NODE || count == 1;
            lock(&interrupts).push(None);
            let reader = Reader {
                place,
                interrupts: Arc::clone(&interrupts),
                path: path.clone(),
                shared: Arc::clone(shared),
                queue: Arc::clone(&queue),
                lists: takes_lists.then(|| Arc::clone(&queue_of_lists)),
                watch: watch.clone(),
                phase: phase.subscribe(),
                tx: None,
                _alive: alive.clone(),
            };
            thread::spawn("store-reader", reader.serve())?;
        }
        let running = Arc::new(Mutex::new(running));
        Ok(Readers { questions, lists, phase, running, interrupts, grace: options.reading_grace })
    }

    /// Hands a question in.
    pub(super) async fn ask(&self, asker: Asker, question: Box<dyn Job>) -> Result<(), StoreError> {
        let questions = match asker {
            Asker::Node => &self.questions,
            Asker::List => &self.lists,
        };
        questions.send(question).await.map_err(|_| StoreError::Closed)
    }

    /// Lets running questions finish within the grace, cuts the others, and waits until every connection is closed.
    pub(super) async fn close(&self) {
        self.phase.send_modify(|phase| *phase = Phase::Closing.max(*phase));
        let mut running = self.running.lock().await;
        if timeout(self.grace, running.recv()).await.is_ok() {
            return;
        }
        self.phase.send_replace(Phase::Cut);
        for _ in 0..INTERRUPTS {
            lock(&self.interrupts).iter().flatten().for_each(InterruptHandle::interrupt);
            if timeout(PAUSE, running.recv()).await.is_ok() {
                return;
            }
        }
        tracing::warn!("a read does not end; its connection stays open until the process ends");
    }
}

fn lock(interrupts: &Interrupts) -> std::sync::MutexGuard<'_, Vec<Option<InterruptHandle>>> {
    interrupts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread's state.
struct Reader {
    place: usize,
    interrupts: Interrupts,
    path: PathBuf,
    shared: Arc<Shared>,
    queue: Queue,
    /// Questions of lists, if this thread takes any.
    lists: Option<Queue>,
    /// Ends what takes too long.
    watch: Option<Watch>,
    phase: watch::Receiver<Phase>,
    /// `None` before the first question and after a failure that leaves the connection in doubt.
    tx: Option<Tx>,
    _alive: mpsc::Sender<()>,
}

impl Reader {
    async fn serve(mut self) {
        while let Some(mut question) = self.next().await {
            if question.is_abandoned() {
                continue;
            }
            let outcome = self.read(question.as_mut()).await;
            question.answer(outcome);
        }
    }

    async fn next(&mut self) -> Option<Box<dyn Job>> {
        let (queue, lists) = (Arc::clone(&self.queue), self.lists.clone());
        let of_lists = async move {
            match lists {
                Some(lists) => lists.lock().await.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.phase.wait_for(|phase| *phase >= Phase::Closing) => None,
            question = async move { queue.lock().await.recv().await } => question,
            question = of_lists => question,
        }
    }

    /// Reads on one snapshot, which ends before the caller is answered.
    async fn read(&mut self, question: &mut dyn Job) -> Result<(), StoreError> {
        let tx = match &mut self.tx {
            Some(tx) => tx,
            none => {
                let link = Link::new(Connection::SqliteReader(sqlite::reader(&self.path)?));
                if let Some(place) = lock(&self.interrupts).get_mut(self.place) {
                    *place = link.interrupt_handle();
                }
                none.insert(Tx::new(link, &self.shared.directories))
            }
        };
        let handle = tx.link().interrupt_handle();
        let watched = self.watch.as_ref().map(|watch| watch.over(self.place, handle));
        let outcome = tokio::select! {
            biased;
            outcome = question.run(tx, &self.shared.meter) => outcome,
            _ = self.phase.wait_for(|phase| *phase == Phase::Cut) => Err(StoreError::Closed),
        };
        drop(watched);
        if tx.link().rollback().await.is_err() {
            self.tx = None;
        }
        // What was interrupted was cut, and took no longer than it may.
        if *self.phase.borrow() == Phase::Cut { outcome.map_err(|_| StoreError::Closed) } else { outcome }
    }
}
