//! Cards on the wire.

use lotse_core::card::{Card, CardKey, KeyUse};
use lotse_core::key::PublicKey;
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_proto::schema::MessageType;
use prost::Message;

use super::seal::scan;
use super::time::optional_micros;

/// The largest encoding of a card, bytes.
pub const MAX_CARD_BYTES: usize = 256 * 1024;

/// Reads a card's sealed bytes. Its rules are checked by core's `judge`.
pub fn parse(payload: &[u8]) -> Result<Card, Reason> {
    if payload.len() > MAX_CARD_BYTES {
        return Err(Reason::CardInvalid);
    }
    scan(payload, MessageType::Card, Reason::CardInvalid)?;
    let message = proto::Card::decode(payload).map_err(|_| Reason::CardInvalid)?;
    from_message(message).ok_or(Reason::CardInvalid)
}

/// Encodes a card: the bytes that the root key signs.
pub fn compile(card: &Card) -> Vec<u8> {
    message(card).encode_to_vec()
}

/// Writes a card.
pub fn message(card: &Card) -> proto::Card {
    proto::Card {
        agency: card.agency.to_string(),
        card_version: card.version,
        valid_from_us: card.valid_from.micros(),
        valid_until_us: card.valid_until.micros(),
        endpoints: card.endpoints.clone(),
        trust_bundle: card.trust_bundle.clone(),
        keys: card.keys.iter().map(key_message).collect(),
        schema_level: card.schema_level,
        generation: card.generation,
        root_public_key: card.root.as_bytes().to_vec(),
        next_root_public_key: card.next_root.map(|key| key.as_bytes().to_vec()).unwrap_or_default(),
        name: card.name.clone(),
        log_url: String::new(),
    }
}

fn from_message(message: proto::Card) -> Option<Card> {
    let next_root = &message.next_root_public_key;
    let next_root = (!next_root.is_empty()).then(|| PublicKey::from_slice(next_root)).transpose();
    Some(Card {
        agency: message.agency.parse().ok()?,
        version: message.card_version,
        valid_from: Timestamp::from_micros(message.valid_from_us),
        valid_until: Timestamp::from_micros(message.valid_until_us),
        endpoints: message.endpoints,
        trust_bundle: message.trust_bundle,
        keys: message.keys.iter().map(key).collect::<Option<_>>()?,
        schema_level: message.schema_level,
        generation: message.generation,
        root: PublicKey::from_slice(&message.root_public_key).ok()?,
        next_root: next_root.ok()?,
        name: message.name,
    })
}

fn key(message: &proto::CardKey) -> Option<CardKey> {
    Some(CardKey {
        key_use: KeyUse::from_number(message.r#use)?,
        public_key: PublicKey::from_slice(&message.public_key).ok()?,
        not_before: Timestamp::from_micros(message.not_before_us),
        not_after: Timestamp::from_micros(message.not_after_us),
        revoked_at: optional_micros(message.revoked_at_us),
        compromised_since: optional_micros(message.compromised_since_us),
    })
}

fn key_message(key: &CardKey) -> proto::CardKey {
    proto::CardKey {
        r#use: key.key_use.number(),
        public_key: key.public_key.as_bytes().to_vec(),
        not_before_us: key.not_before.micros(),
        not_after_us: key.not_after.micros(),
        revoked_at_us: key.revoked_at.map_or(0, Timestamp::micros),
        compromised_since_us: key.compromised_since.map_or(0, Timestamp::micros),
    }
}
