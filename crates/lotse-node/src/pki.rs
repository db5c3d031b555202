//! A small certificate authority of one agency: makes its own root, issues leaves, revokes them.
//!
//! For agencies that have no authority of their own, and for tests. All keys are ECDSA P-256: OpenSSL 3.0 and the clients
//! built on it do not load the Ed25519 keys that rcgen writes.

mod authority;
pub mod certificate_act;
pub mod files;
pub mod revocation_list;

pub use authority::{AUTHORITY_LIFE, Authority, HostName, Issued, Leaf, PkiError, RevocationList, Revoked};

#[cfg(test)]
pub(crate) use authority::leaf_params;
