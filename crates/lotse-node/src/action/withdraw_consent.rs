//! Withdraws a consent, whole or in part, in two commits.
//!
//! The first narrows what every decision reads: no claim after it sees the old coverage. Between the two, outside any
//! transaction, what was claimed before is waited for: until it is answered, taken back, or its lease is over. Then the head store
//! remembers the withdrawal, so that no restore of the database undoes it. The second commit makes it effective, and destroys what was
//! withdrawn of the content here. Only then is it answered, and no transmission of the old bytes starts after that.

mod content;
mod effect;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use lotse_core::consent::{ConsentState, Withdrawn};
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_store::consent::{self, Head, Recipient};
use lotse_store::withdrawal::{self, Scope, Withdrawal, WithdrawnBy};
use lotse_store::{StoreError, Tx, register};

pub(in crate::action) use self::effect::{carriers, take_effect};
use crate::action::wait_for_leases::{leases_end, wait_for};
use crate::entry::{self, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::head_store::RememberedWithdrawal;
use crate::node::Node;
use crate::telemetry::trace::TraceId;
use crate::wire::field::Findings;

pub use self::remembered::withdraw_remembered;

/// Pending withdrawals that are finished in one commit.
const AT_ONCE: u32 = 256;

/// How long a withdrawal may be pending before it is finished without its caller: longer than leases run and the head store takes.
const OVERDUE: Duration = Duration::from_secs(30);

/// A withdrawal that a system hands over.
#[derive(Clone, Debug)]
pub struct WithdrawConsent {
    /// Consent.
    pub consent_id: Id,
    /// What is withdrawn.
    pub scope: Scope,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// Identity of the caller.
    pub actor: String,
    /// Trace of the call, if it has one; it stays in the own log.
    pub trace: Option<TraceId>,
}

/// What a withdrawal did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Where the consent stands now.
    pub state: ConsentState,
    /// Envelopes released before it that the recipients hold, or may hold.
    pub envelopes_out: u64,
}

/// Withdraws a consent and answers when it is effective. Twice has one effect. A caller that goes away does not stop it.
///
/// # Errors
/// `NOT_FOUND`, `FIELD_INVALID` for a scope that does not fit the consent. `UNAVAILABLE`: it may be pending; repeat it.
pub async fn withdraw_consent(node: &Arc<Node>, request: WithdrawConsent) -> Result<Outcome, Failure> {
    let node = node.clone();
    let task = tokio::spawn(async move { withdraw(&node, request).await });
    task.await.unwrap_or_else(|_| {
        let message = "the withdrawal may be pending: repeat it";
        Err(Failure::new(ErrorKind::Fault, Reason::Unavailable, message))
    })
}

/// Finishes withdrawals that are pending: what the last run left behind, or all of them. Only while nobody withdraws: once at a start.
pub async fn finish_pending(node: &Arc<Node>) -> Result<usize, Failure> {
    let mut finished = 0;
    loop {
        match finish_some(node, Timestamp::from_micros(i64::MAX)).await? {
            0 => return Ok(finished),
            some => finished += some,
        }
    }
}

/// Finishes some withdrawals that have been pending for so long that their callers do not finish them any more.
pub async fn finish_overdue(node: &Arc<Node>) -> Result<usize, Failure> {
    finish_some(node, node.now().minus(OVERDUE)).await
}

async fn finish_some(node: &Arc<Node>, arrived_by: Timestamp) -> Result<usize, Failure> {
    let (pending, carriers) = node
        .store
        .read("pending_withdrawals", move |tx| {
            Box::pin(async move {
                let pending = withdrawal::pending(tx, arrived_by, AT_ONCE).await?;
                let consents: Vec<Id> = pending.iter().map(|withdrawal| withdrawal.consent_id).collect();
                let carriers = carriers(tx, &consents).await?;
                Ok((pending, carriers))
            })
        })
        .await?;
    if pending.is_empty() {
        return Ok(0);
    }
    wait_for(node, carriers, leases_end()).await?;
    let remembered =
        |row: &Withdrawal| RememberedWithdrawal { consent_id: row.consent_id, withdrawal_id: row.withdrawal_id };
    let pending: Vec<RememberedWithdrawal> = pending.iter().map(remembered).collect();
    let count = pending.len();
    take_each_effect(node, pending).await?;
    Ok(count)
}

/// Makes pending withdrawals effective together, or each alone if that fails: one of them holds up no other. Returns the first failure.
async fn take_each_effect(node: &Arc<Node>, pending: Vec<RememberedWithdrawal>) -> Result<(), Failure> {
    let together = take_effect(node, pending.clone()).await;
    if together.is_ok() || pending.len() == 1 {
        return together;
    }
    let mut first = Ok(());
    for one in pending {
        let alone = take_effect(node, vec![one]).await;
        first = first.and(alone);
    }
    first
}

async fn withdraw(node: &Arc<Node>, request: WithdrawConsent) -> Result<Outcome, Failure> {
    let (at, shared, asked) = (node.now(), node.clone(), request.clone());
    let withdrawal_id = Id::new(at, node.random.as_ref());
    let arrival = node
        .store
        .transact("withdraw_consent", move |tx| {
            let (node, asked) = (shared.clone(), asked.clone());
            Box::pin(async move { arrive(tx, &node, &asked, withdrawal_id, at).await })
        })
        .await?;
    match arrival {
        Arrival::Unknown => return Err(Failure::not_found()),
        Arrival::Unfit(failure) => return Err(failure),
        Arrival::Settled => {}
        Arrival::Pending { withdrawals, carriers } => {
            node.signals.log.notify_one();
            wait_for(node, carriers, leases_end()).await?;
            let remembered = |withdrawal_id| RememberedWithdrawal { consent_id: request.consent_id, withdrawal_id };
            take_effect(node, withdrawals.into_iter().map(remembered).collect()).await?;
        }
    }
    outcome(node, request.consent_id).await
}

