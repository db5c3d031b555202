//! The copy of the federation in memory, and what follows it: whose certificates count, and who waits for a change.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use lotse_core::id::AgencyId;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use super::{Federation, Peer, PeerBudgets, Throttle};
use crate::tls::{Bundle, TrustStore};

/// The copy in memory.
#[derive(Default)]
pub struct FederationCache {
    copy: ArcSwap<Federation>,
    /// Held while the copy is replaced, so that trust and version follow the same order.
    replacing: Mutex<()>,
    version: watch::Sender<u64>,
    trust: Arc<TrustStore>,
    /// Refusals that were logged lately.
    pub refusals: Throttle,
    /// What peers have added to the disk lately.
    pub budgets: PeerBudgets,
}

impl FederationCache {
    /// Returns the copy.
    pub fn get(&self) -> Arc<Federation> {
        self.copy.load_full()
    }

    /// Replaces the copy, unless a newer one is already there. From then on the bundles of the peers' cards decide whose
    /// certificates count.
    pub fn put(&self, federation: Arc<Federation>) {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.copy.load_full();
        if present.version > federation.version {
            return;
        }
        self.trust.set_all(changed_bundles(&present, &federation));
        let version = federation.version;
        self.copy.store(federation);
        self.version.send_replace(version);
    }

    /// Replaces the copy by what a transaction has read, after its commit, if that is newer.
    pub fn keep(&self, federation: &Arc<Federation>) {
        if federation.version > self.copy.load().version {
            self.put(federation.clone());
        }
    }

    /// Returns whose certificates count: the bundles of the peers' cards. The own bundle comes from the certificate files
    /// (`tls::Credentials::load` puts it here).
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.trust
    }

    /// Returns what tells of each new version.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

/// Reads a card's CA certificates. None if one of them is no authority's.
pub(crate) fn bundle(certificates: &[Vec<u8>]) -> Option<Bundle> {
    let anchors: Vec<_> = certificates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    Bundle::new(&anchors, &[]).ok()
}

/// Reads the bundles that are new or other than before. Cards with an unreadable one are never taken, so nothing is left out.
fn changed_bundles(present: &Federation, next: &Federation) -> Vec<(AgencyId, Bundle)> {
    let other = |(agency, peer): &(&AgencyId, &Peer)| {
        let before = present.peers.get(*agency).map(|peer| &peer.card.card.trust_bundle);
        before != Some(&peer.card.card.trust_bundle)
    };
    let read = |(agency, peer): (&AgencyId, &Peer)| Some((agency.clone(), bundle(&peer.card.card.trust_bundle)?));
    next.peers.iter().filter(other).filter_map(read).collect()
}
