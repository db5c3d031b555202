//! What ends by itself: cards, certificates, authorities, revocation lists. Said before the end and after it, by status and doctor in the
//! same words.

use std::time::Duration;

use lotse_core::card::Card;
use lotse_core::time::{DAY, ENDS_SOON, Timestamp};

use crate::identity::Identity;
use crate::node::NodeKeys;
use crate::tls::authority_end;

/// An authority that ends so soon is a warning: its successor has to reach all peers before.
const AUTHORITY_SOON: Duration = DAY.saturating_mul(180);

/// A revocation list that ends so soon is a warning.
const LIST_SOON: Duration = DAY.saturating_mul(10);

/// What will end soon, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearEnd {
    /// Whether it has ended, so that something does not work now.
    pub has_ended: bool,
    /// When it ends, and what follows.
    pub seen: String,
}

impl NearEnd {
    /// Judges the own card.
    pub fn of_own_card(card: &Card, now: Timestamp) -> Option<NearEnd> {
        let (version, until) = (card.version, card.valid_until);
        if now < card.valid_from {
            return Some(ended(format!(
                "version {version} is valid only from {}: nothing is released",
                card.valid_from
            )));
        }
        if !card.is_valid_at(now) {
            return Some(ended(format!("version {version} has expired on {}: nothing is released", until.date())));
        }
        soon(until, now, ENDS_SOON, || format!("version {version} ends on {}", until.date()))
    }

    /// Judges the keys by which this node signs, as its card names them.
    pub fn of_own_keys(card: &Card, keys: &NodeKeys, now: Timestamp) -> Vec<NearEnd> {
        if !card.is_valid_at(now) {
            return Vec::new();
        }
        let not_now = keys.not_counting(card, now).into_iter().map(|(_, name, _)| {
            ended(format!("it does not name the node's {name} key as valid now: peers refuse what that signs"))
        });
        let not_then = keys.not_counting(card, now.plus(ENDS_SOON)).into_iter();
        let (not_now, is_card_long) = (not_now.collect::<Vec<_>>(), card.is_valid_at(now.plus(ENDS_SOON)));
        let not_then = not_then.filter(|_| is_card_long && not_now.is_empty()).map(|(_, name, _)| NearEnd {
            has_ended: false,
            seen: format!("it names the node's {name} key for less than 30 days more"),
        });
        let not_then: Vec<NearEnd> = not_then.collect();
        not_now.into_iter().chain(not_then).collect()
    }

    /// Judges a peer's card.
    pub fn of_peer_card(card: &Card, now: Timestamp) -> Option<NearEnd> {
        let until = card.valid_until;
        if now < card.valid_from {
            return Some(ended(format!("its card is valid only from {}: nothing is released to it", card.valid_from)));
        }
        if !card.is_valid_at(now) {
            return Some(ended(format!("its card has expired on {}: nothing is released to it", until.date())));
        }
        soon(until, now, ENDS_SOON, || format!("its card ends on {}", until.date()))
    }

    /// Judges the authorities in a peer's card by the one that ends last.
    pub fn of_peer_authorities(card: &Card, now: Timestamp) -> Option<NearEnd> {
        let end = card.trust_bundle.iter().filter_map(|der| authority_end(der)).max()?;
        if end <= now {
            let seen = format!("the authority in its card has expired on {}: its certificates are refused", end.date());
            return Some(ended(seen));
        }
        soon(end, now, ENDS_SOON, || format!("the authority in its card ends on {}", end.date()))
    }

    /// Judges an authority of this agency.
    pub fn of_authority(end: Timestamp, now: Timestamp) -> Option<NearEnd> {
        if end <= now {
            let seen = format!("the authority has expired on {}: every certificate it issued is refused", end.date());
            return Some(ended(seen));
        }
        soon(end, now, AUTHORITY_SOON, || format!("the authority ends on {}", end.date()))
    }

    /// Judges a revocation list of this agency.
    pub fn of_list(end: Timestamp, now: Timestamp) -> Option<NearEnd> {
        if end <= now {
            return Some(ended(format!("the revocation list has expired on {end}: every certificate is refused")));
        }
        soon(end, now, LIST_SOON, || format!("ends soon, until {}", end.date()))
    }

    /// Judges a certificate of this agency.
    pub fn of_certificate(identity: &Identity, now: Timestamp) -> Option<NearEnd> {
        let end = identity.not_after();
        if end < now {
            return Some(ended(format!("{identity} has expired on {end}: it is refused everywhere")));
        }
        soon(end, now, ENDS_SOON, || format!("{identity} ends on {}", end.date()))
    }

    /// Returns the alarm about it.
    pub fn alarm(self, about: &str, todo: &str) -> String {
        format!("{about}: {}: {todo}", self.seen)
    }
}

fn ended(seen: String) -> NearEnd {
    NearEnd { has_ended: true, seen }
}

fn soon(end: Timestamp, now: Timestamp, within: Duration, seen: impl FnOnce() -> String) -> Option<NearEnd> {
    (end.since(now) < within).then(|| NearEnd { has_ended: false, seen: seen() })
}
