//! Reads the federation from its rows. Whatever is stored was verified when it came; rows that do not parse mean that the
//! database was changed by someone else, and nothing is decided on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lotse_core::agreement::KnownAgreement;
use lotse_core::card::KnownCard;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::seal::{DocumentType, Seal, Signature};
use lotse_store::agreement::{StoredAgreement, StoredSeal};
use lotse_store::card::StoredCard;
use lotse_store::counter::{self, Counter};
use lotse_store::peer::StoredPeer;
use lotse_store::{StoreError, Tx};

use super::{Federation, Offer, Peer};
use crate::failure::Failure;
use crate::node::Node;
use crate::wire;

const UNREADABLE_CARD: StoreError = StoreError::Value("a stored card cannot be read");
const UNREADABLE_AGREEMENT: StoreError = StoreError::Value("a stored agreement cannot be read");

impl Federation {
    /// Reads the federation as of this transaction.
    pub async fn load(tx: &mut Tx, own: &AgencyId) -> Result<Federation, StoreError> {
        let version = counter::read(tx, &Counter::Federation).await?;
        let mut cards = cards(lotse_store::card::all(tx).await?)?;
        let peers = lotse_store::peer::all(tx).await?;
        let agreements = lotse_store::agreement::all(tx).await?;
        let seals = lotse_store::agreement::all_seals(tx).await?;
        let suspended: BTreeSet<Id> = lotse_store::agreement::suspended(tx).await?.into_iter().collect();
        let (own, own_seal) = cards.remove(own).map(|(card, seal)| (card, Arc::new(seal))).unzip();
        let peers = peers.into_iter().map(|row| {
            let (card, _) = cards.remove(&row.agency).ok_or(UNREADABLE_CARD)?;
            let stopped = row.stopped_at.is_some();
            let StoredPeer { suspended, generation, named, .. } = row;
            Ok::<_, StoreError>((row.agency, Peer { card, suspended, generation, stopped, named }))
        });
        Ok(Federation {
            version,
            own,
            own_seal,
            peers: peers.collect::<Result<_, _>>()?,
            agreements: agreements.iter().map(|row| known(row, &suspended)).collect::<Result<_, _>>()?,
            offers: agreements.iter().filter_map(offer).collect(),
            seals: sealed(agreements, seals)?,
        })
    }
}

/// Returns the node's copy if it is as this transaction finds it stored, and what is stored otherwise. The copy is replaced after the
/// commit alone ([`super::FederationCache::keep`]).
pub(crate) async fn stored(tx: &mut Tx, node: &Node) -> Result<Arc<Federation>, StoreError> {
    let (copy, version) = (node.federation.get(), counter::read(tx, &Counter::Federation).await?);
    if version == copy.version { Ok(copy) } else { Federation::load(tx, &node.agency).await.map(Arc::new) }
}

/// Reads the federation anew and puts it into the node's copy: at start, and after a commit that was left in doubt.
pub async fn refresh(node: &Node) -> Result<Arc<Federation>, Failure> {
    let own = node.agency.clone();
    let load = node.store.read("load_federation", move |tx| Box::pin(async move { Federation::load(tx, &own).await }));
    let federation = Arc::new(load.await?);
    node.federation.put(federation.clone());
    Ok(federation)
}

fn cards(rows: Vec<StoredCard>) -> Result<BTreeMap<AgencyId, (KnownCard, Seal)>, StoreError> {
    let read = |row: StoredCard| {
        let seal = wire::seal::decode(&row.seal).ok_or(UNREADABLE_CARD)?;
        let card = wire::card::parse(&seal.payload).map_err(|_| UNREADABLE_CARD)?;
        Ok((row.agency, (KnownCard { card, digest: row.digest }, seal)))
    };
    rows.into_iter().map(read).collect()
}

fn known(row: &StoredAgreement, suspended: &BTreeSet<Id>) -> Result<KnownAgreement, StoreError> {
    let agreement = wire::agreement::parse_stored(&row.payload).map_err(|_| UNREADABLE_AGREEMENT)?;
    Ok(KnownAgreement {
        agreement: Arc::new(agreement),
        completed_at: row.completed_at,
        suspended: suspended.contains(&row.agreement_id),
    })
}

fn offer(row: &StoredAgreement) -> Option<(Digest, Offer)> {
    Some((row.digest, Offer { peer: row.offered_by.clone()?, at: row.offered_at }))
}

/// Puts agreements' sealed bytes and their signatures together, by digest.
pub(crate) fn sealed(
    rows: Vec<StoredAgreement>,
    seals: Vec<StoredSeal>,
) -> Result<BTreeMap<Digest, Arc<Seal>>, StoreError> {
    let mut signatures: BTreeMap<Digest, Vec<Signature>> = BTreeMap::new();
    for seal in seals {
        let signature = wire::seal::decode_signature(&seal.signature).ok_or(UNREADABLE_AGREEMENT)?;
        let signature = Signature { agency: Some(seal.agency), ..signature };
        signatures.entry(seal.digest).or_default().push(signature);
    }
    let seal = |row: StoredAgreement| {
        let signatures = signatures.remove(&row.digest).unwrap_or_default();
        (row.digest, Arc::new(Seal { document_type: DocumentType::Agreement, payload: row.payload, signatures }))
    };
    Ok(rows.into_iter().map(seal).collect())
}
