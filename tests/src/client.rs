//! Clients that do not give up: one hands referrals over and asks again for what was not answered, one reads an inbox. Both write
//! down what they see.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use lotse_core::time::Clock;
use lotse_node::commands::client;
use lotse_node::folder::Folder;
use lotse_node::identity::Role;
use lotse_proto::agency::v1::inbox_service_client::InboxServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use lotse_proto::agency::v1::submit_referrals_response::Result as Answer;
use lotse_proto::agency::v1::{
    ReferralHandover, SubmitReferralsRequest, SubmitReferralsResponse, WatchRequest, WatchResponse, inbox_event,
};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::federation::{Agency, SYSTEM};
use crate::history::{History, Seen};

/// Referrals that the client has handed over and not heard of.
const IN_FLIGHT: usize = 256;

/// How long a client waits before it calls again.
const PAUSE: Duration = Duration::from_millis(20);

/// A history that several clients write.
#[derive(Clone, Default)]
pub struct Diary(Arc<Mutex<History>>);

impl Diary {
    /// Writes down what was seen.
    pub fn write(&self, seen: Seen) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.push(seen);
    }

    /// Returns what was seen so far.
    pub fn history(&self) -> History {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How an agency's system reaches its node.
#[derive(Clone)]
struct Way {
    folder: Folder,
    clock: Arc<dyn Clock>,
}

impl Way {
    fn of(agency: &Agency) -> Way {
        Way { folder: agency.folder.clone(), clock: agency.clock.clone() }
    }

    fn channel(&self) -> Result<Channel> {
        client::channel(&self.folder, Role::System, SYSTEM, &self.clock)
    }
}

/// A client that hands referrals over, as many as it is allowed to.
pub struct Submitter {
    allowed: watch::Sender<Allowed>,
    answered: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

/// How many referrals may be handed over in all.
#[derive(Clone, Copy, Default)]
struct Allowed {
    count: usize,
    /// Whether no more will ever be allowed.
    is_final: bool,
}

impl Submitter {
    /// Starts a client of an agency that hands over what `referral` makes of 0, 1, 2 and so on; nothing yet.
    pub fn start(agency: &Agency, referral: fn(usize) -> ReferralHandover, diary: Diary) -> Submitter {
        let (allowed, limit) = watch::channel(Allowed::default());
        let (progress, answered) = watch::channel(0);
        let open = Open { waiting: VecDeque::new(), asked: BTreeMap::new(), next: 0, answered: 0 };
        let work = Submission { way: Way::of(agency), referral, diary, limit, progress, open };
        Submitter { allowed, answered, task: tokio::spawn(work.run()) }
    }

    /// Lets the client hand over so many more referrals.
    pub fn allow(&self, more: usize) {
        self.allowed.send_modify(|allowed| allowed.count += more);
    }

    /// Tells how many referrals the client may hand over in all.
    pub fn allowed(&self) -> usize {
        self.allowed.borrow().count
    }

    /// Tells how many are answered.
    pub fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until every referral that was allowed is answered; returns how many.
    pub async fn finish(self, patience: Duration) -> Result<usize> {
        self.allowed.send_modify(|allowed| allowed.is_final = true);
        let answered = self.answered;
        let finished = tokio::time::timeout(patience, self.task).await;
        finished.with_context(|| format!("only {} were answered in {patience:?}", *answered.borrow()))??;
        Ok(self.allowed.borrow().count)
    }
}

struct Submission {
    way: Way,
    referral: fn(usize) -> ReferralHandover,
    diary: Diary,
    limit: watch::Receiver<Allowed>,
    progress: watch::Sender<usize>,
    open: Open,
}

/// What is not answered.
struct Open {
    /// To be asked again.
    waiting: VecDeque<usize>,
    /// Asked on the present stream, by key.
    asked: BTreeMap<String, usize>,
    /// The first that was never asked.
    next: usize,
    answered: usize,
}

impl Open {
    /// Takes the next one to be asked, if there is one and room for it.
    fn take(&mut self, limit: usize) -> Option<usize> {
        if self.asked.len() >= IN_FLIGHT {
            return None;
        }
        self.waiting.pop_front().or_else(|| {
            let fresh = (self.next < limit).then_some(self.next);
            self.next += usize::from(fresh.is_some());
            fresh
        })
    }
}

impl Submission {
    async fn run(mut self) {
        while !self.is_done() {
            // Why a stream ended is of no interest: what it left open is asked again on the next one.
            let _ = self.stream().await;
            for (key, place) in std::mem::take(&mut self.open.asked) {
                self.diary.write(Seen::Unknown(key));
                self.open.waiting.push_back(place);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn is_done(&self) -> bool {
        let allowed = *self.limit.borrow();
        allowed.is_final && self.open.answered == allowed.count
    }

    async fn stream(&mut self) -> Result<()> {
        let (requests, queued) = mpsc::channel(IN_FLIGHT);
        let mut service = ReferralServiceClient::new(self.way.channel()?);
        let mut answers = service.submit_referrals(ReceiverStream::new(queued)).await?.into_inner();
        while !self.is_done() {
            self.ask(&requests).await?;
            tokio::select! {
                answer = answers.message() => self.hear(answer?.context("the stream ended")?),
                changed = self.limit.changed() => changed?,
            }
        }
        Ok(())
    }

    /// Hands over what may be handed over now.
    async fn ask(&mut self, requests: &mpsc::Sender<SubmitReferralsRequest>) -> Result<()> {
        let limit = self.limit.borrow().count;
        while let Some(place) = self.open.take(limit) {
            let handover = (self.referral)(place);
            self.open.asked.insert(handover.idempotency_key.clone(), place);
            self.diary.write(Seen::Invoked(handover.idempotency_key.clone()));
            requests.send(SubmitReferralsRequest { handover: Some(handover) }).await?;
        }
        Ok(())
    }

    fn hear(&mut self, answer: SubmitReferralsResponse) {
        let key = answer.idempotency_key;
        let Some(place) = self.open.asked.remove(&key) else { return };
        match answer.result {
            Some(Answer::Submitted(submitted)) => {
                self.diary.write(Seen::Acknowledged(key, submitted.referral_id));
                self.open.answered += 1;
                self.progress.send_replace(self.open.answered);
            }
            _ => {
                self.diary.write(Seen::Refused(key));
                self.open.waiting.push_back(place);
            }
        }
    }
}

/// Follows the inbox of an agency until it is dropped, and comes back where it was after each end of the stream.
pub struct Reader(JoinHandle<()>);

impl Reader {
    /// Starts to read.
    pub fn start(agency: &Agency, diary: Diary) -> Reader {
        let way = Way::of(agency);
        Reader(tokio::spawn(async move {
            let mut cursor = 0;
            loop {
                let _ = follow(&way, &mut cursor, &diary).await;
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(way: &Way, cursor: &mut u64, diary: &Diary) -> Result<()> {
    let mut stream = watch_inbox(way, *cursor).await?;
    while let Some(message) = stream.message().await? {
        for record in received(&message) {
            diary.write(Seen::Read(message.cursor, record));
        }
        *cursor = message.cursor;
    }
    Ok(())
}

/// Reads the whole inbox of an agency that has come to rest: the records received, as often as they stand there.
pub async fn read_inbox(agency: &Agency) -> Result<Vec<String>> {
    let mut stream = watch_inbox(&Way::of(agency), 0).await?;
    let mut records = Vec::new();
    loop {
        let message = stream.message().await?.context("the inbox ended")?;
        records.extend(received(&message));
        if message.caught_up {
            return Ok(records);
        }
    }
}

async fn watch_inbox(way: &Way, after: u64) -> Result<Streaming<WatchResponse>> {
    let request = WatchRequest { after: Some(after) };
    Ok(InboxServiceClient::new(way.channel()?).watch(request).await?.into_inner())
}

fn received(message: &WatchResponse) -> Vec<String> {
    let is_received = |kind: &inbox_event::Kind| matches!(kind, inbox_event::Kind::ReferralReceived(_));
    let events = message.events.iter().filter(|event| event.kind.as_ref().is_some_and(is_received));
    events.map(|event| event.referral_id.clone()).collect()
}
