//! Files that are generated from the code and committed, so that integrators can read them without building anything.
//!
//! A test compares each of them with the code. `LOTSE_UPDATE=1 cargo test -p lotse-tests` writes them anew.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

/// Checks that a file, named from the root of the repository, is what the code says; `render` gets its present text.
pub fn check(name: &str, render: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let path = root().join(name);
    let present = fs::read_to_string(&path).unwrap_or_default();
    let wanted = render(&present)?;
    if present == wanted {
        return Ok(());
    }
    if env::var_os("LOTSE_UPDATE").is_none_or(|update| update != "1") {
        bail!("{name} differs from the code: run `LOTSE_UPDATE=1 cargo test -p lotse-tests` and commit it");
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, wanted).with_context(|| format!("writing {name}"))
}

/// Returns the root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
