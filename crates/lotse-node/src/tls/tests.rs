//! Real certificates over real connections: each bad one is refused where a good one passes.

mod bad_certificates;
mod connections;
pub(crate) mod kit;
mod revocation;
