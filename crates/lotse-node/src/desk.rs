//! The desk: gathers what the agency's systems hand over at the same moment into batches per recipient. While the disk is busy
//! the queue grows, so batches follow load without a timer, and nothing waits when nothing else does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use lotse_core::id::AgencyId;
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::action::submit_referrals::{Submission, Submitted, Timing, submit_referrals};
use crate::courier::{Couriers, Loaded};
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::batch::MAX_BATCH_BYTES;

/// Submissions that wait for one recipient.
const QUEUE: usize = 1024;

/// Works on submissions to one recipient at once: one is written while the next one gathers.
const WORKS: usize = 2;

type Answer = oneshot::Sender<Result<Submitted, Failure>>;

struct Waiting {
    submission: Submission,
    answer: Answer,
}

/// Where systems hand over.
pub struct Desk {
    node: Arc<Node>,
    couriers: Arc<Couriers>,
    queues: Mutex<HashMap<AgencyId, mpsc::Sender<Waiting>>>,
}

impl Desk {
    /// Opens the desk.
    pub fn new(node: Arc<Node>, couriers: Arc<Couriers>) -> Arc<Desk> {
        Arc::new(Desk { node, couriers, queues: Mutex::default() })
    }

    /// Hands one referral over and waits until it is durable, or refused.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Failure> {
        let recipient = submission.handover.recipient.clone();
        if !self.node.federation.get().peers.contains_key(&recipient) {
            return self.submit_alone(&recipient, submission).await;
        }
        let (answer, result) = oneshot::channel();
        self.queue(&recipient).send(Waiting { submission, answer }).await.map_err(|_| Failure::stopping())?;
        result.await.map_err(|_| Failure::stopping())?
    }

    /// A recipient that is not known gets no queue: whoever invents names must not make the node keep them.
    async fn submit_alone(&self, recipient: &AgencyId, submission: Submission) -> Result<Submitted, Failure> {
        let outcome = submit_referrals(&self.node, recipient, vec![submission], Timing::Later).await?;
        outcome.results.into_iter().next().unwrap_or_else(|| Err(Failure::not_found()))
    }

    fn queue(&self, recipient: &AgencyId) -> mpsc::Sender<Waiting> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(recipient.clone()).or_insert_with(|| self.open_queue(recipient)).clone()
    }

    fn open_queue(&self, recipient: &AgencyId) -> mpsc::Sender<Waiting> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let gather = Gather {
            node: self.node.clone(),
            couriers: self.couriers.clone(),
            recipient: recipient.clone(),
            works: Arc::new(Semaphore::new(WORKS)),
        };
        tokio::spawn(gather.run(waiting));
        queue
    }
}

/// Gathers submissions to one recipient.
#[derive(Clone)]
struct Gather {
    node: Arc<Node>,
    couriers: Arc<Couriers>,
    recipient: AgencyId,
    works: Arc<Semaphore>,
}

impl Gather {
    async fn run(self, mut waiting: mpsc::Receiver<Waiting>) {
        let mut held_over = None;
        loop {
            let first = match held_over.take() {
                Some(first) => first,
                None => match waiting.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let Ok(work) = self.works.clone().acquire_owned().await else { return };
            let room = self.couriers.room(&self.recipient).await;
            let mut batch = vec![first];
            held_over = gather(&mut waiting, &mut batch, self.node.links.batch_limit(&self.recipient));
            let gather = self.clone();
            tokio::spawn(async move {
                gather.submit(batch, room).await;
                drop(work);
            });
        }
    }

    async fn submit(&self, batch: Vec<Waiting>, room: Option<crate::courier::Room>) {
        let (submissions, answers): (Vec<_>, Vec<Answer>) =
            batch.into_iter().map(|waiting| (waiting.submission, waiting.answer)).unzip();
        let wanted = if room.is_some() { Timing::AtOnce } else { Timing::Later };
        match submit_referrals(&self.node, &self.recipient, submissions, wanted).await {
            Ok(outcome) => {
                let shipped = outcome.shipment.zip(room);
                if let Some((shipment, room)) = shipped {
                    self.couriers.send(&self.recipient, Loaded { shipment, room }).await;
                } else {
                    self.node.signals.due(&self.recipient).notify_one();
                }
                // A caller that has gone asks again with the same key.
                answers.into_iter().zip(outcome.results).for_each(|(answer, result)| drop(answer.send(result)));
            }
            Err(error) => {
                let failure = Failure::from(error);
                answers.into_iter().for_each(|answer| drop(answer.send(Err(failure.clone()))));
            }
        }
    }
}

/// Takes what waits, up to a batch of so many items; returns what would make it too large.
fn gather(waiting: &mut mpsc::Receiver<Waiting>, batch: &mut Vec<Waiting>, limit: usize) -> Option<Waiting> {
    let size = |waiting: &Waiting| waiting.submission.handover.content.len() + 1024;
    let mut bytes: usize = batch.iter().map(size).sum();
    while batch.len() < limit {
        let next = waiting.try_recv().ok()?;
        bytes += size(&next);
        if bytes > MAX_BATCH_BYTES {
            return Some(next);
        }
        batch.push(next);
    }
    None
}
