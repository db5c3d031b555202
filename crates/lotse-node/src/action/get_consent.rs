//! Reads a consent, where it stands, and what was withdrawn.

use std::collections::HashMap;
use std::sync::Arc;

use lotse_core::consent::ConsentState;
use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_store::consent::{self, Stored};
use lotse_store::withdrawal::{self, Withdrawal};
use lotse_store::{StoreError, Tx};

use super::record_consent::{SECRET_BYTES, place};
use crate::failure::Failure;
use crate::node::Node;

/// A consent as the agency's own systems see it. Has no `Debug`: it names the subject.
#[derive(Clone)]
pub struct FoundConsent {
    /// Consent.
    pub id: Id,
    /// Where it stands.
    pub state: ConsentState,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Encoded `lotse.record.v1.Consent` as it was given.
    pub bytes: Vec<u8>,
    /// What was withdrawn, oldest first.
    pub withdrawals: Vec<Withdrawal>,
}

/// Finds a consent by its id.
pub async fn get_consent(node: &Arc<Node>, consent_id: Id) -> Result<FoundConsent, Failure> {
    let found = node
        .store
        .read("get_consent", move |tx| {
            Box::pin(async move {
                let stored = consent::find(tx, consent_id).await?.into_iter().collect();
                with_withdrawals(tx, stored).await
            })
        })
        .await?;
    open(node, found)?.pop().ok_or_else(Failure::not_found)
}

/// A stored consent and its withdrawals.
pub(super) type Raw = (Stored, Vec<Withdrawal>);

/// Reads the withdrawals of consents.
pub(super) async fn with_withdrawals(tx: &mut Tx, stored: Vec<Stored>) -> Result<Vec<Raw>, StoreError> {
    let ids: Vec<Id> = stored.iter().map(|stored| stored.consent_id).collect();
    let mut withdrawals: HashMap<Id, Vec<Withdrawal>> = HashMap::new();
    for withdrawal in withdrawal::of_consents(tx, &ids).await? {
        withdrawals.entry(withdrawal.consent_id).or_default().push(withdrawal);
    }
    let raw = |stored: Stored| {
        let withdrawals = withdrawals.remove(&stored.consent_id).unwrap_or_default();
        (stored, withdrawals)
    };
    Ok(stored.into_iter().map(raw).collect())
}

/// Decrypts consents.
pub(super) fn open(node: &Node, found: Vec<Raw>) -> Result<Vec<FoundConsent>, StoreError> {
    let open_one = |(stored, withdrawals): Raw| {
        let mut content = node.vault.open(place(&stored.consent_id), &stored.content)?;
        if content.len() < SECRET_BYTES {
            return Err(StoreError::Value("content of a consent"));
        }
        Ok(FoundConsent {
            id: stored.consent_id,
            state: stored.state,
            expires_at: stored.expires_at,
            recorded_at: stored.recorded_at,
            bytes: content.split_off(SECRET_BYTES),
            withdrawals,
        })
    };
    found.into_iter().map(open_one).collect()
}
