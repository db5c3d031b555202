//! Whose certificates count: one bundle per agency, never a union.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lotse_core::id::AgencyId;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, TrustAnchor, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::identity::Side;
use crate::pem_file::{self, PemError};

/// How many root certificates a bundle may hold: an old and a new one, of more than one authority.
const MAX_ANCHORS: usize = 8;

/// How many revocation lists a bundle may hold.
const MAX_REVOCATION_LISTS: usize = 16;

/// How many certificates a chain may have, leaf included.
const MAX_CHAIN: usize = 5;

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BundleError {
    /// It holds no root certificate.
    #[error("the bundle holds no certificate: give the root certificates of the agency's authority as PEM")]
    Empty,
    /// It holds too much.
    #[error(
        "the bundle is too large: at most {MAX_ANCHORS} root certificates and {MAX_REVOCATION_LISTS} revocation lists"
    )]
    TooLarge,
    /// A part of its certificates cannot be read.
    #[error("the bundle of authorities cannot be read, {0}")]
    Certificates(PemError),
    /// A part of its revocation lists cannot be read.
    #[error("the revocation lists cannot be read, {0}")]
    Lists(PemError),
    /// A root certificate is no authority's.
    #[error("a certificate of the bundle is no certificate authority's: give root certificates, not leaves")]
    NoAuthority,
    /// A revocation list cannot be read.
    #[error("a revocation list cannot be read: give version 2 lists without delta or partition")]
    RevocationList,
}

/// The roots of one agency, and its revocation lists if it has any.
///
/// With any list given, every certificate of a chain below the root needs one that covers it and has not expired.
pub struct Bundle {
    anchors: Vec<TrustAnchor<'static>>,
    lists: Vec<CertRevocationList<'static>>,
}

impl Bundle {
    /// Takes root certificates and revocation lists (DER).
    pub fn new(
        anchors: &[CertificateDer<'_>],
        lists: &[CertificateRevocationListDer<'_>],
    ) -> Result<Bundle, BundleError> {
        if anchors.is_empty() {
            return Err(BundleError::Empty);
        }
        if anchors.len() > MAX_ANCHORS || lists.len() > MAX_REVOCATION_LISTS {
            return Err(BundleError::TooLarge);
        }
        Ok(Bundle {
            anchors: anchors.iter().map(anchor).collect::<Result<_, _>>()?,
            lists: lists.iter().map(revocation_list).collect::<Result<_, _>>()?,
        })
    }

    /// Reads root certificates and revocation lists (PEM), all of them or none. A text for lists that holds none is an error: to go without, give
    /// no text.
    pub fn from_pem(anchors: &[u8], lists: Option<&[u8]>) -> Result<Bundle, BundleError> {
        let anchors = pem_file::certificates(anchors).map_err(BundleError::Certificates)?;
        let lists_wanted = lists.is_some();
        let lists = pem_file::revocation_lists(lists.unwrap_or_default()).map_err(BundleError::Lists)?;
        if lists_wanted && lists.is_empty() {
            return Err(BundleError::RevocationList);
        }
        Bundle::new(&anchors, &lists)
    }

    /// Verifies a chain, leaf first, up to one of the roots.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>], side: Side, now: UnixTime) -> Result<(), webpki::Error> {
        let (leaf, above) = chain.split_first().ok_or(webpki::Error::BadDer)?;
        if chain.len() > MAX_CHAIN {
            return Err(webpki::Error::MaximumPathDepthExceeded);
        }
        let lists: Vec<&CertRevocationList<'_>> = self.lists.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_expiration_policy(ExpirationPolicy::Enforce).build());
        let usage = match side {
            Side::Client => KeyUsage::client_auth(),
            Side::Server => KeyUsage::server_auth(),
        };
        EndEntityCert::try_from(leaf)?
            .verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &self.anchors, above, now, usage, revocation, None)
            .map(|_| ())
    }
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} roots, {} revocation lists)", self.anchors.len(), self.lists.len())
    }
}

fn anchor(der: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, BundleError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| BundleError::NoAuthority)?;
    if !certificate.is_ca() {
        return Err(BundleError::NoAuthority);
    }
    webpki::anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned()).map_err(|_| BundleError::NoAuthority)
}

fn revocation_list(der: &CertificateRevocationListDer<'_>) -> Result<CertRevocationList<'static>, BundleError> {
    OwnedCertRevocationList::from_der(der).map(CertRevocationList::from).map_err(|_| BundleError::RevocationList)
}

/// The bundles of all agencies with an accepted card, and the own one. Changed at run time, read without a lock.
#[derive(Debug, Default)]
pub struct TrustStore(ArcSwap<Trusted>);

/// One state of the store. The revision grows with each change.
#[derive(Debug, Default)]
pub(super) struct Trusted {
    pub(super) revision: u64,
    bundles: HashMap<AgencyId, Arc<Bundle>>,
}

impl Trusted {
    pub(super) fn bundle(&self, agency: &AgencyId) -> Option<&Bundle> {
        self.bundles.get(agency).map(Arc::as_ref)
    }
}

impl TrustStore {
    /// Trusts an agency's bundle from now on, in place of the one before.
    pub fn set(&self, agency: AgencyId, bundle: Bundle) {
        self.set_all([(agency, bundle)]);
    }

    /// Trusts many agencies' bundles from now on, in one change.
    pub fn set_all(&self, bundles: impl IntoIterator<Item = (AgencyId, Bundle)>) {
        let new: Vec<_> = bundles.into_iter().map(|(agency, bundle)| (agency, Arc::new(bundle))).collect();
        self.change(|bundles| bundles.extend(new.iter().cloned()));
    }

    /// Trusts no certificate of an agency any more.
    pub fn remove(&self, agency: &AgencyId) {
        self.change(|bundles| {
            bundles.remove(agency);
        });
    }

    /// Tells whether an agency's certificates can count.
    pub fn knows(&self, agency: &AgencyId) -> bool {
        self.0.load().bundles.contains_key(agency)
    }

    pub(super) fn load(&self) -> arc_swap::Guard<Arc<Trusted>> {
        self.0.load()
    }

    fn change(&self, change: impl Fn(&mut HashMap<AgencyId, Arc<Bundle>>)) {
        self.0.rcu(|now| {
            let mut bundles = now.bundles.clone();
            change(&mut bundles);
            Trusted { revision: now.revision + 1, bundles }
        });
    }
}
