//! `[peer]`: other agencies' nodes.

use lotse_core::card::is_endpoint;
use serde::{Deserialize, Deserializer};

use crate::edge::Addresses;

/// Other agencies' nodes, and how they find this one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerSection {
    /// Where peers reach this node, `host:port`, in order of preference. Written into the card.
    #[serde(deserialize_with = "endpoints")]
    pub addresses: Vec<String>,
    /// Whether cards may name loopback addresses: demonstration and tests.
    pub allow_loopback: bool,
}

impl PeerSection {
    /// Returns which addresses may be called.
    pub fn callable(&self) -> Addresses {
        if self.allow_loopback { Addresses::RoutedAndLoopback } else { Addresses::Routed }
    }
}

fn endpoints<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let endpoints = Vec::<String>::deserialize(deserializer)?;
    match endpoints.iter().find(|endpoint| !is_endpoint(endpoint)) {
        Some(wrong) => Err(serde::de::Error::custom(format!("{wrong:?} is no address: write host:port"))),
        None => Ok(endpoints),
    }
}
