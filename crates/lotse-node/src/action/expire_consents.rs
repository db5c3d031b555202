//! Commits consents as expired whose time is over: a state, so that a clock that steps back revives nothing.

use std::sync::Arc;

use lotse_core::id::Id;
use lotse_store::consent::{self, Touched};
use lotse_store::{StoreError, Tx};

use crate::entry::{self, Draft, EntryKind};
use crate::failure::Failure;
use crate::node::Node;

/// Consents that one transaction expires.
const AT_ONCE: u32 = 256;

/// Expires all consents whose time is over; returns how many changes there were, counted per recipient. None while the clock may
/// run ahead: an expired consent stays expired.
pub async fn expire_consents(node: &Arc<Node>) -> Result<usize, Failure> {
    let mut changes = 0;
    while let Some(now) = node.proven_now() {
        let shared = node.clone();
        let (found, touched) = node
            .store
            .transact("expire_consents", move |tx| {
                let node = shared.clone();
                Box::pin(async move {
                    let due = consent::due_to_expire(tx, now.at(), AT_ONCE).await?;
                    Ok((due.len(), expire(tx, &node, &due).await?.len()))
                })
            })
            .await?;
        changes += touched;
        if found < AT_ONCE as usize {
            break;
        }
    }
    if changes > 0 {
        node.signals.log.notify_one();
    }
    Ok(changes)
}

/// Commits consents as expired in the transaction of a caller who has seen that their time is over; raises their epochs and logs
/// it. What is not given any more stays as it is.
pub async fn expire(tx: &mut Tx, node: &Node, consent_ids: &[Id]) -> Result<Vec<Touched>, StoreError> {
    if consent_ids.is_empty() {
        return Ok(Vec::new());
    }
    let touched = consent::expire(tx, node.generation, consent_ids).await?;
    let draft = |touched: &Touched| Draft {
        peer: Some(touched.recipient.clone()),
        consent_ref: Some(touched.consent_ref),
        record_id: Some(touched.consent_id),
        ..Draft::default()
    };
    let drafts = touched.iter().map(|touched| (EntryKind::ConsentExpired, draft(touched))).collect();
    entry::append(tx, node, drafts).await?;
    Ok(touched)
}

#[cfg(test)]
mod tests;
