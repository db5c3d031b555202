//! Log entries: how an action says what it did, as the exact bytes that become a leaf of the exchange log.

pub mod kind;
pub mod sentence;

use std::sync::Arc;

use lotse_core::category::Categories;
use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::purpose::Purpose;
use lotse_core::random::Random;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_store::counter::{self, Counter};
use lotse_store::log::Entry;
use lotse_store::{StoreError, Tx};
use prost::Message;

use crate::node::Node;
use crate::telemetry::trace::TraceId;

pub use lotse_proto::exchange::v1::log_entry::Detail;
pub use lotse_proto::exchange::v1::{AdminAct, BatchSummary, Decision, Direction, EntryKind, LogStart};

/// Longest text of an entry, bytes: all of them together fit a bundle's 16 bits of length, and a page of entries one message.
const MAX_TEXT_BYTES: usize = 2048;

/// Length of a trace id.
const TRACE_BYTES: usize = 16;

/// Most reasons of an entry.
const MAX_REASONS: usize = 256;

/// What an action says. Fields that do not apply stay empty. Names nobody, refers to no subject, carries no free text about
/// persons.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Which way.
    pub direction: Direction,
    /// The other agency.
    pub peer: Option<AgencyId>,
    /// Agreement.
    pub agreement_id: Option<Id>,
    /// Version of the agreement or card.
    pub version: u64,
    /// Clause.
    pub clause_id: String,
    /// Reference of the consent.
    pub consent_ref: Option<Id>,
    /// Purpose.
    pub purpose: Option<Purpose>,
    /// Categories.
    pub categories: Categories,
    /// Categories that were left out.
    pub left_out: Categories,
    /// Record.
    pub record_id: Option<Id>,
    /// Digest of the envelope, agreement or card.
    pub digest: Option<Digest>,
    /// Identity of the caller.
    pub actor: String,
    /// Opaque staff reference.
    pub on_behalf_of: String,
    /// How it was decided.
    pub decision: Decision,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Trace, 16 bytes or empty: of a record the one that crosses with it, else the call's own.
    pub trace_id: Vec<u8>,
    /// More, by kind.
    pub detail: Option<Detail>,
    /// The reason that the administrator gave, the RPC that was denied, or more about the kind.
    pub remark: String,
    /// The act of an administrator.
    pub admin_act: AdminAct,
    /// How many refusals that were alike it stands for; 0 for one.
    pub alike: u32,
}

impl Draft {
    /// Begins a draft about a call in a trace, if it has one.
    pub fn of(trace: Option<TraceId>) -> Draft {
        Draft { trace_id: trace.map(|trace| trace.as_bytes().to_vec()).unwrap_or_default(), ..Draft::default() }
    }

    /// Encodes the entry: 32 blinding bytes and an id are drawn, so that the leaf tells nothing once it is pruned.
    pub fn entry(self, kind: EntryKind, at: Timestamp, random: &dyn Random) -> Entry {
        let drawn: [u8; 42] = lotse_core::random::bytes(random);
        self.entry_with(kind, at, &drawn)
    }

    /// Encodes the entry with bytes that were drawn for a whole batch: 32 for the blind, 10 for the id. Texts that are too long are cut:
    /// no entry is longer than an export of the log can hold.
    pub fn entry_with(self, kind: EntryKind, at: Timestamp, drawn: &[u8; 42]) -> Entry {
        let (blind, tail) = drawn.split_at(32);
        let mut id = [0; 10];
        id.copy_from_slice(tail);
        let peer = self.peer.map(|peer| peer.as_str().to_string()).unwrap_or_default();
        let numbers = |set: Categories| set.iter().map(|category| category.number()).collect();
        let bytes = |id: Option<Id>| id.map(Id::to_vec).unwrap_or_default();
        let entry = proto::LogEntry {
            blind: blind.to_vec(),
            id: Id::v7(at, id).to_vec(),
            at_us: at.micros(),
            kind: kind as i32,
            direction: self.direction as i32,
            peer: peer.clone(),
            agreement_id: bytes(self.agreement_id),
            version: self.version,
            clause_id: bounded(self.clause_id),
            consent_ref: bytes(self.consent_ref),
            purpose: self.purpose.map_or(0, Purpose::number),
            categories: numbers(self.categories),
            record_id: bytes(self.record_id),
            digest: self.digest.map(Digest::to_vec).unwrap_or_default(),
            actor: bounded(self.actor),
            on_behalf_of: bounded(self.on_behalf_of),
            decision: self.decision as i32,
            reasons: self.reasons.iter().take(MAX_REASONS).map(|reason| reason.number()).collect(),
            trace_id: self.trace_id.into_iter().take(TRACE_BYTES).collect(),
            detail: self.detail.map(bounded_detail),
            left_out: numbers(self.left_out),
            remark: bounded(self.remark),
            admin_act: self.admin_act as i32,
            alike: self.alike,
        };
        Entry {
            at,
            kind: kind as i32,
            direction: self.direction as i32,
            peer,
            decision: self.decision as i32,
            record_id: self.record_id,
            bytes: entry.encode_to_vec(),
        }
    }
}

