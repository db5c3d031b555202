//! The sealed documents of an export against the entries that name them and the cards of those who sealed them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use lotse_core::card::{Card, KeyUse};
use lotse_core::delivery::Outcome;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::key::PublicKey;
use lotse_core::log::checkpoint::Origin;
use lotse_core::log::tile::decode_entries;
use lotse_core::seal::{DocumentType, Seal};
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1::LogEntry;
use prost::Message;

use super::{Findings, Signer};
use crate::card_file::{self, CardFile};
use crate::commands::log::export::document::{Named, from_json};
use crate::commands::log::export::folder::Export;
use crate::commands::log::export::place::{Document, OWN_CARD, Place, of_card, of_document};
use crate::entry::{BatchSummary, Detail, EntryKind};
use crate::wire;
use crate::wire::batch::{SealFault, items_root, open_batch, open_receipt, parse_item};

/// What is said of a card by the log, or by a root key that the reader trusts.
enum Word {
    /// The log names the card, or an agreement of it the card's root key, or the trusted root key has signed it.
    Given,
    /// The log names other cards of the agency.
    OtherCard,
    /// Agreements of the log name other root keys of the agency.
    OtherRoot,
    /// Nothing.
    None,
}

/// The check of the documents, fed with the entries.
pub(super) struct Documents<'a> {
    export: &'a Export,
    own: AgencyId,
    /// Whether a root key that the reader trusts has signed the own card.
    is_own_trusted: bool,
    /// Whether that card says that a later generation had begun when this was exported: the cards need not be named by this log.
    is_closed: bool,
    cards: BTreeMap<AgencyId, CardFile>,
    /// Cards that entries name.
    named_cards: BTreeMap<AgencyId, BTreeSet<Digest>>,
    /// Root keys, by digest, that the agreements name which entries name.
    named_roots: BTreeMap<AgencyId, BTreeSet<Digest>>,
    /// Documents that entries name.
    pub(super) named: BTreeSet<(u64, Document)>,
    used: BTreeSet<AgencyId>,
    pub(super) receipts: u64,
    pub(super) agreements: u64,
}

