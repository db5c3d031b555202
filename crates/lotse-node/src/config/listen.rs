//! `[listen]`: where the node listens.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;

use crate::edge::Limits;

/// Where the node listens. Port 0 lets the system choose; `run/ports.toml` says what it chose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSection {
    /// Other agencies' nodes.
    pub peer: SocketAddr,
    /// The agency's own systems, officers and administrators.
    pub agency: SocketAddr,
    /// Further DNS names and IP addresses under which the agency's own systems reach the node, for its certificate.
    #[serde(default)]
    pub agency_names: Vec<String>,
    /// Officers' pages; none without it.
    #[serde(default)]
    pub pages: Option<SocketAddr>,
    /// Connections at the same time, per port.
    #[serde(default = "connections")]
    pub connections: usize,
    /// Connections at the same time of one agency (peer port) or certificate (other ports).
    #[serde(default = "connections_per_caller")]
    pub connections_per_caller: usize,
    /// How long a handshake may take, seconds.
    #[serde(default = "handshake_seconds")]
    pub handshake_seconds: u64,
    /// After this time, give or take a tenth, a caller is asked to connect again, seconds.
    #[serde(default = "max_age_seconds")]
    pub max_age_seconds: u64,
    /// How long calls may go on after that, and when the node stops, seconds.
    #[serde(default = "grace_seconds")]
    pub grace_seconds: u64,
}

impl ListenSection {
    /// Returns what a port bears.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.connections,
            connections_per_caller: self.connections_per_caller,
            handshake: Duration::from_secs(self.handshake_seconds),
            max_age: Duration::from_secs(self.max_age_seconds),
            grace: Duration::from_secs(self.grace_seconds),
            ..Limits::default()
        }
    }
}

fn connections() -> usize {
    Limits::default().connections
}

fn connections_per_caller() -> usize {
    Limits::default().connections_per_caller
}

fn handshake_seconds() -> u64 {
    Limits::default().handshake.as_secs()
}

fn max_age_seconds() -> u64 {
    Limits::default().max_age.as_secs()
}

fn grace_seconds() -> u64 {
    Limits::default().grace.as_secs()
}
