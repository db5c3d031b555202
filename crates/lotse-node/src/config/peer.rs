//! `[peer]`: other agencies' nodes.

use lotse_core::card::is_endpoint;
use serde::{Deserialize, Deserializer};

use crate::edge::Addresses;
use crate::federation::DailyLimits;

/// Other agencies' nodes, and how they find this one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerSection {
    /// Where peers reach this node, `host:port`, in order of preference. Written into the card.
    #[serde(deserialize_with = "endpoints")]
    pub addresses: Vec<String>,
    /// Whether cards may name loopback addresses: demonstration and tests.
    pub allow_loopback: bool,
    /// Mebibytes of batches that are taken from one peer in a day.
    pub daily_mebibytes: u32,
    /// Envelopes of one peer that are refused in a day, one by one. Beyond it whole batches are, until a part of the day has passed.
    pub daily_refused: u32,
}

impl Default for PeerSection {
    fn default() -> PeerSection {
        let (addresses, allow_loopback) = (Vec::new(), false);
        PeerSection { addresses, allow_loopback, daily_mebibytes: 65_536, daily_refused: 100_000 }
    }
}

impl PeerSection {
    /// Returns what one peer may add to the disk in a day.
    pub fn daily_limits(&self) -> DailyLimits {
        DailyLimits { bytes: u64::from(self.daily_mebibytes) << 20, refused: self.daily_refused.into() }
    }

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
