//! Where the doctor looks, and when.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lotse_core::time::{Clock, Timestamp};

use crate::commands::{Context, client};
use crate::config::Config;
use crate::folder::Folder;

/// A node's folder at one moment.
pub(super) struct Place {
    pub(super) folder: Folder,
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) now: Timestamp,
    pub(super) is_running: bool,
}

impl Place {
    pub(super) fn enter(folder: Folder, context: &Context) -> anyhow::Result<Place> {
        let config = Config::load(&folder)?;
        let is_running = client::is_running(&folder)?;
        Ok(Place { config, clock: context.clock.clone(), now: context.clock.now(), is_running, folder })
    }

    /// Writes a command about this folder, between backquotes.
    pub(super) fn command(&self, line: &str) -> String {
        let folder = fs::canonicalize(self.folder.path()).unwrap_or_else(|_| PathBuf::from(self.folder.path()));
        format!("`lotse {line} --folder {}`", folder.display())
    }

    /// Says how a new card is made.
    pub(super) fn new_card(&self) -> String {
        let step = |line| self.command(line);
        format!(
            "{}, sign it where the root key is ({}), {}",
            step("card draft"),
            step("card sign"),
            step("card install")
        )
    }

    /// Writes a path as short as it can be: relative to the folder where it lies inside.
    pub(super) fn short(&self, path: &Path) -> String {
        path.strip_prefix(self.folder.path()).unwrap_or(path).display().to_string()
    }
}
