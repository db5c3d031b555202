//! Who a certificate says it is: the SPIFFE id of an X.509-SVID (certs/README.md says its form).
//!
//! A certificate is read before its signature is checked, because the id it names decides against whose bundle it is
//! checked. So nothing here is proof: `tls` makes it one.

use std::fmt;
use std::str::FromStr;

use lotse_core::id::{AgencyId, Digest};
use lotse_core::time::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

/// The largest certificate that is read, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// The longest name after the role, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// The tag of a URI in a subject alternative name (RFC 5280, section 4.2.1.6).
const URI_TAG: u32 = 6;

/// What a certificate's owner is to its agency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The agency's gateway.
    Node,
    /// An IT system of the agency.
    System,
    /// A person who works on cases.
    Officer,
    /// A person who runs the node.
    Admin,
}

impl Role {
    /// Returns the word in the id.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Node => "node",
            Role::System => "system",
            Role::Officer => "officer",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Role, IdentityError> {
        let roles = [Role::Node, Role::System, Role::Officer, Role::Admin];
        roles.into_iter().find(|role| role.as_str() == text).ok_or(IdentityError::Role)
    }
}

/// Which end of a connection a certificate is used at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It opened the connection; the certificate needs the extended key usage clientAuth.
    Client,
    /// It was called; the certificate needs the extended key usage serverAuth.
    Server,
}

/// A SPIFFE id of the form `spiffe://<agency>/<role>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpiffeId {
    agency: AgencyId,
    role: Role,
    name: Box<str>,
}

impl SpiffeId {
    /// Builds an id; the name has 1 to 64 of a-z A-Z 0-9 . _ - and is not `.` or `..`.
    pub fn new(agency: AgencyId, role: Role, name: &str) -> Result<SpiffeId, IdentityError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let well_formed = (1..=MAX_NAME_CHARS).contains(&name.len()) && name.bytes().all(allowed);
        if !well_formed || name == "." || name == ".." {
            return Err(IdentityError::Name);
        }
        Ok(SpiffeId { agency, role, name: name.into() })
    }

    /// Returns the agency: the trust domain.
    pub fn agency(&self) -> &AgencyId {
        &self.agency
    }

    /// Returns the role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the name within agency and role.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.agency, self.role, self.name)
    }
}

impl FromStr for SpiffeId {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<SpiffeId, IdentityError> {
        let rest = text.strip_prefix("spiffe://").ok_or(IdentityError::NotSpiffe)?;
        let mut parts = rest.split('/');
        let agency = parts.next().unwrap_or_default().parse().map_err(|_| IdentityError::TrustDomain)?;
        let (Some(role), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(IdentityError::NotSpiffe);
        };
        SpiffeId::new(agency, role.parse()?, name)
    }
}

/// What a certificate says about its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    id: SpiffeId,
    certificate_sha256: Digest,
    not_after: Timestamp,
}

impl Identity {
    /// Reads a leaf certificate (DER). Its signature and validity are not checked here.
    pub fn from_certificate(der: &[u8], side: Side) -> Result<Identity, IdentityError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(IdentityError::Unreadable);
        }
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| IdentityError::Unreadable)?;
        if !rest.is_empty() {
            return Err(IdentityError::Unreadable);
        }
        refuse_unknown_critical(&certificate)?;
        refuse_authority(&certificate)?;
        require_usage(&certificate, side)?;
        Ok(Identity {
            id: only_uri(&certificate)?.parse()?,
            certificate_sha256: Digest::of(der),
            not_after: Timestamp::from_micros(certificate.validity().not_after.timestamp().saturating_mul(1_000_000)),
        })
    }

    /// Returns the SPIFFE id.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Returns the agency.
    pub fn agency(&self) -> &AgencyId {
        &self.id.agency
    }

    /// Returns the role.
    pub fn role(&self) -> Role {
        self.id.role
    }

    /// Returns the name within agency and role.
    pub fn name(&self) -> &str {
        &self.id.name
    }

    /// Returns the SHA-256 of the certificate (DER).
    pub fn certificate_sha256(&self) -> &Digest {
        &self.certificate_sha256
    }

    /// Returns the end of the certificate's validity.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// Why a certificate has no identity here.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// It is no X.509 certificate, or a part cannot be read.
    #[error("the certificate cannot be read: issue it again as X.509 version 3, at most 16 KiB, each extension once")]
    Unreadable,
    /// There is no URI among its names.
    #[error("the certificate names no URI: issue it with the one URI name spiffe://<agency>/<role>/<name>")]
    NoUri,
    /// There are several URIs among its names.
    #[error("the certificate names several URIs: issue it with exactly one, spiffe://<agency>/<role>/<name>")]
    SeveralUris,
    /// The URI has another form.
    #[error("the certificate's URI is no id of ours: use spiffe://<agency>/<role>/<name>")]
    NotSpiffe,
    /// The trust domain is no agency id.
    #[error("the certificate's trust domain is no agency id: use lower case a-z 0-9 . - without a dot at the end")]
    TrustDomain,
    /// The role is none of ours.
    #[error("the certificate's role is unknown: use node, system, officer or admin")]
    Role,
    /// The name is empty, too long or has other characters.
    #[error("the certificate's name is not allowed: use 1 to 64 of a-z A-Z 0-9 . _ -")]
    Name,
    /// It is a certificate authority.
    #[error("the certificate is an authority's: issue a leaf from it and use that")]
    Authority,
    /// It may sign certificates or revocation lists.
    #[error("the certificate may sign certificates or revocation lists: issue it without keyCertSign and cRLSign")]
    SigningUsage,
    /// It may not be used by a caller.
    #[error("the certificate is not for callers: issue it with the extended key usage clientAuth")]
    NotForClients,
    /// It may not be used by who is called.
    #[error("the certificate is not for servers: issue it with the extended key usage serverAuth")]
    NotForServers,
    /// A critical extension is not understood.
    #[error("the certificate has a critical extension that is not understood here: issue it without")]
    UnknownCritical,
}

