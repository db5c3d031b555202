//! The agency card: an agency's signed statement of its keys, certificates and addresses, and when a node takes one.

use std::time::Duration;

use crate::agreement::text::changes_direction;
use crate::id::{AgencyId, Digest};
use crate::key::PublicKey;
use crate::reason::Reason;
use crate::seal::{DocumentType, Seal};
use crate::time::{DAY, Timestamp};

/// How long a card may be valid: 13 months.
pub const MAX_VALIDITY: Duration = Duration::from_secs(13 * 31 * 24 * 60 * 60);

/// How many addresses, certificates and keys a card may carry.
const MAX_ENDPOINTS: usize = 8;
const MAX_BUNDLE: usize = 8;
const MAX_KEYS: usize = 64;

/// What a key of a card may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyUse {
    /// Batches, receipts and agreements.
    Sealing = 1,
    /// Checkpoints of the agency's own exchange log.
    Log = 2,
    /// Cosignatures on other agencies' checkpoints.
    Witness = 3,
}

impl KeyUse {
    /// Returns the number on the wire.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Finds the use with this number.
    pub fn from_number(number: i32) -> Option<KeyUse> {
        [KeyUse::Sealing, KeyUse::Log, KeyUse::Witness].into_iter().find(|u| u.number() == number)
    }
}

/// One public key and the time in which its signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardKey {
    /// What it may sign.
    pub key_use: KeyUse,
    /// The key.
    pub public_key: PublicKey,
    /// First moment.
    pub not_before: Timestamp,
    /// Last moment.
    pub not_after: Timestamp,
    /// Since when it no longer signs.
    pub revoked_at: Option<Timestamp>,
    /// Since when someone else may have signed with it.
    pub compromised_since: Option<Timestamp>,
}

impl CardKey {
    /// Tells whether a time lies in the key's own.
    fn signs_at(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// Tells whether the key is neither revoked nor compromised at a time.
    fn is_trusted_at(&self, at: Timestamp) -> bool {
        self.revoked_at.is_none_or(|revoked| at < revoked) && self.compromised_since.is_none_or(|since| at < since)
    }
}

/// An agency's card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The agency.
    pub agency: AgencyId,
    /// Version, monotonic.
    pub version: u64,
    /// From when it counts.
    pub valid_from: Timestamp,
    /// Until when.
    pub valid_until: Timestamp,
    /// Where the node can be reached by peers, `host:port`.
    pub endpoints: Vec<String>,
    /// CA certificates, DER.
    pub trust_bundle: Vec<Vec<u8>>,
    /// Keys.
    pub keys: Vec<CardKey>,
    /// Highest schema level that the node understands.
    pub schema_level: u32,
    /// Generation of the node.
    pub generation: u32,
    /// The root key.
    pub root: PublicKey,
    /// The next root key.
    pub next_root: Option<PublicKey>,
    /// Name of the agency.
    pub name: String,
}

impl Card {
    /// Returns the keys whose signatures made at a time count.
    pub fn keys_at(&self, key_use: KeyUse, at: Timestamp) -> Vec<PublicKey> {
        self.keys_where(key_use, |key| key.signs_at(at) && key.is_trusted_at(at))
    }

    /// Returns the keys whose signatures count at `at` if they were made at any time before: also keys whose own time is over, which
    /// were good then. A key that is revoked or compromised by `at` is not among them.
    pub fn keys_until(&self, key_use: KeyUse, at: Timestamp) -> Vec<PublicKey> {
        self.keys_where(key_use, |key| key.not_before <= at && key.is_trusted_at(at))
    }

    /// Returns the keys whose signatures count at `at` on a document that says that it was made at `made_at`.
    pub fn keys_for(&self, key_use: KeyUse, made_at: Timestamp, at: Timestamp) -> Vec<PublicKey> {
        self.keys_where(key_use, |key| key.signs_at(made_at) && key.is_trusted_at(at))
    }

    fn keys_where(&self, key_use: KeyUse, counts: impl Fn(&CardKey) -> bool) -> Vec<PublicKey> {
        self.keys.iter().filter(|key| key.key_use == key_use && counts(key)).map(|key| key.public_key).collect()
    }

    /// Tells whether the card counts at a time.
    pub fn is_valid_at(&self, at: Timestamp) -> bool {
        self.valid_from <= at && at < self.valid_until
    }

