//! Nodes for the tests of actions: real SQLite in a temporary folder, a clock turned by hand, randomness from a seed, no
//! network. Cards are accepted and agreements sealed by direct calls.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lotse_core::agency::AgencyKind;
use lotse_core::agreement::text::template;
use lotse_core::agreement::{Agreement, Party};
use lotse_core::card::{Card, CardKey, KeyUse, USUAL_VALIDITY};
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::key::SigningKey;
use lotse_core::random::Random;
use lotse_core::seal::{DocumentType, Seal};
use lotse_core::time::{Calendar, Clock, DAY, Timestamp};
use lotse_store::testing::Database;
use lotse_store::vault::Vault;
use lotse_store::{Faults, Store, StoreOptions};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::action::{self, sign_agreement::ReadVersion};
use crate::commands::init::InitOptions;
use crate::config::Config;
use crate::failure::Failure;
use crate::federation::Act;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::hold::Holds;
use crate::instance::{InstanceId, Instances};
use crate::link::Links;
use crate::node::{Node, NodeKeys};
use crate::numbers::NumbersAtStart;
use crate::pki::Authority;
use crate::recent::RecentDeliveries;
use crate::signal::Signals;
use crate::wire;

/// The day on which tests begin.
pub(crate) const FIRST_DAY: &str = "2026-11-02T08:00:00Z";

/// A clock turned by hand. All nodes of a test share one, or each has its own.
pub(crate) struct ManualClock {
    wall_us: AtomicI64,
    uptime_us: AtomicU64,
}

impl ManualClock {
    pub(crate) fn new() -> Arc<ManualClock> {
        let first: Timestamp = FIRST_DAY.parse().unwrap();
        Arc::new(ManualClock { wall_us: AtomicI64::new(first.micros()), uptime_us: AtomicU64::new(0) })
    }

    /// Lets time pass.
    pub(crate) fn turn(&self, by: Duration) {
        self.jump(by);
        self.uptime_us.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }

    /// Sets the clock ahead, as a broken source of time does: no time passes.
    pub(crate) fn jump(&self, by: Duration) {
        self.wall_us.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }

    /// Sets the clock back: no time passes.
    pub(crate) fn turn_back(&self, by: Duration) {
        self.wall_us.fetch_sub(by.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.wall_us.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.uptime_us.load(Ordering::SeqCst))
    }
}

/// The options of `lotse init` for a Jobcenter with these systems, whose ports the operating system chooses.
pub(crate) fn init_options(systems: &[&str]) -> InitOptions {
    InitOptions {
        agency: "jc.example".parse().unwrap(),
        name: "Jobcenter".into(),
        kind: AgencyKind::JobcenterGe,
        peer_address: vec!["lotse.jc.example:8443".into()],
        listen_peer: "127.0.0.1:0".parse().unwrap(),
        listen_agency: "127.0.0.1:0".parse().unwrap(),
        listen_pages: None,
        system: systems.iter().map(|&system| system.into()).collect(),
        allow_loopback: false,
        database: None,
        existing_pki: None,
    }
}

/// Randomness from a seed: SHA-256 of seed and counter.
pub(crate) struct SeededRandom {
    seed: Digest,
    counter: AtomicU64,
}

impl SeededRandom {
    pub(crate) fn new(seed: &str) -> SeededRandom {
        SeededRandom { seed: Digest::of(seed.as_bytes()), counter: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(32) {
            let number = self.counter.fetch_add(1, Ordering::SeqCst).to_be_bytes();
            chunk.copy_from_slice(&Digest::concat(&[self.seed.as_bytes(), &number]).as_bytes()[..chunk.len()]);
        }
    }
}

/// A node and what only a test knows of it. It is used as a node: `Deref` gives the `Arc<Node>`.
pub(crate) struct TestNode {
    pub(crate) node: Arc<Node>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) root: SigningKey,
    pub(crate) kind: AgencyKind,
    pub(crate) trust_bundle: Vec<Vec<u8>>,
    pub(crate) database: Database,
    /// Plans failures of its commits.
    pub(crate) faults: Arc<Faults>,
    head_folder: TempDir,
}

impl std::ops::Deref for TestNode {
    type Target = Arc<Node>;

    fn deref(&self) -> &Arc<Node> {
        &self.node
    }
}