fn refuse_unknown_critical(certificate: &X509Certificate<'_>) -> Result<(), IdentityError> {
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ParseError { .. } => return Err(IdentityError::Unreadable),
            ParsedExtension::KeyUsage(_)
            | ParsedExtension::ExtendedKeyUsage(_)
            | ParsedExtension::BasicConstraints(_)
            | ParsedExtension::SubjectAlternativeName(_) => {}
            _ if extension.critical => return Err(IdentityError::UnknownCritical),
            _ => {}
        }
    }
    Ok(())
}

fn refuse_authority(certificate: &X509Certificate<'_>) -> Result<(), IdentityError> {
    let constraints = certificate.basic_constraints().map_err(|_| IdentityError::Unreadable)?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(IdentityError::Authority);
    }
    let usage = certificate.key_usage().map_err(|_| IdentityError::Unreadable)?;
    if usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()) {
        return Err(IdentityError::SigningUsage);
    }
    Ok(())
}

/// Asks for the very usage; `anyExtendedKeyUsage` is not enough.
fn require_usage(certificate: &X509Certificate<'_>, side: Side) -> Result<(), IdentityError> {
    let usage = certificate.extended_key_usage().map_err(|_| IdentityError::Unreadable)?.map(|usage| usage.value);
    match side {
        Side::Client if !usage.is_some_and(|usage| usage.client_auth) => Err(IdentityError::NotForClients),
        Side::Server if !usage.is_some_and(|usage| usage.server_auth) => Err(IdentityError::NotForServers),
        _ => Ok(()),
    }
}

fn only_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, IdentityError> {
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let mut uri = None;
    for name in names {
        match name {
            GeneralName::URI(_) if uri.is_some() => return Err(IdentityError::SeveralUris),
            GeneralName::URI(text) => uri = Some(*text),
            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => return Err(IdentityError::NotSpiffe),
            _ => {}
        }
    }
    uri.ok_or(IdentityError::NoUri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_writes() {
        for good in ["spiffe://a.example/node/n1", "spiffe://jc-hanau.example/officer/M.Muster_2-x"] {
            assert_eq!(good.parse::<SpiffeId>().unwrap().to_string(), good);
        }
    }

    #[test]
    fn an_id_of_another_form_is_refused() {
        let long = format!("spiffe://a.example/node/{}", "x".repeat(65));
        let bad = [
            ("https://a.example/node/n1", IdentityError::NotSpiffe),
            ("SPIFFE://a.example/node/n1", IdentityError::NotSpiffe),
            ("spiffe://a.example/node", IdentityError::NotSpiffe),
            ("spiffe://a.example/node/n1/x", IdentityError::NotSpiffe),
            ("spiffe://a.example/node/n1/", IdentityError::NotSpiffe),
            ("spiffe://A.example/node/n1", IdentityError::TrustDomain),
            ("spiffe://a.example./node/n1", IdentityError::TrustDomain),
            ("spiffe://a.example:443/node/n1", IdentityError::TrustDomain),
            ("spiffe://u@a.example/node/n1", IdentityError::TrustDomain),
            ("spiffe:///node/n1", IdentityError::TrustDomain),
            ("spiffe://a.example/Node/n1", IdentityError::Role),
            ("spiffe://a.example//n1", IdentityError::Role),
            ("spiffe://a.example/node/", IdentityError::Name),
            ("spiffe://a.example/node/..", IdentityError::Name),
            ("spiffe://a.example/node/n%31", IdentityError::Name),
            ("spiffe://a.example/node/n1?x", IdentityError::Name),
            (long.as_str(), IdentityError::Name),
        ];
        for (text, error) in bad {
            assert_eq!(text.parse::<SpiffeId>(), Err(error), "{text}");
        }
    }
}
