//! The federation as this node knows it: own card, accepted peers, agreements. Read by every decision, changed rarely.
//!
//! A copy is kept in memory. Every transaction that decides takes [`lotse_store::counter::Counter::Federation`] along and
//! compares it with the copy's version, so that a decision is never made on an old one.

mod admit;
mod budget;
mod cache;
mod change;
mod load;
mod near;
mod offer;
mod throttle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lotse_core::agreement::successor::sealers;
use lotse_core::agreement::{Agreement, KnownAgreement};
use lotse_core::card::{Card, KnownCard};
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::numbers::HighestNumbers;
use lotse_core::seal::Seal;

pub(crate) use admit::{admit, count_seals, is_complete};
pub use budget::{Added, DailyLimits, PeerBudgets};
pub use cache::FederationCache;
pub(crate) use cache::bundle;
pub use change::Act;
pub(crate) use change::{Change, Write, change};
pub use load::refresh;
pub(crate) use load::{sealed, stored};
pub use offer::Offer;
pub(crate) use offer::make_room;
pub use throttle::Throttle;

/// An accepted peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its last good card.
    pub card: KnownCard,
    /// Whether releases to it are suspended here.
    pub suspended: bool,
    /// Its generation as last known.
    pub generation: u32,
    /// Whether the exchange with it is stopped, as it has seen later numbers of this node than the node knows.
    pub stopped: bool,
    /// Highest numbers of this node that it had named when it was stopped last.
    pub named: HighestNumbers,
}

/// What the node knows of the federation at one version.
#[derive(Clone, Debug, Default)]
pub struct Federation {
    /// Value of the counter at which it was read.
    pub version: u64,
    /// The own card, once one is installed.
    pub own: Option<KnownCard>,
    /// The seal of the own card, as it is shown to others.
    pub own_seal: Option<Arc<Seal>>,
    /// Accepted peers.
    pub peers: BTreeMap<AgencyId, Peer>,
    /// Versions of agreements.
    pub agreements: Vec<KnownAgreement>,
    /// How versions came that peers have offered, by digest.
    pub offers: BTreeMap<Digest, Offer>,
    /// Their seals, by digest: the exact bytes, and one verified signature of each agency that has sealed.
    pub seals: BTreeMap<Digest, Arc<Seal>>,
}

impl Federation {
    /// Finds a version of an agreement by the digest of its sealed bytes.
    pub fn by_digest(&self, digest: &Digest) -> Option<&KnownAgreement> {
        self.agreements.iter().find(|known| known.agreement.digest == *digest)
    }

    /// Finds a version of an agreement.
    pub fn version_of(&self, id: Id, version: u32) -> Option<&KnownAgreement> {
        self.agreements.iter().find(|known| known.agreement.id == id && known.agreement.version == version)
    }

    /// Finds an agency's card, the own one included.
    pub fn card(&self, agency: &AgencyId) -> Option<&Card> {
        let own = self.own.as_ref().map(|known| &known.card).filter(|card| card.agency == *agency);
        own.or_else(|| self.peers.get(agency).map(|peer| &peer.card.card))
    }

    /// Returns the version that came before one: the highest complete one below it.
    pub fn predecessor(&self, next: &Agreement) -> Option<&Agreement> {
        let before = |known: &&KnownAgreement| {
            known.completed_at.is_some() && known.agreement.id == next.id && known.agreement.version < next.version
        };
        let before = self.agreements.iter().filter(before).max_by_key(|known| known.agreement.version);
        before.map(|known| known.agreement.as_ref())
    }

    /// Returns the agencies whose seals a version needs.
    pub fn sealers(&self, agreement: &Agreement) -> BTreeSet<AgencyId> {
        sealers(self.predecessor(agreement), agreement)
    }

    /// Returns the agencies that have sealed a version.
    pub fn sealed_by(&self, digest: &Digest) -> BTreeSet<AgencyId> {
        let signatures = self.seals.get(digest).map(|seal| seal.signatures.as_slice()).unwrap_or_default();
        signatures.iter().filter_map(|signature| signature.agency.clone()).collect()
    }
}
