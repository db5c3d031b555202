//! Confirms that a system has stored what it fetched. What every system of its purpose has confirmed loses its content here: row
//! and digest stay: a recall (level 2) must find what was held.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lotse_core::id::Id;
use lotse_store::import::{self, Imported};
use lotse_store::{StoreError, Tx, custody};

use crate::config::{Config, GrantedService};
use crate::failure::Failure;
use crate::node::Node;

/// Confirms tokens of a system; returns how many of them are its own.
pub async fn confirm_import(node: &Arc<Node>, system: &str, tokens: Vec<Id>) -> Result<u64, Failure> {
    let at = node.now();
    let job = Arc::new((node.clone(), system.to_string(), tokens));
    node.store
        .transact("confirm import", move |tx| {
            let job = job.clone();
            Box::pin(async move {
                let confirmed = import::confirm(tx, &job.1, &job.2, at).await?;
                let purged = if confirmed > 0 { purge(tx, &job.0.config, &job.2).await? } else { 0 };
                if purged > 0 {
                    // Here, not after the answer: a caller that has gone away does not stop the work.
                    job.0.signals.content_gone.store(true, Ordering::Release);
                }
                Ok(confirmed)
            })
        })
        .await
        .map_err(Failure::from)
}

async fn purge(tx: &mut Tx, config: &Config, tokens: &[Id]) -> Result<u64, StoreError> {
    let imported = import::imported(tx, tokens).await?;
    let done: Vec<Id> = imported.iter().filter(|copy| is_done(config, copy)).map(|copy| copy.envelope_id).collect();
    if done.is_empty() { Ok(0) } else { custody::purge(tx, &done).await }
}

/// Tells whether every system that may receive for this purpose has the copy. A system that is granted the purpose later is
/// waited for too, until `custody.payload_days`.
fn is_done(config: &Config, copy: &Imported) -> bool {
    let receives = |system: &&crate::config::SystemSection| {
        system.may_call(GrantedService::Inbox) && system.works_for(copy.purpose)
    };
    let mut receivers = config.systems.iter().filter(receives).peekable();
    receivers.peek().is_some() && receivers.all(|system| copy.systems.contains(&system.name))
}
