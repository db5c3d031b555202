//! Works of the node itself that fail again and again: logged when that begins, every ten minutes while it lasts, and when it ends;
//! an alarm as long as it lasts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::Timestamp;

/// How long after a message there is no other about the same work.
const QUIET: Duration = Duration::from_secs(600);

/// A work that the node does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnWork {
    /// Signing the log's head.
    Signing,
    /// What time does by itself.
    Housekeeping,
    /// What follows from a clock that is right again.
    ClockRound,
    /// Withdrawals that the last run left pending.
    PendingWithdrawals,
    /// Logging certificates that were issued and revoked.
    CertificateActs,
}

impl OwnWork {
    /// Says that it fails, and what that means.
    const fn sentence(self) -> &'static str {
        match self {
            OwnWork::Signing => {
                "the log's head is not signed, and what was written since has no proof: look at disk and head store"
            }
            OwnWork::Housekeeping => "housekeeping does not finish: what has expired or ended stays",
            OwnWork::ClockRound => "what follows from a clock that is right again does not finish",
            OwnWork::PendingWithdrawals => "withdrawals of the last run are not finished",
            OwnWork::CertificateActs => "issued and revoked certificates cannot be logged: look at pki/acts.ndjson",
        }
    }
}

/// Works that fail at present.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<OwnWork, Failing>>);

#[derive(Debug)]
struct Failing {
    since: Timestamp,
    said: Timestamp,
    times: u64,
    error: String,
}

impl Troubles {
    /// Notes what came of a work; an error is its text.
    pub fn note(&self, work: OwnWork, outcome: Result<(), String>, now: Timestamp) {
        let mut failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match outcome {
            Ok(()) => {
                if let Some(ended) = failing.remove(&work) {
                    tracing::info!(?work, times = ended.times, since = %ended.since, "it works again");
                }
                return;
            }
            Err(error) => error,
        };
        let is_new = !failing.contains_key(&work);
        let entry = failing.entry(work).or_insert(Failing { since: now, said: now, times: 0, error: String::new() });
        entry.times += 1;
        if is_new || now.since(entry.said) >= QUIET {
            entry.said = now;
            tracing::error!(?work, %error, times = entry.times, "{}; it is tried again", work.sentence());
        }
        entry.error = error;
    }

    /// Returns the works that fail, a sentence each.
    pub fn sentences(&self) -> Vec<String> {
        let failing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sentence = |(work, failing): (&OwnWork, &Failing)| {
            let Failing { since, times, error, .. } = failing;
            format!("{}: {error} ({times} times since {since})", work.sentence())
        };
        failing.iter().map(sentence).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_work_that_fails_is_an_alarm_with_how_often_and_why_until_it_works() {
        let troubles = Troubles::default();
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        troubles.note(OwnWork::Signing, Ok(()), at(0));
        assert!(troubles.sentences().is_empty());
        (0..3).for_each(|second| troubles.note(OwnWork::Signing, Err("the disk is read-only".into()), at(second)));
        troubles.note(OwnWork::Housekeeping, Err("busy".into()), at(3));
        let sentences = troubles.sentences();
        assert!(sentences[0].starts_with("the log's head is not signed") && sentences.len() == 2, "{sentences:?}");
        assert!(sentences[0].contains(": the disk is read-only (3 times since 1970-01-01T00:00:00"), "{sentences:?}");
        troubles.note(OwnWork::Signing, Ok(()), at(4));
        assert_eq!(troubles.sentences().len(), 1);
    }
}
