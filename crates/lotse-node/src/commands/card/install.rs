//! `lotse card install`: makes a signed card the one that the node shows to others.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use lotse_core::card::{Card, CardStep, KnownCard, judge};
use lotse_core::id::Digest;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::admin::v1::{GetOwnCardRequest, InstallCardRequest};

use crate::card_file::{self, CardFile};
use crate::commands::{Context, FolderArgument, client};
use crate::config::Config;
use crate::folder::Folder;
use crate::wire;

/// How soon other agencies have the own card.
pub(super) const TAKEN_BY_PEERS: &str = "Connected agencies' nodes fetch it within about ten seconds, others within ten minutes after they \
    can reach this node; `lotse peer list` there shows its version.";

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
        let is_running = client::is_running(&folder)?;
        let step = match is_running {
            true => hand_over(&folder, &new, context).await?,
            false => install(&folder, &new, context.clock.now())?,
        };
        context.terminal.line(card_file::description(&new.card))?;
        context.terminal.line(format_args!("\n{}", outcome(step, is_running, new.card.version)))
    }
}

/// Says what became of a card.
fn outcome(step: CardStep, is_running: bool, version: u64) -> String {
    match (step, is_running) {
        (CardStep::Known, _) => format!(
            "Nothing changed: version {version} was installed before, and is the newest. For a new one: `lotse card draft`, sign it where the \
             root key is (`lotse card sign`), then this command with the file that was signed."
        ),
        (CardStep::Take, true) => format!("Installed. {TAKEN_BY_PEERS}"),
        (CardStep::Take, false) => format!("In place: the node installs it when it starts. {TAKEN_BY_PEERS}"),
    }
}

/// Hands a card to the running node, and tells whether it had it.
async fn hand_over(folder: &Folder, new: &CardFile, context: &Context) -> anyhow::Result<CardStep> {
    let mut node = client::admin(folder, &context.clock)?;
    let before = node.get_own_card(GetOwnCardRequest {}).await.ok().and_then(|own| own.into_inner().card);
    let request = InstallCardRequest { card: Some(wire::seal::message(&new.seal)) };
    node.install_card(request).await.map_err(|status| explained(client::explained(status), &new.card))?;
    card_file::write(&folder.own_card(), &new.seal)?;
    let is_known = before.is_some_and(|before| *before.payload == *new.seal.payload);
    Ok(if is_known { CardStep::Known } else { CardStep::Take })
}

/// Puts a card into the folder of a stopped node, which takes it when it starts.
fn install(folder: &Folder, new: &CardFile, now: Timestamp) -> anyhow::Result<CardStep> {
    let _lock = folder.lock()?;
    let config = Config::load(folder)?;
    if new.card.agency != config.agency.id {
        bail!("this is the card of {}, the node is {}'s", new.card.agency, config.agency.id);
    }
    let known = known(&folder.own_card())?;
    match judge(&new.card, &new.seal, known.as_ref(), now) {
        Ok(step) => card_file::write(&folder.own_card(), &new.seal).map(|()| step),
        Err(reason) => Err(explained(anyhow!("{} [{}]", reason.sentence(), reason.code()), &new.card)),
    }
}

/// Says what to do with a card that is older than the installed one.
fn explained(error: anyhow::Error, card: &Card) -> anyhow::Error {
    if !error.to_string().contains(Reason::CardVersionLower.code()) {
        return error;
    }
    anyhow!("{error}: the file has version {}, which is an old card; give the file that was signed last", card.version)
}

fn known(path: &Path) -> anyhow::Result<Option<KnownCard>> {
    if !path.exists() {
        return Ok(None);
    }
    let CardFile { seal, card } = card_file::read(path)?;
    Ok(Some(KnownCard { card, digest: Digest::of(&seal.payload) }))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::ambient::{SystemClock, SystemRandom};
    use crate::commands::run;
    use crate::commands::terminal::Terminal;
    use crate::start::{Overrides, start};

    /// Gives a command about a folder, and returns what it printed or why it failed.
    async fn give(line: &str, folder: &Folder) -> String {
        let printed = Arc::new(Mutex::new(Vec::new()));
        let terminal = Terminal::to(printed.clone());
        let context = Context { terminal, clock: Arc::new(SystemClock), random: Arc::new(SystemRandom) };
        let path = folder.path().display().to_string();
        let words = line.replace("FOLDER", &path);
        let words = ["lotse"].into_iter().chain(words.split_whitespace()).chain(["--folder", &path]);
        let words: Vec<String> = words.map(String::from).collect();
        let done = Box::pin(run(words, &context)).await;
        let printed = String::from_utf8(printed.lock().unwrap().clone()).unwrap();
        done.map_or_else(|error| error.to_string(), |()| printed)
    }

    #[tokio::test]
    async fn a_card_that_is_installed_already_or_is_an_old_one_is_told_apart_from_a_new_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("jc"));
        let line = "init --agency jc.example --name X --kind jobcenter_ge --peer-address lotse.jc.example:8443 \
                    --listen-peer 127.0.0.1:0 --listen-agency 127.0.0.1:0";
        give(line, &folder).await;
        let first = place.path().join("first.card");
        fs::copy(folder.own_card(), &first).unwrap();
        let old = format!("card install {}", first.display());
        let told = give(&old, &folder).await;
        assert!(told.contains("Nothing changed: version 1 was installed before"), "{told}");

        let node = start(&folder, Overrides::default()).await.unwrap();
        assert!(give(&old, &folder).await.contains("Nothing changed: version 1"), "also beside the running node");
        give("card draft", &folder).await;
        assert!(
            give("card sign", &folder).await.contains("cards/next.card. Connected agencies' nodes fetch it within")
        );
        let told = give("card install", &folder).await;
        assert!(told.contains("Installed. Connected agencies' nodes fetch it within about ten seconds"), "{told}");
        let refused = give(&old, &folder).await;
        assert!(
            refused.contains("CARD_VERSION_LOWER") && refused.contains("version 1, which is an old card"),
            "{refused}"
        );
        node.stop().await.unwrap();
        let refused = give(&old, &folder).await;
        assert!(refused.contains("version 1, which is an old card"), "{refused}");
    }
}
