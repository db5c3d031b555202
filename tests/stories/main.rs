//! Stories: what whole nodes do to each other, and the tidy test of the tree itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what surprises a story ends it, and it may tell what it saw"
)]

mod catalogue;
mod copies;
mod demo;
mod doctor;
mod documents;
mod exchange;
mod export;
mod federate;
mod files;
mod flood;
mod head_store;
mod json_schema;
mod kill;
mod planted;
mod postgres;
mod roles;
mod secrecy;
mod stop;
mod telemetry;
mod tidy;

/// Not a story: the program `lotse` for stories whose nodes are processes of their own.
#[test]
fn lotse_process() -> anyhow::Result<()> {
    lotse_tests::process::become_lotse()
}
