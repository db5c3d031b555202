//! Identifiers: agencies, records, digests.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;

use crate::keyed::{self, Kind};
use crate::random::Random;
use crate::time::Timestamp;

/// An agency's id: its SPIFFE trust domain, for instance `jc-hanau.hessen.example`.
///
/// Lower case letters, digits, `.` and `-`, 1 to 255 characters, no empty label (SPIFFE-ID, section 2.1, without `_`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgencyId(Box<str>);

/// Why a text is no agency id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an agency id: use 1 to 255 of a-z 0-9 . - without empty labels, for instance jc-hanau.hessen.example")]
pub struct AgencyIdError;

impl AgencyId {
    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgencyId {
    type Err = AgencyIdError;

    fn from_str(text: &str) -> Result<Self, AgencyIdError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'.' || byte == b'-';
        let well_formed = (1..=255).contains(&text.len())
            && text.bytes().all(allowed)
            && text.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
        if well_formed { Ok(AgencyId(text.into())) } else { Err(AgencyIdError) }
    }
}

impl fmt::Display for AgencyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for AgencyId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A 128-bit identifier; written with hyphens like a UUID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; 16]);

/// Why a text or byte string is no identifier.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an identifier: give a UUID such as 0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11")]
pub struct IdError;

impl Id {
    /// The id that is none: nothing has it.
    pub const NIL: Id = Id([0; 16]);

    /// Makes a UUIDv7 (RFC 9562, section 5.7) from a time and 10 random bytes.
    pub fn v7(at: Timestamp, random: [u8; 10]) -> Id {
        let millis = (at.micros() / 1000) as u64;
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Id(bytes)
    }

    /// Makes a UUIDv7 from the random source.
    pub fn new(at: Timestamp, random: &dyn Random) -> Id {
        Id::v7(at, crate::random::bytes(random))
    }

    /// Makes 16 random bytes, for references that must tell nothing.
    pub fn random(random: &dyn Random) -> Id {
        Id(crate::random::bytes(random))
    }

    /// Takes 16 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 16]) -> Id {
        Id(bytes)
    }

    /// Takes a byte string of the wire or the database.
    pub fn from_slice(bytes: &[u8]) -> Result<Id, IdError> {
        bytes.try_into().map(Id).map_err(|_| IdError)
    }

    /// Returns the 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Returns the bytes as the database stores them.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }

    /// Derives the id of a record: the first 128 bits of HMAC-SHA-256(id key; u16-length-prefixed system, idempotency key,
    /// recipient). The same key is the same record for ever, also after a restore: handed over again, it has
    /// effect once.
    pub fn of_record(id_key: &hmac::Key, system: &str, idempotency_key: &str, recipient: &AgencyId) -> Id {
        let mut context = hmac::Context::with_key(id_key);
        for part in [system, idempotency_key, recipient.as_str()] {
            context.update(&(part.len() as u16).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut id = [0; 16];
        id.copy_from_slice(&context.sign().as_ref()[..16]);
        Id(id)
    }

    /// Derives the id of an answer from the same parts. A key that a system has used for a referral to an agency is free for an answer
    /// to it.
    pub fn of_answer(id_key: &hmac::Key, system: &str, idempotency_key: &str, recipient: &AgencyId) -> Id {
        let length = |part: &str| (part.len() as u16).to_be_bytes();
        let parts = [system, idempotency_key, recipient.as_str()];
        let lengths = parts.map(length);
        let delimited: Vec<&[u8]> =
            lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), part.as_bytes()]).collect();
        let derived = keyed::derive(id_key, Kind::Answer, &delimited);
        let mut id = [0; 16];
        id.copy_from_slice(&derived[..16]);
        Id(id)
    }
}

/// Where the digits of an id stand in its text.
const GROUPS: [std::ops::Range<usize>; 5] = [0..8, 9..13, 14..18, 19..23, 24..36];

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 36];
        let mut digits = [0; 32];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        let mut rest = digits.as_slice();
        for group in GROUPS {
            let (own, others) = rest.split_at(group.len());
            text[group].copy_from_slice(own);
            rest = others;
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Id, IdError> {
        let text: &[u8; 36] = text.as_bytes().try_into().map_err(|_| IdError)?;
        let hyphens = GROUPS.iter().skip(1).map(|group| group.start - 1);
        if hyphens.map(|place| text[place]).ne([b'-'; 4]) {
            return Err(IdError);
        }
        let mut id = [0; 16];
        let digits = GROUPS.into_iter().flat_map(|group| text[group].chunks_exact(2));
        for (byte, pair) in id.iter_mut().zip(digits) {
            hex::decode_to_slice(pair, std::slice::from_mut(byte)).map_err(|_| IdError)?;
        }
        Ok(Id(id))
    }
}

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a byte string is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a digest: 32 bytes are needed")]
pub struct DigestError;

