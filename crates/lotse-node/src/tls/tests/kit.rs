//! Agencies with real authorities, and a port to knock at.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::random::Random;
use lotse_core::time::{Clock, DAY, Timestamp};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::edge::{Accepted, Limits, Port};
use crate::identity::{Role, SpiffeId};
use crate::pki::{Authority, Issued, Leaf, RevocationList, Revoked, files};
use crate::tls::verifier::{CallerVerifier, NodeVerifier};
use crate::tls::{Bundle, Credentials, Door, Refusal, RevocationLists, TlsFiles, TrustStore, provider};

/// Randomness of the TLS library.
pub(crate) struct TestRandom;

impl Random for TestRandom {
    fn fill(&self, buffer: &mut [u8]) {
        provider().secure_random.fill(buffer).unwrap();
    }
}

/// A clock turned by hand; it starts at the real time, which rustls uses in handshakes.
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn new() -> Arc<HandClock> {
        Arc::new(HandClock(AtomicI64::new(now().micros())))
    }

    pub(crate) fn turn(&self, by: Duration) {
        self.0.fetch_add(by.as_micros() as i64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst) as u64)
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(UnixTime::now().as_secs() as i64 * 1_000_000)
}

/// A leaf with its key.
pub(crate) struct Card {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) serial: Vec<u8>,
}

/// An agency with its own authority.
pub(crate) struct Agency {
    pub(crate) id: AgencyId,
    pub(crate) authority: Authority,
    folder: tempfile::TempDir,
}

impl Agency {
    pub(crate) fn new(id: &str) -> Agency {
        let id: AgencyId = id.parse().unwrap();
        let authority = Authority::create(&id, now(), &TestRandom).unwrap();
        Agency { id, authority, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn leaf(&self, role: Role, name: &str) -> Leaf {
        let id = SpiffeId::new(self.id.clone(), role, name).unwrap();
        Leaf { id, hosts: vec![], not_before: now().minus(DAY), not_after: now().plus(DAY) }
    }

    /// A good certificate.
    pub(crate) fn card(&self, role: Role, name: &str) -> Card {
        self.spoilt(&self.leaf(role, name), |_| ())
    }

    /// A certificate of this agency's authority, changed before it is signed.
    pub(crate) fn spoilt(&self, leaf: &Leaf, spoil: impl FnOnce(&mut CertificateParams)) -> Card {
        let mut params = crate::pki::leaf_params(leaf).unwrap();
        let mut serial = [0; 16];
        TestRandom.fill(&mut serial);
        serial[0] = 0x41;
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));
        spoil(&mut params);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params.signed_by(&key, self.authority.issuer()).unwrap();
        Card {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            serial: serial.to_vec(),
        }
    }

    pub(crate) fn bundle(&self) -> Bundle {
        Bundle::new(std::slice::from_ref(self.authority.certificate()), &[]).unwrap()
    }

    pub(crate) fn bundle_with_list(&self, revoked: &[&Card], this_update: Timestamp, next_update: Timestamp) -> Bundle {
        let list = self.list(revoked, this_update, next_update);
        Bundle::new(std::slice::from_ref(self.authority.certificate()), &[list]).unwrap()
    }

    fn list(
        &self,
        revoked: &[&Card],
        this_update: Timestamp,
        next_update: Timestamp,
    ) -> CertificateRevocationListDer<'static> {
        let revoked = revoked.iter().map(|card| Revoked { serial: card.serial.clone(), at: this_update }).collect();
        self.authority.revocation_list(&RevocationList { number: 1, this_update, next_update, revoked }).unwrap().0
    }

    /// Writes a list for an hour to the file that is used once it is there, and returns where.
    pub(crate) fn write_list(&self, revoked: &[&Card], number: u64) -> PathBuf {
        let hour = Duration::from_secs(3600);
        let (this_update, next_update) = (now().minus(hour), now().plus(hour));
        let revoked = revoked.iter().map(|card| Revoked { serial: card.serial.clone(), at: this_update }).collect();
        let list = RevocationList { number, this_update, next_update, revoked };
        let path = self.folder.path().join("revoked.crl");
        files::write_public(&path, &self.authority.revocation_list(&list).unwrap().1).unwrap();
        path
    }

    pub(crate) fn files(&self) -> TlsFiles {
        let path = |name: &str| self.folder.path().join(name);
        TlsFiles {
            bundle: path("ca.pem"),
            chain: path("leaf.pem"),
            key: path("leaf.key"),
            revocation_lists: RevocationLists::None,
        }
    }

    pub(crate) fn write(&self, issued: &Issued) {
        let files = self.files();
        files::write_public(&files.bundle, self.authority.certificate_pem()).unwrap();
        files::write_public(&files.chain, &issued.certificate_pem).unwrap();
        files::write_key(&files.key, &issued.key_pem).unwrap();
    }

    pub(crate) fn credentials(&self, role: Role, name: &str, trust: &Arc<TrustStore>) -> Arc<Credentials> {
        self.write(&self.authority.issue(&self.leaf(role, name), &TestRandom).unwrap());
        Credentials::load(self.files(), trust.clone(), now()).unwrap()
    }
}

