//! Revocation lists as they stand in a file (RFC 5280, section 5): read, so that the next one can say more.

use std::path::Path;

use anyhow::Context as _;
use lotse_core::time::Timestamp;
use rustls::pki_types::CertificateRevocationListDer;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

use super::Revoked;
use crate::pem_file::{self, PEM_BYTES};
use crate::plain_file;

/// One list of a file.
#[derive(Clone, Debug)]
pub struct PublishedList {
    /// The signed list.
    pub der: CertificateRevocationListDer<'static>,
    /// Name of the authority that signed it (DER).
    pub issuer: Vec<u8>,
    /// Its number; 0 where it has none.
    pub number: u64,
    /// Until when it counts; the beginning of time where it does not say.
    pub next_update: Timestamp,
    /// What it revokes.
    pub revoked: Vec<Revoked>,
}

/// Reads the lists of a file (PEM).
pub fn read(path: &Path) -> anyhow::Result<Vec<PublishedList>> {
    let name = || format!("cannot read the revocation lists of {}", path.display());
    let pem = plain_file::read(path, PEM_BYTES).with_context(name)?;
    let lists = pem_file::revocation_lists(&pem).with_context(name)?;
    lists.into_iter().map(|der| parse(der).with_context(name)).collect()
}

fn parse(der: CertificateRevocationListDer<'static>) -> anyhow::Result<PublishedList> {
    let (_, list) = CertificateRevocationList::from_der(&der).context("this is no revocation list")?;
    let number = list.crl_number().and_then(|number| number.to_u64_digits().first().copied()).unwrap_or(0);
    let revoked = list.iter_revoked_certificates();
    let revoked = revoked.map(|entry| Revoked { serial: entry.raw_serial().to_vec(), at: at(entry.revocation_date) });
    Ok(PublishedList {
        issuer: list.issuer().as_raw().to_vec(),
        number,
        next_update: list.next_update().map_or(Timestamp::from_micros(0), at),
        revoked: revoked.collect(),
        der: der.clone(),
    })
}

fn at(time: ASN1Time) -> Timestamp {
    Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
}
