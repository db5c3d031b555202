//! The own certificate, key and bundle: from files, exchanged while connections go on.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use lotse_core::id::AgencyId;
use lotse_core::time::{Clock, Timestamp};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig, SignatureScheme};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::identity::{Identity, IdentityError, Role, Side, SpiffeId};
use crate::pem_file::{self, PEM_BYTES, PemError};
use crate::plain_file;
use crate::tls::admission::{Door, Refusal};
use crate::tls::own_ends::OwnEnds;
use crate::tls::provider::provider;
use crate::tls::refused::RefusedCallers;
use crate::tls::standing::{Standing, unix};
use crate::tls::trust::{Bundle, BundleError, TrustStore};
use crate::tls::verifier::{CallerVerifier, NodeVerifier};

/// How often the files are looked at.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(30);

/// Where the own certificate lives (PEM).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The root certificates of the own authority.
    pub bundle: PathBuf,
    /// The leaf, then the certificates between it and a root.
    pub chain: PathBuf,
    /// The leaf's key.
    pub key: PathBuf,
    /// The revocation lists of the own authority.
    pub revocation_lists: RevocationLists,
}

/// Where the revocation lists are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationLists {
    /// Nobody looks for any.
    None,
    /// In this file, as soon as it is there: where `lotse cert revoke` writes.
    IfThere(PathBuf),
    /// In this file, which must be there.
    Required(PathBuf),
}

impl RevocationLists {
    /// Returns the file to read, if there is one. A file of which nobody can tell whether it is there is an error.
    pub fn file(&self) -> Result<Option<&Path>, TlsError> {
        match self {
            RevocationLists::None => Ok(None),
            RevocationLists::IfThere(path) => match path.try_exists() {
                Ok(there) => Ok(there.then_some(path)),
                Err(cause) => Err(TlsError::Read { path: path.clone(), cause }),
            },
            RevocationLists::Required(path) => Ok(Some(path)),
        }
    }
}

/// Why the own certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said; the text has it already.
        cause: io::Error,
    },
    /// A part of a file cannot be read.
    #[error("cannot read {path}, {fault}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: PemError,
    },
    /// There were revocation lists, and they are gone: who was revoked would count again.
    #[error(
        "the revocation lists are gone, and what they revoked stays revoked until the node stops: put the file back"
    )]
    ListsGone,
    /// The file has no certificate.
    #[error("{0} has no certificate: give a PEM file, the leaf first")]
    NoCertificate(PathBuf),
    /// The file has no private key.
    #[error("{0} has no private key: give a PEM file with one PKCS#8 key")]
    NoKey(PathBuf),
    /// Key and certificate do not belong together, or the key is of another kind.
    #[error("the key does not belong to the certificate: give both from one issue ({0})")]
    Mismatch(rustls::Error),
    /// The leaf says something that is not allowed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The chain does not lead to the bundle.
    #[error("the own certificate does not verify against the own bundle: {0}")]
    Chain(Refusal),
    /// The new leaf is another agency's or of another role.
    #[error("the new certificate is {new} where {old} was: restart the node to change its identity")]
    OtherIdentity {
        /// Who it was.
        old: SpiffeId,
        /// Who it would be.
        new: SpiffeId,
    },
    /// Only a node's certificate may be served.
    #[error("{0} is no node: a port needs a certificate of the role node")]
    NotANode(SpiffeId),
    /// rustls refused a setting.
    #[error("cannot set up TLS: {0}")]
    Setup(rustls::Error),
}

/// Whether files had changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// They had, and what they hold now is used.
    Changed,
    /// They had not.
    Unchanged,
}

/// The own certificate, used at both ends of connections; new connections use what the files hold now.
#[derive(Debug)]
pub struct Credentials {
    files: TlsFiles,
    trust: Arc<TrustStore>,
    current: ArcSwap<Current>,
    stamps: Mutex<Vec<Stamp>>,
    /// Why changed files are not used.
    fault: Mutex<Option<String>>,
    refused: Arc<RefusedCallers>,
}

