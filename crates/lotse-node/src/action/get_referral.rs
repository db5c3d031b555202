//! Returns a referral that this agency sent or received, with its history. A system sees the purposes that it is granted.

use std::sync::Arc;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;
use lotse_store::custody::{self, Held};
use lotse_store::outbox::{self, Item, ItemKind, SentAnswer};
use lotse_store::vault::{Place, Sealed};
use lotse_store::{StoreError, Tx};

use crate::action::{outgoing, take_batch};
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::envelope;
use crate::wire::request::Request;

/// A referral as one of its agencies knows it.
pub enum Referral {
    /// This agency sent it.
    Sent(Item),
    /// This agency received it.
    Received(Held),
}

/// One answer in a thread; its content is the encoded `lotse.record.v1.ReferralAnswer`.
pub struct ThreadAnswer {
    /// Record id of the answer.
    pub answer_id: Id,
    /// Whether this agency sent it.
    pub own: bool,
    /// Place in the thread.
    pub sequence: u64,
    /// When it was handed over or taken.
    pub at: Timestamp,
    /// Content; empty when it is gone or cannot be read.
    pub content: Vec<u8>,
    /// Own answers: where the delivery stands.
    pub delivery: Option<DeliveryState>,
}

/// Finds a referral and its answers.
///
/// # Errors
/// `NOT_FOUND`, also for a purpose that is not granted or past its holding time.
pub async fn get_referral(
    node: &Arc<Node>,
    purposes: Purposes,
    referral: Id,
) -> Result<(Referral, Vec<ThreadAnswer>), Failure> {
    let job = node.clone();
    let found = node
        .store
        .read("get referral", move |tx| Box::pin(async move { find(tx, &job, purposes, referral).await }))
        .await?;
    found.ok_or_else(Failure::not_found)
}

async fn find(
    tx: &mut Tx,
    node: &Node,
    purposes: Purposes,
    referral: Id,
) -> Result<Option<(Referral, Vec<ThreadAnswer>)>, StoreError> {
    if let Some(item) = outbox::find(tx, &[referral]).await?.pop() {
        let visible = item.kind == ItemKind::Referral && purposes.contains(item.purpose);
        let answers = custody::answers(tx, referral).await?;
        let answers = answers.into_iter().map(|held| received_answer(node, held)).collect();
        return Ok(visible.then_some((Referral::Sent(item), answers)));
    }
    let Some(held) = custody::find(tx, &[referral]).await?.pop() else { return Ok(None) };
    let visible = held.kind == ItemKind::Referral && purposes.contains(held.purpose) && node.now() < held.hold_until;
    if !visible {
        return Ok(None);
    }
    let answers = outbox::answers(tx, referral).await?.rows.into_iter().zip(1..);
    let answers = answers.map(|(answer, place)| sent_answer(node, answer, place)).collect();
    Ok(Some((Referral::Received(held), answers)))
}

/// Makes the event of an own answer. It keeps the number with which it was handed over, also behind one that cannot be read.
fn sent_answer(node: &Node, answer: SentAnswer, place: u64) -> ThreadAnswer {
    let SentAnswer { item, content, request } = answer;
    let content = content.map(|sealed| open(node, outgoing::place(&item.record_id), &sealed, item.record_id));
    ThreadAnswer {
        answer_id: item.record_id,
        own: true,
        sequence: Request::decode(&request).map_or(place, |request| request.thread_sequence),
        at: item.submitted_at,
        content: content.unwrap_or_default(),
        delivery: Some(item.delivery),
    }
}

fn received_answer(node: &Node, held: Held) -> ThreadAnswer {
    let sealed = held.content.as_ref().filter(|_| node.now() < held.hold_until);
    let bytes = sealed.map(|sealed| open(node, take_batch::place(&held.envelope_id), sealed, held.record_id));
    ThreadAnswer {
        answer_id: held.record_id,
        own: false,
        sequence: held.thread_sequence,
        at: held.taken_at,
        content: bytes.and_then(|bytes| envelope::answer_bytes(&bytes)).unwrap_or_default(),
        delivery: None,
    }
}

/// Opens the content of an answer. One that cannot be opened is logged and empty: it hides no other.
fn open(node: &Node, place: Place<'_>, sealed: &Sealed, answer_id: Id) -> Vec<u8> {
    node.vault.open(place, sealed).unwrap_or_else(|error| {
        tracing::error!(%error, %answer_id, "an answer cannot be read, and is shown without content");
        Vec::new()
    })
}
