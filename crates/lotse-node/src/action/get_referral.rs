//! Returns a referral that this agency sent or received, with its history. A system sees the purposes that it is granted.

use std::sync::Arc;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::purpose::Purposes;
use lotse_core::time::Timestamp;
use lotse_store::custody::{self, Held};
use lotse_store::outbox::{self, Item, ItemKind, SentAnswer};
use lotse_store::{StoreError, Tx};

use crate::action::{outgoing, take_batch};
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::envelope;

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
    /// Content; empty when it is gone.
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
        let answers = answers.into_iter().map(|held| received_answer(node, held)).collect::<Result<_, _>>()?;
        return Ok(visible.then_some((Referral::Sent(item), answers)));
    }
    let Some(held) = custody::find(tx, &[referral]).await?.pop() else { return Ok(None) };
    let visible = held.kind == ItemKind::Referral && purposes.contains(held.purpose) && node.now() < held.hold_until;
    if !visible {
        return Ok(None);
    }
    let mut answers = Vec::new();
    for (place, SentAnswer { item, content, .. }) in outbox::answers(tx, referral).await?.rows.into_iter().enumerate() {
        let open = |sealed| node.vault.open(outgoing::place(&item.record_id), sealed);
        let content = content.as_ref().map(open).transpose()?.unwrap_or_default();
        answers.push(ThreadAnswer {
            answer_id: item.record_id,
            own: true,
            sequence: place as u64 + 1,
            at: item.submitted_at,
            content,
            delivery: Some(item.delivery),
        });
    }
    Ok(Some((Referral::Received(held), answers)))
}

fn received_answer(node: &Node, held: Held) -> Result<ThreadAnswer, StoreError> {
    let sealed = held.content.as_ref().filter(|_| node.now() < held.hold_until);
    let content = match sealed {
        Some(sealed) => {
            let bytes = node.vault.open(take_batch::place(&held.envelope_id), sealed)?;
            envelope::answer_bytes(&bytes).unwrap_or_default()
        }
        None => Vec::new(),
    };
    Ok(ThreadAnswer {
        answer_id: held.record_id,
        own: false,
        sequence: held.thread_sequence,
        at: held.taken_at,
        content,
        delivery: None,
    })
}
