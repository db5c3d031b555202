//! Where the demonstration's folders lie, and how they go.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lotse_core::random::{Random, bytes};

/// The folder in which every agency has its own.
pub(super) struct Place(PathBuf);

impl Place {
    /// Makes a folder for its owner only: the one that was named, which must not hold anything, or a new one among the
    /// system's temporary files.
    pub(super) fn make(named: Option<&Path>, random: &dyn Random) -> anyhow::Result<Place> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => std::env::temp_dir().join(format!("lotse-demo-{}", hex::encode(bytes::<4>(random)))),
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        if fs::read_dir(&path)?.next().is_some() {
            bail!("{} is not empty: name a folder that does not exist yet or is empty", path.display());
        }
        let path = fs::canonicalize(&path).with_context(|| path.display().to_string())?;
        Ok(Place(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the folder with all that is in it: the demonstration made it, or found it empty.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.0).with_context(|| format!("cannot remove {}", self.0.display()))
    }
}
