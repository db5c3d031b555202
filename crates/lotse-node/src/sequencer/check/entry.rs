//! An entry's row against the entry's bytes: the columns beside the bytes only repeat them.

use lotse_proto::exchange::v1::LogEntry;
use lotse_store::log::Entry;
use prost::Message;

/// Says which columns differ from the entry's bytes.
pub(super) fn faults(entry: &Entry) -> Vec<String> {
    let Ok(written) = LogEntry::decode(entry.bytes.as_slice()) else {
        return vec!["the bytes are no log entry".to_owned()];
    };
    let record_id = entry.record_id.map(|id| id.to_vec()).unwrap_or_default();
    let columns = [
        ("at", written.at_us == entry.at.micros()),
        ("kind", written.kind == entry.kind),
        ("direction", written.direction == entry.direction),
        ("peer", written.peer == entry.peer),
        ("decision", written.decision == entry.decision),
        ("record_id", written.record_id == record_id),
    ];
    let differs = |(column, is_same): (&str, bool)| {
        (!is_same).then(|| format!("the column {column}, by which lists are filtered, differs from the entry's bytes"))
    };
    columns.into_iter().filter_map(differs).collect()
}
