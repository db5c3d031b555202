//! Batches and receipts: statements that are sealed, and what travels beside them.

use std::time::Duration;

use bytes::Bytes;
use lotse_core::card::{Card, KeyUse};
use lotse_core::delivery::Outcome;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::key::{PublicKey, SigningKey};
use lotse_core::log::tree;
use lotse_core::seal::{DocumentType, Seal, Signature};
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::schema::{self, MessageType};
use prost::Message;

use crate::wire::envelope::{SCHEMA_LEVEL, bounds, real_id};
use crate::wire::time::is_sealable;

/// Most envelopes of a batch.
pub const MAX_BATCH: usize = 256;

/// Largest batch, in bytes of its envelopes.
pub const MAX_BATCH_BYTES: usize = 1024 * 1024 - 4096;

/// Largest batch that is taken. Its sender estimates what an envelope adds to a content.
const MAX_TAKEN_BYTES: usize = MAX_BATCH_BYTES + MAX_BATCH * 1024;

/// What the sender of a batch signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchStatement {
    /// Batch.
    pub batch_id: Id,
    /// Agency that sends.
    pub sender: AgencyId,
    /// Agency that is to receive.
    pub recipient: AgencyId,
    /// When it was made.
    pub created_at: Timestamp,
    /// Number of envelopes.
    pub count: u32,
    /// Root over their digests.
    pub root: Digest,
}

/// What the receiver of a batch signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptStatement {
    /// Agency that received.
    pub receiver: AgencyId,
    /// Agency that sent.
    pub sender: AgencyId,
    /// Batch.
    pub batch_id: Id,
    /// Root of the batch.
    pub batch_root: Digest,
    /// When the taking was committed.
    pub taken_at: Timestamp,
    /// Number of items.
    pub count: u32,
    /// Root over the items.
    pub items_root: Digest,
    /// Counts receipts to this peer.
    pub number: Sequence,
    /// Generation of the receiver.
    pub receiver_generation: u32,
    /// Generation of the sender as the receiver knows it.
    pub sender_generation: u32,
}

/// What a receipt says of one envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptItem {
    /// Digest of the envelope.
    pub digest: Digest,
    /// What was done.
    pub outcome: Outcome,
    /// When it was first taken.
    pub first_taken_at: Option<Timestamp>,
    /// Leaf hash of the receiver's log entry.
    pub log_leaf_hash: Digest,
}

/// Seals a batch statement.
pub fn seal_batch(statement: &BatchStatement, key: &SigningKey) -> proto::Seal {
    let payload = proto::BatchStatement {
        batch_id: statement.batch_id.to_vec(),
        sender: statement.sender.to_string(),
        recipient: statement.recipient.to_string(),
        created_at_us: statement.created_at.micros(),
        count: statement.count,
        root: statement.root.to_vec(),
    }
    .encode_to_vec();
    sealed(DocumentType::Batch, payload, key, &statement.sender)
}

/// Seals a receipt statement.
pub fn seal_receipt(statement: &ReceiptStatement, key: &SigningKey) -> proto::Seal {
    let payload = proto::ReceiptStatement {
        receiver: statement.receiver.to_string(),
        sender: statement.sender.to_string(),
        batch_id: statement.batch_id.to_vec(),
        batch_root: statement.batch_root.to_vec(),
        taken_at_us: statement.taken_at.micros(),
        count: statement.count,
        items_root: statement.items_root.to_vec(),
        number: statement.number.as_u64(),
        receiver_generation: statement.receiver_generation,
        sender_generation: statement.sender_generation,
    }
    .encode_to_vec();
    sealed(DocumentType::Receipt, payload, key, &statement.receiver)
}

fn sealed(document_type: DocumentType, payload: Vec<u8>, key: &SigningKey, agency: &AgencyId) -> proto::Seal {
    let mut seal = Seal::new(document_type, payload);
    seal.sign(key, Some(agency.clone()));
    let signature = |s: &Signature| proto::Signature {
        keyid: s.key_id.clone(),
        sig: s.bytes.to_vec(),
        agency: s.agency.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    proto::Seal {
        signatures: seal.signatures.iter().map(signature).collect(),
        payload: seal.payload.into(),
        r#type: document_type.media_type().to_string(),
    }
}

/// Verifies a seal's raw bytes with one of these keys; nothing is parsed before.
fn verify(seal: &proto::Seal, document_type: DocumentType, keys: &[PublicKey]) -> bool {
    if seal.r#type != document_type.media_type() || seal.signatures.len() != 1 {
        return false;
    }
    let signature = |s: &proto::Signature| Signature::from_parts(s.keyid.clone(), None, &s.sig).ok();
    let signatures: Option<Vec<_>> = seal.signatures.iter().map(signature).collect();
    signatures.is_some_and(|signatures| {
        let seal = Seal { document_type, payload: seal.payload.to_vec(), signatures };
        seal.verify(document_type, keys).is_ok()
    })
}

