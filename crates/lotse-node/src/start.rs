//! Assembles a node from its folder, starts it, and stops it without losing anything.

mod card;
mod counters;
mod ports;
mod services;

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use lotse_core::random::Random;
use lotse_core::time::{Clock, Timestamp};
use lotse_store::counter::{self, Counter};
use lotse_store::{Opener, Store, StoreOptions, log, meta};
use services::Services;
use tokio_util::sync::CancellationToken;

use crate::action::learn_latest::learn_latest;
use crate::action::record_certificate_acts::record_certificate_acts;
use crate::action::record_start::record_start;
use crate::action::withdraw_consent::withdraw_remembered;
use crate::ambient::{SystemClock, SystemRandom};
use crate::config::Config;
use crate::database;
use crate::federation::{self, FederationCache};
use crate::folder::{Folder, FolderLock};
use crate::head_store::HeadStore;
use crate::hold::Holds;
use crate::instance::{InstanceId, Instances};
use crate::key_file::{NodeKeyFile, mode_for_others};
use crate::lifecycle::{Lifecycle, Stage};
use crate::link::Links;
use crate::node::{Node, NodeKeys};
use crate::numbers::NumbersAtStart;
use crate::pulse;
use crate::recent::RecentDeliveries;
use crate::sequencer::{self, Sequencer};
use crate::session::Sessions;
use crate::signal::Signals;
use crate::telemetry::{Telemetry, gauges};
use crate::tls::Credentials;
use crate::trouble::OwnWork;

pub use counters::{RunCounters, RunWork};
pub use ports::Ports;

/// How long a stage of the stop may take beyond the ports' grace.
const STOP_MARGIN: Duration = Duration::from_secs(10);

/// What a test exchanges.
pub struct Overrides {
    /// Clock.
    pub clock: Arc<dyn Clock>,
    /// Random source.
    pub random: Arc<dyn Random>,
}

impl Default for Overrides {
    fn default() -> Overrides {
        Overrides { clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) }
    }
}

/// A node that runs. Dropped without [`RunningNode::stop`] it is told to stop, and nobody waits for it.
pub struct RunningNode {
    node: Arc<Node>,
    ports: Ports,
    lifecycle: Lifecycle,
    folder: Folder,
    _lock: Arc<FolderLock>,
}

/// Starts the node of a folder.
pub async fn start(folder: &Folder, overrides: Overrides) -> anyhow::Result<RunningNode> {
    let config = Config::load(folder)?;
    let lock = Arc::new(folder.lock()?);
    warn_of_open_keys(folder, &config);
    // What a killed node left would lead commands to a port that is another's by now.
    let _ = fs::remove_file(folder.ports());
    let head = Arc::new(HeadStore::open(&config.files.head_store(folder))?);
    let node = Arc::new(assemble(folder, config, &overrides, head.clone()).await?);
    federation::refresh(&node).await?;
    withdraw_remembered(&node).await.context("the withdrawals that the head store remembers cannot be compared")?;
    learn_latest(&node).await?;
    let credentials = credentials(folder, &node)?;
    let _ = node.credentials.set(credentials.clone());
    card::install_newer(folder, &node).await?;
    if let Some(own) = &node.federation.get().own {
        card::check_keys(&own.card, &node.keys, node.now())?;
    }
    let lifecycle = Lifecycle::default();
    if let Err(error) = record_start(&node).await {
        // A database that is busy for a moment must not keep the node from starting.
        tracing::warn!(%error, "the start is not logged yet; it is tried again");
        lifecycle.spawn(Stage::Serving, "start entry", |stop| log_start(node.clone(), stop));
    }
    lifecycle.spawn(Stage::Serving, "card version", |stop| card::remember_version(node.clone(), head.clone(), stop));
    lifecycle.spawn(Stage::Finishing, "sequencer", |stop| sequence(node.clone(), head, lock.clone(), stop));
    lifecycle.spawn(Stage::Serving, "certificates", |stop| credentials.clone().watch(node.clock.clone(), stop));
    let acts = folder.certificate_acts();
    lifecycle.spawn(Stage::Serving, "certificate acts", |stop| log_certificate_acts(node.clone(), acts, stop));
    if node.telemetry.is_on() {
        lifecycle.spawn(Stage::Serving, "gauges", |stop| gauges::run(node.clone(), credentials.clone(), stop));
    }
    let services = Services::new(&node, &credentials);
    services.spawn(&lifecycle);
    let ports = ports::open(&node, &credentials, &services, &lifecycle).await?;
    ports.write(folder)?;
    node.signals.serving.send_replace(true);
    lifecycle.spawn(Stage::Serving, "pulse", |stop| pulse::run(node.clone(), pulse::INTERVAL, pulse::PATIENCE, stop));
    let Ports { peer, agency, pages } = &ports;
    let pages = pages.map(tracing::field::display);
    tracing::info!(agency = %node.agency, generation = node.generation, peer_address = %peer, agency_address = %agency, pages_address = pages, "the node runs");
    Ok(RunningNode { node, ports, lifecycle, folder: folder.clone(), _lock: lock })
}

