//! The configuration: `lotse.toml` in the node's folder, one file here per section.
//!
//! Unknown keys are refused, secrets never stand in the file, and every limit has a name and a default.

mod agency;
mod custody;
mod database;
mod files;
mod listen;
mod log;
mod peer;
mod system;
mod telemetry;
mod template;

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::folder::Folder;

pub use agency::AgencySection;
pub use custody::CustodySection;
pub use database::DatabaseSection;
pub use files::FilesSection;
pub use listen::ListenSection;
pub use log::LogSection;
pub use peer::PeerSection;
pub use system::{GrantedService, SystemSection};
pub use telemetry::{Endpoint, LogFormat, Share, TelemetrySection};
pub use template::{Template, template};

/// Configuration of a node.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Who this is.
    pub agency: AgencySection,
    /// Where the node listens.
    pub listen: ListenSection,
    /// Where the tables are.
    #[serde(default)]
    pub database: DatabaseSection,
    /// Where keys and certificates are.
    #[serde(default)]
    pub files: FilesSection,
    /// What each of the agency's systems may do.
    #[serde(default, rename = "system")]
    pub systems: Vec<SystemSection>,
    /// Other agencies' nodes.
    #[serde(default)]
    pub peer: PeerSection,
    /// Copies held for other agencies.
    #[serde(default)]
    pub custody: CustodySection,
    /// The exchange log.
    #[serde(default)]
    pub log: LogSection,
    /// What the node tells its operators.
    #[serde(default)]
    pub telemetry: TelemetrySection,
}

/// Says what to do about a configuration that cannot be read.
fn way_out(cause: &std::io::Error) -> &'static str {
    match cause.kind() {
        ErrorKind::PermissionDenied => "give the command as the user who runs the node",
        _ => "run `lotse init`, or name the node's folder with --folder",
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {cause}; {}", way_out(.cause))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said; the text has it already.
        cause: std::io::Error,
    },
    /// The text is not what is expected; the inner error names line and column.
    #[error("{path}: {problem}")]
    Text {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Config {
    /// Reads the configuration of a folder.
    pub fn load(folder: &Folder) -> Result<Config, ConfigError> {
        let path = folder.config();
        match fs::read_to_string(&path) {
            Ok(text) => Config::parse(&text).map_err(|problem| ConfigError::Text { path, problem }),
            Err(cause) => Err(ConfigError::Read { path, cause }),
        }
    }

    /// Reads a text. The error names the line and says what to do.
    pub fn parse(text: &str) -> Result<Config, String> {
        let config: Config = toml::from_str(text).map_err(|error| explained(text, &error))?;
        let mut names = BTreeSet::new();
        match config.systems.iter().find(|system| !names.insert(&system.name)) {
            Some(twice) => Err(format!("the system {} stands twice: put its grants into one [[system]]", twice.name)),
            None => Ok(config),
        }
    }

    /// Finds what a system may do. Without an entry it may do nothing.
    pub fn system(&self, name: &str) -> Option<&SystemSection> {
        self.systems.iter().find(|system| system.name == name)
    }
}

/// Says where in a text something is wrong, and what. Neither the line nor a value is repeated: a password may stand there, and the
/// message goes into the journal.
fn explained(text: &str, error: &toml::de::Error) -> String {
    let message = without_values(error.message()).replace('\n', ", ");
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return message };
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    match key(line) {
        Some(key) => format!("line {number}, {key}: {message}"),
        None => format!("line {number}: {message}"),
    }
}

/// Returns the key of a line, or the name of a section.
fn key(line: &str) -> Option<&str> {
    let key = match line.split_once('=') {
        Some((key, _)) => key.trim(),
        None => line.trim().trim_start_matches('[').strip_suffix(']')?.trim_end_matches(']'),
    };
    let is_key = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    (is_key && !key.is_empty()).then_some(key)
}

/// Leaves out each value that a message quotes.
fn without_values(message: &str) -> String {
    let text = message.split_once("string \"").map(|(before, rest)| (before, "a text", rest, '"'));
    let variant = message.split_once("unknown variant `").map(|(before, rest)| (before, "unknown word", rest, '`'));
    let Some((before, word, rest, quote)) = text.or(variant) else { return message.to_owned() };
    let mut is_escaped = false;
    let ends = |letter: char| {
        let was_escaped = is_escaped;
        is_escaped = letter == '\\' && !was_escaped;
        letter == quote && !was_escaped
    };
    let after = rest.split_once(ends).map(|(_, after)| after).unwrap_or_default();
    format!("{before}{word}{}", without_values(after))
}

/// Reads a text as a type that refuses wrong ones.
fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
