//! Card files: a seal in the JSON form of DSSE. A draft is a seal without signatures.

use std::path::Path;

use anyhow::{Context as _, bail};
use lotse_core::card::{Card, KeyUse};
use lotse_core::id::AgencyId;
use lotse_core::key::SigningKey;
use lotse_core::seal::{DocumentType, Seal};

use crate::foreign::one_line;
use crate::pki::files::write_public;
use crate::plain_file::{self, DOCUMENT_BYTES};
use crate::wire;

/// A card and the seal that carries it.
#[derive(Clone, Debug)]
pub(crate) struct CardFile {
    /// The seal.
    pub seal: Seal,
    /// What it carries. Whether the seal counts is not said.
    pub card: Card,
}

/// Reads a card file, signed or not.
pub(crate) fn read(path: &Path) -> anyhow::Result<CardFile> {
    let name = || format!("cannot read the card {}", path.display());
    parse(&plain_file::read_text(path, DOCUMENT_BYTES).with_context(name)?).with_context(|| path.display().to_string())
}

/// Reads the text of a card file, signed or not.
pub(crate) fn parse(text: &str) -> anyhow::Result<CardFile> {
    let seal: Seal = serde_json::from_str(text).context("this is no card file (DSSE, JSON)")?;
    if seal.document_type != DocumentType::Card {
        bail!("this seal holds {}, not a card", seal.document_type);
    }
    match wire::card::parse(&seal.payload) {
        Ok(card) => Ok(CardFile { seal, card }),
        Err(reason) => bail!("{} [{}]", reason.sentence(), reason.code()),
    }
}

/// Writes a card to where somebody asked for it. What is there is replaced only if it is a card of the same agency: a slip must not
/// cost a key or another agency's card.
pub(crate) fn write_out(path: &Path, seal: &Seal, agency: &AgencyId) -> anyhow::Result<()> {
    if path.exists() && !read(path).is_ok_and(|found| found.card.agency == *agency) {
        bail!("{} is there already and is no card of {agency}: name another file with --out", path.display());
    }
    write(path, seal)
}

/// Writes a card file in place of what is there.
pub(crate) fn write(path: &Path, seal: &Seal) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(seal)? + "\n";
    write_public(path, &text).with_context(|| format!("cannot write {}", path.display()))
}

/// Puts a card into a seal that nobody has signed yet.
pub(crate) fn unsigned(card: &Card) -> Seal {
    Seal::new(DocumentType::Card, wire::card::compile(card))
}

/// Puts a card into a seal signed by its root key.
pub(crate) fn signed(card: &Card, root: &SigningKey) -> anyhow::Result<Seal> {
    let mut seal = unsigned(card);
    seal.sign(root, Some(card.agency.clone()));
    if !card.is_signed(&seal) {
        bail!("the card names the root key {}, this is {}", card.root.fingerprint(), root.public().fingerprint());
    }
    Ok(seal)
}

/// Describes a card for people.
pub(crate) fn description(card: &Card) -> String {
    let keys = |key_use| card.keys.iter().filter(|key| key.key_use == key_use).count();
    format!(
        "{name} ({agency}), card {version}
  fingerprint   {fingerprint}
  valid         {from} to {until}
  addresses     {addresses}
  certificates  {certificates} of its authority
  keys          {sealing} sealing, {log} log, {witness} witness
  generation    {generation}
  schema level  {level}",
        name = one_line(&card.name),
        agency = card.agency,
        version = card.version,
        fingerprint = card.root.fingerprint(),
        from = card.valid_from.date(),
        until = card.valid_until.date(),
        addresses = one_line(&card.endpoints.join(", ")),
        certificates = card.trust_bundle.len(),
        sealing = keys(KeyUse::Sealing),
        log = keys(KeyUse::Log),
        witness = keys(KeyUse::Witness),
        generation = card.generation,
        level = card.schema_level,
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn a_card_is_written_over_a_card_of_its_agency_and_over_nothing_else() {
        let (jc, aa) = (TestNode::new("jc.example").await, TestNode::new("aa.example").await);
        let (first, second) = (jc.seal_card(&jc.card(1)), jc.seal_card(&jc.card(2)));
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let version = |name: &str| read(&path(name)).unwrap().card.version;
        write_out(&path("own.card"), &first, &jc.agency).unwrap();
        write_out(&path("own.card"), &second, &jc.agency).unwrap();
        assert_eq!(version("own.card"), 2);

        write(&path("other.card"), &aa.seal_card(&aa.card(7))).unwrap();
        fs::write(path("root.key"), "a key").unwrap();
        fs::create_dir(path("folder")).unwrap();
        for name in ["other.card", "root.key", "folder"] {
            let refused = write_out(&path(name), &first, &jc.agency).unwrap_err().to_string();
            assert!(refused.ends_with("is no card of jc.example: name another file with --out"), "{refused}");
        }
        assert_eq!((version("other.card"), fs::read_to_string(path("root.key")).unwrap().as_str()), (7, "a key"));
    }
}
