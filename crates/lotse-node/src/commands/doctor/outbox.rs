//! The outbox: what waits, for whom, and for how long.

use std::time::Duration;

use super::finding::{Area, Finding};
use super::place::Place;
use super::stored::Stored;

/// What waits longer is a warning: the pauses between attempts grow to a quarter of an hour.
const LONG: Duration = Duration::from_secs(60 * 60);

/// Looks at what waits for each peer.
pub(super) fn examine(place: &Place, stored: &Stored) -> Vec<Finding> {
    let findings = stored.waiting.iter().filter(|waiting| waiting.due + waiting.in_doubt > 0).map(|waiting| {
        let oldest = stored.oldest.iter().filter(|oldest| oldest.peer == waiting.peer).map(|oldest| oldest.since).min();
        let age = oldest.map_or(Duration::ZERO, |oldest| place.now.since(oldest));
        let reasons = stored.wait_reasons.iter().filter(|found| found.peer == waiting.peer);
        let reasons: String = reasons
            .map(|found| format!("; {} tried, because {} ({})", found.items, found.reason.sentence(), found.reason))
            .collect();
        let seen = format!(
            "{} due, {} in doubt, the oldest for {} minutes{reasons}",
            waiting.due,
            waiting.in_doubt,
            age.as_secs() / 60
        );
        if age <= LONG {
            return Finding::ok(Area::Outbox, waiting.peer.as_str(), seen);
        }
        let todo = format!(
            "see what is said of this peer and of the log; {} shows the last problem",
            place.command("peer list")
        );
        Finding::warning(Area::Outbox, waiting.peer.as_str(), seen, todo)
    });
    let mut findings: Vec<Finding> = findings.collect();
    if findings.is_empty() {
        findings.push(Finding::ok(Area::Outbox, "all", "nothing waits"));
    }
    findings.push(record_ids(stored));
    findings
}

/// Looks for record ids that stand there twice: on SQLite no index keeps them out.
fn record_ids(stored: &Stored) -> Finding {
    match stored.repeated {
        Some(0) => Finding::ok(Area::Outbox, "record ids", "each stands there once"),
        Some(repeated) => Finding::problem(
            Area::Outbox,
            "record ids",
            format!("{repeated} stand there more than once: one key was handed over as several referrals"),
            "keep a copy of the database and report it (SECURITY.md); compare with the recipients what they hold"
                .into(),
        ),
        None => Finding::warning(
            Area::Outbox,
            "record ids",
            "they were not compared within 60 seconds",
            "look again when the node has less to do".into(),
        ),
    }
}
