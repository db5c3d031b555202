//! Lists referrals, newest first, without content.

use std::sync::Arc;

use lotse_core::purpose::Purposes;
use lotse_core::referral::ReferralState;
use lotse_store::custody::{self, Held};
use lotse_store::outbox::{self, Item, ReferralPage};

use crate::failure::Failure;
use crate::node::Node;

/// Most referrals of a page.
pub const MAX_PAGE: u32 = 500;

/// One page of referrals that this agency sent, and where the next one begins.
pub async fn list_sent(
    node: &Arc<Node>,
    purposes: Purposes,
    state: Option<ReferralState>,
    before: u64,
    limit: u32,
) -> Result<(Vec<Item>, Option<u64>), Failure> {
    let page = node
        .store
        .read_list("list referrals", move |tx| Box::pin(async move { outbox::list_referrals(tx, before, limit).await }))
        .await?;
    let next = next(&page, limit);
    let wanted =
        |item: &Item| purposes.contains(item.purpose) && state.is_none_or(|state| state == item.referral_state);
    Ok((page.found.rows.into_iter().filter(wanted).collect(), next))
}

/// One page of referrals that this agency received, and where the next one begins.
pub async fn list_received(
    node: &Arc<Node>,
    purposes: Purposes,
    state: Option<ReferralState>,
    before: u64,
    limit: u32,
) -> Result<(Vec<Held>, Option<u64>), Failure> {
    let now = node.now();
    let page = node
        .store
        .read_list("list referrals", move |tx| {
            Box::pin(async move { custody::list_referrals(tx, before, limit).await })
        })
        .await?;
    let next = next(&page, limit);
    let wanted = |held: &Held| {
        purposes.contains(held.purpose)
            && now < held.hold_until
            && state.is_none_or(|state| state == held.referral_state)
    };
    Ok((page.found.rows.into_iter().filter(wanted).collect(), next))
}

/// Returns where the next page begins, if this one is full: rows that cannot be read fill it too.
fn next<T>(page: &ReferralPage<T>, limit: u32) -> Option<u64> {
    let is_full = page.found.rows.len() + page.found.broken.len() == limit as usize;
    page.last_seq.filter(|&seq| is_full && seq > 1)
}