impl TestNode {
    /// A Jobcenter with its card installed.
    pub(crate) async fn new(agency: &str) -> TestNode {
        TestNode::with(agency, AgencyKind::JobcenterGe, ManualClock::new()).await
    }

    /// An agency of a kind, with its card installed.
    pub(crate) async fn with(agency: &str, kind: AgencyKind, clock: Arc<ManualClock>) -> TestNode {
        let test = TestNode::bare(agency, kind, clock).await;
        test.install(&test.card(1)).await;
        test
    }

    /// An agency without a card.
    pub(crate) async fn bare(agency: &str, kind: AgencyKind, clock: Arc<ManualClock>) -> TestNode {
        let (database, faults) = (Database::sqlite(), Arc::new(Faults::default()));
        let store = open(&database, &faults).await;
        let id: AgencyId = agency.parse().unwrap();
        let random = SeededRandom::new(agency);
        let authority = Authority::create(&id, clock.now(), &random).unwrap();
        let trust_bundle = vec![authority.certificate().to_vec()];
        let head_folder = tempfile::tempdir().unwrap();
        let node = Arc::new(node(id, kind, (store, head_folder.path()), clock.clone(), random));
        TestNode { node, clock, root: key(agency, "root"), kind, trust_bundle, database, faults, head_folder }
    }

    /// Returns whether a call that waits for leases is answered before it has looked at them three times more.
    pub(crate) async fn is_answered_after_looks<T>(&self, call: &JoinHandle<T>) -> bool {
        let looks = || self.store.counters().work("lease_wait").runs;
        let wanted = looks() + 3;
        while looks() < wanted && !call.is_finished() {
            tokio::task::yield_now().await;
        }
        call.is_finished()
    }

    /// The same node after a restart: another `Node` on the same database.
    pub(crate) async fn restart(self) -> TestNode {
        self.restart_after(|_| {}).await
    }

    /// Copies the files of the database, as a snapshot of the machine does.
    pub(crate) fn snapshot(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_files(self.folder(), copy.path());
        copy
    }

    /// The same node after a snapshot was put back.
    pub(crate) async fn put_back(self, snapshot: TempDir) -> TestNode {
        self.restart_after(|folder| {
            for file in folder.read_dir().unwrap().map(|file| file.unwrap().path()) {
                std::fs::remove_file(file).unwrap();
            }
            copy_files(snapshot.path(), folder);
        })
        .await
    }

    /// The same node after something happened to its stopped database.
    async fn restart_after(self, happen: impl FnOnce(&Path)) -> TestNode {
        let TestNode { node: old, clock, root, kind, trust_bundle, database, faults, head_folder } = self;
        let agency = old.agency.clone();
        old.store.clone().close().await;
        drop(old);
        happen(database.folder().unwrap());
        let store = open(&database, &faults).await;
        let random = SeededRandom::new(&format!("{agency} again {}", clock.now()));
        let mut node = node(agency, kind, (store, head_folder.path()), clock.clone(), random);
        let given = node.store.read("given", |tx| Box::pin(lotse_store::counter::all_given(tx, 1))).await.unwrap();
        node.numbers = NumbersAtStart::new(1, given);
        let node = Arc::new(node);
        crate::federation::refresh(&node).await.unwrap();
        TestNode { node, clock, root, kind, trust_bundle, database, faults, head_folder }
    }

    /// A good card of this node, not installed.
    pub(crate) fn card(&self, version: u64) -> Card {
        let now = self.clock.now();
        let keys = &self.node.keys;
        let with = |key_use, key: &SigningKey| CardKey {
            key_use,
            public_key: key.public(),
            not_before: now.minus(DAY),
            not_after: now.plus(USUAL_VALIDITY),
            revoked_at: None,
            compromised_since: None,
        };
        Card {
            agency: self.node.agency.clone(),
            version,
            valid_from: now.minus(Duration::from_secs(60)),
            valid_until: now.plus(USUAL_VALIDITY),
            endpoints: vec![format!("node.{}:7443", self.node.agency)],
            trust_bundle: self.trust_bundle.clone(),
            keys: vec![
                with(KeyUse::Sealing, &keys.sealing),
                with(KeyUse::Log, &keys.log),
                with(KeyUse::Witness, &keys.witness),
            ],
            schema_level: 1,
            generation: self.node.generation,
            root: self.root.public(),
            next_root: None,
            name: format!("Agency {}", self.node.agency),
        }
    }

