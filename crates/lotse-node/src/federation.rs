//! The federation as this node knows it: own card, accepted peers, agreements. Read by every decision, changed rarely.
//!
//! A copy is kept in memory. Every transaction that decides takes [`Counter::Federation`] along and compares it with the copy's
//! version, so that a decision is never made on an old one.

use std::collections::BTreeMap;
use std::sync::Arc;

use lotse_core::agreement::KnownAgreement;
use lotse_core::card::KnownCard;
use lotse_core::id::AgencyId;

/// An accepted peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its last good card.
    pub card: KnownCard,
    /// Whether releases to it are suspended here.
    pub suspended: bool,
    /// Its generation as last known.
    pub generation: u32,
}

/// What the node knows of the federation at one version.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    /// Value of the counter at which it was read.
    pub version: u64,
    /// The own card, once one is installed.
    pub own: Option<KnownCard>,
    /// Accepted peers.
    pub peers: BTreeMap<AgencyId, Peer>,
    /// Versions of agreements.
    pub agreements: Vec<KnownAgreement>,
}

/// The copy in memory.
#[derive(Default)]
pub struct FederationCache(arc_swap::ArcSwap<Federation>);

impl FederationCache {
    /// Returns the copy.
    pub fn get(&self) -> Arc<Federation> {
        self.0.load_full()
    }

    /// Replaces the copy, unless a newer one is already there.
    pub fn put(&self, federation: Arc<Federation>) {
        self.0.rcu(|present| if present.version > federation.version { present.clone() } else { federation.clone() });
    }
}
