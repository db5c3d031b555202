//! `lotse card draft`: the next version of the own card, from configuration and keys.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::card::{Card, CardKey, KeyUse, USUAL_VALIDITY};
use lotse_core::key::PublicKey;
use lotse_core::time::{BACKDATED, DAY, Timestamp};

use crate::card_file;
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::folder::Folder;
use crate::key_file::{NodeKey, NodeKeyFile};
use crate::pem_file::{self, PEM_BYTES};
use crate::plain_file;
use crate::wire::envelope::SCHEMA_LEVEL;

/// How long the keys of a card count: longer than the card, because duties go on after it has expired.
const KEY_LIFE: Duration = DAY.saturating_mul(3 * 365);

/// Drafts the next version of the card from lotse.toml, keys and certificates; sign it with `lotse card sign`.
#[derive(Args)]
pub(crate) struct DraftCard {
    #[command(flatten)]
    folder: FolderArgument,
    /// Where to write it; cards/own.draft in the folder unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl DraftCard {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let config = Config::load(&folder)?;
        let installed = card_file::read(&folder.own_card()).context("the card that is installed now")?;
        let card = draft(&folder, &config, Before::Card(&installed.card), context.clock.now())?;
        let out = self.out.unwrap_or_else(|| folder.card_draft());
        if plain_file::are_same(&out, &folder.own_card()) {
            bail!("{} is the card that is installed now: name another file with --out", out.display());
        }
        card_file::write_out(&out, &card_file::unsigned(&card), &card.agency)?;
        context.terminal.line(card_file::description(&card))?;
        context.terminal.line(format_args!(
            "\nWritten to {}. Take it to the root key: lotse card sign --key root.key {}",
            out.display(),
            out.display()
        ))
    }
}

/// What was before the card that is drafted.
#[derive(Clone, Copy)]
pub(crate) enum Before<'a> {
    /// No card: this is the first, of this root key.
    Nothing {
        /// The root key.
        root: PublicKey,
    },
    /// This card.
    Card(&'a Card),
}

/// Drafts the card that follows.
pub(crate) fn draft(folder: &Folder, config: &Config, before: Before<'_>, now: Timestamp) -> anyhow::Result<Card> {
    let (version, generation, root) = match before {
        Before::Nothing { root } => (1, 1, root),
        Before::Card(card) => (card.version + 1, card.generation, card.root),
    };
    let mut keys = present_keys(&NodeKeyFile::read(&config.files.node_keys(folder))?, now);
    if let Before::Card(card) = before {
        keys.extend(retired_keys(card, &keys, now));
    }
    let card = Card {
        agency: config.agency.id.clone(),
        version,
        valid_from: now.minus(BACKDATED),
        valid_until: now.plus(USUAL_VALIDITY),
        endpoints: config.peer.addresses.clone(),
        trust_bundle: bundle(folder, config)?,
        keys,
        schema_level: SCHEMA_LEVEL,
        generation,
        root,
        next_root: None,
        name: config.agency.name.clone(),
    };
    match card.fault() {
        Some(fault) => bail!("no card can be made of lotse.toml and keys: {fault}"),
        None => Ok(card),
    }
}

fn present_keys(keys: &NodeKeyFile, now: Timestamp) -> Vec<CardKey> {
    let card_key = |key_use, key: &NodeKey| CardKey {
        key_use,
        public_key: key.key.public(),
        not_before: key.made_at.minus(BACKDATED),
        not_after: now.plus(KEY_LIFE),
        revoked_at: None,
        compromised_since: None,
    };
    vec![
        card_key(KeyUse::Sealing, &keys.sealing),
        card_key(KeyUse::Log, &keys.log),
        card_key(KeyUse::Witness, &keys.witness),
    ]
}

/// Keys of the card before that were exchanged: what they signed until now still counts.
fn retired_keys(card: &Card, present: &[CardKey], now: Timestamp) -> Vec<CardKey> {
    let is_present = |key: &&CardKey| present.iter().any(|other| other.public_key == key.public_key);
    let retired = card.keys.iter().filter(|key| !is_present(key));
    retired.map(|key| CardKey { not_after: key.not_after.min(now), ..key.clone() }).collect()
}

