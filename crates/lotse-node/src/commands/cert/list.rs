//! `lotse cert list`: the certificates in the folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use lotse_core::time::{ENDS_SOON, Timestamp};
use serde_json::json;

use crate::commands::{Context, FolderArgument, OutputArgument};
use crate::config::Config;
use crate::identity::{Identity, Side};
use crate::pem_file::{self, PEM_BYTES};
use crate::plain_file;

/// Lists the node's certificate and those that were issued here, with their ends.
#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
}

impl List {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let mut paths = vec![Config::load(&folder)?.files.tls(&folder).chain];
        paths.extend(certificates(&folder.issued())?);
        let found = paths.into_iter().map(|path| Ok((identity(&path)?, path))).collect::<anyhow::Result<Vec<_>>>()?;
        if self.output.json {
            let list = found.iter().map(|(identity, path)| {
                json!({"id": identity.to_string(), "not_after": identity.not_after().to_string(),
                    "sha256": identity.certificate_sha256().to_string(), "file": path})
            });
            return context.terminal.json(&list.collect::<Vec<_>>());
        }
        let now = context.clock.now();
        let row = |(identity, path): &(Identity, PathBuf)| {
            vec![identity.to_string(), end(identity.not_after(), now), path.display().to_string()]
        };
        context.terminal.table(&["IDENTITY", "VALID UNTIL", "FILE"], &found.iter().map(row).collect::<Vec<_>>())
    }
}

fn end(not_after: Timestamp, now: Timestamp) -> String {
    let mark = match not_after {
        end if end <= now => " EXPIRED",
        end if end.since(now) < ENDS_SOON => " soon",
        _ => "",
    };
    format!("{}{mark}", not_after.date())
}

/// Finds the certificates of a folder.
pub(crate) fn certificates(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "crt"));
    paths.sort();
    Ok(paths)
}

fn identity(path: &Path) -> anyhow::Result<Identity> {
    let name = || path.display().to_string();
    let pem = plain_file::read(path, PEM_BYTES).with_context(name)?;
    let found = pem_file::certificates(&pem).with_context(name)?;
    let der = found.first().with_context(|| format!("{} holds no certificate", path.display()))?;
    Identity::from_certificate(der, Side::Client).with_context(name)
}