/// Tells whether a batch has no more envelopes and bytes than one may have. Costs nothing: it is asked before anything is hashed.
pub fn fits(batch: &proto::Batch) -> bool {
    let sealed = batch.seal.as_ref().map_or(0, |seal| seal.payload.len());
    let bytes = batch.envelopes.iter().map(Bytes::len).fold(sealed, usize::saturating_add);
    (1..=MAX_BATCH).contains(&batch.envelopes.len()) && bytes <= MAX_TAKEN_BYTES
}

/// Why a batch or a receipt is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealFault {
    /// The seal does not verify with any of the keys.
    NotSealed,
    /// The statement has a part that is not known here.
    TooNew,
    /// The statement is malformed.
    Malformed,
}

/// Opens a batch's seal with the keys of its sender's card.
pub fn open_batch_with_card(card: &Card, seal: &proto::Seal, at: Timestamp) -> Result<BatchStatement, SealFault> {
    open_with_card(card, at, |keys| open_batch(seal, keys), |statement| statement.created_at)
}

/// Opens a receipt's seal with the keys of its receiver's card.
pub fn open_receipt_with_card(card: &Card, seal: &proto::Seal, at: Timestamp) -> Result<ReceiptStatement, SealFault> {
    open_with_card(card, at, |keys| open_receipt(seal, keys), |statement| statement.taken_at)
}

/// Opens a statement with the sealing keys that a card names as valid now. One that was on its way when the agency exchanged its key
/// is opened with the key that was valid when, by its own words, it was made.
fn open_with_card<T>(
    card: &Card,
    at: Timestamp,
    open: impl Fn(&[PublicKey]) -> Result<T, SealFault>,
    made_at: impl Fn(&T) -> Timestamp,
) -> Result<T, SealFault> {
    let opened = open(&card.keys_at(KeyUse::Sealing, at));
    if !matches!(opened, Err(SealFault::NotSealed)) {
        return opened;
    }
    let statement = open(&card.keys_until(KeyUse::Sealing, at))?;
    open(&card.keys_for(KeyUse::Sealing, made_at(&statement), at))
}

/// Opens a batch's seal.
pub fn open_batch(seal: &proto::Seal, keys: &[PublicKey]) -> Result<BatchStatement, SealFault> {
    if !verify(seal, DocumentType::Batch, keys) {
        return Err(SealFault::NotSealed);
    }
    scan(&seal.payload, MessageType::BatchStatement)?;
    let statement = proto::BatchStatement::decode(seal.payload.clone()).map_err(|_| SealFault::Malformed)?;
    let parse = || {
        Some(BatchStatement {
            batch_id: real_id(&statement.batch_id)?,
            sender: statement.sender.parse().ok()?,
            recipient: statement.recipient.parse().ok()?,
            created_at: sealed_time(statement.created_at_us)?,
            count: statement.count,
            root: Digest::from_slice(&statement.root).ok()?,
        })
    };
    parse().ok_or(SealFault::Malformed)
}

/// Opens a receipt's seal.
pub fn open_receipt(seal: &proto::Seal, keys: &[PublicKey]) -> Result<ReceiptStatement, SealFault> {
    if !verify(seal, DocumentType::Receipt, keys) {
        return Err(SealFault::NotSealed);
    }
    scan(&seal.payload, MessageType::ReceiptStatement)?;
    let statement = proto::ReceiptStatement::decode(seal.payload.clone()).map_err(|_| SealFault::Malformed)?;
    let parse = || {
        Some(ReceiptStatement {
            receiver: statement.receiver.parse().ok()?,
            sender: statement.sender.parse().ok()?,
            batch_id: real_id(&statement.batch_id)?,
            batch_root: Digest::from_slice(&statement.batch_root).ok()?,
            taken_at: sealed_time(statement.taken_at_us)?,
            count: statement.count,
            items_root: Digest::from_slice(&statement.items_root).ok()?,
            number: Sequence::from_u64(statement.number),
            receiver_generation: statement.receiver_generation,
            sender_generation: statement.sender_generation,
        })
    };
    parse().filter(is_numbered).ok_or(SealFault::Malformed)
}

