//! What the node's database did from start to stop, told in `run/counters.json` for benchmarks and operators.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use lotse_store::Store;
use serde::{Deserialize, Serialize};

use crate::folder::Folder;
use crate::pki::files::write_public;

/// What a database did in one run of its node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunCounters {
    /// Commits that had something to write; on SQLite each is one flush to the disk.
    pub commits: u64,
    /// What the database answered when asked how it commits.
    pub synchronous: String,
    /// By work.
    pub works: BTreeMap<String, RunWork>,
}

/// What one kind of work did.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RunWork {
    /// Runs, repeats included.
    pub runs: u64,
    /// Statements.
    pub statements: u64,
    /// Rows written or returned.
    pub rows: u64,
}

impl RunCounters {
    /// Reads what the node of a folder wrote when it last stopped.
    pub fn read(folder: &Folder) -> anyhow::Result<RunCounters> {
        let path = path(folder);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not understood", path.display()))
    }

    /// Writes what a store did. A node that cannot stops all the same.
    pub(super) fn write(folder: &Folder, store: &Store) {
        let counters = store.counters();
        let work = |work: &lotse_store::WorkCounters| RunWork {
            runs: work.runs,
            statements: work.statements,
            rows: work.rows,
        };
        let counters = RunCounters {
            commits: counters.commits,
            synchronous: counters.synchronous.clone(),
            works: counters.works.iter().map(|(name, counts)| ((*name).to_owned(), work(counts))).collect(),
        };
        let text = serde_json::to_string_pretty(&counters).map_err(std::io::Error::from);
        if let Err(error) = text.and_then(|text| write_public(&path(folder), &text)) {
            tracing::warn!(%error, "run/counters.json cannot be written");
        }
    }
}

fn path(folder: &Folder) -> PathBuf {
    folder.path().join("run/counters.json")
}