impl Digest {
    /// Hashes bytes: SHA-256.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest::concat(&[bytes])
    }

    /// Hashes a leaf: SHA-256(0x00 ‖ bytes) (RFC 6962, section 2.1). The digest of an envelope, a receipt item and a log entry.
    pub fn of_leaf(bytes: &[u8]) -> Digest {
        Digest::concat(&[&[0], bytes])
    }

    /// Hashes parts one after another.
    pub fn concat(parts: &[&[u8]]) -> Digest {
        let mut context = Context::new(&SHA256);
        parts.iter().for_each(|part| context.update(part));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Digest(digest)
    }

    /// Hashes what only the node itself recognises again: SHA-256 of what is [derived](keyed::derive).
    pub fn keyed(id_key: &hmac::Key, kind: Kind, parts: &[&[u8]]) -> Digest {
        Digest::of(&keyed::derive(id_key, kind, parts))
    }

    /// Takes 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// Takes a byte string of the wire or the database.
    pub fn from_slice(bytes: &[u8]) -> Result<Digest, DigestError> {
        bytes.try_into().map(Digest).map_err(|_| DigestError)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the bytes as the database stores them.
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads 64 hexadecimal digits, as a digest is printed.
    fn from_str(text: &str) -> Result<Digest, DigestError> {
        hex::decode(text).map_err(|_| DigestError).and_then(|bytes| Digest::from_slice(&bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number that peers compare (epoch, revision, receipt number): generation in the upper 32 bits, counter in the lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// Builds a number from its parts.
    pub const fn new(generation: u32, counter: u32) -> Sequence {
        Sequence(((generation as u64) << 32) | counter as u64)
    }

    /// Takes a number of the wire.
    pub const fn from_u64(number: u64) -> Sequence {
        Sequence(number)
    }

    /// Returns the number for the wire.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// Returns the generation that gave it.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Returns the counter within the generation.
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agency_id_is_a_trust_domain() {
        for good in ["jc-hanau.hessen.example", "a", "x1.y2"] {
            assert_eq!(good.parse::<AgencyId>().unwrap().as_str(), good);
        }
        for bad in ["", "JC.example", "a..b", "a.", ".a", "a_b", "a/b", "ä.example", "-a", &"a".repeat(256)] {
            assert_eq!(bad.parse::<AgencyId>(), Err(AgencyIdError), "{bad}");
        }
    }

    #[test]
    fn an_id_reads_what_it_writes() {
        let id = Id::v7(Timestamp::from_micros(1_700_000_000_000_000), [0xff; 10]);
        assert_eq!(id.to_string().parse::<Id>().unwrap(), id);
        assert_eq!(&id.to_string()[14..15], "7");
        let text = "0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d11";
        assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        assert!("0198c5a4".parse::<Id>().is_err());
        assert!("0198c5a47-d3e-7cc0-8000-2f6a1b0c9d11".parse::<Id>().is_err());
        assert!("0198c5a4-7d3e-7cc0-8000-2f6a1b0-9d11".parse::<Id>().is_err());
        assert!("0198c5a4-7d3e-7cc0-8000-2f6a1b0g9d11".parse::<Id>().is_err());
        assert!("0198c5a4-7d3e-7cc0-8000-2f6a1b0c9d1é".parse::<Id>().is_err());
    }

    #[test]
    fn a_record_id_depends_on_every_part_and_on_where_one_ends() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let of = |s: &str, k: &str, r: &str| Id::of_record(&key, s, k, &r.parse().unwrap());
        let answer = |s: &str, k: &str, r: &str| Id::of_answer(&key, s, k, &r.parse().unwrap());
        assert_eq!(of("akte", "1", "a.example"), of("akte", "1", "a.example"));
        assert_ne!(of("akte", "11", "a.example"), of("akte1", "1", "a.example"));
        assert_ne!(of("akte", "1", "a.example"), of("akte", "1", "b.example"));
        assert_eq!(answer("akte", "1", "a.example"), answer("akte", "1", "a.example"));
        assert_ne!(answer("akte", "1", "a.example"), of("akte", "1", "a.example"), "an answer is no referral");
        assert_ne!(answer("akte", "11", "a.example"), answer("akte1", "1", "a.example"));
        assert_ne!(answer("akte", "1", "a.example"), answer("akte", "1", "b.example"));
    }

    #[test]
    fn a_keyed_digest_is_the_same_for_ever() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
        let stored = "bcdb497befeaa5bf588b049edcbc6af0ceb6a838d3c4470530602123e941668b";
        assert_eq!(Digest::keyed(&key, Kind::Record, &[b"a", b"b"]).to_string(), stored);
    }

    #[test]
    fn a_sequence_orders_by_generation_first() {
        assert!(Sequence::new(2, 0) > Sequence::new(1, u32::MAX));
        assert_eq!(Sequence::new(3, 9).generation(), 3);
        assert_eq!(Sequence::new(3, 9).counter(), 9);
    }
}
