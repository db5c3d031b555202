//! Returns sealed documents that log entries name, exactly as they were signed. They name agencies and nobody else.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::seal::Seal;
use lotse_store::batch::BatchSeals;
use lotse_store::{Store, StoreError, agreement, batch, card};

use crate::federation::sealed;

/// The most documents that are returned at once.
pub const MAX_DOCUMENTS: usize = 64;

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Batches that this node sent.
    pub batches: Vec<Id>,
    /// Versions of agreements.
    pub agreements: Vec<Digest>,
    /// Agencies whose newest card is wanted.
    pub agencies: Vec<AgencyId>,
}

/// What there is of it.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// Seals of batches and their receipts, encoded.
    pub batches: Vec<BatchSeals>,
    /// Agreements with all signatures that are here.
    pub agreements: Vec<Seal>,
    /// Cards, encoded.
    pub cards: Vec<Vec<u8>>,
}

/// Returns those of the wanted documents that are here.
pub async fn get_seals(store: &Store, wanted: Wanted) -> Result<Documents, StoreError> {
    let read = store.read("get_seals", move |tx| {
        Box::pin(async move {
            let rows = agreement::find(tx, &wanted.agreements).await?;
            let agreements = sealed(rows, agreement::seals_of(tx, &wanted.agreements).await?)?;
            Ok(Documents {
                batches: batch::seals(tx, &wanted.batches).await?,
                agreements: agreements.into_values().map(|seal| Seal::clone(&seal)).collect(),
                cards: card::find(tx, &wanted.agencies).await?.into_iter().map(|card| card.seal).collect(),
            })
        })
    });
    read.await
}
