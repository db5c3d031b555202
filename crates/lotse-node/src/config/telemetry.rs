//! `[telemetry]`: what the node tells its operators.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use http::Uri;
use serde::Deserialize;

/// How often metrics are told unless the configuration says otherwise, seconds.
const USUAL_INTERVAL: NonZeroU32 = NonZeroU32::MIN.saturating_add(14);

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
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetrySection {
    /// How operational messages are written.
    pub log_format: LogFormat,
    /// Which messages are written, in the syntax of tracing's `EnvFilter`; none means `info`.
    pub filter: Option<String>,
    /// The collector to which traces and metrics go over OTLP; none means that there are none.
    pub endpoint: Option<Endpoint>,
    /// File with the authorities of the collector's certificate (PEM), relative to the node's folder; needed for https.
    pub bundle: Option<PathBuf>,
    /// Which part of all traces is told.
    pub trace_share: Share,
    /// How often metrics are told, seconds.
    pub interval_seconds: NonZeroU32,
}

impl Default for TelemetrySection {
    fn default() -> TelemetrySection {
        TelemetrySection {
            log_format: LogFormat::default(),
            filter: None,
            endpoint: None,
            bundle: None,
            trace_share: Share(1.0),
            interval_seconds: USUAL_INTERVAL,
        }
    }
}

/// Where a collector listens for OTLP over gRPC: encrypted, or on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Tells whether the way there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }
}

impl TryFrom<String> for Endpoint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Endpoint, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "write for instance \"http://127.0.0.1:4317\"")?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("leave user and password out of the address");
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Endpoint(uri)),
            Some("http") if here => Ok(Endpoint(uri)),
            Some("http") => {
                Err("plain http goes to this machine only: run a collector here, or write https and bundle")
            }
            _ => Err("begin with http:// or https://"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A part of the whole, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

impl Share {
    /// Returns the number below which this share of all 64-bit numbers lies; none if it is the whole.
    pub fn below(self) -> Option<u64> {
        (self.0 < 1.0).then_some((self.0 * u64::MAX as f64) as u64)
    }
}

impl TryFrom<f64> for Share {
    type Error = &'static str;

    fn try_from(number: f64) -> Result<Share, &'static str> {
        if (0.0..=1.0).contains(&number) { Ok(Share(number)) } else { Err("write a number from 0 to 1") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_encrypted_or_on_this_machine() {
        let parse = |text: &str| Endpoint::try_from(text.to_string());
        for good in ["http://127.0.0.1:4317", "http://localhost:4317", "http://[::1]:4317", "https://otel.example:4317"]
        {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://otel.example:4317",
            "http://10.0.0.7:4317",
            "otel.example:4317",
            "grpc://127.0.0.1",
            "https://user:word@otel.example",
            "",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("https://otel.example").unwrap().is_encrypted());
        assert!(!parse("http://localhost:4317").unwrap().is_encrypted());
    }

    #[test]
    fn a_share_is_a_part_of_the_whole() {
        assert_eq!(Share(1.0).below(), None);
        assert_eq!(Share(0.0).below(), Some(0));
        assert_eq!(Share(0.5).below(), Some(1 << 63));
        assert!(Share::try_from(1.1).is_err() && Share::try_from(-0.1).is_err() && Share::try_from(f64::NAN).is_err());
    }
}
