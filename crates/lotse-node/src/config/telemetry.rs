//! `[telemetry]`: what the node tells its operators.

use serde::Deserialize;

/// How operational messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What the node tells its operators. Never personal data.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// How operational messages are written.
    pub log_format: LogFormat,
    /// Which messages are written, in the syntax of tracing's `EnvFilter`; none means `info`.
    pub filter: Option<String>,
}
