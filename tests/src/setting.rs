//! Numbers that a run is given by environment variables.

use std::str::FromStr;

use anyhow::Context as _;

/// Reads a number; the usual one if the variable is not set.
pub fn number<T>(variable: &str, usual: T) -> anyhow::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    std::env::var(variable).map_or(Ok(usual), |text| text.parse().with_context(|| format!("{variable}={text}")))
}
