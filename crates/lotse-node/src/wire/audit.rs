//! The exchange log on the wire, as officers read it.

use lotse_core::agreement::words::Language;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::audit::v1 as audit;
use lotse_proto::exchange::v1::LogEntry;
use lotse_store::log::{Filter, Leaf};
use prost::Message;

use super::time;
use crate::action::get_entry::ProvenEntry;
use crate::entry::sentence::{explanation, sentence};
use crate::failure::Failure;

/// Writes an entry with its place. Bytes that cannot be read any more show as an entry without a kind.
pub fn logged(leaf: &Leaf, generation: u32) -> audit::LoggedEntry {
    let entry = LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap_or_default();
    let sentence = sentence(&entry, Language::English);
    audit::LoggedEntry { index: leaf.index, generation, entry: Some(entry), sentence }
}

/// Writes an entry with its proof.
pub fn answer(proven: ProvenEntry, generation: u32) -> audit::GetEntryResponse {
    let entry = logged(&proven.leaf, generation);
    let explained = entry.entry.as_ref().map(|entry| explanation(entry, Language::English)).unwrap_or_default();
    let (path, checkpoint) = proven.proof.map(|proof| (proof.path, proof.checkpoint)).unwrap_or_default();
    audit::GetEntryResponse {
        entry: Some(entry),
        entry_bytes: proven.leaf.entry.bytes,
        inclusion_path: path.iter().map(|hash| hash.to_vec()).collect(),
        checkpoint,
        explanation: explained,
    }
}

/// Reads what a list is narrowed to.
pub fn parse_filter(filter: audit::EntryFilter) -> Result<Filter, Failure> {
    let invalid = |field: &str, message: &str| Failure::field(Reason::FieldInvalid, field, message);
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let moment = |field: &str, given: Option<pbjson_types::Timestamp>| -> Result<Option<Timestamp>, Failure> {
        let parsed = given.map(|given| time::parse(&given).ok_or_else(|| invalid(field, "is out of range")));
        parsed.transpose()
    };
    let peer = given(&filter.peer).map(|peer| peer.parse().map_err(|_| invalid("filter.peer", "is no agency id")));
    let record = given(&filter.record_id).map(|id| id.parse().map_err(|_| invalid("filter.record_id", "is no id")));
    Ok(Filter {
        kind: (filter.kind != 0).then_some(filter.kind),
        peer: peer.transpose()?,
        record_id: record.transpose()?,
        decision: (filter.decision != 0).then_some(filter.decision),
        from: moment("filter.from", filter.from)?,
        until: moment("filter.until", filter.until)?,
    })
}
