//! `[log]`: the exchange log.

use serde::Deserialize;

/// The exchange log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// After how many days entries are pruned; their hashes stay.
    pub retention_days: u32,
}

impl Default for LogSection {
    fn default() -> LogSection {
        LogSection { retention_days: 180 }
    }
}
