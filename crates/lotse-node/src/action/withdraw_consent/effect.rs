//! The second half of a withdrawal: the wait for what is on its way, and the commit that makes it effective.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotse_core::consent::{ConsentState, Withdrawn};
use lotse_core::id::{AgencyId, Id};
use lotse_core::time::Timestamp;
use lotse_store::consent::{self, Head, Recipient};
use lotse_store::withdrawal::{self, Withdrawal};
use lotse_store::{Readable, StoreError, Tx, batch};

use super::remembered::remember;
use super::{content, draft, narrow};
use crate::entry::{self, EntryKind};
use crate::failure::Failure;
use crate::head_store::RememberedWithdrawal;
use crate::node::Node;

/// Finds the batches that may be on their way with something released under one of the consents.
pub(in crate::action) async fn carriers(tx: &mut Tx, consent_ids: &[Id]) -> Result<Vec<Id>, StoreError> {
    let Readable { rows: leased, broken } = batch::leased(tx).await?;
    let mut carriers = if leased.is_empty() { vec![] } else { withdrawal::carriers(tx, consent_ids, &leased).await? };
    // Of a batch that cannot be read nobody knows what it carries.
    carriers.extend(broken);
    Ok(carriers)
}

/// Makes pending withdrawals effective, once the head store remembers them, and wakes the couriers of those who are touched.
pub(in crate::action) async fn take_effect(
    node: &Arc<Node>,
    pending: Vec<RememberedWithdrawal>,
) -> Result<(), Failure> {
    let withdrawals: Vec<Id> = pending.iter().map(|withdrawal| withdrawal.withdrawal_id).collect();
    remember(node, pending).await?;
    let (at, shared) = (node.now(), node.clone());
    let touched = node
        .store
        .transact("withdrawal_effect", move |tx| {
            let (node, withdrawals) = (shared.clone(), withdrawals.clone());
            Box::pin(async move { commit(tx, &node, &withdrawals, at).await })
        })
        .await?;
    node.signals.log.notify_one();
    touched.iter().for_each(|peer| node.signals.due(peer).notify_one());
    Ok(())
}

async fn commit(tx: &mut Tx, node: &Node, withdrawals: &[Id], at: Timestamp) -> Result<BTreeSet<AgencyId>, StoreError> {
    let effective = withdrawal::take_effect(tx, withdrawals, at).await?;
    if effective.is_empty() {
        return Ok(BTreeSet::new()); // another call was faster
    }
    let ids: BTreeSet<Id> = effective.iter().map(|withdrawal| withdrawal.consent_id).collect();
    let ids: Vec<Id> = ids.into_iter().collect();
    let heads = consent::heads(tx, &ids).await?;
    let recipients = consent::recipients(tx, &ids).await?;
    let whole: Vec<Id> =
        heads.iter().filter(|head| is_exhausted(head, &recipients)).map(|head| head.consent_id).collect();
    if !whole.is_empty() {
        consent::withdraw(tx, &whole).await?;
    }
    let touched: Vec<Recipient> =
        recipients.into_iter().filter_map(|recipient| narrowed(recipient, &effective, &heads)).collect();
    consent::raise_epochs(tx, node.generation, &touched).await?;
    if content::destroy(tx, node, &touched).await? > 0 {
        node.signals.content_gone.store(true, Ordering::Release);
    }
    let drafts = effective.iter().flat_map(|withdrawal| {
        let head = heads.iter().find(|head| head.consent_id == withdrawal.consent_id);
        let recipients = touched.iter().filter(|recipient| touches(withdrawal, recipient));
        recipients.zip(head.into_iter().cycle()).map(|(recipient, head)| {
            (EntryKind::ConsentWithdrawn, draft(recipient, &withdrawal.scope, head, &withdrawal.by))
        })
    });
    entry::append(tx, node, drafts.collect()).await?;
    Ok(touched.into_iter().map(|recipient| recipient.recipient).collect())
}

fn touches(withdrawal: &Withdrawal, recipient: &Recipient) -> bool {
    withdrawal.consent_id == recipient.consent_id && withdrawal.scope.touches(&recipient.recipient)
}

/// Returns a recipient that is touched, with all that is withdrawn now. A consent that another one replaced covers nothing new, and its
/// rows are not narrowed: what was released under it stays until its lease.
fn narrowed(recipient: Recipient, effective: &[Withdrawal], heads: &[Head]) -> Option<Recipient> {
    let head = heads.iter().find(|head| head.consent_id == recipient.consent_id)?;
    let mut touching = effective.iter().filter(|withdrawal| touches(withdrawal, &recipient)).peekable();
    touching.peek()?;
    let add = |recipient: Recipient, withdrawal: &Withdrawal| {
        narrow(&recipient, &withdrawal.scope, head).unwrap_or(recipient)
    };
    let scopes: Vec<&Withdrawal> = touching.collect();
    Some(scopes.into_iter().fold(recipient, add))
}

/// Tells whether a given consent covers nothing towards anybody any more.
fn is_exhausted(head: &Head, recipients: &[Recipient]) -> bool {
    let nothing_left = |recipient: &Recipient| {
        let Withdrawn { whole, purposes, categories } = recipient.withdrawn;
        whole || purposes.contains_all(head.purposes) || categories.contains_all(head.categories)
    };
    let mut own = recipients.iter().filter(|recipient| recipient.consent_id == head.consent_id);
    head.state == ConsentState::Given && own.all(nothing_left)
}
