//! One node of a Lotse federation: what the program `lotse` is made of.
//!
//! `action` holds one file per thing that one can do. `grpc`, `web` and `commands` are the edges that call actions, `courier` and
//! `sequencer` the tasks that work on their own, `wire` the only place that knows both protobuf and core.

pub mod action;
pub mod ambient;
mod bounded_map;
mod card_file;
pub mod commands;
pub mod config;
mod core_dump;
pub mod courier;
mod database;
pub mod desk;
pub mod disk_space;
pub mod edge;
pub mod ending;
pub mod entry;
pub mod failure;
pub mod federation;
pub mod folder;
mod foreign;
pub mod grpc;
pub mod head_store;
pub mod hold;
pub mod housekeeping;
pub mod identity;
pub mod instance;
pub mod key_file;
pub mod language;
pub mod latest;
pub mod lifecycle;
pub mod link;
pub mod node;
pub mod numbers;
pub mod pause;
mod pem_file;
pub mod pki;
mod plain_file;
pub mod proof_file;
pub mod pulse;
#[cfg(test)]
mod reasons;
pub mod recent;
pub mod record_file;
pub mod sequencer;
pub mod service_manager;
pub mod session;
pub mod shipment;
pub mod signal;
pub mod start;
pub mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;
pub mod trouble;
pub mod web;
pub mod wire;
pub mod wording;