/// Cuts a text at a character, if it is too long.
fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}

fn bounded_detail(detail: Detail) -> Detail {
    match detail {
        Detail::LogStart(start) => {
            let (previous_origin, reason) = (bounded(start.previous_origin), bounded(start.reason));
            Detail::LogStart(LogStart { previous_origin, reason, ..start })
        }
        Detail::Batch(batch) => Detail::Batch(batch),
    }
}

/// Appends entries as leaves of the log, in the transaction of what they tell. After its commit the sequencer is to be woken:
/// `signals.log.notify_one()`.
pub async fn append(tx: &mut Tx, node: &Node, drafts: Vec<(EntryKind, Draft)>) -> Result<(), StoreError> {
    if drafts.is_empty() {
        return Ok(());
    }
    let (at, random) = (node.now(), node.random.as_ref());
    let entries: Vec<Entry> = drafts.into_iter().map(|(kind, draft)| draft.entry(kind, at, random)).collect();
    let taken = counter::take(tx, &[(Counter::Leaf, entries.len() as i64)]).await?;
    let first = taken.first(&Counter::Leaf, entries.len());
    lotse_store::log::append(tx, node.generation, first, entries).await
}

/// Writes entries that tell of no change in the tables, and wakes the sequencer.
pub async fn record(node: &Arc<Node>, name: &'static str, drafts: Vec<(EntryKind, Draft)>) -> Result<(), StoreError> {
    let shared = node.clone();
    node.store
        .transact(name, move |tx| {
            let (node, drafts) = (shared.clone(), drafts.clone());
            Box::pin(async move { append(tx, &node, drafts).await })
        })
        .await?;
    node.signals.log.notify_one();
    Ok(())
}

#[cfg(test)]
mod tests {
    use lotse_core::log::tile::{MAX_ENTRY_BYTES, encode_entries};

    use super::*;

    #[test]
    fn no_entry_is_too_long_for_an_export_and_a_short_one_is_as_it_was() {
        let at: Timestamp = "2026-11-02T08:00:00Z".parse().unwrap();
        let long = || "ä".repeat(70_000);
        let start = LogStart { previous_origin: long(), reason: long(), ..LogStart::default() };
        let draft = Draft {
            clause_id: long(),
            actor: long(),
            on_behalf_of: long(),
            remark: long(),
            reasons: Reason::ALL.repeat(1000),
            trace_id: vec![1; 70_000],
            detail: Some(Detail::LogStart(start)),
            ..Draft::default()
        };
        let entry = draft.entry_with(EntryKind::Alarm, at, &[7; 42]);
        assert!(entry.bytes.len() <= MAX_ENTRY_BYTES);
        encode_entries([entry.bytes.as_slice()]).unwrap();
        let read = proto::LogEntry::decode(entry.bytes.as_slice()).unwrap();
        assert_eq!((read.remark.len(), read.trace_id.len()), (MAX_TEXT_BYTES, 16));

        let remark = "ä".repeat(MAX_TEXT_BYTES / 2);
        let short = Draft { remark: remark.clone(), ..Draft::default() }.entry_with(EntryKind::Alarm, at, &[7; 42]);
        assert_eq!(proto::LogEntry::decode(short.bytes.as_slice()).unwrap().remark, remark);
    }
}