#[derive(Debug)]
struct Current {
    identity: Identity,
    key: Arc<CertifiedKey>,
    has_lists: bool,
    ends: OwnEnds,
}

/// What of a file changes when it is replaced or rewritten: also its inode, because two lists of one length may be put in place
/// within one tick of the file system's clock.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Credentials {
    /// Loads the files and sets the own agency's bundle in the trust store.
    pub fn load(files: TlsFiles, trust: Arc<TrustStore>, now: Timestamp) -> Result<Arc<Credentials>, TlsError> {
        let stamps = Mutex::new(stamps(&files)?);
        let (current, bundle) = read(&files, now)?;
        trust.set(current.identity.agency().clone(), bundle);
        Ok(Arc::new(Credentials {
            files,
            trust,
            current: ArcSwap::from_pointee(current),
            stamps,
            fault: Mutex::default(),
            refused: Arc::default(),
        }))
    }

    /// Returns who the own certificate says this is.
    pub fn identity(&self) -> Identity {
        self.current.load().identity.clone()
    }

    /// Checks whether the own certificate counts now, as the other end of a connection will check it.
    pub fn check(&self, side: Side, clock: Arc<dyn Clock>) -> Result<(), Refusal> {
        Standing::new(&self.current.load().key.cert, side, self.trust.clone(), clock)?.check()
    }

    /// Returns when the own authorities and revocation lists end.
    pub fn ends(&self) -> OwnEnds {
        self.current.load().ends.clone()
    }

    /// Returns why changed files are not used, and the last good ones stay.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whose certificates were refused at the ports lately.
    pub fn refused(&self) -> &RefusedCallers {
        &self.refused
    }

    /// Returns the trust store that is asked about others.
    pub fn trust(&self) -> &Arc<TrustStore> {
        &self.trust
    }

    /// Reads the files again if one of them changed. If they cannot be used, what was loaded before stays.
    pub fn reload_if_changed(&self, now: Timestamp) -> Result<Reloaded, TlsError> {
        let reloaded = self.reload(now);
        let fault = reloaded.as_ref().err().map(ToString::to_string);
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        reloaded
    }

    fn reload(&self, now: Timestamp) -> Result<Reloaded, TlsError> {
        let found = stamps(&self.files)?;
        if *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) == found {
            return Ok(Reloaded::Unchanged);
        }
        let (new, bundle) = read(&self.files, now)?;
        let old = self.identity();
        if (new.identity.agency(), new.identity.role()) != (old.agency(), old.role()) {
            return Err(TlsError::OtherIdentity { old: old.id().clone(), new: new.identity.id().clone() });
        }
        if self.current.load().has_lists && !new.has_lists {
            return Err(TlsError::ListsGone);
        }
        self.trust.set(old.agency().clone(), bundle);
        self.current.store(Arc::new(new));
        *self.stamps.lock().unwrap_or_else(PoisonError::into_inner) = found;
        Ok(Reloaded::Changed)
    }

    /// Looks at the files every [`RELOAD_INTERVAL`] until told to stop.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(RELOAD_INTERVAL)).await.is_some() {
            let (credentials, now, before) = (self.clone(), clock.now(), self.fault());
            match tokio::task::spawn_blocking(move || credentials.reload_if_changed(now)).await {
                Ok(Ok(Reloaded::Unchanged)) => {}
                Ok(Ok(Reloaded::Changed)) => tracing::info!(identity = %self.identity(), "certificates reloaded"),
                // It is an alarm as long as it lasts.
                Ok(Err(error)) if before.as_deref() == Some(error.to_string().as_str()) => {}
                Ok(Err(error)) => tracing::error!(%error, "certificates not reloaded, the last good ones stay"),
                Err(error) => tracing::error!(%error, "certificates not reloaded, the last good ones stay"),
            }
        }
    }

    /// Builds what a port needs. It follows later reloads and changes of trust.
    pub fn server_config(self: &Arc<Self>, door: Door) -> Result<Arc<ServerConfig>, TlsError> {
        let identity = self.identity();
        if identity.role() != Role::Node {
            return Err(TlsError::NotANode(identity.id().clone()));
        }
        let own = identity.agency().clone();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Setup)?
            .with_client_cert_verifier(Arc::new(CallerVerifier {
                door,
                own,
                trust: self.trust.clone(),
                refused: self.refused.clone(),
            }))
            .with_cert_resolver(self.clone());
        config.alpn_protocols = match door {
            Door::Peer | Door::Agency => vec![b"h2".to_vec()],
            Door::Pages => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        // A resumed session would not ask the verifier again.
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.max_early_data_size = 0;
        Ok(Arc::new(config))
    }

    /// Builds what calls to one agency's node need. It follows later reloads and changes of trust.
    pub fn client_config(self: &Arc<Self>, expected: &AgencyId) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier = NodeVerifier { expected: expected.clone(), trust: self.trust.clone() };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(TlsError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().key.clone())
    }
}

