//! What rustls asks during a handshake.

use std::sync::Arc;

use lotse_core::id::AgencyId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerIncompatible, SignatureScheme};

use crate::identity::{Identity, Role, Side};
use crate::tls::admission::{Door, Refusal, at};
use crate::tls::provider::LEAF_SIGNATURES;
use crate::tls::refused::RefusedCallers;
use crate::tls::trust::TrustStore;

/// Verifies callers at a port.
#[derive(Debug)]
pub(super) struct CallerVerifier {
    pub(super) door: Door,
    pub(super) own: AgencyId,
    pub(super) trust: Arc<TrustStore>,
    pub(super) refused: Arc<RefusedCallers>,
}

impl CallerVerifier {
    pub(super) fn admit(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let allowed = |identity: &Identity| match self.door.admits(&self.own, identity) {
            true => Ok(()),
            false => Err(Refusal::NotAdmitted),
        };
        let identity = Identity::from_certificate(leaf, Side::Client)?;
        let verdict = verify(&self.trust, &identity, (leaf, above), Side::Client, now, allowed);
        match &verdict {
            Ok(()) => self.refused.forget(self.door, &identity),
            Err(refusal) => self.refused.note(self.door, &identity, refusal, at(now)),
        }
        verdict
    }
}

/// Verifies the node that was called: it must be the expected agency's, whatever the host name.
#[derive(Debug)]
pub(super) struct NodeVerifier {
    pub(super) expected: AgencyId,
    pub(super) trust: Arc<TrustStore>,
}

impl NodeVerifier {
    pub(super) fn admit(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        let allowed = |identity: &Identity| match identity.agency() == &self.expected && identity.role() == Role::Node {
            true => Ok(()),
            false => Err(Refusal::OtherAgency),
        };
        let identity = Identity::from_certificate(leaf, Side::Server)?;
        // Whoever called says why it failed, and how often.
        verify(&self.trust, &identity, (leaf, above), Side::Server, now, allowed)
    }
}

fn verify(
    trust: &TrustStore,
    identity: &Identity,
    (leaf, above): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    side: Side,
    now: UnixTime,
    allowed: impl FnOnce(&Identity) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let chain: Vec<_> = std::iter::once(leaf).chain(above).cloned().collect();
    allowed(identity).and_then(|()| trust.load().verify(identity, &chain, side, now))
}

impl ClientCertVerifier for CallerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.door != Door::Pages
    }

    /// Names nobody: which agencies are known here is nobody's business.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.admit(end_entity, intermediates, now)
            .map(|()| ClientCertVerified::assertion())
            .map_err(|refusal| refusal.alert().into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &LEAF_SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        LEAF_SIGNATURES.supported_schemes()
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.admit(end_entity, intermediates, now);
        // Here the reason stays at home: it is what the own administrator reads.
        let error = |refusal| Error::Other(OtherError(Arc::new(refusal)));
        verdict.map(|()| ServerCertVerified::assertion()).map_err(error)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &LEAF_SIGNATURES)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        LEAF_SIGNATURES.supported_schemes()
    }
}