    /// A card sealed with this node's root key.
    pub(crate) fn seal_card(&self, card: &Card) -> Seal {
        let mut seal = Seal::new(DocumentType::Card, wire::card::compile(card));
        seal.sign(&self.root, Some(card.agency.clone()));
        seal
    }

    /// Installs a card.
    pub(crate) async fn install(&self, card: &Card) -> Seal {
        let seal = self.seal_card(card);
        action::install_card::install_card(self, seal.clone(), admin()).await.unwrap();
        seal
    }

    /// Accepts another node's present card.
    pub(crate) async fn accept(&self, other: &TestNode) {
        let federation = other.federation.get();
        let seal = federation.own_seal.as_deref().cloned().unwrap();
        let fingerprint = other.root.public().fingerprint().to_string();
        action::accept_peer::accept_peer(self, seal, fingerprint, admin()).await.unwrap();
    }

    /// This node as a party of an agreement.
    pub(crate) fn party(&self) -> Party {
        Party {
            agency: self.node.agency.clone(),
            root_fingerprint: *self.root.public().fingerprint().digest(),
            name: format!("Agency {}", self.node.agency),
            kind: self.kind,
            regions: vec!["06435".into()],
            supervisory_authority: "Der Hessische Beauftragte für Datenschutz und Informationsfreiheit".into(),
            ended_on: None,
            succeeded_by: None,
        }
    }

    /// Reads the kinds of the entries in the log, in order.
    pub(crate) async fn log(&self) -> Vec<crate::entry::EntryKind> {
        self.log_entries().await.iter().map(lotse_proto::exchange::v1::LogEntry::kind).collect()
    }

    /// Reads the entries of the log.
    pub(crate) async fn log_entries(&self) -> Vec<lotse_proto::exchange::v1::LogEntry> {
        let generation = self.node.generation;
        let read = self.store.read("test_log", move |tx| Box::pin(lotse_store::log::read(tx, generation, 0, 10_000)));
        let leaves = read.await.unwrap();
        leaves.iter().map(|leaf| prost::Message::decode(leaf.entry.bytes.as_slice()).unwrap()).collect()
    }

    /// Takes the head store's folder.
    pub(crate) fn head_folder(&self) -> &Path {
        self.head_folder.path()
    }

    /// Takes the database's folder, to look into its files.
    pub(crate) fn folder(&self) -> &Path {
        self.database.folder().unwrap()
    }
}

/// What an administrator of a test does.
pub(crate) fn admin() -> Act {
    Act { actor: "spiffe://test.example/admin/anna".into(), remark: "test".into() }
}

/// Makes all nodes accept each other's present cards.
pub(crate) async fn introduce(nodes: &[&TestNode]) {
    for (at, one) in nodes.iter().enumerate() {
        for (_, other) in nodes.iter().enumerate().filter(|(other, _)| *other != at) {
            one.accept(other).await;
        }
    }
}

/// Text of an agreement between nodes, with the clauses of the template; begins `days` after the clock's present day.
pub(crate) fn agreement_text(id: Id, days: i8, nodes: &[&TestNode]) -> String {
    let first_day = Calendar::Germany.day_of(nodes[0].clock.now()).saturating_add(jiff::Span::new().days(days));
    let parties: Vec<Party> = nodes.iter().map(|node| node.party()).collect();
    template(id, first_day, &parties)
}

/// Makes an agreement between nodes that know each other complete at each of them, in force from today, by direct calls.
pub(crate) async fn agree(nodes: &[&TestNode]) -> Id {
    let id = Id::new(nodes[0].clock.now(), nodes[0].random.as_ref());
    agree_on(nodes, &agreement_text(id, 0, nodes)).await;
    id
}

/// Makes an agreement of this text complete at each of the nodes, by direct calls. Returns its digest.
pub(crate) async fn agree_on(nodes: &[&TestNode], source: &str) -> Digest {
    let offered = action::offer_agreement::offer_agreement(nodes[0], source, admin()).await.unwrap().0;
    let digest = offered.digest;
    for node in &nodes[1..] {
        pass_on(nodes[0], node, digest).await;
    }
    for node in nodes {
        seal_version(node, offered.id, offered.version).await.unwrap();
        for other in nodes.iter().filter(|other| other.agency != node.agency) {
            pass_on(node, other, digest).await;
        }
    }
    digest
}

