//! Who may come in where, and why not.

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::identity::{Identity, IdentityError, Role, Side};
use crate::tls::trust::Trusted;

/// A port, by who may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// Other agencies' nodes.
    Peer,
    /// The own agency's systems, officers and administrators.
    Agency,
    /// The own agency's officers with their browsers; without a certificate too.
    Pages,
}

impl Door {
    /// Returns the name of the port in messages.
    pub const fn port(self) -> &'static str {
        match self {
            Door::Peer => "peer port",
            Door::Agency => "agency port",
            Door::Pages => "pages port",
        }
    }

    /// Tells whether someone may come in here, the certificate being genuine.
    pub(super) fn admits(self, own: &AgencyId, identity: &Identity) -> bool {
        let own_agency = identity.agency() == own;
        match self {
            Door::Peer => !own_agency && identity.role() == Role::Node,
            Door::Agency => own_agency && identity.role() != Role::Node,
            Door::Pages => own_agency && identity.role() == Role::Officer,
        }
    }
}

/// Why a certificate was refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// None was presented.
    #[error("no certificate was presented: a client certificate is needed here")]
    NoCertificate,
    /// Its content is not allowed.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its owner has no business at this port.
    #[error("the certificate's agency or role is not admitted at this port: use the port meant for it")]
    NotAdmitted,
    /// Another agency's node answered.
    #[error("another agency's node answered than was called: check the endpoint in its card")]
    OtherAgency,
    /// Its agency is unknown.
    #[error("the agency has no accepted card here: compare fingerprints, then run `lotse peer accept`")]
    UnknownAgency,
    /// It was not issued by an authority of the agency it names.
    #[error("no authority of the named agency issued the certificate: check the bundle in its card")]
    ForeignAuthority,
    /// Its validity has ended.
    #[error("the certificate has expired on {0}: renew it")]
    Expired(Timestamp),
    /// Its validity has not begun.
    #[error("the certificate is not valid yet: check the clocks")]
    NotYetValid,
    /// It was revoked.
    #[error("the certificate was revoked: issue a new one")]
    Revoked,
    /// The list that would say whether it was revoked is too old.
    #[error("the revocation list has expired on {0}: publish a newer one")]
    RevocationListExpired(Timestamp),
    /// No list says whether it was revoked.
    #[error("no revocation list covers the certificate: publish one for each issuing authority")]
    RevocationUnknown,
    /// It breaks another rule of its form.
    #[error("the certificate chain does not verify ({0}): issue the certificate again")]
    Chain(webpki::Error),
}

impl From<webpki::Error> for Refusal {
    fn from(error: webpki::Error) -> Refusal {
        match error {
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => Refusal::ForeignAuthority,
            webpki::Error::CertExpired { not_after, .. } => Refusal::Expired(at(not_after)),
            webpki::Error::CertNotValidYet { .. } => Refusal::NotYetValid,
            webpki::Error::CertRevoked => Refusal::Revoked,
            webpki::Error::CrlExpired { next_update, .. } => Refusal::RevocationListExpired(at(next_update)),
            webpki::Error::UnknownRevocationStatus => Refusal::RevocationUnknown,
            webpki::Error::UnsupportedCriticalExtension => Refusal::Identity(IdentityError::UnknownCritical),
            other => Refusal::Chain(other),
        }
    }
}

/// Translates a time.
pub(super) fn at(time: UnixTime) -> Timestamp {
    Timestamp::from_micros(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

impl Refusal {
    /// Chooses the alert that a caller sees: why a certificate cannot be read at all, else always the same. An attacker could
    /// otherwise find out with certificates made for it, expired ones for instance, which agencies have an accepted card.
    pub(super) fn alert(&self) -> CertificateError {
        match self {
            Refusal::Identity(_) => CertificateError::BadEncoding,
            _ => CertificateError::ApplicationVerificationFailure,
        }
    }
}

impl Trusted {
    /// Verifies a chain, leaf first, against the bundle of the agency that its leaf names, and of no other.
    pub(super) fn verify(
        &self,
        identity: &Identity,
        chain: &[CertificateDer<'_>],
        side: Side,
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let bundle = self.bundle(identity.agency()).ok_or(Refusal::UnknownAgency)?;
        Ok(bundle.verify(chain, side, now)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_does_not_tell_which_agencies_are_known() {
        let unknown = Refusal::UnknownAgency.alert();
        let expired = Refusal::Expired(Timestamp::from_micros(0));
        for known in [Refusal::ForeignAuthority, expired, Refusal::NotYetValid, Refusal::Revoked] {
            assert_eq!(known.alert(), unknown);
        }
        assert_eq!(Refusal::Chain(webpki::Error::BadDer).alert(), unknown);
    }
}
