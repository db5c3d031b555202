//! A federation of real nodes in one process: folders made by `lotse init`, real certificates, mutual TLS on loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use lotse_core::agency::AgencyKind;
use lotse_core::agreement::Party;
use lotse_core::agreement::text::template;
use lotse_core::id::{AgencyId, Id};
use lotse_core::random::Random;
use lotse_core::time::{Calendar, Clock};
use lotse_node::ambient::{SystemClock, SystemRandom};
use lotse_node::commands::cert::issue;
use lotse_node::commands::init::{InitOptions, init};
use lotse_node::commands::terminal::Terminal;
use lotse_node::commands::{Context, client, run};
use lotse_node::config::Config;
use lotse_node::folder::Folder;
use lotse_node::identity::Role;
use lotse_node::start::{Overrides, RunningNode, start};
use lotse_proto::admin::v1::admin_service_client::AdminServiceClient;
use lotse_proto::admin::v1::{
    AcceptPeerRequest, AgreementState, GetOwnCardRequest, ListAgreementsRequest, OfferAgreementRequest,
    SignAgreementRequest,
};
use tonic::transport::Channel;

/// The system that every agency of a test has, with every grant.
pub const SYSTEM: &str = "akte";

/// The officer that every agency of a test has.
pub const OFFICER: &str = "sommer";

/// How long something may take that other nodes do by themselves.
const PATIENCE: Duration = Duration::from_secs(30);

/// Agencies whose nodes run on loopback.
pub struct Federation {
    /// The agencies, in the order in which they were named.
    pub agencies: Vec<Agency>,
    pub(crate) place: tempfile::TempDir,
}

impl Federation {
    /// Sets up agencies and starts their nodes. They do not know each other yet.
    pub async fn strangers(agencies: &[(&str, AgencyKind)]) -> Result<Federation> {
        Federation::with_clock(agencies, Arc::new(SystemClock)).await
    }

    /// The same with a clock turned by hand; it must show about the real time, because TLS looks at that.
    pub async fn with_clock(agencies: &[(&str, AgencyKind)], clock: Arc<dyn Clock>) -> Result<Federation> {
        let place = tempfile::tempdir()?;
        let set_up = |(id, kind): &(&str, AgencyKind)| Agency::set_up(place.path(), id, *kind, clock.clone());
        let agencies = agencies.iter().map(set_up).collect::<Result<_>>()?;
        Federation::of(place, agencies).await
    }

    /// Starts the nodes of agencies that are set up in a place. They do not know each other yet.
    pub async fn of(place: tempfile::TempDir, mut agencies: Vec<Agency>) -> Result<Federation> {
        for agency in &mut agencies {
            agency.start().await?;
        }
        Ok(Federation { agencies, place })
    }

    /// Sets up agencies that have accepted each other's cards and sealed an agreement with the template's clauses, in force
    /// from today. Returns it with the agreement's id.
    pub async fn agreed(agencies: &[(&str, AgencyKind)]) -> Result<(Federation, Id)> {
        let federation = Federation::strangers(agencies).await?;
        federation.introduce().await?;
        let id = federation.agree().await?;
        Ok((federation, id))
    }

    /// Makes every agency accept every other's card.
    pub async fn introduce(&self) -> Result<()> {
        for one in &self.agencies {
            for other in self.agencies.iter().filter(|other| other.id != one.id) {
                let card = other.admin()?.get_own_card(GetOwnCardRequest {}).await?.into_inner();
                let request = AcceptPeerRequest { card: card.card, fingerprint: card.fingerprint };
                one.admin()?.accept_peer(request).await?;
            }
        }
        Ok(())
    }

    /// Makes an agreement of all agencies: offered by the first, sealed by each. Returns when it is in force everywhere.
    pub async fn agree(&self) -> Result<Id> {
        let first = self.agencies.first().context("no agency")?;
        let id = Id::new(first.clock.now(), &SystemRandom);
        let source = self.agreement_text(id)?;
        let offered = first.admin()?.offer_agreement(OfferAgreementRequest { source }).await?.into_inner();
        let digest = offered.agreement.context("no agreement in the answer")?.digest;
        for agency in &self.agencies {
            agency.has_agreement(id, |_| true).await?;
            let request = SignAgreementRequest { agreement_id: id.to_string(), version: 1, digest: digest.clone() };
            agency.admin()?.sign_agreement(request).await?;
        }
        for agency in &self.agencies {
            agency.has_agreement(id, |state| state == AgreementState::InForce).await?;
        }
        Ok(id)
    }

    /// Writes an agreement of all agencies with the template's clauses, from today.
    pub fn agreement_text(&self, id: Id) -> Result<String> {
        let parties = self.agencies.iter().map(Agency::party).collect::<Result<Vec<_>>>()?;
        let first = self.agencies.first().context("no agency")?;
        Ok(template(id, Calendar::Germany.day_of(first.clock.now()), &parties))
    }

    /// Finds an agency.
    pub fn agency(&self, id: &str) -> &Agency {
        self.agencies.iter().find(|agency| agency.id.as_str() == id).unwrap_or_else(|| panic!("no agency {id}"))
    }

    /// Finds an agency, to stop and start it.
    pub fn agency_mut(&mut self, id: &str) -> &mut Agency {
        self.agencies.iter_mut().find(|agency| agency.id.as_str() == id).unwrap_or_else(|| panic!("no agency {id}"))
    }

    /// Stops all nodes as an administrator does.
    pub async fn stop(mut self) -> Result<()> {
        for agency in &mut self.agencies {
            agency.stop().await?;
        }
        Ok(())
    }
}

