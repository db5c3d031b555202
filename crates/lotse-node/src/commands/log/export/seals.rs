//! Fetches the documents that entries name and writes them beside the log.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use anyhow::{Context as _, anyhow};
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::log::tile::encode_entries;
use lotse_core::seal::Seal;
use lotse_proto::audit::v1::{BatchSeals, GetSealsRequest};
use lotse_proto::exchange::v1 as proto;

use super::document::{Named, to_json};
use super::folder::OpenExport;
use super::place::{Document, OWN_CARD, of_card, of_document};
use crate::action::get_seals::MAX_DOCUMENTS;
use crate::card_file::CardFile;
use crate::commands::log::source::Source;
use crate::wire;

/// Documents that are still to be fetched, and what became of the others.
pub(super) struct SealWriter {
    own: CardFile,
    /// Whether a later generation has begun: the node keeps the newest cards only, which this log need not name.
    is_closed: bool,
    batches: Vec<(u64, Id)>,
    agreements: Vec<(u64, Digest)>,
    /// Cards that the new entries name, by agency.
    cards: BTreeMap<AgencyId, BTreeSet<Digest>>,
    /// Agencies whose signatures are among the documents.
    signers: BTreeSet<AgencyId>,
    written: usize,
    missing: Vec<String>,
}

impl SealWriter {
    /// Begins with the agency's own card, for a log of a generation.
    pub(super) fn new(own: CardFile, generation: u32) -> SealWriter {
        SealWriter {
            is_closed: own.card.generation > generation,
            own,
            batches: Vec::new(),
            agreements: Vec::new(),
            cards: BTreeMap::new(),
            signers: BTreeSet::new(),
            written: 0,
            missing: Vec::new(),
        }
    }

    /// Returns how many documents were written.
    pub(super) fn written(&self) -> usize {
        self.written
    }

    /// Returns what entries name and the node has not.
    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    /// Remembers what an entry names, or why nobody can tell.
    pub(super) fn note(&mut self, index: u64, named: anyhow::Result<Option<Named>>) {
        match named {
            Ok(Some(Named::Batch { batch_id, peer, .. })) => {
                self.signers.insert(peer);
                self.batches.push((index, batch_id));
            }
            Ok(Some(Named::Agreement(digest))) => self.agreements.push((index, digest)),
            Ok(Some(Named::Card(agency, digest))) => {
                self.cards.entry(agency).or_default().insert(digest);
            }
            Ok(None) => {}
            Err(error) => self.missing.push(format!("what entry {index} names: {error:#}")),
        }
    }

    /// Fetches batches and agreements that are remembered; those that the folder has already are left as they are.
    pub(super) async fn fetch(&mut self, source: &mut Source, files: &mut OpenExport) -> anyhow::Result<()> {
        let batches = mem::take(&mut self.batches);
        let mut new = Vec::new();
        for (index, batch_id) in batches {
            if files.export.read(&of_document(index, Document::Items))?.is_none() {
                new.push((index, batch_id));
            }
        }
        for batches in new.chunks(MAX_DOCUMENTS) {
            let batch_ids = batches.iter().map(|(_, id)| id.to_string()).collect();
            let found = source.seals(GetSealsRequest { batch_ids, ..GetSealsRequest::default() }).await?.batches;
            let mut found: BTreeMap<String, BatchSeals> =
                found.into_iter().map(|seals| (seals.batch_id.clone(), seals)).collect();
            for (index, batch_id) in batches {
                self.batch(*index, found.remove(&batch_id.to_string()), files)?;
            }
        }
        for (index, digest) in mem::take(&mut self.agreements) {
            self.agreement(index, digest, source, files).await?;
        }
        Ok(())
    }

    fn batch(&mut self, index: u64, found: Option<BatchSeals>, files: &mut OpenExport) -> anyhow::Result<()> {
        let (batch, receipt) = found.map(|seals| (seals.batch, seals.receipt)).unwrap_or_default();
        let (Some(batch), Some(proto::Receipt { seal: Some(receipt), items })) = (batch, receipt) else {
            self.missing.push(format!("batch and receipt of entry {index}"));
            return Ok(());
        };
        files.write(&of_document(index, Document::Batch), &to_json(&parsed(batch)?)?)?;
        files.write(&of_document(index, Document::Receipt), &to_json(&parsed(receipt)?)?)?;
        let items = encode_entries(items.iter().map(AsRef::as_ref))?;
        files.write(&of_document(index, Document::Items), &items)?; // the last one: its presence says that all are there
        self.written += 2;
        Ok(())
    }

    async fn agreement(
        &mut self,
        index: u64,
        digest: Digest,
        source: &mut Source,
        files: &mut OpenExport,
    ) -> anyhow::Result<()> {
        let name = of_document(index, Document::Agreement);
        if files.export.read(&name)?.is_some() {
            return Ok(());
        }
        let wanted = GetSealsRequest { agreement_digests: vec![digest.to_vec()], ..GetSealsRequest::default() };
        let Some(seal) = source.seals(wanted).await?.agreements.pop() else {
            self.missing.push(format!("agreement of entry {index}"));
            return Ok(());
        };
        let seal = parsed(seal)?;
        self.signers.extend(seal.signatures.iter().filter_map(|signature| signature.agency.clone()));
        files.write(&name, &to_json(&seal)?)?;
        self.written += 1;
        Ok(())
    }

    /// Writes the cards that the log names or that its documents need: the newest of each agency.
    ///
    /// A card that came after the head is not written, because the exported log does not speak of it yet; the one before stays.
    pub(super) async fn fetch_cards(&mut self, source: &mut Source, files: &mut OpenExport) -> anyhow::Result<()> {
        let own = self.own.clone();
        self.signers.insert(own.card.agency.clone());
        let mut agencies = mem::take(&mut self.signers);
        agencies.extend(self.cards.keys().cloned());
        for agency in agencies {
            let is_own = agency == own.card.agency;
            let name = if is_own { OWN_CARD.to_owned() } else { of_card(&agency) };
            let there = files.export.read(&name)?;
            let is_there = there.is_some();
            let found = if is_own { Some(own.clone()) } else { card(source, &agency).await? };
            let named = self.cards.get(&agency);
            let is_named = |card: &CardFile| {
                self.is_closed || named.map_or(!is_there, |named| named.contains(&Digest::of(&card.seal.payload)))
            };
            match found {
                Some(found) if is_named(&found) => {
                    let new = to_json(&found.seal)?;
                    if there.is_none_or(|there| there != new) {
                        files.write(&name, &new)?;
                        self.written += 1;
                    }
                }
                _ if is_there => {}
                Some(_) => self.missing.push(format!(
                    "the card of {agency}: it came after the signed head; export again in a few seconds"
                )),
                None => self.missing.push(format!("the card of {agency}")),
            }
        }
        Ok(())
    }
}

/// Gets the newest card of an agency that the node has taken.
pub(super) async fn card(source: &mut Source, agency: &AgencyId) -> anyhow::Result<Option<CardFile>> {
    let wanted = GetSealsRequest { agencies: vec![agency.to_string()], ..GetSealsRequest::default() };
    let Some(seal) = source.seals(wanted).await?.cards.pop() else { return Ok(None) };
    let seal = parsed(seal)?;
    let card = wire::card::parse(&seal.payload);
    let card = card.map_err(|reason| anyhow!("{} [{}]", reason.sentence(), reason.code()));
    Ok(Some(CardFile { card: card.with_context(|| format!("the card of {agency}"))?, seal }))
}

fn parsed(seal: proto::Seal) -> anyhow::Result<Seal> {
    wire::seal::parse(seal).context("a seal that the node keeps")
}