/// Returns whether a receipt has a number of its receiver's generation.
fn is_numbered(statement: &ReceiptStatement) -> bool {
    let number = statement.number;
    bounds::is_numbered(number) && number.counter() > 0 && number.generation() == statement.receiver_generation
}

fn sealed_time(micros: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(micros)).filter(|&at| is_sealable(at))
}

/// Greatest difference between the clocks of two agencies: beyond it nothing is released.
const CLOCKS_APART: Duration = Duration::from_secs(120);

impl ReceiptStatement {
    /// Says why the receipt does not answer a batch, if it does not. Whoever records a receipt asks this, and whoever verifies an
    /// export: `recorded_at` is when it was recorded, `counts_then` tells whether the key that sealed it counted at a time.
    pub fn objection(
        &self,
        sent: &BatchStatement,
        recorded_at: Timestamp,
        counts_then: impl Fn(Timestamp) -> bool,
    ) -> Option<&'static str> {
        if self.receiver != sent.recipient || self.sender != sent.sender {
            Some("it is about other agencies")
        } else if self.batch_id != sent.batch_id {
            Some("it is about another batch")
        } else if self.batch_root != sent.root || self.count != sent.count {
            Some("root or count differ from what was sent")
        } else if self.taken_at < sent.created_at.minus(CLOCKS_APART) {
            Some("it names a time before its batch was made")
        } else if self.taken_at > recorded_at.plus(CLOCKS_APART) {
            Some("it names a time that had not come when it was recorded")
        } else if !counts_then(self.taken_at) {
            Some("its key did not count at the time that it names")
        } else {
            None
        }
    }
}

fn scan(bytes: &[u8], message: MessageType) -> Result<(), SealFault> {
    match schema::scan(bytes, message, SCHEMA_LEVEL) {
        Ok(_) => Ok(()),
        Err(error) if error.is_too_new() => Err(SealFault::TooNew),
        Err(_) => Err(SealFault::Malformed),
    }
}

/// Encodes an item of a receipt.
pub fn encode_item(item: &ReceiptItem) -> Bytes {
    proto::ReceiptItem {
        digest: item.digest.to_vec(),
        outcome: item.outcome.number(),
        reason: item.outcome.reason().map_or(0, |reason| reason.number()),
        first_taken_at_us: item.first_taken_at.map_or(0, Timestamp::micros),
        log_leaf_hash: item.log_leaf_hash.to_vec(),
    }
    .encode_to_vec()
    .into()
}

/// Parses an item of a receipt.
pub fn parse_item(bytes: &Bytes) -> Result<ReceiptItem, SealFault> {
    scan(bytes, MessageType::ReceiptItem)?;
    let item = proto::ReceiptItem::decode(bytes.clone()).map_err(|_| SealFault::Malformed)?;
    let parse = || {
        Some(ReceiptItem {
            digest: Digest::from_slice(&item.digest).ok()?,
            outcome: Outcome::from_numbers(item.outcome, item.reason)?,
            first_taken_at: match item.first_taken_at_us {
                0 => None,
                micros => Some(sealed_time(micros)?),
            },
            log_leaf_hash: Digest::from_slice(&item.log_leaf_hash).ok()?,
        })
    };
    let is_timed = |item: &ReceiptItem| item.first_taken_at.is_some() == (item.outcome == Outcome::Taken);
    parse().filter(is_timed).ok_or(SealFault::Malformed)
}

/// Returns the root over a receipt's items.
pub fn items_root(items: &[Bytes]) -> Digest {
    let leaves: Vec<Digest> = items.iter().map(|item| Digest::of_leaf(item)).collect();
    tree::root(&leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_as_many_envelopes_and_bytes_as_one_may_have_and_no_more() {
        let batch =
            |count: usize, length: usize| proto::Batch { seal: None, envelopes: vec![vec![7; length].into(); count] };
        assert!(fits(&batch(1, 0)) && fits(&batch(MAX_BATCH, MAX_TAKEN_BYTES / MAX_BATCH)));
        assert!(!fits(&batch(0, 0)) && !fits(&batch(MAX_BATCH + 1, 0)));
        assert!(fits(&batch(1, MAX_TAKEN_BYTES)) && !fits(&batch(1, MAX_TAKEN_BYTES + 1)));
        let seal = proto::Seal { payload: vec![7; MAX_TAKEN_BYTES].into(), ..proto::Seal::default() };
        assert!(!fits(&proto::Batch { seal: Some(seal), ..batch(1, 1) }));
    }
}

#[cfg(test)]
mod statement_tests;