impl<'a> Documents<'a> {
    /// Reads the cards. `log_key` is the one that signed the head; `roots` are root keys of the agency that the reader trusts, none
    /// where only the log's key is trusted.
    pub(super) fn read(
        export: &'a Export,
        origin: &Origin,
        log_key: &PublicKey,
        roots: &[PublicKey],
        findings: &mut Findings,
    ) -> anyhow::Result<Documents<'a>> {
        let mut cards = BTreeMap::new();
        let mut add = |name: String, agency: AgencyId| {
            if let Some(read) = findings.take(&name, read_card(export, &name, &agency)) {
                cards.insert(agency, read);
            }
        };
        add(OWN_CARD.to_owned(), origin.agency.clone());
        export.walk("", &mut |path| {
            if let Some(Place::Card(agency)) = Place::parse(path) {
                add(path.to_owned(), agency);
            }
        })?;
        let own = cards.get(&origin.agency).map(|own| &own.card);
        let log_keys =
            |card: &&Card| card.keys.iter().any(|key| key.key_use == KeyUse::Log && key.public_key == *log_key);
        if own.is_some_and(|own| !log_keys(&own)) {
            findings.add(OWN_CARD, "does not name the key that signed the checkpoint");
        }
        let is_trusted =
            |card: &Card| [Some(card.root), card.next_root].iter().flatten().any(|key| roots.contains(key));
        if !roots.is_empty() && own.is_some_and(|own| !is_trusted(own)) {
            findings.add(OWN_CARD, "is not signed by the root key that you trust");
        }
        Ok(Documents {
            export,
            is_own_trusted: own.is_some_and(is_trusted),
            is_closed: own.is_some_and(|own| is_trusted(own) && own.generation > origin.generation),
            own: origin.agency.clone(),
            cards,
            named_cards: BTreeMap::new(),
            named_roots: BTreeMap::new(),
            named: BTreeSet::new(),
            used: BTreeSet::new(),
            receipts: 0,
            agreements: 0,
        })
    }

    /// Takes an entry: its bytes must be a log entry, and what it names must be there.
    pub(super) fn entry(&mut self, index: u64, bytes: &[u8], findings: &mut Findings) {
        let what = format!("entry {index}");
        let entry = match LogEntry::decode(bytes) {
            Ok(entry) => entry,
            Err(_) => return findings.add(&what, "the bytes are no log entry"),
        };
        let starts = entry.kind == EntryKind::LogStarted as i32 && matches!(entry.detail, Some(Detail::LogStart(_)));
        if index == 0 && !starts {
            findings.add(&what, "is not the start of a log");
        }
        let checked = match Named::of(&entry, &self.own) {
            Ok(Some(Named::Batch { batch_id, peer, summary })) => {
                let recorded_at = Timestamp::from_micros(entry.at_us);
                self.batch(index, batch_id, &peer, &summary, recorded_at)
            }
            Ok(Some(Named::Agreement(digest))) => self.agreement(index, digest),
            Ok(Some(Named::Card(agency, digest))) => {
                self.named_cards.entry(agency).or_default().insert(digest);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => Err(error.context(what)),
        };
        if let Err(error) = checked {
            findings.add(&format!("entry {index}"), format!("{error:#}"));
        }
    }

    /// Checks that somebody whom the reader trusts speaks for each card; the last step.
    pub(super) fn cards(&mut self, findings: &mut Findings) {
        for (agency, known) in &self.cards {
            let (is_own, is_used) = (*agency == self.own, self.used.contains(agency));
            let name = if is_own { OWN_CARD.to_owned() } else { of_card(agency) };
            match self.word(agency, known) {
                Word::Given => {}
                Word::OtherRoot => findings.add(&name, "its root key is none that the agreements of this log name"),
                Word::OtherCard if is_own && !self.is_own_trusted => {
                    findings.add(&name, "is none that this log names: such a card counts only with --fingerprint");
                }
                Word::OtherCard => findings.add(&name, "is none that this log names"),
                Word::None if !is_own && !is_used => findings.add(&name, "does not belong to this export"),
                Word::None if is_own && is_used => {
                    findings.add(&name, "this log does not name it: it counts only with --fingerprint");
                }
                Word::None => {}
            }
        }
    }

    /// Says what the log, or the root key that the reader trusts, says of a card.
    fn word(&self, agency: &AgencyId, known: &CardFile) -> Word {
        let named = self.named_cards.get(agency);
        if named.is_some_and(|named| named.contains(&Digest::of(&known.seal.payload))) {
            return Word::Given;
        }
        if named.is_some() && !self.is_closed {
            return Word::OtherCard;
        }
        if *agency == self.own && self.is_own_trusted {
            return Word::Given;
        }
        match self.named_roots.get(agency) {
            _ if *agency == self.own => Word::None,
            Some(roots) if roots.contains(known.card.root.fingerprint().digest()) => Word::Given,
            Some(_) => Word::OtherRoot,
            None => Word::None,
        }
    }

    /// Returns the agencies whose cards were used.
    pub(super) fn signers(&self) -> Vec<Signer> {
        let signer = |agency: &AgencyId| {
            let known = self.cards.get(agency)?;
            let is_named = matches!(self.word(agency, known), Word::Given);
            Some(Signer { agency: agency.clone(), fingerprint: known.card.root.fingerprint(), is_named })
        };
        self.used.iter().filter_map(signer).collect()
    }

    /// Checks a batch's seal, the receipt for it and the receipt's items.
    fn batch(
        &mut self,
        index: u64,
        id: Id,
        peer: &AgencyId,
        summary: &BatchSummary,
        recorded_at: Timestamp,
    ) -> anyhow::Result<()> {
        self.named.extend([Document::Batch, Document::Receipt, Document::Items].map(|document| (index, document)));
        let own = self.own.clone();
        let (seal, key) = self.sealed(index, Document::Batch, DocumentType::Batch, &own)?;
        let sent = open_batch(&wire::seal::message(&seal), &[key]).map_err(fault).context("the batch")?;
        let is_named = sent.batch_id == id && sent.sender == own && sent.recipient == *peer;
        ensure!(is_named && sent.root.as_bytes() == summary.batch_root.as_slice(), "its batch is another one");
        self.counted_then(&own, key, sent.created_at).context("the batch")?;

        let (seal, key) = self.sealed(index, Document::Receipt, DocumentType::Receipt, peer)?;
        ensure!(
            Digest::of(&seal.payload).as_bytes() == summary.receipt_digest.as_slice(),
            "its receipt is another one"
        );
        let receipt = open_receipt(&wire::seal::message(&seal), &[key]).map_err(fault).context("the receipt")?;
        let counts_then = |at| self.counted_then(peer, key, at).is_ok();
        if let Some(why) = receipt.objection(&sent, recorded_at, counts_then) {
            bail!("the receipt: {why}");
        }

        let name = of_document(index, Document::Items);
        let bytes = self.export.read(&name)?.with_context(|| format!("{name} is missing"))?;
        let items: Vec<Bytes> = decode_entries(&bytes).context(name)?.into_iter().map(Bytes::copy_from_slice).collect();
        ensure!(
            items.len() == receipt.count as usize && items_root(&items) == receipt.items_root,
            "its items are others"
        );
        let outcomes = items.iter().map(|item| parse_item(item).map(|item| item.outcome));
        let outcomes: Vec<Outcome> = outcomes.collect::<Result<_, _>>().map_err(fault).context("an item")?;
        let count = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count() as u32;
        let counts = (
            count(|outcome| matches!(outcome, Outcome::Taken)),
            count(|outcome| matches!(outcome, Outcome::Refused(_))),
            count(|outcome| matches!(outcome, Outcome::Again(_))),
        );
        ensure!(
            counts == (summary.taken, summary.refused, summary.again),
            "it counts otherwise than the receipt's items"
        );
        self.receipts += 1;
        Ok(())
    }

    /// Checks an agreement's seals: each by the agency that it names, and one by each party.
    fn agreement(&mut self, index: u64, digest: Digest) -> anyhow::Result<()> {
        self.named.insert((index, Document::Agreement));
        let seal = self.document(index, Document::Agreement)?;
        ensure!(Digest::of(&seal.payload) == digest, "its agreement is another one");
        let agreement = wire::agreement::parse_stored(&seal.payload);
        let agreement = agreement.map_err(|reason| anyhow::anyhow!("its agreement: {}", reason.sentence()))?;
        for party in &agreement.parties {
            self.named_roots.entry(party.agency.clone()).or_default().insert(party.root_fingerprint);
        }
        let mut sealed = BTreeSet::new();
        for signature in &seal.signatures {
            let agency = signature.agency.clone().context("a seal names no agency")?;
            let alone = Seal { signatures: vec![signature.clone()], ..seal.clone() };
            self.signer(&alone, DocumentType::Agreement, &agency)?;
            ensure!(sealed.insert(agency), "an agency sealed it twice");
        }
        let missing = agreement.parties.iter().find(|party| !sealed.contains(&party.agency));
        if let Some(party) = missing {
            bail!("the seal of {} is missing", party.agency);
        }
        self.agreements += 1;
        Ok(())
    }

    fn document(&self, index: u64, document: Document) -> anyhow::Result<Seal> {
        let name = of_document(index, document);
        let bytes = self.export.read(&name)?.with_context(|| format!("{name} is missing"))?;
        from_json(&bytes).context(name)
    }

    fn sealed(
        &mut self,
        index: u64,
        document: Document,
        expected: DocumentType,
        agency: &AgencyId,
    ) -> anyhow::Result<(Seal, PublicKey)> {
        let seal = self.document(index, document)?;
        let key = self.signer(&seal, expected, agency).with_context(|| of_document(index, document))?;
        Ok((seal, key))
    }

    /// Returns the sealing key of an agency that made a seal's only signature; its hints must say so too.
    fn signer(&mut self, seal: &Seal, expected: DocumentType, agency: &AgencyId) -> anyhow::Result<PublicKey> {
        let known = self.cards.get(agency).with_context(|| format!("there is no card of {agency}"))?;
        self.used.insert(agency.clone());
        let keys = known.card.keys.iter().filter(|key| key.key_use == KeyUse::Sealing);
        let keys: Vec<PublicKey> = keys.map(|key| key.public_key).collect();
        let key = seal.verify(expected, &keys).with_context(|| format!("the seal of {agency}"))?;
        hints(seal, &[key], agency)?;
        Ok(key)
    }

    /// The card must name the key as valid when it sealed.
    fn counted_then(&self, agency: &AgencyId, key: PublicKey, at: Timestamp) -> anyhow::Result<()> {
        let counts = self.cards.get(agency).is_some_and(|known| known.card.keys_at(KeyUse::Sealing, at).contains(&key));
        ensure!(counts, "it was sealed with a key of {agency} that did not count then");
        Ok(())
    }
}

