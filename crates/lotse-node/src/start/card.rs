//! The own card: what `lotse init` or `lotse card install` put into the folder of a stopped node is installed at start, and the
//! highest version is remembered outside the database.

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use lotse_core::card::Card;
use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::action::install_card::install_card;
use crate::card_file;
use crate::federation::Act;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::node::{Node, NodeKeys};

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

/// Compares the folder's card, if there is one, with what this node is, before anything is signed.
pub(super) fn check_folder(folder: &Folder, agency: &AgencyId, keys: &NodeKeys, at: Timestamp) -> anyhow::Result<()> {
    let path = folder.own_card();
    if !path.exists() {
        return Ok(()); // the node then starts with the card of its database, or not at all
    }
    let card = card_file::read(&path)?.card;
    if card.agency != *agency {
        bail!("{} is the card of {}, lotse.toml says {agency}: put the right one back", path.display(), card.agency);
    }
    check_keys(&card, keys, at)
}

/// Refuses to start with keys that the own card does not name, or no longer: with another agency's key file, or one from before an
/// exchange of keys, the node would sign heads of its log that nobody can verify, and seal what peers refuse. Where a key does not
/// count yet, or none of its use does, it is the clock that is wrong, or the card that is over: the node starts and says so.
pub(super) fn check_keys(card: &Card, keys: &NodeKeys, at: Timestamp) -> anyhow::Result<()> {
    let is_refused = |key_use, public| {
        let named = card.keys.iter().find(|key| key.key_use == key_use && key.public_key == public);
        named.is_none_or(|key| key.not_before <= at && !card.keys_at(key_use, at).is_empty())
    };
    match keys.not_counting(card, at).into_iter().find(|&(key_use, _, public)| is_refused(key_use, public)) {
        Some((_, name, _)) => bail!(
            "the {name} key of the node is not among the valid ones of its card, version {}: put the right key file back, or \
             the clock right; after an exchange of keys draft, sign and install a card that names it (deploy/KEYS.md)",
            card.version
        ),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use lotse_core::card::{CardKey, KeyUse};
    use lotse_core::time::DAY;

    use super::*;
    use crate::testing::{TestNode, key};

    #[tokio::test]
    async fn only_keys_that_count_sign_unless_all_of_a_use_are_over() {
        let node = TestNode::new("jc.example").await;
        let now = node.now();
        let check = |card: &Card, at| check_keys(card, &node.keys, at).map_err(|error| error.to_string());
        let mut card = node.card(2);
        assert_eq!(check(&card, now), Ok(()));
        assert_eq!(check(&card, card.keys[0].not_after.plus(DAY)), Ok(()), "the clock is wrong, or the card is over");

        let successor = CardKey { public_key: key("jc.example", "next").public(), ..card.keys[0].clone() };
        let name = match successor.key_use {
            KeyUse::Sealing => "sealing",
            KeyUse::Log => "log",
            KeyUse::Witness => "witness",
        };
        card.keys.push(successor.clone());
        assert_eq!(check(&card, now), Ok(()));
        let begins = std::mem::replace(&mut card.keys[0].not_before, now.plus(DAY));
        assert_eq!(check(&card, now), Ok(()), "exchanged tomorrow: the clock is behind");
        card.keys[0].not_before = begins;
        card.keys[0].not_after = now.minus(DAY);
        let refused = check(&card, now).unwrap_err();
        assert!(refused.contains(&format!("the {name} key of the node is not among the valid ones")), "{refused}");
        card.keys[0] = successor;
        assert!(
            check(&card, now).is_err() && check(&card, card.valid_until.plus(DAY * 10)).is_err(),
            "it has no such key"
        );
    }
}
