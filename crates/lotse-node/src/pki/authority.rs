//! The authority: root certificate, leaves, revocation lists.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::random::{self, Random};
use lotse_core::time::{BACKDATED, DAY, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::identity::{Role, SpiffeId};
use crate::pem_file::{self, PemError};

/// How long a root certificate made here is valid.
pub const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A part of the authority's certificate cannot be read.
    #[error("the authority's certificate cannot be read, {0}")]
    Pem(#[from] PemError),
    /// Making or reading a key, certificate or list failed.
    #[error("cannot make or read the certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The text holds no certificate.
    #[error("the text holds no certificate: give a PEM file with one block CERTIFICATE")]
    NoCertificate,
    /// A time lies outside the years a certificate can hold.
    #[error("the time lies outside the years 1950 to 9999 that a certificate can hold")]
    Time,
    /// A host name is neither an address nor a DNS name.
    #[error("not a host name: use a DNS name or an IP address")]
    HostName,
}

/// A name under which a node is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostName::Dns(name) => f.write_str(name),
            HostName::Ip(address) => address.fmt(f),
        }
    }
}

impl FromStr for HostName {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<HostName, PkiError> {
        if let Ok(address) = text.parse() {
            return Ok(HostName::Ip(address));
        }
        rustls::pki_types::DnsName::try_from(text).map_err(|_| PkiError::HostName)?;
        Ok(HostName::Dns(text.to_owned()))
    }
}

/// What a leaf shall say.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Whose it is; a node's leaf is for servers and clients, any other for clients.
    pub id: SpiffeId,
    /// Names under which it is reached, for clients that look at them.
    pub hosts: Vec<HostName>,
    /// The beginning of its validity.
    pub not_before: Timestamp,
    /// The end of its validity.
    pub not_after: Timestamp,
}

/// A leaf and its key.
pub struct Issued {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// The key (PKCS#8) as PEM.
    pub key_pem: Zeroizing<String>,
    /// The serial number, by which it is revoked.
    pub serial: Vec<u8>,
}

/// A certificate that does not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Since when.
    pub at: Timestamp,
}

/// What a revocation list shall say.
#[derive(Clone, Debug)]
pub struct RevocationList {
    /// Its number, higher than that of every earlier list.
    pub number: u64,
    /// The beginning of its validity.
    pub this_update: Timestamp,
    /// The end of its validity: after it, nothing issued by this authority is accepted until a newer list is there.
    pub next_update: Timestamp,
    /// All certificates that do not count any more.
    pub revoked: Vec<Revoked>,
}

/// An agency's certificate authority: root certificate and key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl Authority {
    /// Makes a root for an agency: 10 years, issues leaves only (path length 0). Each has its own subject name, so that the
    /// revocation lists of an old and a new root are not taken for each other's.
    pub fn create(agency: &AgencyId, now: Timestamp, random: &dyn Random) -> Result<Authority, PkiError> {
        let serial = serial_number(random);
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("Lotse CA {}", hex::encode(&serial[..8])));
        params.subject_alt_names = vec![SanType::URI(format!("spiffe://{agency}").try_into()?)];
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = calendar(now.minus(BACKDATED))?;
        params.not_after = calendar(now.plus(AUTHORITY_LIFE))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Loads a root from its certificate and key (PEM).
    pub fn from_pem(certificate: &str, key: &str) -> Result<Authority, PkiError> {
        let found = pem_file::certificates(certificate.as_bytes())?;
        let der = found.into_iter().next().ok_or(PkiError::NoCertificate)?;
        Ok(Authority {
            issuer: Issuer::from_ca_cert_der(&der, KeyPair::from_pem(key)?)?,
            certificate: der,
            certificate_pem: certificate.to_owned(),
        })
    }

    /// Returns the root certificate: the agency's bundle.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the root certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the root's key (PKCS#8) as PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Issues a leaf with a new key.
    pub fn issue(&self, leaf: &Leaf, random: &dyn Random) -> Result<Issued, PkiError> {
        let serial = serial_number(random);
        let mut params = leaf_params(leaf)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            serial,
        })
    }

    /// Signs a revocation list.
    pub fn revocation_list(
        &self,
        list: &RevocationList,
    ) -> Result<(CertificateRevocationListDer<'static>, String), PkiError> {
        let revoked_certs = list.revoked.iter().map(revoked_params).collect::<Result<_, _>>()?;
        let params = CertificateRevocationListParams {
            this_update: calendar(list.this_update)?,
            next_update: calendar(list.next_update)?,
            crl_number: SerialNumber::from_slice(&list.number.to_be_bytes()),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = params.signed_by(&self.issuer)?;
        Ok((signed.der().clone(), signed.pem()?))
    }

    #[cfg(test)]
    pub(crate) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

/// Builds what rcgen signs; the URI comes first among the names.
pub(crate) fn leaf_params(leaf: &Leaf) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, leaf.id.name());
    params.subject_alt_names = vec![SanType::URI(leaf.id.to_string().try_into()?)];
    for host in &leaf.hosts {
        params.subject_alt_names.push(match host {
            HostName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
            HostName::Ip(address) => SanType::IpAddress(*address),
        });
    }
    params.not_before = calendar(leaf.not_before)?;
    params.not_after = calendar(leaf.not_after)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match leaf.id.role() {
        Role::Node => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        _ => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    Ok(params)
}

fn revoked_params(revoked: &Revoked) -> Result<RevokedCertParams, PkiError> {
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(&revoked.serial),
        revocation_time: calendar(revoked.at)?,
        reason_code: None,
        invalidity_date: None,
    })
}

/// Draws 16 bytes that are a positive number of full length (RFC 5280, section 4.1.2.2).
fn serial_number(random: &dyn Random) -> Vec<u8> {
    let mut serial: [u8; 16] = random::bytes(random);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial.to_vec()
}

fn calendar(at: Timestamp) -> Result<OffsetDateTime, PkiError> {
    let at = OffsetDateTime::from_unix_timestamp(at.micros().div_euclid(1_000_000)).map_err(|_| PkiError::Time)?;
    if (1950..=9999).contains(&at.year()) { Ok(at) } else { Err(PkiError::Time) }
}
