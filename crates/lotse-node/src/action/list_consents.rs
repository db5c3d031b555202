//! Lists the consents of one subject, newest first.

use std::sync::Arc;

use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_store::consent;

use super::get_consent::{FoundConsent, open, with_withdrawals};
use super::subject::SubjectIds;
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::text::composed_text;

/// Consents of one page at most.
pub const MAX_PAGE: u32 = 500;

/// A place in the list: after the consent that was recorded then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// When the consent was recorded.
    pub recorded_at: Timestamp,
    /// The consent.
    pub consent_id: Id,
}

/// Lists consents of the subject with this reference, after a place; the place is given if there may be more. An unknown subject
/// has no consents.
pub async fn list_consents(
    node: &Arc<Node>,
    subject_reference: &str,
    after: Option<Place>,
    limit: u32,
) -> Result<(Vec<FoundConsent>, Option<Place>), Failure> {
    let ids = SubjectIds::new(&node.vault, &composed_text(subject_reference));
    let limit = limit.clamp(1, MAX_PAGE);
    let found = node
        .store
        .read_list("list_consents", move |tx| {
            Box::pin(async move {
                let before = after.map(|place| (place.recorded_at, place.consent_id));
                let subject = ids.read(tx).await?;
                let stored = consent::list(tx, subject, before, limit).await?;
                with_withdrawals(tx, stored).await
            })
        })
        .await?;
    let consents = open(node, found)?;
    let last = consents.last().filter(|_| consents.len() == limit as usize);
    let place = last.map(|consent| Place { recorded_at: consent.recorded_at, consent_id: consent.id });
    Ok((consents, place))
}
