//! The clock: against the log, which never goes back, and against what peers say.

use std::time::Duration;

use super::finding::{Area, Finding};
use super::live::Live;
use super::place::Place;
use super::stored::Stored;
use crate::hold::{ClockDoubt, MAX_STEP_BACK};
use crate::link::{SkewLevel, skew_advice, skew_sentence};

/// Looks at the clock.
pub(super) fn examine(place: &Place, stored: &Stored, live: Option<&Live>) -> Vec<Finding> {
    let confirm = format!(
        "set the clock by NTP (`timedatectl status`); if it is right now, {}",
        place.command("clock confirm --reason 'compared with NTP'")
    );
    let mut findings = Vec::new();
    let ahead = stored.newest_at.map_or(Duration::ZERO, |newest| newest.since(place.now));
    if ahead > MAX_STEP_BACK {
        let seen = format!("the log's newest entry lies {} s ahead of the clock: nothing is released", ahead.as_secs());
        findings.push(Finding::problem(Area::Clock, "own", seen, confirm.clone()));
    } else if live.is_some_and(|live| live.status.clock_stepped_back) {
        findings.push(Finding::problem(Area::Clock, "own", ClockDoubt::SteppedBack.seen(), confirm.clone()));
    } else if live.is_some_and(|live| live.status.clock_jumped_ahead) {
        findings.push(Finding::problem(Area::Clock, "own", ClockDoubt::JumpedAhead.seen(), confirm.clone()));
    } else if live.is_some_and(|live| live.status.clock_uncompared) {
        findings.push(Finding::warning(Area::Clock, "own", ClockDoubt::Uncompared.seen(), confirm.clone()));
    } else {
        findings.push(Finding::ok(Area::Clock, "own", format!("{}, not behind the log", place.now)));
    }
    let peers = live.map(|live| live.peers.as_slice()).unwrap_or_default();
    findings.extend(peers.iter().filter_map(|peer| {
        let difference_us = peer.clock_difference_ms.saturating_mul(1000);
        let seen = skew_sentence(difference_us)?;
        let others = peers.iter().filter(|other| other.agency != peer.agency && other.last_seen_at.is_some());
        let others = others.map(|other| other.clock_difference_ms.saturating_mul(1000));
        let todo = format!("{} ({})", skew_advice(difference_us, others), peer.name);
        Some(match SkewLevel::of(difference_us) {
            SkewLevel::TooFar => Finding::problem(Area::Clock, &peer.agency, seen, todo),
            _ => Finding::warning(Area::Clock, &peer.agency, seen, todo),
        })
    }));
    findings
}