impl ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn stamps(files: &TlsFiles) -> Result<Vec<Stamp>, TlsError> {
    let paths = [Some(files.bundle.as_path()), Some(&files.chain), Some(&files.key), files.revocation_lists.file()?];
    let stamp =
        |path: &Path| fs::metadata(path).and_then(|about| Ok((about.modified()?, about.len(), about.ino()))).ok();
    Ok(paths.into_iter().map(|path| path.and_then(stamp)).collect())
}

fn read(files: &TlsFiles, now: Timestamp) -> Result<(Current, Bundle), TlsError> {
    let (roots, lists) = (read_file(&files.bundle)?, files.revocation_lists.file()?.map(read_file).transpose()?);
    let lists = lists.as_ref().map(|lists| lists.as_slice());
    let bundle = Bundle::from_pem(&roots, lists)?;
    let ends = OwnEnds::of(
        &pem_file::certificates(&roots).unwrap_or_default(),
        &pem_file::revocation_lists(lists.unwrap_or_default()).unwrap_or_default(),
    );
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        |fault| TlsError::Pem { path, fault }
    };
    let chain = pem_file::certificates(&read_file(&files.chain)?).map_err(unreadable(&files.chain))?;
    let leaf = chain.first().ok_or_else(|| TlsError::NoCertificate(files.chain.clone()))?;
    let identity = Identity::from_certificate(leaf, Side::Client)?;
    if identity.role() == Role::Node {
        Identity::from_certificate(leaf, Side::Server)?;
    }
    check_own(&bundle, &chain, now)?;
    let keys = pem_file::private_keys(&read_file(&files.key)?).map_err(unreadable(&files.key))?;
    let key = keys.into_iter().next().ok_or_else(|| TlsError::NoKey(files.key.clone()))?;
    let key = CertifiedKey::from_der(chain, key, &provider()).map_err(TlsError::Mismatch)?;
    Ok((Current { identity, key: Arc::new(key), has_lists: lists.is_some(), ends }, bundle))
}

/// Refuses a chain that never verifies; one that does not verify today is used and complained about, because a node that
/// does not start cannot receive a withdrawal either.
fn check_own(bundle: &Bundle, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), TlsError> {
    match bundle.verify(chain, Side::Client, unix(now)).map_err(Refusal::from) {
        Ok(()) => Ok(()),
        Err(refusal @ (Refusal::ForeignAuthority | Refusal::Chain(_) | Refusal::Identity(_))) => {
            Err(TlsError::Chain(refusal))
        }
        Err(refusal) => {
            tracing::error!(%refusal, "the own certificate will be refused by others");
            Ok(())
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    plain_file::read(path, PEM_BYTES)
        .map(Zeroizing::new)
        .map_err(|cause| TlsError::Read { path: path.to_owned(), cause })
}
