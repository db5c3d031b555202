//! How the federation changes: decided on what is stored, written with its log entries in one transaction, seen by all
//! decisions after it.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::numbers::HighestNumbers;
use lotse_core::time::Timestamp;
use lotse_store::agreement::{StoredAgreement, StoredSeal};
use lotse_store::card::StoredCard;
use lotse_store::counter::{self, Counter};
use lotse_store::peer::Suspension;
use lotse_store::{StoreError, Tx, agreement, batch, card, outbox, peer};

use super::{Federation, refresh};
use crate::entry::{self, Draft, EntryKind};
use crate::failure::Failure;
use crate::node::Node;

/// Who acts, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// Identity in the caller's certificate.
    pub actor: String,
    /// What was given as reason. Never about persons.
    pub remark: String,
}

impl Act {
    /// Begins an entry about the act.
    pub fn draft(&self) -> Draft {
        Draft { actor: self.actor.clone(), remark: self.remark.clone(), ..Draft::default() }
    }
}

/// Something to be written.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Card(StoredCard),
    Peer(AgencyId, Timestamp, u32),
    PeerGeneration(AgencyId, u32),
    PeerSuspension(AgencyId, Suspension),
    /// The exchange with a peer stops, with the numbers of this node that it has named.
    PeerStop(AgencyId, HighestNumbers, Timestamp),
    /// The exchange with a peer that was stopped goes on.
    PeerStopLifted(AgencyId),
    Agreement(StoredAgreement),
    RemoveAgreement(Digest),
    Seals(Vec<StoredSeal>),
    Complete(Digest, Timestamp),
    AgreementSuspension(Id, Suspension, Timestamp),
    /// What waits for a peer is looked at again at once, instead of when its pause is over.
    RetryNow(AgencyId, Timestamp),
}

/// What was decided: the answer, and what is written with it.
pub(crate) struct Change<T> {
    /// The answer.
    pub(crate) answer: Result<T, Failure>,
    /// What is written.
    pub(crate) writes: Vec<Write>,
    /// What is logged.
    pub(crate) entries: Vec<(EntryKind, Draft)>,
    /// Who and what, where the same refusal may come again and again: entries about it are merged.
    pub(crate) repeatable: Option<String>,
}

impl<T> Change<T> {
    /// Answers and changes nothing.
    pub(crate) fn none(answer: Result<T, Failure>) -> Change<T> {
        Change { answer, writes: Vec::new(), entries: Vec::new(), repeatable: None }
    }

    /// Answers and writes.
    pub(crate) fn done(answer: T, writes: Vec<Write>, entries: Vec<(EntryKind, Draft)>) -> Change<T> {
        Change { answer: Ok(answer), writes, entries, repeatable: None }
    }

    /// Refuses and logs it.
    pub(crate) fn refuse(failure: Failure, kind: EntryKind, draft: Draft) -> Change<T> {
        let reasons = failure.causes.iter().map(|cause| cause.reason).collect();
        let draft = Draft { decision: entry::Decision::Refuse, reasons, ..draft };
        Change { answer: Err(failure), writes: Vec::new(), entries: vec![(kind, draft)], repeatable: None }
    }

    /// Refuses what another agency sent and logs it, repetitions merged.
    pub(crate) fn refuse_peer(peer: &AgencyId, failure: Failure, kind: EntryKind, draft: Draft) -> Change<T> {
        let repeatable = Some(format!("{peer} {kind:?} {}", failure.reason()));
        let draft = Draft { peer: Some(peer.clone()), direction: entry::Direction::In, ..draft };
        Change { repeatable, ..Change::refuse(failure, kind, draft) }
    }

    /// Adds an alarm to a refusal: it needs a human.
    pub(crate) fn with_alarm(mut self) -> Change<T> {
        let alarm = self.entries.first().map(|(_, draft)| (EntryKind::Alarm, draft.clone()));
        self.entries.extend(alarm);
        self
    }

    fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.entries.is_empty()
    }
}

/// Decides on the federation as it is stored, writes what was decided with its entries, and puts the outcome into the copy.
/// `decide` may run several times. What changes nothing and says nothing is answered from the copy.
pub(crate) async fn change<T, D>(node: &Arc<Node>, name: &'static str, decide: D) -> Result<T, Failure>
where
    T: Send + 'static,
    D: Fn(&Federation) -> Change<T> + Send + Sync + 'static,
{
    let glance = decide(&node.federation.get());
    if glance.is_nothing() {
        return glance.answer;
    }
    let Some(stands_for) = stands_for(node, &glance) else { return glance.answer };
    let (shared, decide) = (node.clone(), Arc::new(decide));
    let committed = node.store.transact(name, move |tx| {
        let (node, decide) = (shared.clone(), decide.clone());
        Box::pin(async move {
            let decided = decide(&Federation::load(tx, &node.agency).await?);
            let after = write(tx, &node, decided.writes).await?;
            let entries = decided.entries.into_iter().map(|(kind, draft)| (kind, counted(draft, stands_for)));
            entry::append(tx, &node, entries.collect()).await?;
            Ok((decided.answer, after))
        })
    });
    match committed.await {
        Ok((answer, after)) => {
            tell(node, after);
            answer
        }
        Err(error) => {
            // A commit in doubt may have changed what every decision rests on.
            let _ = refresh(node).await;
            Err(error.into())
        }
    }
}

/// Returns how many refusals the entry stands for; none if it is merged into a later one.
fn stands_for<T>(node: &Node, glance: &Change<T>) -> Option<u64> {
    match &glance.repeatable {
        Some(who_and_what) => node.federation.refusals.count(who_and_what, node.now()),
        None => Some(1),
    }
}

fn counted(draft: Draft, stands_for: u64) -> Draft {
    if stands_for < 2 { draft } else { Draft { remark: format!("{} ×{stands_for}", draft.remark), ..draft } }
}

/// Writes the rows and returns the federation after it, if anything was written.
async fn write(tx: &mut Tx, node: &Node, writes: Vec<Write>) -> Result<Option<Federation>, StoreError> {
    if writes.is_empty() {
        return Ok(None);
    }
    for write in writes {
        match write {
            Write::Card(stored) => card::put(tx, &stored).await?,
            Write::Peer(agency, at, generation) => peer::insert(tx, &agency, at, generation).await?,
            Write::PeerGeneration(agency, generation) => peer::raise_generation(tx, &agency, generation).await?,
            Write::PeerSuspension(agency, suspension) => peer::suspend(tx, &agency, suspension).await?,
            Write::PeerStop(agency, named, at) => peer::stop(tx, &agency, &named, at).await?,
            Write::PeerStopLifted(agency) => peer::lift_stop(tx, &agency).await?,
            Write::Agreement(stored) => agreement::insert(tx, &stored).await?,
            Write::RemoveAgreement(digest) => agreement::remove(tx, digest).await?,
            Write::Seals(seals) => agreement::put_seals(tx, &seals).await?,
            Write::Complete(digest, at) => agreement::complete(tx, digest, at).await?,
            Write::AgreementSuspension(id, suspension, at) => agreement::suspend(tx, id, suspension, at).await?,
            Write::RetryNow(peer, at) => {
                outbox::retry_now(tx, &peer, at).await?;
                batch::retry_now(tx, &peer).await?;
            }
        }
    }
    counter::take(tx, &[(Counter::Federation, 1)]).await?;
    Federation::load(tx, &node.agency).await.map(Some)
}

/// Tells everyone who waits, after the commit.
fn tell(node: &Node, after: Option<Federation>) {
    node.signals.log.notify_one();
    if let Some(after) = after {
        node.federation.put(Arc::new(after));
        node.pauses.hint_all(node.now());
        node.signals.all_due();
    }
}
