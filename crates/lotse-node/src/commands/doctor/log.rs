//! The exchange log: on hold, or falling behind.

use std::time::Duration;

use super::finding::{Area, Finding};
use super::live::Live;
use super::place::Place;
use super::stored::Stored;

/// How long an entry may wait until a signed head covers it; the sequencer's rounds are seconds apart.
const MERGE_DELAY: Duration = Duration::from_secs(60);

/// Looks at the log.
pub(super) fn examine(place: &Place, stored: &Stored, live: Option<&Live>) -> Finding {
    let hold = live.map(|live| live.status.log_hold.as_str()).unwrap_or_default();
    if !hold.is_empty() {
        let todo = format!(
            "{}, then stop the node and {} (deploy/OPERATIONS.md, \"Log hold\")",
            place.command("log verify"),
            place.command("log resume --reason 'what was found'")
        );
        return Finding::problem(Area::Log, "hold", format!("nothing is released and no head is signed: {hold}"), todo);
    }
    let behind = stored.unsigned_since.map_or(Duration::ZERO, |at| place.now.since(at));
    if live.is_some() && behind > MERGE_DELAY {
        let seen = format!("an entry has waited {} s for a signed head", behind.as_secs());
        let todo = "look for errors of the sequencer in the node's messages, and at disk and head store above".into();
        return Finding::problem(Area::Log, "signing", seen, todo);
    }
    let signed = stored.checkpoint.as_ref().map_or(0, |head| head.size);
    let generation = stored.generation.map_or("not begun".to_string(), |generation| format!("generation {generation}"));
    Finding::ok(Area::Log, generation, format!("{} entries, {signed} of them signed", stored.written))
}
