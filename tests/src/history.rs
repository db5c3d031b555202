//! What clients saw of a run, and whether it may have happened: nothing that was acknowledged is lost, nothing happens twice, and
//! the logs tell of every effect once and of nothing else.

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
mod tests;

/// What a client saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It handed something over under a key, for the first time or again.
    Invoked(String),
    /// It was told that the key is this record.
    Acknowledged(String, String),
    /// It was told that the key is refused.
    Refused(String),
    /// The connection ended before an answer.
    Unknown(String),
    /// A reader saw a record at a place of its inbox.
    Read(u64, String),
}

/// What clients saw, in order.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<Seen>);

/// A leaf of a log about an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Record.
    pub record: String,
    /// Digest of the envelope.
    pub digest: String,
}

/// What is there when everything has come to rest.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Records in the receiver's inbox, as often as they stand there: the effects.
    pub inbox: Vec<String>,
    /// Leaves `released` in the owner's log.
    pub released: Vec<Leaf>,
    /// Leaves `taken` in the holder's log.
    pub taken: Vec<Leaf>,
}

/// What a good run counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Keys that were acknowledged.
    pub acknowledged: usize,
    /// Calls that ended without an answer.
    pub unknown: usize,
    /// Effects at the receiver.
    pub effects: usize,
}

/// Checks a run; returns what cannot have happened.
pub fn check(history: &History, ledger: &Ledger) -> Result<Tally, Vec<String>> {
    let record_of = acknowledged(history);
    let effects = count(ledger.inbox.iter());
    let mut findings = calls_have_one_end(history);
    findings.extend(keys_are_records(history));
    findings.extend(nothing_is_lost(&record_of, &effects));
    findings.extend(nothing_is_twice(&effects));
    findings.extend(nothing_is_invented(history, &record_of, &effects));
    findings.extend(reads_stay_true(history, &effects));
    findings.extend(leaves_match("released", &ledger.released, &effects));
    findings.extend(leaves_match("taken", &ledger.taken, &effects));
    findings.extend(both_logs_agree(ledger));
    if !findings.is_empty() {
        return Err(findings);
    }
    let unknown = history.0.iter().filter(|seen| matches!(seen, Seen::Unknown(_))).count();
    Ok(Tally { acknowledged: record_of.len(), unknown, effects: effects.len() })
}

fn acknowledged(history: &History) -> BTreeMap<&str, &str> {
    let pairs = history.0.iter().filter_map(|seen| match seen {
        Seen::Acknowledged(key, record) => Some((key.as_str(), record.as_str())),
        _ => None,
    });
    pairs.collect()
}

fn count<'a>(things: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, usize> {
    let mut counted = BTreeMap::new();
    things.for_each(|thing| *counted.entry(thing.as_str()).or_default() += 1);
    counted
}

/// Each call ends once: acknowledged, refused or unknown.
fn calls_have_one_end(history: &History) -> Vec<String> {
    let mut open = BTreeSet::new();
    let mut findings = Vec::new();
    for seen in &history.0 {
        match seen {
            Seen::Invoked(key) if !open.insert(key.as_str()) => {
                findings.push(format!("{key} was invoked while it ran"))
            }
            Seen::Acknowledged(key, _) | Seen::Refused(key) | Seen::Unknown(key) if !open.remove(key.as_str()) => {
                findings.push(format!("{key} ended without having been invoked"));
            }
            _ => {}
        }
    }
    findings
}

/// The same key is the same record for ever, and two keys are two records.
fn keys_are_records(history: &History) -> Vec<String> {
    let mut record_of = BTreeMap::new();
    let mut key_of = BTreeMap::new();
    let mut findings = Vec::new();
    for seen in &history.0 {
        if let Seen::Acknowledged(key, record) = seen {
            if *record_of.entry(key).or_insert(record) != record {
                findings.push(format!("{key} became another record"));
            }
            if *key_of.entry(record).or_insert(key) != key {
                findings.push(format!("{record} has two keys"));
            }
        }
    }
    findings
}

fn nothing_is_lost(record_of: &BTreeMap<&str, &str>, effects: &BTreeMap<&str, usize>) -> Vec<String> {
    let lost = record_of.iter().filter(|(_, record)| !effects.contains_key(*record));
    lost.map(|(key, record)| format!("LOST: {key} was acknowledged as {record} and has no effect")).collect()
}

fn nothing_is_twice(effects: &BTreeMap<&str, usize>) -> Vec<String> {
    let more = effects.iter().filter(|(_, times)| **times > 1);
    more.map(|(record, times)| format!("TWICE: {record} has {times} effects")).collect()
}

/// Effects without an acknowledged key can only be those of keys whose calls ended unknown.
fn nothing_is_invented(
    history: &History,
    record_of: &BTreeMap<&str, &str>,
    effects: &BTreeMap<&str, usize>,
) -> Vec<String> {
    let records: BTreeSet<&str> = record_of.values().copied().collect();
    let unasked: Vec<&str> = effects.keys().copied().filter(|record| !records.contains(record)).collect();
    let unknown: BTreeSet<&str> = history
        .0
        .iter()
        .filter_map(|seen| match seen {
            Seen::Unknown(key) if !record_of.contains_key(key.as_str()) => Some(key.as_str()),
            _ => None,
        })
        .collect();
    if unasked.len() <= unknown.len() {
        return Vec::new();
    }
    unasked.iter().map(|record| format!("INVENTED: {record} was handed over by nobody")).collect()
}

/// What a reader has seen stays there, and its inbox only grows.
fn reads_stay_true(history: &History, effects: &BTreeMap<&str, usize>) -> Vec<String> {
    let mut latest = 0;
    let mut findings = Vec::new();
    for seen in &history.0 {
        if let Seen::Read(place, record) = seen {
            if *place < latest {
                findings.push(format!("the reader went back from {latest} to {place}"));
            }
            if !effects.contains_key(record.as_str()) {
                findings.push(format!("{record} was read and is gone"));
            }
            latest = latest.max(*place);
        }
    }
    findings
}

/// One leaf per effect, one effect per leaf.
fn leaves_match(kind: &str, leaves: &[Leaf], effects: &BTreeMap<&str, usize>) -> Vec<String> {
    let counted = count(leaves.iter().map(|leaf| &leaf.record));
    let without = effects.keys().filter(|record| !counted.contains_key(*record));
    let mut findings: Vec<String> = without.map(|record| format!("{record} has no leaf `{kind}`")).collect();
    for (record, leaves) in counted {
        if leaves > 1 {
            findings.push(format!("{record} has {leaves} leaves `{kind}`"));
        }
        if !effects.contains_key(record) {
            findings.push(format!("{record} has a leaf `{kind}` and no effect"));
        }
    }
    findings
}

/// What one log says was taken is, byte for byte, what the other says was released.
fn both_logs_agree(ledger: &Ledger) -> Vec<String> {
    let released: BTreeSet<(&str, &str)> =
        ledger.released.iter().map(|leaf| (leaf.record.as_str(), leaf.digest.as_str())).collect();
    let other = ledger.taken.iter().filter(|leaf| !released.contains(&(leaf.record.as_str(), leaf.digest.as_str())));
    other.map(|leaf| format!("{} was taken in other bytes than were released", leaf.record)).collect()
}