fn bundle(folder: &Folder, config: &Config) -> anyhow::Result<Vec<Vec<u8>>> {
    let path = config.files.tls(folder).bundle;
    let name = || format!("cannot read {}", path.display());
    let pem = plain_file::read(&path, PEM_BYTES).with_context(name)?;
    let certificates = pem_file::certificates(&pem).with_context(name)?;
    Ok(certificates.into_iter().map(|certificate| certificate.to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use lotse_core::time::Clock;

    use super::*;
    use crate::ambient::SystemRandom;
    use crate::commands::init::init;
    use crate::commands::run;
    use crate::commands::terminal::Terminal;
    use crate::pki::Authority;
    use crate::testing::{ManualClock, init_options};
    use crate::tls::{Credentials, TrustStore};

    /// Sets up the folder of a node.
    fn set_up(place: &Path, clock: &ManualClock) -> Folder {
        let folder = Folder::new(place.join("node"));
        init(&folder, &init_options(&[]), clock.now(), &SystemRandom).unwrap();
        folder
    }

    #[tokio::test]
    async fn the_card_that_is_installed_is_not_overwritten_by_a_draft_whatever_it_is_called() {
        let (place, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        let folder = set_up(place.path(), &clock);
        let terminal = Terminal::to(Arc::new(Mutex::new(Vec::new())));
        let context = Context { terminal, clock: clock.clone(), random: Arc::new(SystemRandom) };
        let (installed, link) = (folder.own_card(), place.path().join("link.card"));
        let before = fs::read(&installed).unwrap();
        let draft = async |out: &Path| {
            let (folder, out) = (folder.path().display().to_string(), out.display().to_string());
            let line = ["lotse", "card", "draft", "--folder", &folder, "--out", &out];
            run(line.map(String::from), &context).await
        };
        std::os::unix::fs::symlink(&installed, &link).unwrap();
        for out in [installed.clone(), folder.path().join("./cards/../cards/own.card"), link] {
            let refused = draft(&out).await.unwrap_err().to_string();
            assert!(refused.contains("is the card that is installed now: name another file"), "{refused}");
        }
        assert_eq!(fs::read(&installed).unwrap(), before);
        let elsewhere = place.path().join("next.draft");
        draft(&elsewhere).await.unwrap();
        assert_eq!(card_file::read(&elsewhere).unwrap().card.version, 2);
    }

    #[test]
    fn every_authority_of_the_bundle_is_in_the_card_or_the_card_is_not_drafted() {
        let (place, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        let folder = set_up(place.path(), &clock);
        let config = Config::load(&folder).unwrap();
        let installed = card_file::read(&folder.own_card()).unwrap().card;
        let drafted = || draft(&folder, &config, Before::Card(&installed), clock.now());
        let loaded =
            || Credentials::load(config.files.tls(&folder), std::sync::Arc::new(TrustStore::default()), clock.now());
        let present = fs::read_to_string(folder.ca_certificate()).unwrap();
        let next = Authority::create(&"jc.example".parse().unwrap(), clock.now(), &SystemRandom).unwrap();
        let next = next.certificate_pem();
        for bundle in [format!("\u{feff}{next}{present}"), format!("  {}\u{feff}{present}", next.trim_end())] {
            fs::write(folder.ca_certificate(), bundle).unwrap();
            assert_eq!(drafted().unwrap().trust_bundle.len(), 2, "the new one is not lost");
            loaded().unwrap();
        }
        fs::write(folder.ca_certificate(), format!("{}{present}", next.replacen("-----BEGIN", "----BEGIN", 1)))
            .unwrap();
        let refused = format!("{:#}", drafted().unwrap_err());
        assert!(refused.contains("line 1: this is not how a section begins"), "{refused}");
        let refused = loaded().unwrap_err().to_string();
        assert!(refused.contains("the bundle of authorities cannot be read, line 1"), "{refused}");
        fs::write(folder.ca_certificate(), &present).unwrap();
        let chain = fs::read_to_string(folder.node_certificate()).unwrap();
        fs::write(folder.node_certificate(), format!("{}{present}", chain.replacen("-----BEGIN", "----BEGIN", 1)))
            .unwrap();
        let refused = loaded().unwrap_err().to_string();
        assert!(refused.contains("node.crt, line 1"), "an authority is not taken for the leaf: {refused}");
    }
}