/// An agency's port, and another agency with an accepted card.
pub(crate) struct World {
    pub(crate) own: Agency,
    pub(crate) peer: Agency,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) address: SocketAddr,
    door: Door,
    _stop: DropGuard,
}

impl World {
    /// Opens a port that sends back what it gets.
    pub(crate) async fn open(door: Door) -> World {
        World::open_with(door, Limits::default(), |port, stop| port.run(stop, echo)).await
    }

    pub(crate) async fn open_with<F>(
        door: Door,
        limits: Limits,
        serve: impl FnOnce(Port, CancellationToken) -> F,
    ) -> World
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (own, peer) = (Agency::new("own.example"), Agency::new("peer.example"));
        let (trust, clock) = (Arc::new(TrustStore::default()), HandClock::new());
        trust.set(peer.id.clone(), peer.bundle());
        let credentials = own.credentials(Role::Node, "n1", &trust);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let port = Port::new(listener, door, &credentials, clock.clone(), limits).unwrap();
        tokio::spawn(serve(port, stop.clone()));
        World { own, peer, trust, clock, credentials, address, door, _stop: stop.drop_guard() }
    }

    /// A good certificate for this port.
    pub(crate) fn caller(&self) -> Card {
        match self.door {
            Door::Peer => self.peer.card(Role::Node, "n1"),
            Door::Agency => self.own.card(Role::System, "case-management"),
            Door::Pages => self.own.card(Role::Officer, "anna"),
        }
    }

    /// What a client needs that presents a certificate without asking itself whether it is good.
    pub(crate) fn client(&self, card: &Card) -> ClientConfig {
        let trust = Arc::new(TrustStore::default());
        trust.set(self.own.id.clone(), self.own.bundle());
        let key = provider().key_provider.load_private_key(card.key.clone_key()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NodeVerifier { expected: self.own.id.clone(), trust }))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(card.chain.clone(), key))));
        config.resumption = Resumption::disabled();
        config
    }

    /// Connects, and comes back only if the port has sent something back.
    pub(crate) async fn enter(&self, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        ping(&mut stream).await?;
        Ok(stream)
    }

    pub(crate) async fn knock(&self, card: &Card) -> io::Result<TlsStream<TcpStream>> {
        self.enter(self.client(card)).await
    }

    /// What the port's verifier says to a certificate.
    pub(crate) fn verdict(&self, card: &Card) -> Result<(), Refusal> {
        let verifier = CallerVerifier {
            door: self.door,
            own: self.own.id.clone(),
            trust: self.trust.clone(),
            refused: Default::default(),
        };
        verifier.admit(&card.chain[0], &card.chain[1..], UnixTime::now())
    }

    /// Shows that the good certificate passes, the bad one does not, and the good one still does; returns why.
    pub(crate) async fn refuses(&self, bad: &Card, good: &Card) -> Refusal {
        self.knock(good).await.expect("the good certificate passes");
        assert!(self.knock(bad).await.is_err(), "the bad certificate is refused");
        self.knock(good).await.expect("the good certificate still passes");
        self.verdict(bad).unwrap_err()
    }
}

pub(crate) async fn ping<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(b"ping").await?;
    stream.flush().await?;
    let mut back = [0; 4];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"ping");
    Ok(())
}

async fn echo(connection: Accepted) {
    let (mut from, mut to) = tokio::io::split(connection);
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
