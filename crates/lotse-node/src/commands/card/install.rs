//! `lotse card install`: makes a signed card the one that the node shows to others.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use lotse_core::card::{CardStep, KnownCard, judge};
use lotse_core::id::Digest;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::admin::v1::InstallCardRequest;

use crate::card_file::{self, CardFile};
use crate::commands::{Context, FolderArgument, client};
use crate::config::Config;
use crate::folder::Folder;
use crate::wire;

/// Installs a signed card: through the running node, or into the folder of a stopped one.
#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    folder: FolderArgument,
    /// The signed card; cards/next.card in the folder unless given.
    #[arg(value_name = "CARD")]
    card: Option<PathBuf>,
}

impl Install {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let new = card_file::read(&self.card.unwrap_or_else(|| folder.path().join("cards/next.card")))?;
        if client::is_running(&folder)? {
            let request = InstallCardRequest { card: Some(wire::seal::message(&new.seal)) };
            let mut node = client::admin(&folder, &context.clock)?;
            node.install_card(request).await.map_err(client::explained)?;
            card_file::write(&folder.own_card(), &new.seal)?;
        } else {
            install(&folder, &new, context.clock.now())?;
        }
        context.terminal.line(card_file::description(&new.card))?;
        context.terminal.line("\nInstalled. Other agencies' nodes fetch it by themselves.")
    }
}

/// Puts a card into the folder of a stopped node, which takes it when it starts.
fn install(folder: &Folder, new: &CardFile, now: Timestamp) -> anyhow::Result<()> {
    let _lock = folder.lock()?;
    let config = Config::load(folder)?;
    if new.card.agency != config.agency.id {
        bail!("this is the card of {}, the node is {}'s", new.card.agency, config.agency.id);
    }
    let known = known(&folder.own_card())?;
    match judge(&new.card, &new.seal, known.as_ref(), now) {
        Ok(CardStep::Take | CardStep::Known) => card_file::write(&folder.own_card(), &new.seal),
        Err(reason) => bail!("{}", sentence(reason)),
    }
}

fn known(path: &Path) -> anyhow::Result<Option<KnownCard>> {
    if !path.exists() {
        return Ok(None);
    }
    let CardFile { seal, card } = card_file::read(path)?;
    Ok(Some(KnownCard { card, digest: Digest::of(&seal.payload) }))
}

fn sentence(reason: Reason) -> String {
    format!("{} [{}]", reason.sentence(), reason.code())
}
