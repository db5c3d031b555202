//! `[custody]`: copies held for other agencies.

use std::time::Duration;

use lotse_core::time::DAY;
use serde::Deserialize;

/// Copies held for other agencies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CustodySection {
    /// After how many days the content of a copy goes even if not every system has fetched it.
    pub payload_days: u32,
}

impl Default for CustodySection {
    fn default() -> CustodySection {
        CustodySection { payload_days: 30 }
    }
}

impl CustodySection {
    /// Returns how long the content of a copy is kept at most.
    pub fn payload_life(&self) -> Duration {
        DAY.saturating_mul(self.payload_days)
    }
}
