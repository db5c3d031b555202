//! Failed calls to another agency's node in words for the own administrator: which side refused the other, and what to do.

use std::error::Error;
use std::io;

use tonic::Status;
use tonic_types::StatusExt;

use super::connect::{Connector, Unreachable};
use crate::tls::Refusal;

/// Longest text of another node that is repeated, in characters.
const MAX_REPEATED: usize = 300;

/// The step that a peer has to take that has accepted no card of this agency.
const ACCEPT_THERE: &str = "ask that agency to run `lotse peer accept` with this agency's card, or wait until it has";

/// The cause of a failed call.
pub enum CallFault<'a> {
    /// The certificate of the called node was refused here.
    Refused(&'a Unreachable, &'a Refusal),
    /// Somebody answered there, and closed the connection during the handshake.
    HungUp(&'a Unreachable),
    /// No connection could be opened.
    Unreachable(&'a Unreachable),
    /// The called node refused the certificate of this side. The alert never says why.
    CertificateRefused(String),
    /// The connection broke before an answer came.
    Broken(String),
    /// The called node answered, with an error.
    Answered(&'a Status),
}

impl CallFault<'_> {
    /// Finds out why a call failed.
    pub fn of(status: &Status) -> CallFault<'_> {
        if let Some(unreachable) = Unreachable::find(status) {
            return match unreachable.refusal() {
                Some(refusal) => CallFault::Refused(unreachable, refusal),
                None if unreachable.is_hung_up() => CallFault::HungUp(unreachable),
                None => CallFault::Unreachable(unreachable),
            };
        }
        match status.source() {
            None => CallFault::Answered(status),
            Some(error) => match innermost(error).to_string() {
                cause if is_certificate_alert(&cause) => CallFault::CertificateRefused(cause),
                cause => CallFault::Broken(cause),
            },
        }
    }
}

impl Connector {
    /// Says why a call to a peer failed, and what to do.
    pub fn explain(&self, status: &Status) -> String {
        match CallFault::of(status) {
            CallFault::Refused(unreachable, refusal) => {
                let (seen, todo) = refused_peer(refusal, "that agency");
                format!("at {}: {seen}: {todo}", unreachable.address)
            }
            CallFault::HungUp(unreachable) => format!(
                "{unreachable}: something listens there and hung up during the handshake: that node may have too many connections, or \
                 another program has this port: ask that agency"
            ),
            CallFault::Unreachable(unreachable) => unreachable.to_string(),
            CallFault::CertificateRefused(cause) => match self.own_fault() {
                Some(fault) => format!("it refuses this node's certificate ({cause}): {fault}"),
                None => format!(
                    "it refuses this node's certificate ({cause}): it may not have accepted this agency's card yet: {ACCEPT_THERE}; else \
                     let both compare clocks and cards"
                ),
            },
            CallFault::Broken(cause) => match self.own_fault() {
                Some(fault) => format!("it closed the connection before it answered ({cause}): {fault}"),
                None => format!(
                    "it closed the connection before it answered ({cause}): it may not have accepted this agency's card yet \
                     ({ACCEPT_THERE}), or it is stopping"
                ),
            },
            CallFault::Answered(status) => answered(status),
        }
    }

    /// Says what is wrong with the own certificate, if a peer must refuse it.
    fn own_fault(&self) -> Option<String> {
        let end = self.credentials.identity().not_after();
        (end <= self.clock.now())
            .then(|| format!("it has expired on {end}: renew it (`lotse cert issue --role node 1`)"))
    }
}

/// Says why the certificate of a peer's node is refused here, and what that agency, called by this name, has to do.
pub fn refused_peer(refusal: &Refusal, agency: &str) -> (String, String) {
    match refusal {
        Refusal::Expired(since) => (
            format!("the certificate of its node has expired on {since}"),
            format!("ask {agency} to renew it, `lotse cert issue --role node 1` there"),
        ),
        Refusal::NotYetValid => (
            "the certificate of its node is not valid yet".into(),
            format!("compare the clocks with {agency}, `timedatectl status` on both machines"),
        ),
        Refusal::ForeignAuthority => (
            "no authority in its card issued the certificate of its node".into(),
            format!("ask {agency} for its newest card; another node may answer at that address"),
        ),
        other => (
            other.to_string(),
            format!("compare the fingerprints and the card with {agency}; another node may answer at that address"),
        ),
    }
}

/// Says why a stream that was open ended.
pub fn broken_stream(status: &Status) -> String {
    match CallFault::of(status) {
        CallFault::Broken(cause) => format!("the connection broke: {cause}"),
        _ => answered(status),
    }
}

fn answered(status: &Status) -> String {
    let message: String = status.message().chars().take(MAX_REPEATED).collect();
    let details = status.get_error_details();
    match details.error_info() {
        Some(info) => {
            format!("it refused the call: {message} [{}]", info.metadata.get("reasons").unwrap_or(&info.reason))
        }
        None => format!("it answered with an error: {message} [{:?}]", status.code()),
    }
}

/// Tells whether a cause is one of the alerts by which a node refuses a certificate. Of an error behind the handshake HTTP/2 keeps only
/// the text (rustls: `received fatal alert: `, name of the alert).
fn is_certificate_alert(cause: &str) -> bool {
    const ALERTS: [&str; 8] = [
        "AccessDenied",
        "BadCertificate",
        "CertificateExpired",
        "CertificateRequired",
        "CertificateRevoked",
        "CertificateUnknown",
        "UnknownCA",
        "UnsupportedCertificate",
    ];
    cause.strip_prefix("received fatal alert: ").is_some_and(|alert| ALERTS.contains(&alert))
}

/// Returns the innermost cause of an error.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut innermost = error;
    loop {
        let inner = innermost.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inner.map(|inner| inner as &(dyn Error + 'static)).or(innermost.source()) {
            Some(cause) => innermost = cause,
            None => return innermost,
        }
    }
}
