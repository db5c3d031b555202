//! The own card: what `lotse init` or `lotse card install` put into the folder of a stopped node is installed at start, and the
//! highest version is remembered outside the database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use lotse_core::card::KeyUse;
use tokio_util::sync::CancellationToken;

use crate::action::install_card::install_card;
use crate::card_file;
use crate::federation::Act;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::key_file::NodeKeyFile;
use crate::node::Node;

/// How often the version is looked at if no change of the federation was told: the head store takes it only after the log's
/// first checkpoint.
const FALLBACK: Duration = Duration::from_secs(30);

/// Installs the folder's card if it is newer than the one in the database. One that is refused then is logged as any other,
/// and the last good one stays.
pub(super) async fn install_newer(folder: &Folder, node: &Arc<Node>) -> anyhow::Result<()> {
    let present = node.federation.get().own.as_ref().map(|known| known.card.version);
    let path = folder.own_card();
    if path.exists() {
        let found = card_file::read(&path)?;
        if present.is_none_or(|present| found.card.version > present) {
            let act = Act { actor: String::new(), remark: "found in the folder at start".into() };
            install_card(node, found.seal, act).await?;
        }
    } else if present.is_none() {
        bail!("{} is not there: draft, sign and install a card before the node starts", path.display());
    }
    Ok(())
}

/// Refuses to start with keys that the folder's card does not name: with another agency's key file, for instance, the node would sign
/// heads of its log that nobody can verify, and seal what peers refuse.
pub(super) fn check_keys(folder: &Folder, keys: &NodeKeyFile) -> anyhow::Result<()> {
    let path = folder.own_card();
    if !path.exists() {
        return Ok(()); // the node then starts with the card of its database, or not at all
    }
    let card = card_file::read(&path)?.card;
    for (key_use, name, key) in [(KeyUse::Sealing, "sealing", &keys.sealing), (KeyUse::Log, "log", &keys.log)] {
        let is_named = card.keys.iter().any(|named| named.key_use == key_use && named.public_key == key.key.public());
        if !is_named {
            bail!(
                "the {name} key of the node is not in its card {}: put the right key file back; after an exchange of keys draft, sign and \
                 install a card that names it (deploy/KEYS.md)",
                path.display()
            );
        }
    }
    Ok(())
}

/// Keeps the own card's version in the head store, so that a restored database does not draft a version again.
pub(super) async fn remember_version(node: Arc<Node>, head: Arc<HeadStore>, stop: CancellationToken) {
    let mut changes = node.federation.watch();
    loop {
        let version = node.federation.get().own.as_ref().map_or(0, |own| own.card.version);
        let head = head.clone();
        match tokio::task::spawn_blocking(move || head.raise_card_version(version)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the card's version is not remembered outside the database yet"),
            Err(error) => tracing::warn!(%error, "the card's version is not remembered outside the database yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = changes.changed() => {}
            () = tokio::time::sleep(FALLBACK) => {}
        }
    }
}