impl RunningNode {
    /// Returns what all actions share.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Returns where the node listens.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// Waits until the node fails by itself.
    pub async fn ended(&self) {
        self.lifecycle.failed().await;
    }

    /// Stops: no new callers, open calls end within the grace, what was committed is signed, the database is closed.
    pub async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("the node stops");
        self.node.signals.stopping.cancel();
        self.node.signals.serving.send_replace(false);
        let grace = self.node.config.listen.limits().grace;
        self.lifecycle.stop(grace + STOP_MARGIN).await;
        self.node.store.clone().close().await;
        RunCounters::write(&self.folder, &self.node.store);
        self.node.telemetry.close().await;
        let _ = fs::remove_file(self.folder.ports());
        if self.lifecycle.has_failed() {
            bail!("a task of the node ended by itself; the messages above say which");
        }
        Ok(())
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.node.signals.stopping.cancel();
        self.lifecycle.abandon();
    }
}

async fn assemble(
    folder: &Folder,
    config: Config,
    overrides: &Overrides,
    head: Arc<HeadStore>,
) -> anyhow::Result<Node> {
    let path = config.files.node_keys(folder);
    let keys =
        NodeKeyFile::read(&path).with_context(|| database::from_backup("the keys that the node signs with", &path))?;
    let keys = NodeKeys::from(keys);
    card::check_folder(folder, &config.agency.id, &keys, overrides.clock.now())?;
    let vault = database::vault(folder, &config)?;
    let (clock, random) = (&overrides.clock, &overrides.random);
    let telemetry = Telemetry::open(&config.telemetry, folder, &config.agency.id, clock, random)?;
    let options = StoreOptions {
        readers: config.database.readers,
        waiting_works: config.database.waiting_works,
        opener: Opener::node(),
        observer: telemetry.work_observer(),
        ..StoreOptions::default()
    };
    let store = database::open(folder, &config, &vault, options).await?;
    let sequencer = Sequencer {
        store: &store,
        head: &head,
        key: &keys.log,
        agency: &config.agency.id,
        clock: &*overrides.clock,
        random: &*overrides.random,
        interrupt: None,
    };
    let begun = sequencer.start().await.context("the log cannot be compared with the head store")?;
    let holds = Holds::default();
    let (newest, trusted) = last_times(&store, begun.generation).await?;
    holds.begin(newest, trusted, overrides.clock.reading());
    let generation = begun.generation;
    let given = store.read("given numbers", move |tx| Box::pin(counter::all_given(tx, generation))).await?;
    let numbers = NumbersAtStart::new(generation, given);
    if let Some(doubt) = &begun.doubt {
        holds.hold_log(doubt.to_string());
    }
    Ok(Node {
        agency: config.agency.id.clone(),
        folder: folder.clone(),
        credentials: OnceLock::new(),
        generation: begun.generation,
        restore_point: begun.restore_point,
        store,
        head,
        withdrawn_and_lost: OnceLock::new(),
        vault: Arc::new(vault),
        keys,
        clock: overrides.clock.clone(),
        random: overrides.random.clone(),
        federation: FederationCache::default(),
        holds,
        numbers,
        instances: Instances::new(InstanceId::draw(&*overrides.random)),
        links: Links::default(),
        ports: Default::default(),
        pauses: Default::default(),
        recent: RecentDeliveries::default(),
        latest_sent: Default::default(),
        latest_held: Default::default(),
        sessions: Sessions::default(),
        signals: Signals::default(),
        troubles: Default::default(),
        telemetry,
        config,
    })
}