/// One agency with its folder and node.
pub struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// Its kind.
    pub kind: AgencyKind,
    /// The folder of its node.
    pub folder: Folder,
    /// The clock that its node reads.
    pub clock: Arc<dyn Clock>,
    running: Option<RunningNode>,
}

impl Agency {
    /// Does what `lotse init` does, with one system and one officer, on free ports.
    pub fn set_up(place: &std::path::Path, id: &str, kind: AgencyKind, clock: Arc<dyn Clock>) -> Result<Agency> {
        let folder = Folder::new(place.join(id));
        let peer = free_address()?;
        let options = InitOptions {
            agency: id.parse()?,
            name: format!("Agency {id}"),
            kind,
            peer_address: vec![peer.to_string()],
            listen_peer: peer,
            listen_agency: free_address()?,
            listen_pages: None,
            system: vec![SYSTEM.into()],
            allow_loopback: true,
            database: None,
            existing_pki: None,
        };
        init(&folder, &options, clock.now(), &SystemRandom)?;
        let agency = Agency { id: id.parse()?, kind, folder, clock, running: None };
        agency.issue(Role::Officer, OFFICER)?;
        Ok(agency)
    }

    /// Issues a certificate of this agency's authority.
    pub fn issue(&self, role: Role, name: &str) -> Result<()> {
        let config = Config::load(&self.folder)?;
        issue::issue(&self.folder, &config, &issue::Request::new(role, name), self.clock.now(), &SystemRandom)?;
        Ok(())
    }

    /// Changes the configuration of the node, which must not run: `old` stands there once.
    pub fn configure(&self, old: &str, new: &str) -> Result<()> {
        let text = std::fs::read_to_string(self.folder.config())?;
        if text.matches(old).count() != 1 {
            bail!("the configuration does not say {old:?} once");
        }
        Ok(std::fs::write(self.folder.config(), text.replace(old, new))?)
    }

    /// Makes the node, which must not run, keep its tables in the database of a URL.
    pub fn keep_in(&self, url: &str) -> Result<()> {
        self.configure("# url = \"postgres://lotse@db.intern/lotse\"", &format!("url = \"{url}\""))
    }

    /// Starts the node.
    pub async fn start(&mut self) -> Result<()> {
        let overrides = Overrides { clock: self.clock.clone(), ..Overrides::default() };
        self.running = Some(Box::pin(start(&self.folder, overrides)).await?);
        Ok(())
    }

    /// Stops the node as an administrator does.
    pub async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some(node) => node.stop().await,
            None => Ok(()),
        }
    }

    /// Returns the running node.
    pub fn node(&self) -> &RunningNode {
        self.running.as_ref().unwrap_or_else(|| panic!("the node of {} does not run", self.id))
    }

    /// Opens a channel to the agency port with one of this agency's certificates.
    pub fn channel(&self, role: Role, name: &str) -> Result<Channel> {
        client::channel(&self.folder, role, name, &self.clock)
    }

    /// Opens the administrator's service.
    pub fn admin(&self) -> Result<AdminServiceClient<Channel>> {
        client::admin(&self.folder, &self.clock)
    }

    /// Opens a channel as this agency's system.
    pub fn system(&self) -> Result<Channel> {
        self.channel(Role::System, SYSTEM)
    }

    /// Opens a channel as this agency's officer.
    pub fn officer(&self) -> Result<Channel> {
        self.channel(Role::Officer, OFFICER)
    }

    /// Gives a command of `lotse` about this agency's folder, and returns what it prints.
    pub async fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = Arc::new(Mutex::new(Vec::new()));
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let context = Context { terminal: Terminal::to(output.clone()), clock: self.clock.clone(), random };
        let path = self.folder.path().display().to_string();
        let arguments = ["lotse"].into_iter().chain(arguments.iter().copied()).chain(["--folder", &path]);
        Box::pin(run(arguments.map(String::from).collect::<Vec<_>>(), &context)).await?;
        let printed = output.lock().map(|output| output.clone()).unwrap_or_default();
        Ok(String::from_utf8(printed)?)
    }

    /// This agency as a party of an agreement.
    pub fn party(&self) -> Result<Party> {
        let federation = self.node().node().federation.get();
        let card = &federation.own.as_ref().context("no card is installed")?.card;
        Ok(Party {
            agency: self.id.clone(),
            root_fingerprint: *card.root.fingerprint().digest(),
            name: card.name.clone(),
            kind: self.kind,
            regions: vec!["06435".into()],
            supervisory_authority: String::new(),
            ended_on: None,
            succeeded_by: None,
        })
    }

    /// Waits until this agency's node knows an agreement in a state.
    pub async fn has_agreement(&self, id: Id, wanted: impl Fn(AgreementState) -> bool) -> Result<()> {
        let mut admin = self.admin()?;
        eventually(&format!("agreement {id} at {}", self.id), async || {
            let known = admin.list_agreements(ListAgreementsRequest {}).await?.into_inner().agreements;
            Ok(known.iter().any(|known| known.agreement_id == id.to_string() && wanted(known.state())))
        })
        .await
    }
}

/// Waits until something holds that other nodes bring about by themselves.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    eventually_within(PATIENCE, what, holds).await
}

/// Waits until something holds, as long as the story wants to.
pub async fn eventually_within(
    patience: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let begin = Instant::now();
    while !holds().await? {
        if begin.elapsed() > patience {
            bail!("waited {patience:?} in vain for {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Finds a free address on loopback, below the ports that the system gives to outgoing connections, so that a node that is
/// stopped finds its own free again.
pub fn free_address() -> Result<SocketAddr> {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() as u16).wrapping_mul(101);
    for _ in 0..COUNT {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + offset));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no free port on loopback")
}
