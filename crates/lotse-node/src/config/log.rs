//! `[log]`: the exchange log.

use serde::{Deserialize, Deserializer};

/// The exchange log. It has no keys yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Refused until pruning is built: whoever sets it would believe that entries go.
    #[serde(rename = "retention_days", deserialize_with = "not_built")]
    _retention_days: (),
}

fn not_built<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(
        "the log is not pruned yet, all its entries stay: remove retention_days (the log names nobody)",
    ))
}
