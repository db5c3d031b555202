//! What is remembered of withdrawals outside the database: one that is put back from a backup must not revive a consent that was
//! withdrawn since, so it is withdrawn as a whole before anything is released again.

use std::collections::HashSet;
use std::sync::Arc;

use lotse_core::consent::ConsentState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_store::withdrawal::{self, Scope};
use lotse_store::{StoreError, Tx, consent};
use tokio::task::spawn_blocking;

use super::{AT_ONCE, WithdrawConsent, withdraw};
use crate::action::end_leases::end_leases;
use crate::failure::{ErrorKind, Failure};
use crate::head_store::{HeadError, HeadStore, RememberedWithdrawal};
use crate::node::Node;

/// Remembers withdrawals in the head store; they are on its disk when this returns. Doing it twice does no harm.
pub(super) async fn remember(node: &Node, withdrawals: Vec<RememberedWithdrawal>) -> Result<(), Failure> {
    in_head_store(node, move |head| head.append_withdrawn(&withdrawals)).await
}

/// Withdraws again, as a whole, every consent that is in force although the head store remembers a withdrawal of it that the
/// database does not have: it was restored. Which part was withdrawn is lost with it, and unknown means no. Called at start,
/// before the first claim. Returns how many.
pub async fn withdraw_remembered(node: &Arc<Node>) -> Result<usize, Failure> {
    let remembered = in_head_store(node, HeadStore::withdrawn).await?;
    let (mut revived, mut unknown) = (Vec::new(), HashSet::new());
    for some in remembered.chunks(AT_ONCE as usize) {
        let some = some.to_vec();
        let look = node.store.read("remembered_withdrawals", move |tx| Box::pin(async move { lost(tx, &some).await }));
        let lost = look.await?;
        revived.extend(lost.revived);
        unknown.extend(lost.unknown);
    }
    // The next start looks again; until then what is known now is enough.
    let _ = node.withdrawn_and_lost.set(unknown);
    if !revived.is_empty() {
        // A withdrawal waits for leases that run, and those of the last run nobody else ends while the node starts. Where there is
        // nothing to withdraw nothing is written, so that a start waits for nobody who writes.
        end_leases(node).await?;
    }
    for &consent_id in &revived {
        let (on_behalf_of, actor) = (String::new(), String::new());
        withdraw(node, WithdrawConsent { consent_id, scope: Scope::default(), on_behalf_of, actor, trace: None })
            .await?;
    }
    if !revived.is_empty() {
        tracing::error!(
            consents = revived.len(),
            "the database was restored: consents withdrawn since are withdrawn again"
        );
    }
    Ok(revived.len())
}

/// Consents of which a withdrawal is missing in the database.
struct Lost {
    /// In force here.
    revived: Vec<Id>,
    /// Missing themselves: recorded and withdrawn since the backup.
    unknown: Vec<Id>,
}

async fn lost(tx: &mut Tx, remembered: &[RememberedWithdrawal]) -> Result<Lost, StoreError> {
    let ids: Vec<Id> = remembered.iter().map(|withdrawal| withdrawal.consent_id).collect();
    let known = withdrawal::of_consents(tx, &ids).await?;
    let is_known = |one: &RememberedWithdrawal| known.iter().any(|row| row.withdrawal_id == one.withdrawal_id);
    let mut missing: Vec<Id> = remembered.iter().filter(|one| !is_known(one)).map(|one| one.consent_id).collect();
    missing.sort_unstable();
    missing.dedup();
    let heads = consent::heads(tx, &missing).await?;
    let unknown = missing.into_iter().filter(|id| heads.iter().all(|head| head.consent_id != *id)).collect();
    let in_force = heads.into_iter().filter(|head| head.state == ConsentState::Given);
    Ok(Lost { revived: in_force.map(|head| head.consent_id).collect(), unknown })
}

/// Works in the head store, whose disk may make wait.
async fn in_head_store<T: Send + 'static>(
    node: &Node,
    work: impl FnOnce(&HeadStore) -> Result<T, HeadError> + Send + 'static,
) -> Result<T, Failure> {
    let head = node.head.clone();
    let failed = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, "withdrawals cannot be remembered in the head store");
        let message = "the head store's folder cannot be used: what was withdrawn is not released any more, but the withdrawal \
                       is not answered before it is remembered there; repair the folder and repeat it";
        Failure::new(ErrorKind::Unavailable, Reason::Unavailable, message)
    };
    match spawn_blocking(move || work(&head)).await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}