/// Reads a card: as it was exported, signed by its own root key, of the agency by which it is filed.
fn read_card(export: &Export, name: &str, agency: &AgencyId) -> anyhow::Result<Option<CardFile>> {
    let Some(bytes) = export.read(name)? else { return Ok(None) };
    let seal = from_json(&bytes)?;
    let known = card_file::parse(std::str::from_utf8(&bytes)?)?;
    ensure!(known.card.agency == *agency, "is the card of {}", known.card.agency);
    ensure!(known.card.is_signed(&seal), "is not signed by the root key that it names");
    let roots: Vec<PublicKey> = [known.card.root].into_iter().chain(known.card.next_root).collect();
    hints(&seal, &roots, agency)?;
    Ok(Some(known))
}

/// Signatures are as many as the keys that made them, and their hints name key and agency: nothing in the file is without effect.
fn hints(seal: &Seal, keys: &[PublicKey], agency: &AgencyId) -> anyhow::Result<()> {
    let named = |signature: &lotse_core::seal::Signature| {
        signature.agency.as_ref() == Some(agency) && keys.iter().any(|key| key.key_id() == signature.key_id)
    };
    ensure!(
        seal.signatures.len() == keys.len() && seal.signatures.iter().all(named),
        "a signature names another signer"
    );
    Ok(())
}

fn fault(fault: SealFault) -> anyhow::Error {
    anyhow::anyhow!(match fault {
        SealFault::NotSealed => "the seal does not verify",
        SealFault::TooNew => "it has parts that this version does not know",
        SealFault::Malformed => "it is malformed",
    })
}
