//! The own card at start: what `lotse init` or `lotse card install` put into the folder of a stopped node is installed.

use std::sync::Arc;

use anyhow::bail;

use crate::action::install_card::install_card;
use crate::commands::card::file;
use crate::federation::Act;
use crate::folder::Folder;
use crate::node::Node;

/// Installs the folder's card if it is newer than the one in the database. One that is refused then is logged as any other,
/// and the last good one stays.
pub(super) async fn install_newer(folder: &Folder, node: &Arc<Node>) -> anyhow::Result<()> {
    let present = node.federation.get().own.as_ref().map(|known| known.card.version);
    let path = folder.own_card();
    if path.exists() {
        let found = file::read(&path)?;
        if present.is_none_or(|present| found.card.version > present) {
            let act = Act { actor: String::new(), remark: "found in the folder at start".into() };
            install_card(node, found.seal, act).await?;
        }
    } else if present.is_none() {
        bail!("{} is not there: draft, sign and install a card before the node starts", path.display());
    }
    Ok(())
}
