//! When the own certificates end.

use lotse_core::time::Timestamp;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::time::ASN1Time;

/// When the authorities and the revocation lists of the own agency end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnEnds {
    /// Ends of the authorities, as they stand in the bundle.
    pub authorities: Vec<Timestamp>,
    /// End of the revocation list that ends first.
    pub lists: Option<Timestamp>,
}

impl OwnEnds {
    pub(super) fn of(roots: &[CertificateDer<'_>], lists: &[CertificateRevocationListDer<'_>]) -> OwnEnds {
        let ends = lists.iter().filter_map(|der| {
            let (_, list) = CertificateRevocationList::from_der(der).ok()?;
            list.next_update().map(at)
        });
        OwnEnds { authorities: roots.iter().filter_map(|der| authority_end(der)).collect(), lists: ends.min() }
    }
}

/// Returns when a root certificate (DER) ends.
pub fn authority_end(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(at(certificate.validity().not_after))
}

fn at(time: ASN1Time) -> Timestamp {
    Timestamp::from_micros(time.timestamp().saturating_mul(1_000_000))
}
