//! Messages on standard error, for people or as JSON. Never personal data.

use std::io::{self, IsTerminal};

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, TelemetrySection};

/// The filter if the configuration does not say. A client that sends an address as the name that it calls would bring a warning of
/// `rustls::msgs` with each connection.
const DEFAULT_FILTER: &str = "info,sqlx=warn,h2=warn,hyper=warn,rustls=warn,rustls::msgs=error";

/// Starts writing messages.
pub fn install(section: &TelemetrySection) -> anyhow::Result<()> {
    let filter = section.filter.as_deref().unwrap_or(DEFAULT_FILTER);
    let filter =
        EnvFilter::try_new(filter).context("[telemetry] filter: write for instance \"info,lotse_node=debug\"")?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let subscriber = subscriber.with_ansi(io::stderr().is_terminal());
    let installed = match section.log_format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("cannot write messages: {error}"))
}
