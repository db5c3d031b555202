//! Forgeries of an export: cards and seals of keys that no agency has, over what the signed head really holds.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use lotse_core::card::{Card, KeyUse};
use lotse_core::key::SigningKey;
use lotse_core::seal::{DocumentType, Seal};
use lotse_node::wire::card;

use super::{files, text_of};

/// Seeds of the keys of who forges: a root key and a sealing key.
const SEEDS: [u8; 2] = [201, 202];

/// Gives a card another content, signed by a root key.
pub(super) fn rewrite(path: &Path, root: &SigningKey, change: impl FnOnce(&mut Card)) -> Result<()> {
    let old: Seal = serde_json::from_slice(&fs::read(path)?)?;
    let mut card = card::parse(&old.payload).ok().context("no card")?;
    change(&mut card);
    let mut seal = Seal::new(DocumentType::Card, card::compile(&card));
    seal.sign(root, Some(card.agency));
    Ok(fs::write(path, text_of(&seal)?)?)
}

/// Puts a card with another root key and another sealing key in place of an agency's, and says what else changes in it.
pub(super) fn card(path: &Path, change: impl FnOnce(&mut Card)) -> Result<()> {
    let [root, sealing] = SEEDS.map(|seed| SigningKey::from_seed([seed; 32]));
    rewrite(path, &root, |card| {
        card.root = root.public();
        card.keys.iter_mut().filter(|key| key.key_use == KeyUse::Sealing).for_each(|key| {
            key.public_key = sealing.public();
        });
        change(card);
    })
}

/// Seals every document anew in the name of an agency.
pub(super) fn seals(export: &Path, agency: &str) -> Result<()> {
    let sealing = SigningKey::from_seed([SEEDS[1]; 32]);
    for path in files(&export.join("seal"))? {
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let mut seal: Seal = serde_json::from_slice(&fs::read(&path)?)?;
        for signature in std::mem::take(&mut seal.signatures) {
            match signature.agency.clone() {
                Some(of) if of.to_string() == agency => seal.sign(&sealing, Some(of)),
                _ => seal.signatures.push(signature),
            }
        }
        fs::write(&path, text_of(&seal)?)?;
    }
    Ok(())
}
