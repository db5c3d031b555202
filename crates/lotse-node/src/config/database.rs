//! `[database]`: where the tables are.

use serde::{Deserialize, Deserializer};

use crate::folder::Folder;

/// Where the tables are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatabaseSection {
    /// `sqlite://` and a path, or `postgres://…` without a password; none means SQLite inside the folder.
    #[serde(deserialize_with = "without_password")]
    pub url: Option<String>,
    /// Nodes that share the database. Only 1 until replicas are built.
    #[serde(deserialize_with = "only_one")]
    pub replicas: u32,
    /// Connections that read beside the one that writes; none means the engine's default.
    pub readers: Option<u32>,
    /// Works that may wait for the writer before callers wait too.
    pub waiting_works: usize,
}

impl Default for DatabaseSection {
    fn default() -> DatabaseSection {
        DatabaseSection { url: None, replicas: 1, readers: None, waiting_works: 1024 }
    }
}

impl DatabaseSection {
    /// Returns the URL of the database.
    pub fn url(&self, folder: &Folder) -> String {
        self.url.clone().unwrap_or_else(|| format!("sqlite://{}", folder.database().display()))
    }
}

fn only_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        1 => Ok(1),
        0 => Err(serde::de::Error::custom("a node without replicas does not run: set replicas = 1")),
        _ => Err(serde::de::Error::custom(
            "several replicas of a node are not built yet, and two nodes on one database would fork its log: set replicas = 1",
        )),
    }
}

fn without_password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = String::deserialize(deserializer)?;
    let user_info = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(user_info, _)| user_info);
    if user_info.is_some_and(|user_info| user_info.contains(':')) || url.contains("password=") {
        return Err(serde::de::Error::custom(
            "a password does not belong into this file: put it into the file that PGPASSFILE names, or use peer or certificate authentication",
        ));
    }
    Ok(Some(url))
}
