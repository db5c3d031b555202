//! Records what a peer said became of a batch. A valid receipt is always recorded, however late; one that comes again changes
//! nothing.

mod stops;

use std::sync::Arc;

use lotse_core::card::KeyUse;
use lotse_core::delivery::{DeliveryState, Outcome};
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralState;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_store::batch::OpenBatch;
use lotse_store::counter::{self, Counter, seen};
use lotse_store::inbox::{self, Event, EventKind};
use lotse_store::outbox::{Item, Settled};
use lotse_store::{StoreError, Tx, batch, log, outbox};
use prost::Message;

use crate::action::claim::pause;
use crate::action::log_refusal::{PeerRefusal, log_refusal};
use crate::action::thread_state;
use crate::entry::{BatchSummary, Detail, Direction, Draft, EntryKind};
use crate::node::Node;
use crate::pause::{PauseScope, PeerPauses};
use crate::telemetry;
use crate::wire::batch::{
    BatchStatement, ReceiptItem, ReceiptStatement, items_root, open_receipt, open_receipt_with_card, parse_item,
};
use crate::wire::envelope::parse_own_head;
use stops::Stops;

/// The outcome of a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is recorded: so many items are taken, refused, to be sent again.
    First {
        /// Items taken.
        taken: usize,
        /// Items refused.
        refused: usize,
        /// Reasons of the items to be sent again.
        again: Vec<Reason>,
    },
    /// It was recorded before.
    Repeated,
    /// It does not fit what was sent: the batch stays in doubt.
    Rejected(&'static str),
}

impl Recorded {
    fn is_all_taken(&self) -> bool {
        matches!(self, Recorded::First { refused: 0, again, .. } if again.is_empty())
    }
}

/// Records a receipt from a peer.
pub async fn record_receipt(
    node: &Arc<Node>,
    peer: &AgencyId,
    receipt: proto::Receipt,
) -> Result<Recorded, StoreError> {
    let payload = receipt.seal.as_ref().map(|seal| Digest::of(&seal.payload));
    let opened = match open(node, peer, &receipt) {
        Ok(opened) => opened,
        Err(why) => return Ok(reject(node, peer, payload, why).await),
    };
    let (bytes, pauses) = (receipt.encode_to_vec(), node.pauses.of(peer));
    let job = Arc::new(Job { node: node.clone(), peer: peer.clone(), opened, bytes, pauses });
    let shared = job.clone();
    let ReceiptEffect { recorded, event, stops } = node
        .store
        .transact("receipt", move |tx| {
            let job = shared.clone();
            Box::pin(async move { job.run(tx).await })
        })
        .await?;
    node.signals.log.notify_one();
    stops.announce(node, peer);
    if let Some((seq, at)) = event {
        if recorded.is_all_taken() {
            node.recent.taken(job.opened.statement.batch_id, seq, at, peer);
        }
        node.signals.inbox_changed(seq);
    }
    if let Recorded::First { .. } = recorded {
        let outcomes = job.opened.items.iter().map(|item| item.outcome);
        node.telemetry.answered(telemetry::Direction::Out, outcomes);
    }
    if let Recorded::Rejected(why) = recorded {
        return Ok(reject(node, peer, payload, why).await);
    }
    Ok(recorded)
}

/// Refuses a receipt: its batch stays in doubt.
async fn reject(node: &Arc<Node>, peer: &AgencyId, digest: Option<Digest>, why: &'static str) -> Recorded {
    let (kind, reason) = (EntryKind::ReceiptRefused, Reason::ReceiptInvalid);
    log_refusal(node, peer, PeerRefusal { kind, reason, digest, remark: why.into() }).await;
    Recorded::Rejected(why)
}

/// A receipt whose seal and items were verified.
struct Opened {
    statement: ReceiptStatement,
    /// Whether the key that sealed it counted at the time that it names.
    counted_then: bool,
    digest: Digest,
    items: Vec<ReceiptItem>,
}

/// Verifies seal, parties and items, before anything is looked up.
fn open(node: &Node, peer: &AgencyId, receipt: &proto::Receipt) -> Result<Opened, &'static str> {
    let federation = node.federation.get();
    let card = federation.peers.get(peer).map(|peer| &peer.card.card).ok_or("the peer is unknown")?;
    let seal = receipt.seal.as_ref().ok_or("it has no seal")?;
    let at = node.now();
    let opened = open_receipt_with_card(card, seal, at);
    let statement = opened.map_err(|_| "its seal does not verify with a key of the peer's card")?;
    let then = card.keys_for(KeyUse::Sealing, statement.taken_at, at);
    let is_usual = card.keys_at(KeyUse::Sealing, at).iter().all(|key| then.contains(key));
    let counted_then = is_usual || open_receipt(seal, &then).is_ok();
    if statement.count as usize != receipt.items.len() || items_root(&receipt.items) != statement.items_root {
        return Err("its items do not hash to its root");
    }
    let items = receipt.items.iter().map(parse_item).collect::<Result<_, _>>().map_err(|_| "an item is malformed")?;
    Ok(Opened { statement, counted_then, digest: Digest::of(&seal.payload), items })
}

