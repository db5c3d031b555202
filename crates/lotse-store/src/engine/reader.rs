//! The readers of SQLite: threads with a connection each, which take what is asked from one queue.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};

use super::job::Job;
use super::link::{Connection, Link};
use super::store::Shared;
use super::tx::Tx;
use super::{StoreError, sqlite, thread};

/// Questions that may wait before callers wait too.
const QUEUE: usize = 1024;

type Queue = Arc<Mutex<mpsc::Receiver<Box<dyn Job>>>>;

/// Where questions are handed in. All clones are one set of threads.
#[derive(Clone)]
pub(super) struct Readers {
    questions: mpsc::Sender<Box<dyn Job>>,
    closing: watch::Sender<bool>,
    running: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Readers {
    /// Starts threads; each opens its connection when it is first needed.
    pub(super) fn start(path: PathBuf, count: u32, shared: &Arc<Shared>) -> Result<Readers, StoreError> {
        let (questions, queue) = mpsc::channel(QUEUE);
        let (alive, running) = mpsc::channel(1);
        let (closing, _) = watch::channel(false);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..count.max(1) {
            let reader = Reader {
                path: path.clone(),
                shared: Arc::clone(shared),
                queue: Arc::clone(&queue),
                closing: closing.subscribe(),
                tx: None,
                _alive: alive.clone(),
            };
            thread::spawn("store-reader", reader.serve())?;
        }
        Ok(Readers { questions, closing, running: Arc::new(Mutex::new(running)) })
    }

    /// Hands a question in.
    pub(super) async fn ask(&self, question: Box<dyn Job>) -> Result<(), StoreError> {
        self.questions.send(question).await.map_err(|_| StoreError::Closed)
    }

    /// Lets running questions finish and waits until every connection is closed.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        let _ = self.running.lock().await.recv().await;
    }
}

/// One thread's state.
struct Reader {
    path: PathBuf,
    shared: Arc<Shared>,
    queue: Queue,
    closing: watch::Receiver<bool>,
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
        let queue = Arc::clone(&self.queue);
        tokio::select! {
            biased;
            _ = self.closing.wait_for(|closing| *closing) => None,
            question = async move { queue.lock().await.recv().await } => question,
        }
    }

    /// Reads on one snapshot, which ends before the caller is answered.
    async fn read(&mut self, question: &mut dyn Job) -> Result<(), StoreError> {
        let tx = match &mut self.tx {
            Some(tx) => tx,
            none => none.insert(Tx::new(Link::new(Connection::SqliteReader(sqlite::reader(&self.path)?)))),
        };
        let outcome = question.run(tx, &self.shared.meter).await;
        if tx.link().rollback().await.is_err() {
            self.tx = None;
        }
        outcome
    }
}