/// Reads the time of the newest log entry and the last time at which the clock was trusted: by them a clock is noticed that stepped
/// back, or ran ahead, while the node was stopped.
async fn last_times(store: &Store, generation: u32) -> anyhow::Result<(Option<Timestamp>, Option<Timestamp>)> {
    let read = store.read("last times", move |tx| {
        Box::pin(async move {
            let next = counter::read(tx, &Counter::Leaf).await?;
            let newest = log::find(tx, generation, next.saturating_sub(1)).await?;
            Ok((newest.map(|leaf| leaf.entry.at), meta::clock_trusted_at(tx).await?))
        })
    });
    Ok(read.await?)
}

/// Says which secret files others may read. They are used all the same: a node that does not start helps nobody.
fn warn_of_open_keys(folder: &Folder, config: &Config) {
    let files = &config.files;
    let secret =
        [files.node_keys(folder), files.vault_keys(folder), files.tls(folder).key, folder.ca_key(), folder.root_key()];
    for path in secret {
        if let Some(mode) = mode_for_others(&path) {
            let (file, mode) = (path.display(), format!("{mode:o}"));
            tracing::warn!(%file, mode, "other users may read this key: chmod 600 it, and exchange it if somebody may have (deploy/KEYS.md)");
        }
    }
}

fn credentials(folder: &Folder, node: &Node) -> anyhow::Result<Arc<Credentials>> {
    let files = node.config.files.tls(folder);
    let credentials = Credentials::load(files, node.federation.trust().clone(), node.now())?;
    let identity = credentials.identity();
    if identity.agency() != &node.agency {
        bail!("the node's certificate is {identity}, lotse.toml says {}: put the right one in its place", node.agency);
    }
    Ok(credentials)
}

/// How long to wait before a start that could not be logged is tried again.
const START_ENTRY_PAUSE: Duration = Duration::from_secs(1);

/// Logs the start as soon as the database takes it.
async fn log_start(node: Arc<Node>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(START_ENTRY_PAUSE)).await.is_some() {
        if record_start(&node).await.is_ok() {
            return;
        }
    }
}

/// Interval at which the list of issued and revoked certificates is read.
const ACTS_INTERVAL: Duration = Duration::from_secs(15);

/// Logs the certificates that the small authority issues and revokes, until the node stops.
async fn log_certificate_acts(node: Arc<Node>, list: PathBuf, stop: CancellationToken) {
    loop {
        let logged = record_certificate_acts(&node, &list).await;
        node.note_work(OwnWork::CertificateActs, logged.map(drop));
        if stop.run_until_cancelled(tokio::time::sleep(ACTS_INTERVAL)).await.is_none() {
            return;
        }
    }
}

/// Signs the log until told to stop. Holds the folder as long: nobody else may sign meanwhile.
async fn sequence(node: Arc<Node>, head: Arc<HeadStore>, _lock: Arc<FolderLock>, stop: CancellationToken) {
    let sequencer = Sequencer {
        store: &node.store,
        head: &head,
        key: &node.keys.log,
        agency: &node.agency,
        clock: &*node.clock,
        random: &*node.random,
        interrupt: None,
    };
    let note = |signed| node.note_work(OwnWork::Signing, signed);
    sequencer::run(sequencer, &node.signals, &node.holds, note, stop.cancelled()).await;
}