struct Job {
    node: Arc<Node>,
    peer: AgencyId,
    opened: Opened,
    bytes: Vec<u8>,
    pauses: PeerPauses,
}

/// The outcome of a receipt, and whom its changes wake.
struct ReceiptEffect {
    recorded: Recorded,
    /// Number and time of the inbox event.
    event: Option<(u64, Timestamp)>,
    stops: Stops,
}

impl ReceiptEffect {
    /// Makes the answer to a receipt that changes nothing.
    fn nothing(recorded: Recorded) -> ReceiptEffect {
        ReceiptEffect { recorded, event: None, stops: Stops::default() }
    }
}

impl Job {
    async fn run(&self, tx: &mut Tx) -> Result<ReceiptEffect, StoreError> {
        let statement = &self.opened.statement;
        let Some(sent) = batch::find(tx, statement.batch_id).await? else {
            return Ok(ReceiptEffect::nothing(Recorded::Rejected("no such batch was sent")));
        };
        if let Some(why) = self.mismatch(&sent) {
            return Ok(ReceiptEffect::nothing(Recorded::Rejected(why)));
        }
        let at = self.node.now();
        if !batch::answer(tx, sent.batch_id, self.bytes.clone(), at).await? {
            return Ok(ReceiptEffect::nothing(Recorded::Repeated));
        }
        let mut stops = Stops::default();
        let exceptions: Vec<Id> =
            self.answered(&sent).filter(|(_, outcome)| *outcome != Outcome::Taken).map(record).collect();
        if !exceptions.is_empty() {
            let exceptions = self.exceptions(&still_sent(tx, &sent, &exceptions).await?, &sent, &mut stops);
            outbox::settle(tx, DeliveryState::InDoubt, &exceptions).await?;
            let refused = exceptions.iter().filter(|item| item.state == DeliveryState::Refused);
            thread_state::derive_for_items(tx, &refused.map(|item| item.record_id).collect::<Vec<_>>()).await?;
        }
        if self.pauses.any() {
            self.end_pauses(tx, &sent, &mut stops).await?;
        }
        self.take_moved(tx, &sent).await?;
        let number = (Counter::SeenReceipt(self.peer.clone()), seen(statement.number));
        let counters = counter::take(tx, &[(Counter::Leaf, 1), (Counter::Event, 1), number]).await?;
        let entry = self.entry().entry(EntryKind::ReceiptRecorded, at, &*self.node.random);
        log::append(tx, self.node.generation, counters.first(&Counter::Leaf, 1), vec![entry]).await?;
        let seq = counters.after(&Counter::Event);
        let ids: Vec<Id> = sent.items.iter().map(|item| item.record_id).collect();
        let event = Event { seq, at, kind: EventKind::Delivered, peer: self.peer.clone(), items: ids };
        inbox::append(tx, &event).await?;
        Ok(ReceiptEffect { recorded: self.recorded(), event: Some((seq, at)), stops })
    }