    /// Says which rule of its form the card breaks, if any.
    pub fn fault(&self) -> Option<&'static str> {
        let same_key = |a: KeyUse, b: KeyUse| {
            let of = |u: KeyUse| self.keys.iter().filter(move |key| key.key_use == u).map(|key| key.public_key);
            of(a).any(|key| of(b).any(|other| other == key))
        };
        let has = |key_use| self.keys.iter().any(|key| key.key_use == key_use);
        let faults = [
            (self.version == 0, "card_version must be 1 or more"),
            (self.valid_until <= self.valid_from, "valid_until must lie after valid_from"),
            (self.valid_until > self.valid_from.plus(MAX_VALIDITY), "a card is valid for 13 months at most"),
            (self.endpoints.is_empty() || self.endpoints.len() > MAX_ENDPOINTS, "1 to 8 endpoints are needed"),
            (self.endpoints.iter().any(|e| !is_endpoint(e)), "an endpoint is host:port"),
            (self.trust_bundle.is_empty() || self.trust_bundle.len() > MAX_BUNDLE, "1 to 8 CA certificates are needed"),
            (self.keys.len() > MAX_KEYS, "64 keys are the most"),
            (!has(KeyUse::Sealing), "a sealing key is needed"),
            (!has(KeyUse::Log), "a log key is needed"),
            (same_key(KeyUse::Log, KeyUse::Witness), "log key and witness key must differ"),
            (self.keys.iter().any(|key| key.public_key == self.root), "the root key signs cards and nothing else"),
            (self.schema_level == 0, "schema_level must be 1 or more"),
            (self.generation == 0, "generation must be 1 or more"),
            (self.name.is_empty() || self.name.chars().count() > 200, "a name of 1 to 200 characters is needed"),
            (self.name.chars().any(is_invisible), "a name has no line breaks and no invisible characters"),
        ];
        faults.into_iter().find(|(broken, _)| *broken).map(|(_, text)| text)
    }

    /// Tells whether the seal is the root key's, and the next root key's too where the card names one.
    pub fn is_signed(&self, seal: &Seal) -> bool {
        let by = |key: PublicKey| seal.verify(DocumentType::Card, &[key]).is_ok();
        by(self.root) && self.next_root.is_none_or(by)
    }
}

/// Returns whether a character is invisible, or hides or reorders what stands around it.
fn is_invisible(character: char) -> bool {
    character.is_control() || changes_direction(character)
}

/// Tells whether a text is `host:port` with a port of 1 to 65535.
pub fn is_endpoint(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let host_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
    !host.is_empty() && host.chars().all(host_allowed) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What a node already knows of an agency's card.
#[derive(Clone, Debug)]
pub struct KnownCard {
    /// The last good card.
    pub card: Card,
    /// SHA-256 of its sealed bytes.
    pub digest: Digest,
}

/// What to do with a card that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStep {
    /// It is the one that is known.
    Known,
    /// It is newer: take it.
    Take,
}

/// Decides whether a card that came for an agency is taken. `known` is none at first contact, when an administrator has compared
/// the fingerprint. A refused card changes nothing: the last good one stays.
pub fn judge(card: &Card, seal: &Seal, known: Option<&KnownCard>, at: Timestamp) -> Result<CardStep, Reason> {
    if known.is_some_and(|known| known.digest == Digest::of(&seal.payload)) {
        return Ok(CardStep::Known);
    }
    if card.fault().is_some() {
        return Err(Reason::CardInvalid);
    }
    if let Some(known) = known {
        if card.agency != known.card.agency {
            return Err(Reason::CardInvalid);
        }
        if card.root != known.card.root && Some(card.root) != known.card.next_root {
            return Err(Reason::CardRootChanged);
        }
    }
    if !card.is_signed(seal) {
        return Err(Reason::CardSealInvalid);
    }
    if let Some(known) = known {
        if card.version == known.card.version {
            return Err(Reason::CardConflict);
        }
        if card.version < known.card.version || card.generation < known.card.generation {
            return Err(Reason::CardVersionLower);
        }
    }
    if !card.is_valid_at(at) { Err(Reason::CardExpired) } else { Ok(CardStep::Take) }
}

