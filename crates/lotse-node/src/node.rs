//! The node: what all actions share.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use lotse_core::card::{Card, KeyUse};
use lotse_core::id::{AgencyId, Id};
use lotse_core::key::{PublicKey, SigningKey};
use lotse_core::random::Random;
use lotse_core::time::{Clock, Timestamp};
use lotse_store::Store;
use lotse_store::vault::Vault;

use crate::config::Config;
use crate::edge::PortCounts;
use crate::federation::FederationCache;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::hold::{ClockDoubt, Holds, ProvenTime};
use crate::instance::Instances;
use crate::key_file::NodeKeyFile;
use crate::latest::LatestReferrals;
use crate::link::Links;
use crate::numbers::NumbersAtStart;
use crate::pause::Pauses;
use crate::recent::RecentDeliveries;
use crate::session::Sessions;
use crate::signal::Signals;
use crate::telemetry::Telemetry;
use crate::tls::Credentials;
use crate::trouble::{OwnWork, Troubles};

/// The keys that a node signs with.
pub struct NodeKeys {
    /// Seals batches, receipts and agreements.
    pub sealing: SigningKey,
    /// Signs checkpoints of the own log.
    pub log: SigningKey,
    /// Cosigns other agencies' checkpoints.
    pub witness: SigningKey,
}

impl From<NodeKeyFile> for NodeKeys {
    fn from(file: NodeKeyFile) -> NodeKeys {
        NodeKeys { sealing: file.sealing.key, log: file.log.key, witness: file.witness.key }
    }
}

impl NodeKeys {
    /// Returns the keys, with use and name, whose signatures do not count by a card at a time: others refuse what they sign.
    pub fn not_counting(&self, card: &Card, at: Timestamp) -> Vec<(KeyUse, &'static str, PublicKey)> {
        let keys = [
            (KeyUse::Sealing, "sealing", self.sealing.public()),
            (KeyUse::Log, "log", self.log.public()),
            (KeyUse::Witness, "witness", self.witness.public()),
        ];
        keys.into_iter().filter(|(key_use, _, key)| !card.keys_at(*key_use, at).contains(key)).collect()
    }
}

/// What all actions share.
pub struct Node {
    /// This agency.
    pub agency: AgencyId,
    /// Generation of this node.
    pub generation: u32,
    /// Time of the backup to which the node was last restored.
    pub restore_point: Option<Timestamp>,
    /// Folder in which the node lies.
    pub folder: Folder,
    /// Configuration.
    pub config: Config,
    /// The own certificates, once they are loaded.
    pub credentials: OnceLock<Arc<Credentials>>,
    /// Database.
    pub store: Store,
    /// What lies outside the database, so that a restore of it shows.
    pub head: Arc<HeadStore>,
    /// Consents that were withdrawn here and are not in the database: it was put back from a backup. Nobody records them again.
    pub withdrawn_and_lost: OnceLock<HashSet<Id>>,
    /// Encryption at rest.
    pub vault: Arc<Vault>,
    /// Signing keys.
    pub keys: NodeKeys,
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Random source.
    pub random: Arc<dyn Random>,
    /// The federation as this node knows it.
    pub federation: FederationCache,
    /// What stops releases.
    pub holds: Holds,
    /// The numbers that the node had given when it started.
    pub numbers: NumbersAtStart,
    /// This run, and the runs of peers.
    pub instances: Instances,
    /// What is known of the connections to peers.
    pub links: Links,
    /// What happened at the ports.
    pub ports: PortCounts,
    /// What peers do not take for now.
    pub pauses: Pauses,
    /// What was delivered in the last moments.
    pub recent: RecentDeliveries,
    /// The newest referrals that were handed over here, by subject and recipient.
    pub latest_sent: LatestReferrals,
    /// The newest referrals that are held here, by the owner's reference of the subject and the owner.
    pub latest_held: LatestReferrals,
    /// Who may look at the pages without a certificate.
    pub sessions: Sessions,
    /// Who waits for what.
    pub signals: Signals,
    /// Works of the node itself that fail at present.
    pub troubles: Troubles,
    /// Where traces and metrics go.
    pub telemetry: Telemetry,
}

impl Node {
    /// Returns the present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Notes what came of a work that the node does by itself.
    pub fn note_work<E: std::fmt::Display>(&self, work: OwnWork, outcome: Result<(), E>) {
        self.troubles.note(work, outcome.map_err(|error| error.to_string()), self.now());
    }

    /// Looks at the clock and notices when somebody has set it.
    pub fn observe_clock(&self) {
        self.holds.observe(self.clock.reading());
    }

    /// Returns the present time for what cannot be undone: to end, expire or destroy what has become old. None while the clock may
    /// run ahead: it waits then.
    pub fn proven_now(&self) -> Option<ProvenTime> {
        self.holds.prove(self.clock.reading())
    }

    /// Tells whether the clock jumped ahead: nothing is signed or written then that others would keep with a wrong time.
    pub fn clock_jumped_ahead(&self) -> bool {
        self.observe_clock();
        self.holds.clock_doubt() == Some(ClockDoubt::JumpedAhead)
    }

    /// Takes a call of a peer as a hint that it can be reached: what failed is tried again at once.
    pub fn called_by(&self, peer: &AgencyId) {
        if self.links.get(peer).is_failing() {
            self.signals.reachable(peer).notify_waiters();
        }
    }

    /// Takes what came from a peer as a hint that it may take again what it did not take before.
    pub fn heard_from(&self, peer: &AgencyId) {
        if self.pauses.of(peer).any() {
            self.pauses.hint(peer, self.now());
            self.signals.due(peer).notify_one();
        }
    }
}