    fn mismatch(&self, sent: &OpenBatch) -> Option<&'static str> {
        let statement = BatchStatement {
            batch_id: sent.batch_id,
            sender: self.node.agency.clone(),
            recipient: sent.peer.clone(),
            created_at: sent.created_at,
            count: sent.items.len() as u32,
            root: sent.root,
        };
        let counts_then = |_| self.opened.counted_then;
        let digests = || sent.items.iter().map(|item| item.digest);
        if sent.peer != self.peer {
            Some("the batch was sent to another agency")
        } else if let Some(why) = self.opened.statement.objection(&statement, self.node.now(), counts_then) {
            Some(why)
        } else if !digests().eq(self.opened.items.iter().map(|item| item.digest)) {
            Some("its items are about other envelopes")
        } else {
            None
        }
    }

    /// Returns what was said of each item of the batch.
    fn answered<'a>(&'a self, sent: &'a OpenBatch) -> impl Iterator<Item = (Id, Outcome)> {
        sent.items.iter().zip(&self.opened.items).map(|(sent, item)| (sent.record_id, item.outcome))
    }

    /// Returns what must be written into items: refusals, and what is to be sent again, after a pause that grows with the item's own
    /// attempts. What was taken is what the answered batch says.
    fn exceptions(&self, stored: &[Item], sent: &OpenBatch, stops: &mut Stops) -> Vec<Settled> {
        let at = self.node.now();
        let some_taken = self.opened.items.iter().any(|item| item.outcome == Outcome::Taken);
        let mut settled = Vec::with_capacity(stored.len());
        for (record_id, outcome) in self.answered(sent) {
            let Some(item) = stored.iter().find(|item| item.record_id == record_id) else { continue };
            let (state, referral_state, attempts, reason) = match outcome {
                Outcome::Taken => continue,
                Outcome::Refused(reason) => (DeliveryState::Refused, ReferralState::Refused, 0, reason),
                Outcome::Again(reason) => {
                    stops.begin(reason, agreement(item), some_taken);
                    (DeliveryState::Due, ReferralState::Offered, item.attempts + 1, reason)
                }
            };
            let next_attempt_at = at.plus(pause(&*self.node.random, attempts));
            settled.push(Settled {
                record_id,
                state,
                referral_state,
                next_attempt_at,
                attempts,
                reasons: vec![reason],
            });
        }
        settled
    }

    /// Ends the pauses of what was taken, and lets all that waits for them be looked at again at once.
    async fn end_pauses(&self, tx: &mut Tx, sent: &OpenBatch, stops: &mut Stops) -> Result<(), StoreError> {
        let taken: Vec<Id> =
            self.answered(sent).filter(|(_, outcome)| *outcome == Outcome::Taken).map(record).collect();
        if taken.is_empty() {
            return Ok(());
        }
        let agreements: Vec<Id> = outbox::find(tx, &taken).await?.iter().filter_map(agreement).collect();
        let is_over = |scope: &PauseScope| match scope {
            PauseScope::Peer => true,
            PauseScope::Agreement(id) => agreements.contains(id),
        };
        stops.ended = self.pauses.scopes().into_iter().filter(is_over).collect();
        if !stops.ended.is_empty() {
            outbox::retry_now(tx, &self.peer, self.node.now()).await?;
        }
        Ok(())
    }

    /// Items that were sent again in a later batch meanwhile are put back into this one, which is answered now.
    async fn take_moved(&self, tx: &mut Tx, sent: &OpenBatch) -> Result<(), StoreError> {
        if !sent.moved {
            return Ok(());
        }
        let taken: Vec<Id> =
            self.answered(sent).filter(|(_, outcome)| *outcome == Outcome::Taken).map(record).collect();
        let still_sent: Vec<Id> = still_sent(tx, sent, &taken).await?.iter().map(|item| item.record_id).collect();
        outbox::rebatch(tx, &still_sent, sent.batch_id).await
    }

    fn recorded(&self) -> Recorded {
        let items = &self.opened.items;
        let count = |wanted: fn(&Outcome) -> bool| items.iter().filter(|item| wanted(&item.outcome)).count();
        let again = |item: &ReceiptItem| match item.outcome {
            Outcome::Again(reason) => Some(reason),
            _ => None,
        };
        Recorded::First {
            taken: count(|outcome| matches!(outcome, Outcome::Taken)),
            refused: count(|outcome| matches!(outcome, Outcome::Refused(_))),
            again: items.iter().filter_map(again).collect(),
        }
    }

    fn entry(&self) -> Draft {
        let statement = &self.opened.statement;
        let Recorded::First { taken, refused, again } = self.recorded() else { return Draft::default() };
        let mut reasons: Vec<Reason> = self.opened.items.iter().filter_map(|item| item.outcome.reason()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        Draft {
            direction: Direction::Out,
            peer: Some(self.peer.clone()),
            digest: Some(self.opened.digest),
            reasons,
            detail: Some(Detail::Batch(BatchSummary {
                batch_id: statement.batch_id.to_vec(),
                batch_root: statement.batch_root.to_vec(),
                taken: taken as u32,
                refused: refused as u32,
                again: again.len() as u32,
                receipt_digest: self.opened.digest.to_vec(),
            })),
            ..Draft::default()
        }
    }
}

/// Finds those of the records whose envelope is still the one that the batch's receipt is about. An item that was to be sent again
/// and has been cut anew meanwhile is in doubt under another envelope, of which this receipt says nothing.
async fn still_sent(tx: &mut Tx, sent: &OpenBatch, record_ids: &[Id]) -> Result<Vec<Item>, StoreError> {
    let mut stored = outbox::find(tx, record_ids).await?;
    stored.retain(|stored| {
        let in_batch = sent.items.iter().find(|item| item.record_id == stored.record_id);
        in_batch.is_some_and(|item| stored.envelope_digest == Some(item.digest))
    });
    Ok(stored)
}

fn record((record_id, _): (Id, Outcome)) -> Id {
    record_id
}

/// Returns the agreement under which an item was released.
fn agreement(item: &Item) -> Option<Id> {
    item.head.as_deref().and_then(parse_own_head).map(|head| head.basis.agreement_id)
}