/// How long a new card should be valid: a year.
pub const USUAL_VALIDITY: Duration = Duration::from_secs(365 * DAY.as_secs());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agreement::tests::{agency, at};
    use crate::key::SigningKey;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32])
    }

    fn card(version: u64) -> Card {
        let with = |key_use, seed| CardKey {
            key_use,
            public_key: key(seed).public(),
            not_before: at(0),
            not_after: at(300),
            revoked_at: None,
            compromised_since: None,
        };
        Card {
            agency: agency("jc.example"),
            version,
            valid_from: at(0),
            valid_until: at(365),
            endpoints: vec!["node.jc.example:7443".into()],
            trust_bundle: vec![vec![1]],
            keys: vec![with(KeyUse::Sealing, 2), with(KeyUse::Log, 3), with(KeyUse::Witness, 4)],
            schema_level: 1,
            generation: 1,
            root: key(1).public(),
            next_root: None,
            name: "Jobcenter".into(),
        }
    }

    /// The bytes do not matter here, only that another version has other ones.
    fn sealed(card: &Card, signers: &[u8]) -> Seal {
        let mut seal = Seal::new(DocumentType::Card, format!("{card:?}").into_bytes());
        signers.iter().for_each(|&seed| seal.sign(&key(seed), Some(card.agency.clone())));
        seal
    }

    fn known(card: Card) -> KnownCard {
        let digest = Digest::of(&sealed(&card, &[1]).payload);
        KnownCard { card, digest }
    }

    fn judged(card: &Card, signers: &[u8], known: Option<&KnownCard>) -> Result<CardStep, Reason> {
        judge(card, &sealed(card, signers), known, at(10))
    }

    #[test]
    fn a_newer_card_of_the_same_root_is_taken() {
        assert_eq!(judged(&card(1), &[1], None), Ok(CardStep::Take));
        assert_eq!(judged(&card(2), &[1], Some(&known(card(1)))), Ok(CardStep::Take));
        assert_eq!(judged(&card(1), &[1], Some(&known(card(1)))), Ok(CardStep::Known));
    }

    #[test]
    fn a_lower_version_another_root_and_two_texts_are_refused() {
        let present = known(card(2));
        assert_eq!(judged(&card(1), &[1], Some(&present)), Err(Reason::CardVersionLower));
        let other_root = Card { root: key(9).public(), ..card(3) };
        assert_eq!(judged(&other_root, &[9], Some(&present)), Err(Reason::CardRootChanged));
        let other_text = Card { name: "Other".into(), ..card(2) };
        assert_eq!(judged(&other_text, &[1], Some(&present)), Err(Reason::CardConflict));
        let older_generation = known(Card { generation: 2, ..card(2) });
        assert_eq!(judged(&card(3), &[1], Some(&older_generation)), Err(Reason::CardVersionLower));
    }

    #[test]
    fn only_the_root_key_signs_cards() {
        assert_eq!(judged(&card(1), &[2], None), Err(Reason::CardSealInvalid));
        assert_eq!(judged(&card(1), &[], None), Err(Reason::CardSealInvalid));
    }

    #[test]
    fn the_next_root_key_signs_with_the_present_one_first() {
        let announcing = Card { next_root: Some(key(9).public()), ..card(2) };
        assert_eq!(judged(&announcing, &[1], Some(&known(card(1)))), Err(Reason::CardSealInvalid));
        assert_eq!(judged(&announcing, &[1, 9], Some(&known(card(1)))), Ok(CardStep::Take));
        let after = Card { root: key(9).public(), ..card(3) };
        assert_eq!(judged(&after, &[9], Some(&known(announcing))), Ok(CardStep::Take));
    }

    #[test]
    fn an_expired_or_malformed_card_is_refused() {
        let expired = Card { valid_until: at(9), ..card(1) };
        assert_eq!(judged(&expired, &[1], None), Err(Reason::CardExpired));
        let malformed = Card { endpoints: vec!["no-port".into()], ..card(1) };
        assert_eq!(judged(&malformed, &[1], None), Err(Reason::CardInvalid));
        let mut one_key_for_two = card(1);
        one_key_for_two.keys[2].public_key = key(3).public();
        assert_eq!(one_key_for_two.fault(), Some("log key and witness key must differ"));
    }

    #[test]
    fn a_name_that_would_hide_or_forge_what_stands_around_it_is_refused_where_it_is_first_taken() {
        for name in ["Jobcenter\nAdmin", "\u{1b}[2J", "Amt\0", "a\u{202e}b"] {
            let named = Card { name: name.into(), ..card(1) };
            assert_eq!(judged(&named, &[1], None), Err(Reason::CardInvalid), "{name:?}");
            let before = known(named.clone());
            assert_eq!(judged(&named, &[1], Some(&before)), Ok(CardStep::Known), "one from before stays as it is");
        }
        assert_eq!(judged(&Card { name: "Jobcenter Köln – Süd".into(), ..card(1) }, &[1], None), Ok(CardStep::Take));
    }

    #[test]
    fn a_key_counts_only_in_its_time_and_until_it_is_revoked() {
        let mut card = card(1);
        assert_eq!(card.keys_at(KeyUse::Sealing, at(10)).len(), 1);
        assert!(card.keys_at(KeyUse::Sealing, at(301)).is_empty());
        card.keys[0].revoked_at = Some(at(20));
        assert!(card.keys_at(KeyUse::Sealing, at(20)).is_empty());
        assert_eq!(card.keys_at(KeyUse::Sealing, at(19)).len(), 1);
    }

    #[test]
    fn what_a_key_signed_in_its_time_counts_after_it_unless_the_key_is_lost() {
        let mut card = card(1);
        let present = card.keys_at(KeyUse::Sealing, at(10));
        card.keys[0].not_after = at(10);
        assert_eq!([10, 11].map(|day| card.keys_at(KeyUse::Sealing, at(day)).len()), [1, 0]);
        assert_eq!(card.keys_until(KeyUse::Sealing, at(11)), present);
        assert!(card.keys_until(KeyUse::Sealing, card.keys[0].not_before.minus(DAY)).is_empty());
        let made = |day| card.keys_for(KeyUse::Sealing, at(day), at(11));
        assert_eq!((made(10), made(11)), (present, vec![]), "a retired key makes nothing new");
        for lost in [0, 1] {
            let since = if lost == 0 { &mut card.keys[0].revoked_at } else { &mut card.keys[0].compromised_since };
            *since = Some(at(9));
            assert!(card.keys_until(KeyUse::Sealing, at(11)).is_empty());
            assert!(card.keys_for(KeyUse::Sealing, at(8), at(11)).is_empty(), "who has the key dates back as he likes");
            (card.keys[0].revoked_at, card.keys[0].compromised_since) = (None, None);
        }
    }
}
