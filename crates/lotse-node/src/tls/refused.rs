//! Certificates that were refused at the ports lately: said once a minute in the messages, and in the status for ten minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::Timestamp;

use crate::federation::Throttle;
use crate::identity::Identity;
use crate::tls::admission::{Door, Refusal};

/// How long a refused certificate is named afterwards.
const LATELY: Duration = Duration::from_secs(600);

/// Agencies that are named at the same time; more share one line.
const MAX_NAMED: usize = 64;

/// Agencies without an accepted card that are named at the same time: anybody can claim a name.
const MAX_STRANGERS: usize = 4;

/// Certificates that were refused at the ports.
#[derive(Debug, Default)]
pub struct RefusedCallers {
    /// What was logged in the last minute.
    said: Throttle,
    lately: Mutex<HashMap<(Door, Box<str>), Refused>>,
}

#[derive(Debug)]
struct Refused {
    refusal: Refusal,
    times: u64,
    since: Timestamp,
    last: Timestamp,
}

impl RefusedCallers {
    /// Notes a refused certificate by what it claims to be.
    pub(super) fn note(&self, door: Door, claimed: &Identity, refusal: &Refusal, now: Timestamp) {
        if let Some(times) = self.said.count(claimed.agency().as_str(), now) {
            tracing::info!(%claimed, %refusal, times, "certificate refused");
        }
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, refused| is_lately(refused, now));
        let is_stranger = *refusal == Refusal::UnknownAgency;
        let strangers = lately.values().filter(|refused| refused.refusal == Refusal::UnknownAgency).count();
        let name: Box<str> = claimed.to_string().into();
        let has_room = lately.len() < MAX_NAMED && !(is_stranger && strangers >= MAX_STRANGERS);
        let name = if has_room || lately.contains_key(&(door, name.clone())) { name } else { "others".into() };
        let refused = lately.entry((door, name)).or_insert_with(|| Refused {
            refusal: refusal.clone(),
            times: 0,
            since: now,
            last: now,
        });
        (refused.refusal, refused.last) = (refusal.clone(), now);
        refused.times += 1;
    }

    /// Names an identity no longer: its certificate passes.
    pub(super) fn forget(&self, door: Door, identity: &Identity) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        if !lately.is_empty() {
            lately.remove(&(door, identity.to_string().into()));
        }
    }

    /// Returns what was refused within ten minutes, a sentence for each claimed identity.
    pub fn sentences(&self, now: Timestamp) -> Vec<String> {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = lately.iter().filter(|(_, refused)| is_lately(refused, now));
        let sentence = |((door, name), refused): (&(Door, Box<str>), &Refused)| {
            let Refused { refusal, times, since, .. } = refused;
            let port = door.port();
            let times = if *times == 1 { "once".to_string() } else { format!("{times} times") };
            format!("{port}: a certificate that names {name} is refused, {times} since {since}: {refusal}")
        };
        let mut sentences: Vec<String> = recent.map(sentence).collect();
        sentences.sort();
        sentences
    }
}

fn is_lately(refused: &Refused, now: Timestamp) -> bool {
    now.since(refused.last) < LATELY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Role, Side, SpiffeId};
    use crate::pki::{Authority, Leaf};
    use crate::testing::SeededRandom;

    fn at(seconds: u64) -> Timestamp {
        crate::testing::FIRST_DAY.parse::<Timestamp>().unwrap().plus(Duration::from_secs(seconds))
    }

    fn identity(agency: &str) -> Identity {
        let (agency, random) = (agency.parse().unwrap(), SeededRandom::new(agency));
        let authority = Authority::create(&agency, at(0), &random).unwrap();
        let id = SpiffeId::new(agency, Role::Node, "1").unwrap();
        let leaf = Leaf { id, hosts: vec![], not_before: at(0), not_after: at(3600) };
        Identity::from_certificate(&authority.issue(&leaf, &random).unwrap().certificate, Side::Client).unwrap()
    }

    #[test]
    fn a_caller_whose_certificate_is_refused_is_named_for_ten_minutes_with_why_and_how_often() {
        let callers = RefusedCallers::default();
        let expired = Refusal::Expired(at(0));
        (0..3).for_each(|second| callers.note(Door::Peer, &identity("two.example"), &expired, at(second)));
        let sentences = callers.sentences(at(10));
        assert_eq!(sentences.len(), 1);
        let named = "peer port: a certificate that names spiffe://two.example/node/1 is refused, 3 times since ";
        assert!(sentences[0].starts_with(named) && sentences[0].contains("has expired on"), "{sentences:?}");
        assert!(callers.sentences(at(602)).is_empty());
        callers.note(Door::Peer, &identity("two.example"), &expired, at(700));
        callers.forget(Door::Agency, &identity("two.example"));
        assert_eq!(callers.sentences(at(701)).len(), 1, "it passed another port");
        callers.forget(Door::Peer, &identity("two.example"));
        assert!(callers.sentences(at(701)).is_empty(), "it passes now");
    }

    #[test]
    fn strangers_with_made_up_names_do_not_fill_the_status() {
        let callers = RefusedCallers::default();
        for number in 0..10 {
            callers.note(Door::Peer, &identity(&format!("n{number}.example")), &Refusal::UnknownAgency, at(number));
        }
        assert!(callers.sentences(at(10)).len() <= MAX_STRANGERS + 1, "{:?}", callers.sentences(at(10)));
        callers.note(Door::Peer, &identity("two.example"), &Refusal::Expired(at(0)), at(10));
        assert!(callers.sentences(at(10)).iter().any(|sentence| sentence.contains("two.example")));
    }
}
