//! The keys: whether they can be read, by nobody else, and what should not lie here.

use std::path::Path;

use anyhow::Context as _;
use lotse_store::vault::Vault;
use zeroize::Zeroizing;

use super::finding::{Area, Finding};
use super::place::Place;
use crate::key_file::{NodeKeyFile, mode_for_others};
use crate::plain_file::{self, DOCUMENT_BYTES};

/// Looks at the key files.
pub(super) fn examine(place: &Place) -> Vec<Finding> {
    let (files, folder) = (&place.config.files, &place.folder);
    let (node, vault) = (files.node_keys(folder), files.vault_keys(folder));
    let mut findings = vec![
        readable(place, &node, NodeKeyFile::read(&node).map(drop).map_err(Into::into)),
        readable(place, &vault, read_vault(&vault)),
    ];
    let others = [files.tls(folder).key, folder.ca_key(), folder.root_key()];
    findings.extend(others.iter().filter(|path| path.exists()).filter_map(|path| open_to_others(place, path)));
    if folder.root_key().exists() {
        findings.push(Finding::warning(
            Area::Key,
            place.short(&folder.root_key()),
            "the root key lies on the node: whoever takes it can speak for the agency",
            format!(
                "move {} to where it is offline; it is needed for `lotse card sign` only",
                folder.root_key().display()
            ),
        ));
    }
    findings
}

fn readable(place: &Place, path: &Path, read: anyhow::Result<()>) -> Finding {
    match read {
        Ok(()) => open_to_others(place, path)
            .unwrap_or_else(|| Finding::ok(Area::Key, place.short(path), "can be read, and by nobody else")),
        Err(error) => Finding::problem(
            Area::Key,
            place.short(path),
            format!("{error:#}"),
            format!(
                "put {} back from its backup; without it nothing signed or encrypted with it goes on",
                path.display()
            ),
        ),
    }
}

fn read_vault(path: &Path) -> anyhow::Result<()> {
    let name = || format!("cannot read {}", path.display());
    let text = Zeroizing::new(plain_file::read_text(path, DOCUMENT_BYTES).with_context(name)?);
    Vault::load(&text).map(drop).with_context(name)
}

fn open_to_others(place: &Place, path: &Path) -> Option<Finding> {
    mode_for_others(path).map(|mode| {
        Finding::problem(
            Area::Key,
            place.short(path),
            format!("other users may read it (mode {mode:o})"),
            format!("`chmod 600 {}`, and exchange it if somebody may have (deploy/KEYS.md)", path.display()),
        )
    })
}
