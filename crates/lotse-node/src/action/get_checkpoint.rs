//! Returns the newest signed head.

use lotse_core::id::AgencyId;
use lotse_core::key::PublicKey;
use lotse_core::log::checkpoint::Origin;
use lotse_store::{Store, StoreError, log};

/// The newest head and what verifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHead {
    /// Signed note (C2SP tlog-checkpoint); nothing before the first.
    pub checkpoint: Option<String>,
    /// The log's verifier key (C2SP signed-note vkey).
    pub verifier_key: String,
}

/// Returns the newest head of a generation's log.
pub async fn get_checkpoint(
    store: &Store,
    agency: &AgencyId,
    key: PublicKey,
    generation: u32,
) -> Result<PublishedHead, StoreError> {
    let newest = store.read("get_checkpoint", move |tx| Box::pin(log::newest_checkpoint(tx, generation))).await?;
    let origin = Origin { agency: agency.clone(), generation };
    let verifier_key = origin.verifier_key(key).to_string();
    Ok(PublishedHead { checkpoint: newest.map(|newest| newest.note), verifier_key })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequencer::tests::TestLog;

    #[tokio::test]
    async fn the_newest_head_comes_with_the_key_that_verifies_it() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let open = log.open().await;
        let head = get_checkpoint(&open.store, &log.agency, log.key.public(), 1).await.unwrap();
        let verifier = signed_note::StandardVerifier::new(&head.verifier_key).unwrap();
        let note = signed_note::Note::from_bytes(head.checkpoint.unwrap().as_bytes()).unwrap();
        note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).unwrap();
        let none = get_checkpoint(&open.store, &log.agency, log.key.public(), 2).await.unwrap();
        assert_eq!(none.checkpoint, None);
    }
}
