//! `lotse log resume`: a new generation, after a restore or any doubt about the log. Where the root key is elsewhere it takes two
//! steps: the first drafts the card, the second takes it back signed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::card::{Card, KnownCard, judge};
use lotse_core::id::Digest;
use lotse_store::{Opener, Store, StoreOptions};

use crate::action::resume_log::{self, Resumed, next_generation, resume_log};
use crate::card_file::{self, CardFile};
use crate::commands::card::draft::{Before, draft};
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::database;
use crate::folder::Folder;
use crate::head_store::HeadStore;
use crate::key_file::{NodeKeyFile, read_root};
use crate::sequencer::Sequencer;

/// How long one work may take: what is not signed yet is carried to the new generation in one transaction, however much it is.
const LONGEST_WORK: Duration = Duration::from_secs(600);

/// Begins a new generation on a stopped node, after a restore or any doubt about its log.
#[derive(Args)]
pub struct Resume {
    #[command(flatten)]
    folder: FolderArgument,
    /// Why, for the first entry of the new log. Never about persons.
    #[arg(long)]
    reason: String,
    /// The signed card with the new generation, from the second step on.
    #[arg(long, value_name = "CARD")]
    card: Option<PathBuf>,
}

/// What is needed of a stopped node.
struct Desk {
    folder: Folder,
    config: Config,
    keys: NodeKeyFile,
    store: Store,
    head: Arc<HeadStore>,
}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let _lock = folder.lock()?;
        let config = Config::load(&folder)?;
        let options = StoreOptions {
            opener: Opener::node(),
            longest_work: LONGEST_WORK,
            longest_read: None,
            ..StoreOptions::default()
        };
        let desk = Desk {
            keys: NodeKeyFile::read(&config.files.node_keys(&folder))?,
            store: database::open_existing(&folder, &config, options).await?,
            head: Arc::new(HeadStore::open(&config.files.head_store(&folder))?),
            config,
            folder,
        };
        let done = self.resume(&desk, context).await;
        desk.store.close().await;
        done
    }

    async fn resume(&self, desk: &Desk, context: &Context) -> anyhow::Result<()> {
        let Some(new) = self.signed_card(desk, context).await? else { return Ok(()) };
        check(desk, &new, context)?;
        let ask = resume_log::Resume {
            generation: new.card.generation,
            card_version: new.card.version,
            reason: self.reason.clone(),
            actor: String::new(),
        };
        if next_generation(&desk.sequencer(context)).await? == ask.generation {
            // First, so that a stop from here on leaves a card that the next attempt takes again.
            card_file::write(&desk.folder.own_card(), &new.seal)?;
        }
        let resumed = resume_log(&desk.sequencer(context), &ask).await?;
        report(&resumed, &new.card, context)
    }

    /// Returns the card of the new generation, or drafts it for where the root key is.
    async fn signed_card(&self, desk: &Desk, context: &Context) -> anyhow::Result<Option<CardFile>> {
        if let Some(path) = &self.card {
            return card_file::read(path).map(Some);
        }
        let card = desk.next_card(context).await?;
        if desk.folder.root_key().exists() {
            let seal = card_file::signed(&card, &read_root(&desk.folder.root_key())?)?;
            return Ok(Some(CardFile { seal, card }));
        }
        let out = desk.folder.card_draft();
        card_file::write(&out, &card_file::unsigned(&card))?;
        context.terminal.line(card_file::description(&card))?;
        context.terminal.line(format_args!(
            "\nThe root key is not here; nothing has changed yet. The card for generation {generation} is drafted: take {out} to \
             the root key, sign it (lotse card sign --key root.key {out}), bring it back, then give this command again with \
             --card",
            generation = card.generation,
            out = out.display(),
        ))?;
        Ok(None)
    }
}

impl Desk {
    fn sequencer<'a>(&'a self, context: &'a Context) -> Sequencer<'a> {
        Sequencer {
            store: &self.store,
            head: &self.head,
            key: &self.keys.log.key,
            agency: &self.config.agency.id,
            clock: &*context.clock,
            random: &*context.random,
            interrupt: None,
        }
    }

    /// Drafts the card of the new generation, above every version that was ever installed.
    async fn next_card(&self, context: &Context) -> anyhow::Result<Card> {
        let installed = card_file::read(&self.folder.own_card()).context("the card that is installed now")?;
        let card = draft(&self.folder, &self.config, Before::Card(&installed.card), context.clock.now())?;
        let generation = next_generation(&self.sequencer(context)).await?;
        let known = self.head.load()?.map_or(0, |head| head.card_version);
        Ok(Card { generation, version: card.version.max(known + 1), ..card })
    }
}

/// The card must be this agency's next one.
fn check(desk: &Desk, new: &CardFile, context: &Context) -> anyhow::Result<()> {
    let installed = card_file::read(&desk.folder.own_card()).context("the card that is installed now")?;
    if new.card.agency != desk.config.agency.id {
        bail!("this is the card of {}, the node is {}'s", new.card.agency, desk.config.agency.id);
    }
    let known = KnownCard { digest: Digest::of(&installed.seal.payload), card: installed.card };
    let judged = judge(&new.card, &new.seal, Some(&known), context.clock.now());
    judged.map(drop).or_else(|reason| bail!("{} [{}]", reason.sentence(), reason.code()))
}

fn report(resumed: &Resumed, card: &Card, context: &Context) -> anyhow::Result<()> {
    let Resumed { start, doubt } = resumed;
    let terminal = &context.terminal;
    match doubt {
        Some(doubt) => terminal.line(format_args!("The old log was in doubt: {doubt}."))?,
        None => terminal.line("The old log was not in doubt.")?,
    }
    terminal.line(format_args!(
        "Generation {} begins, card {}. Before it: {} with {} entries, {} of them here, {} lost; {} not signed yet are carried on.",
        card.generation,
        card.version,
        start.previous_origin,
        start.previous_size,
        start.restored_size,
        start.lost_entries,
        start.carried_entries
    ))?;
    terminal.line("Start the node with `lotse run`; other agencies' nodes notice the new generation by themselves.")
}
