//! TLS between nodes, and between a node and its own systems and people: 1.3 only, always mutual but for the pages, trust
//! per agency, nothing resumed.

mod admission;
mod credentials;
mod own_ends;
mod provider;
mod refused;
mod standing;
mod trust;
mod verifier;

#[cfg(test)]
pub(crate) mod tests;

pub use admission::{Door, Refusal};
pub use credentials::{Credentials, RELOAD_INTERVAL, Reloaded, RevocationLists, TlsError, TlsFiles};
pub use own_ends::{OwnEnds, authority_end};
pub use provider::provider;
pub use refused::RefusedCallers;
pub use standing::{RECHECK_INTERVAL, Standing};
pub use trust::{Bundle, BundleError, TrustStore};
