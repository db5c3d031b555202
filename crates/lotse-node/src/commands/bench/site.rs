//! The two agencies of the benchmark: folders made as `lotse init` makes them, nodes in processes of their own, cards accepted and
//! an agreement sealed as administrators do.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::StreamExt;
use lotse_core::agency::AgencyKind;
use lotse_core::agreement::Party;
use lotse_core::agreement::text::template;
use lotse_core::id::{AgencyId, Id};
use lotse_core::key::Fingerprint;
use lotse_core::time::{Calendar, Clock};
use lotse_proto::admin::v1::{
    AcceptPeerRequest, AgreementState, GetOwnCardRequest, ListAgreementsRequest, ListPeersRequest,
    OfferAgreementRequest, SignAgreementRequest,
};
use lotse_proto::agency::v1::RecordConsentsRequest;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::record_consents_response::Result as Answer;
use tonic::transport::Channel;

use super::process::Process;
use super::sample;
use crate::commands::Context;
use crate::commands::client::{self, admin, explained, issued_files};
use crate::commands::init::{InitOptions, init};
use crate::config::Config;
use crate::edge::{Addresses, Connector};
use crate::folder::Folder;
use crate::identity::Role;
use crate::tls::{Credentials, TlsFiles, TrustStore};

/// The system that hands over and receives.
const SYSTEM: &str = "bench";

/// How long nodes may take for what they do by themselves.
const PATIENCE: Duration = Duration::from_secs(30);

/// One agency and its node.
pub(super) struct Site {
    pub(super) agency: AgencyId,
    pub(super) folder: Folder,
    kind: AgencyKind,
    fingerprint: Fingerprint,
    messages: PathBuf,
    process: Option<Process>,
}

impl Site {
    /// Sets up the folder: shipped defaults but for addresses, folders and loopback.
    pub(super) fn set_up(place: &Path, agency: &str, kind: AgencyKind, context: &Context) -> anyhow::Result<Site> {
        let folder = Folder::new(place.join(agency));
        let peer = free_address()?;
        let options = InitOptions {
            agency: agency.parse()?,
            name: format!("Benchmark {agency}"),
            kind,
            peer_address: vec![peer.clone()],
            listen_peer: peer.parse()?,
            listen_agency: "127.0.0.1:0".parse()?,
            listen_pages: None,
            system: vec![SYSTEM.into()],
            allow_loopback: true,
            database: None,
            existing_pki: None,
        };
        let fingerprint = init(&folder, &options, context.clock.now(), &*context.random)?;
        let messages = place.join(format!("{agency}.log"));
        Ok(Site { agency: agency.parse()?, folder, kind, fingerprint, messages, process: None })
    }