fn withdrawn_by(request: &WithdrawConsent) -> WithdrawnBy {
    let trace_id = request.trace.map(|trace| trace.as_bytes().to_vec());
    WithdrawnBy { actor: request.actor.clone(), on_behalf_of: request.on_behalf_of.clone(), trace_id }
}

async fn outcome(node: &Node, consent_id: Id) -> Result<Outcome, Failure> {
    let (head, envelopes_out) = node
        .store
        .read("withdrawal_outcome", move |tx| {
            Box::pin(async move {
                let head = consent::heads(tx, &[consent_id]).await?.pop();
                Ok((head, register::out_under_consent(tx, consent_id).await?))
            })
        })
        .await?;
    let state = head.ok_or_else(Failure::not_found)?.state;
    Ok(Outcome { state, envelopes_out })
}

/// What the first commit found.
enum Arrival {
    /// There is no such consent.
    Unknown,
    /// The scope does not fit the consent.
    Unfit(Failure),
    /// Nothing to do: it was withdrawn before, or nothing was ever given.
    Settled,
    /// These withdrawals of the consent wait for these batches.
    Pending { withdrawals: Vec<Id>, carriers: Vec<Id> },
}

async fn arrive(
    tx: &mut Tx,
    node: &Node,
    asked: &WithdrawConsent,
    withdrawal_id: Id,
    at: Timestamp,
) -> Result<Arrival, StoreError> {
    let Some(head) = consent::heads(tx, &[asked.consent_id]).await?.pop() else { return Ok(Arrival::Unknown) };
    if head.state == ConsentState::Refused {
        return Ok(Arrival::Settled);
    }
    let recipients = consent::recipients(tx, &[asked.consent_id]).await?;
    if let Err(failure) = fit(&asked.scope, &head, &recipients) {
        return Ok(Arrival::Unfit(failure));
    }
    let narrowed: Vec<Recipient> = recipients.iter().filter_map(|old| narrow(old, &asked.scope, &head)).collect();
    if !narrowed.is_empty() {
        consent::narrow(tx, &narrowed).await?;
        let (consent_id, scope) = (asked.consent_id, asked.scope.clone());
        let by = withdrawn_by(asked);
        let arrived = Withdrawal { withdrawal_id, consent_id, scope, arrived_at: at, effective_at: None, by };
        withdrawal::insert(tx, &arrived).await?;
        let draft = |recipient| (EntryKind::WithdrawalArrived, draft(recipient, &asked.scope, &head, &arrived.by));
        entry::append(tx, node, narrowed.iter().map(draft).collect()).await?;
    }
    let all = withdrawal::of_consents(tx, &[asked.consent_id]).await?;
    let pending = all.iter().filter(|withdrawal| withdrawal.effective_at.is_none());
    let withdrawals: Vec<Id> = pending.map(|withdrawal| withdrawal.withdrawal_id).collect();
    if withdrawals.is_empty() {
        return Ok(Arrival::Settled);
    }
    let carriers = carriers(tx, &[asked.consent_id]).await?;
    Ok(Arrival::Pending { withdrawals, carriers })
}

/// A scope that matches nothing is a slip, and a slip must not look like a withdrawal.
fn fit(scope: &Scope, head: &Head, recipients: &[Recipient]) -> Result<(), Failure> {
    let mut findings = Findings::default();
    for (place, named) in scope.recipients.iter().enumerate() {
        if recipients.iter().all(|recipient| recipient.recipient != *named) {
            findings.invalid(&format!("scope.recipients[{place}]"), "the consent does not name this recipient");
        }
    }
    let covered = !scope.purposes.and(head.purposes).is_empty() || !scope.categories.and(head.categories).is_empty();
    if !scope.is_whole() && scope.recipients.is_empty() && !covered {
        findings.invalid("scope", "the consent covers nothing of this: to withdraw all of it leave the scope empty");
    }
    findings.finish(Some(()))
}

/// Adds the scope to what was withdrawn towards a recipient; none if it was all withdrawn before.
fn narrow(old: &Recipient, scope: &Scope, head: &Head) -> Option<Recipient> {
    let withdrawn = Withdrawn {
        whole: old.withdrawn.whole || scope.is_whole() || scope.recipients.contains(&old.recipient),
        purposes: old.withdrawn.purposes.or(scope.purposes.and(head.purposes)),
        categories: old.withdrawn.categories.or(scope.categories.and(head.categories)),
    };
    (withdrawn != old.withdrawn).then(|| Recipient { withdrawn, ..old.clone() })
}

/// Says towards whom what was withdrawn. A purpose is named where it is the only one; that a consent was replaced is its reason.
pub(in crate::action) fn draft(recipient: &Recipient, scope: &Scope, head: &Head, by: &WithdrawnBy) -> Draft {
    let all = scope.is_whole() || scope.recipients.contains(&recipient.recipient);
    let mut purposes = scope.purposes.iter();
    let only_purpose = purposes.next().filter(|_| !all && purposes.next().is_none());
    Draft {
        peer: Some(recipient.recipient.clone()),
        consent_ref: Some(recipient.consent_ref),
        purpose: only_purpose,
        categories: if all { head.categories } else { scope.categories.and(head.categories) },
        record_id: Some(recipient.consent_id),
        actor: by.actor.clone(),
        on_behalf_of: by.on_behalf_of.clone(),
        reasons: if head.state == ConsentState::Superseded { vec![Reason::ConsentSuperseded] } else { vec![] },
        ..Draft::of(by.trace_id.as_deref().and_then(TraceId::from_slice))
    }
}

#[cfg(test)]
pub(in crate::action) mod tests;
