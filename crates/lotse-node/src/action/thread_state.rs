//! The state of a received referral here: that of the last answer which its owner has taken or may still take.

use std::collections::BTreeSet;

use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_store::outbox::{self, ItemKind, SentAnswer};
use lotse_store::{StoreError, Tx, custody};

use crate::wire::request::{Ask, Request};

/// Derives the state from the answers of a thread, in their order. One that ended or was refused reports nothing: its owner has not
/// taken it, and never will. None if it is not stored what an answer reports.
pub fn from_answers(answers: &[SentAnswer]) -> Option<ReferralState> {
    let counts = |answer: &&SentAnswer| !matches!(answer.item.delivery, DeliveryState::Refused | DeliveryState::Ended);
    let events: Option<Vec<ReferralEvent>> = answers.iter().filter(counts).map(reported).collect();
    events.map(ReferralState::after_answers)
}

fn reported(answer: &SentAnswer) -> Option<ReferralEvent> {
    match Request::decode(&answer.request)?.ask {
        Ask::Answer(ask) => ask.event,
        Ask::Referral(_) => None,
    }
}

/// Derives the state of threads of which answers have ended or were refused in this transaction, and writes it. A thread with an answer
/// that cannot be read keeps its state.
pub async fn derive(tx: &mut Tx, threads: &[Id]) -> Result<(), StoreError> {
    let threads: BTreeSet<Id> = threads.iter().copied().collect();
    for thread_id in threads {
        let answers = outbox::answers(tx, thread_id).await?;
        if let Some(state) = from_answers(&answers.rows).filter(|_| answers.broken.is_empty()) {
            custody::set_referral_state(tx, thread_id, state).await?;
        }
    }
    Ok(())
}

/// Derives the state of the threads of those of these items that are answers.
pub async fn derive_for_items(tx: &mut Tx, record_ids: &[Id]) -> Result<(), StoreError> {
    if record_ids.is_empty() {
        return Ok(());
    }
    let found = outbox::find(tx, record_ids).await?;
    let answers = found.into_iter().filter(|item| item.kind == ItemKind::Answer);
    derive(tx, &answers.map(|item| item.thread_id).collect::<Vec<_>>()).await
}