    /// Starts the node and waits until it serves.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let mut process = Process::start(&["run"], self.folder.path(), &self.messages)?;
        process.first_line().await.with_context(|| format!("see {}", self.messages.display()))?;
        self.process = Some(process);
        Ok(())
    }

    /// Stops the node as its administrator would.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Returns the running node's process.
    pub(super) fn process(&self) -> anyhow::Result<&Process> {
        self.process.as_ref().context("the node does not run")
    }

    /// Opens a channel as the agency's system.
    pub(super) fn channel(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<Channel> {
        client::channel(&self.folder, Role::System, SYSTEM, clock)
    }

    /// Opens a channel to another port that shows this agency's node certificate: that of the echo.
    pub(super) fn channel_to(&self, address: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Channel> {
        let config = Config::load(&self.folder)?;
        let [chain, key] = issued_files(&self.folder, Role::System, SYSTEM);
        let files = TlsFiles { chain, key, ..config.files.tls(&self.folder) };
        let credentials = Credentials::load(files, Arc::new(TrustStore::default()), clock.now())?;
        let connector = Connector { credentials, clock: clock.clone(), addresses: Addresses::RoutedAndLoopback };
        Ok(connector.channel(address, &self.agency)?)
    }

    fn party(&self) -> Party {
        Party {
            agency: self.agency.clone(),
            root_fingerprint: *self.fingerprint.digest(),
            name: format!("Benchmark {}", self.agency),
            kind: self.kind,
            regions: vec!["06435".into()],
            supervisory_authority: String::new(),
            ended_on: None,
            succeeded_by: None,
        }
    }

    async fn accept(&self, other: &Site, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
        let card =
            admin(&other.folder, clock)?.get_own_card(GetOwnCardRequest {}).await.map_err(explained)?.into_inner();
        let request = AcceptPeerRequest { card: card.card, fingerprint: card.fingerprint };
        admin(&self.folder, clock)?.accept_peer(request).await.map_err(explained)?;
        Ok(())
    }

    async fn agreement_state(&self, id: Id, clock: &Arc<dyn Clock>) -> anyhow::Result<Option<AgreementState>> {
        let known = admin(&self.folder, clock)?.list_agreements(ListAgreementsRequest {}).await.map_err(explained)?;
        let agreements = known.into_inner().agreements;
        Ok(agreements.iter().find(|known| known.agreement_id == id.to_string()).map(|known| known.state()))
    }

    async fn is_connected(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<bool> {
        let peers = admin(&self.folder, clock)?.list_peers(ListPeersRequest {}).await.map_err(explained)?.into_inner();
        Ok(!peers.peers.is_empty() && peers.peers.iter().all(|peer| peer.connected))
    }
}

/// Makes two agencies accept each other's cards and seal the template's agreement, from today.
pub(super) async fn federate(one: &Site, other: &Site, context: &Context) -> anyhow::Result<()> {
    let clock = &context.clock;
    one.accept(other, clock).await?;
    other.accept(one, clock).await?;
    let id = Id::new(clock.now(), &*context.random);
    let source = template(id, Calendar::Germany.day_of(clock.now()), &[one.party(), other.party()]);
    let offered =
        admin(&one.folder, clock)?.offer_agreement(OfferAgreementRequest { source }).await.map_err(explained)?;
    let digest = offered.into_inner().agreement.context("the node sent no agreement")?.digest;
    for site in [one, other] {
        eventually("the agreement arrives", async || Ok(site.agreement_state(id, clock).await?.is_some())).await?;
        let request = SignAgreementRequest { agreement_id: id.to_string(), version: 1, digest: digest.clone() };
        admin(&site.folder, clock)?.sign_agreement(request).await.map_err(explained)?;
    }
    for site in [one, other] {
        let in_force = async || Ok(site.agreement_state(id, clock).await? == Some(AgreementState::InForce));
        eventually("the agreement comes into force", in_force).await?;
    }
    Ok(())
}

/// Waits until both nodes have a stream to each other.
pub(super) async fn connected(one: &Site, other: &Site, clock: &Arc<dyn Clock>) -> anyhow::Result<()> {
    for site in [one, other] {
        eventually("the nodes reach each other", async || site.is_connected(clock).await).await?;
    }
    Ok(())
}

/// Records the consents of all persons at the owner.
pub(super) async fn record_consents(owner: &Site, holder: &AgencyId, context: &Context) -> anyhow::Result<()> {
    let now = context.clock.now();
    let consents = (0..sample::SUBJECTS).map(|subject| sample::consent(subject, holder, now, &*context.random));
    let requests: Vec<_> = consents.map(|consent| RecordConsentsRequest { consent: Some(consent) }).collect();
    let mut client = ConsentServiceClient::new(owner.channel(&context.clock)?);
    let answers = client.record_consents(tokio_stream::iter(requests)).await.map_err(explained)?.into_inner();
    let answers: Vec<_> = answers.collect().await;
    for answer in &answers {
        match answer.as_ref().map(|answer| answer.result.as_ref()) {
            Ok(Some(Answer::Recorded(_))) => {}
            Ok(other) => bail!("a consent was refused: {other:?}"),
            Err(status) => return Err(explained(status.clone())),
        }
    }
    anyhow::ensure!(answers.len() == sample::SUBJECTS, "not every consent was answered");
    Ok(())
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !holds().await? {
        if begin.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain until {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Finds a free address on loopback below the ports that the system gives to outgoing connections, so that a node that was stopped
/// finds its own free again.
fn free_address() -> anyhow::Result<String> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 9_000;
    for _ in 0..COUNT {
        let offset = std::process::id().wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = format!("127.0.0.1:{}", FIRST + offset);
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port on loopback")
}