/// Seals the text of a version that a node has, as who has read it does.
pub(crate) async fn seal_version(node: &TestNode, id: Id, version: u32) -> Result<Arc<Agreement>, Failure> {
    let here = node.federation.get().version_of(id, version).map(|known| known.agreement.digest);
    let digest = here.unwrap_or_else(|| Digest::of(b"no such text"));
    action::sign_agreement::sign_agreement(node, ReadVersion { id, version, digest }, admin()).await
}

/// Hands an agreement with its seals from one node to another, as the duty courier does.
pub(crate) async fn pass_on(from: &TestNode, to: &TestNode, digest: Digest) {
    let seal = from.federation.get().seals[&digest].as_ref().clone();
    action::take_agreement::take_agreement(to, &from.agency, seal).await.unwrap();
}

/// Returns the id of another run, without drawing from a node's random source.
fn next_instance() -> InstanceId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    InstanceId::parse(&u128::from(NEXT.fetch_add(1, Ordering::SeqCst)).to_be_bytes()).unwrap()
}

fn copy_files(from: &Path, to: &Path) {
    for file in from.read_dir().unwrap().map(|file| file.unwrap()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

async fn open(database: &Database, faults: &Arc<Faults>) -> Store {
    database.open_with(StoreOptions { faults: Some(faults.clone()), ..StoreOptions::default() }).await
}

fn node(
    agency: AgencyId,
    kind: AgencyKind,
    (store, head_folder): (Store, &Path),
    clock: Arc<ManualClock>,
    random: SeededRandom,
) -> Node {
    let keys = NodeKeys {
        sealing: key(agency.as_str(), "sealing"),
        log: key(agency.as_str(), "log"),
        witness: key(agency.as_str(), "witness"),
    };
    let holds = Holds::default();
    holds.begin(None, None, clock.reading());
    let key_file = Vault::generate(&SeededRandom::new(&format!("{agency} vault")), "2026-11").unwrap();
    Node {
        config: config(&agency, kind),
        folder: Folder::new(head_folder),
        credentials: Default::default(),
        agency,
        generation: 1,
        restore_point: None,
        store,
        head: Arc::new(HeadStore::open(head_folder).unwrap()),
        withdrawn_and_lost: Default::default(),
        vault: Arc::new(Vault::load(&key_file).unwrap()),
        keys,
        clock,
        random: Arc::new(random),
        federation: Default::default(),
        holds,
        numbers: NumbersAtStart::new(1, Default::default()),
        instances: Instances::new(next_instance()),
        links: Links::default(),
        ports: Default::default(),
        pauses: Default::default(),
        recent: RecentDeliveries::default(),
        latest_sent: Default::default(),
        latest_held: Default::default(),
        sessions: Default::default(),
        signals: Signals::default(),
        troubles: Default::default(),
        telemetry: Default::default(),
    }
}

/// A key that is the same in each run.
pub(crate) fn key(agency: &str, name: &str) -> SigningKey {
    SigningKey::from_seed(*Digest::of(format!("{agency}/{name}").as_bytes()).as_bytes())
}

/// The shortest configuration, with one system `akte` that may do everything.
fn config(agency: &AgencyId, kind: AgencyKind) -> Config {
    let text = format!(
        r#"
[agency]
id = "{agency}"
name = "Agency {agency}"
kind = "{}"

[listen]
peer = "127.0.0.1:0"
agency = "127.0.0.1:0"
pages = "127.0.0.1:0"

[peer]
allow_loopback = true

[[system]]
name = "akte"
services = ["referral", "consent", "inbox"]
purposes = ["orientation", "rehabilitation", "youth_transition", "training_placement", "job_placement", "competence_handover"]

[[system]]
name = "lesend"
services = ["inbox"]
purposes = ["orientation"]

[[system]]
name = "abgebend"
services = ["referral"]
purposes = ["orientation"]
"#,
        kind.name()
    );
    Config::parse(&text).unwrap()
}
