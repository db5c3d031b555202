//! Whether a certificate that was accepted once still counts: a connection outlives a handshake.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use lotse_core::time::{Clock, Timestamp};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::identity::{Identity, Side};
use crate::tls::admission::Refusal;
use crate::tls::trust::TrustStore;

/// How long a verdict holds while nothing changes: revocation lists and authorities above the leaf expire too.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The revision of no trust store.
const NEVER: u64 = u64::MAX;

/// A certificate presented on a connection, and what decides whether it still counts.
///
/// The check is cheap enough for each call and each batch: it verifies the chain again only if the trust store changed, the
/// last verdict is older than [`RECHECK_INTERVAL`], or the clock went back. The leaf's own expiry is exact.
pub struct Standing {
    identity: Arc<Identity>,
    chain: Vec<CertificateDer<'static>>,
    side: Side,
    trust: Arc<TrustStore>,
    clock: Arc<dyn Clock>,
    verified_revision: AtomicU64,
    verified_at: AtomicI64,
}

impl Standing {
    /// Takes the chain, leaf first, that a finished handshake has verified.
    pub fn new(
        chain: &[CertificateDer<'_>],
        side: Side,
        trust: Arc<TrustStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Standing, Refusal> {
        let leaf = chain.first().ok_or(Refusal::NoCertificate)?;
        Ok(Standing {
            identity: Arc::new(Identity::from_certificate(leaf, side)?),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            side,
            trust,
            clock,
            verified_revision: AtomicU64::new(NEVER),
            verified_at: AtomicI64::new(0),
        })
    }

    /// Returns whose certificate it is.
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// Checks whether the certificate counts now: its agency is trusted, it is not revoked, nothing has expired.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_at(self.clock.now())
    }

    fn check_at(&self, now: Timestamp) -> Result<(), Refusal> {
        if now > self.identity.not_after() {
            return Err(Refusal::Expired(self.identity.not_after()));
        }
        let trusted = self.trust.load();
        if self.verified_revision.load(Ordering::Acquire) == trusted.revision && self.is_fresh(now) {
            return Ok(());
        }
        trusted.verify(&self.identity, &self.chain, self.side, unix(now))?;
        self.verified_at.store(now.micros(), Ordering::Release);
        self.verified_revision.store(trusted.revision, Ordering::Release);
        Ok(())
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let verified_at = Timestamp::from_micros(self.verified_at.load(Ordering::Acquire));
        verified_at <= now && now.since(verified_at) < RECHECK_INTERVAL
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Standing({})", self.identity)
    }
}

pub(super) fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(at.since(Timestamp::from_micros(0)))
}
