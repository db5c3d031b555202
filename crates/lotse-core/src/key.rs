//! Ed25519 keys, their ids, and the fingerprint that two administrators compare.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroize;

use crate::id::Digest;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A private Ed25519 key. It signs and says its public half; the secret never comes out again.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// Why a byte string is no public key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an Ed25519 public key: 32 bytes are needed")]
pub struct PublicKeyError;

impl SigningKey {
    /// Takes the 32 bytes of the secret (RFC 8032, section 5.1.5) and overwrites this copy of them.
    #[expect(clippy::expect_used, reason = "every 32 bytes are a seed; only another length is refused")]
    pub fn from_seed(mut seed: [u8; 32]) -> SigningKey {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("32 bytes are a seed");
        seed.zeroize();
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        SigningKey { pair, public: PublicKey(public) }
    }

    /// Returns the public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        signature.copy_from_slice(self.pair.sign(message).as_ref());
        signature
    }
}

impl fmt::Debug for SigningKey {
    /// Writes the id of the public half and nothing else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.key_id())
    }
}

/// A public Ed25519 key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes 32 bytes as they are.
    pub const fn from_bytes(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// Takes a byte string of the wire or the database.
    pub fn from_slice(bytes: &[u8]) -> Result<PublicKey, PublicKeyError> {
        bytes.try_into().map(PublicKey).map_err(|_| PublicKeyError)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Says whether this key signed the message.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }

    /// Returns the id that signatures carry as a hint: the first 8 bytes of SHA-256 of the key, hexadecimal.
    pub fn key_id(&self) -> String {
        hex::encode(&Digest::of(&self.0).as_bytes()[..8])
    }

    /// Returns the fingerprint of a root key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Digest::of(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

/// The fingerprint of an agency's root key: SHA-256 of its 32 bytes.
///
/// Written as six groups of five digits, to be read out over a telephone: people compare it once, before the first
/// card of an agency is accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Digest);

/// Groups of digits in a written fingerprint.
const GROUPS: usize = 6;
/// Digits of one group, and bytes of the hash that it is made from.
const GROUP: usize = 5;

impl Fingerprint {
    /// Takes the digest of a root key, as the wire and the database carry it.
    pub const fn from_digest(digest: Digest) -> Fingerprint {
        Fingerprint(digest)
    }

    /// Returns the digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// Tells whether a text has the form of a fingerprint: thirty digits. Spaces and hyphens may stand anywhere, nothing else.
    pub fn is_well_formed(text: &str) -> bool {
        let digits = || text.chars().filter(|c| !matches!(c, ' ' | '-'));
        digits().all(|c| c.is_ascii_digit()) && digits().count() == GROUPS * GROUP
    }

    /// Says whether a text is this fingerprint's thirty digits. Spaces and hyphens may stand anywhere, nothing else.
    pub fn matches(&self, text: &str) -> bool {
        let digits = text.chars().filter(|c| !matches!(c, ' ' | '-'));
        digits.eq(self.to_string().chars().filter(|&c| c != ' '))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, bytes) in self.0.as_bytes().chunks_exact(GROUP).take(GROUPS).enumerate() {
            let number = bytes.iter().fold(0u64, |number, &byte| (number << 8) | u64::from(byte));
            let space = if position == 0 { "" } else { " " };
            write!(f, "{space}{:05}", number % 100_000)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 2.
    fn rfc_key() -> SigningKey {
        let seed = hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").unwrap();
        SigningKey::from_seed(seed.try_into().unwrap())
    }

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        let public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
        assert_eq!(hex::encode(rfc_key().public().as_bytes()), public);
        let signature = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex::encode(rfc_key().sign(&[0x72])), signature);
        assert!(rfc_key().public().verify(&[0x72], &rfc_key().sign(&[0x72])));
    }

    #[test]
    fn a_flipped_bit_another_message_or_another_key_is_not_verified() {
        let key = rfc_key();
        let good = key.sign(b"message");
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.public().verify(b"message", &bad), "bit {bit}");
        }
        assert!(!key.public().verify(b"messagf", &good));
        assert!(!key.public().verify(b"message", &good[..63]));
        assert!(!key.public().verify(b"message", &[]));
        assert!(!SigningKey::from_seed([1; 32]).public().verify(b"message", &good));
        assert!(!PublicKey::from_bytes([0xff; 32]).verify(b"message", &good));
    }

    #[test]
    fn the_secret_is_not_printed() {
        let text = format!("{:?}", rfc_key());
        assert_eq!(text, format!("SigningKey({})", rfc_key().public().key_id()));
        assert_eq!(text.len(), "SigningKey()".len() + 16);
    }

    #[test]
    fn only_32_bytes_are_a_public_key() {
        assert_eq!(PublicKey::from_slice(&[1; 32]), Ok(PublicKey::from_bytes([1; 32])));
        assert_eq!(PublicKey::from_slice(&[1; 31]), Err(PublicKeyError));
        assert_eq!(PublicKey::from_slice(&[1; 33]), Err(PublicKeyError));
    }

    #[test]
    fn a_fingerprint_is_six_groups_of_five_digits() {
        let mut hash = [0; 32];
        hash[4] = 7; // 7
        hash[5..10].copy_from_slice(&[0xff; 5]); // 1_099_511_627_775
        hash[12..15].copy_from_slice(&[0x01, 0x86, 0xa0]); // 100_000
        hash[15] = 1; // 2^32 = 4_294_967_296
        hash[30..].copy_from_slice(&[9, 9]); // beyond the groups
        let fingerprint = Fingerprint::from_digest(Digest::from_bytes(hash));
        assert_eq!(fingerprint.to_string(), "00007 27775 00000 67296 00000 00000");
    }

    #[test]
    fn a_key_id_and_a_fingerprint_come_from_the_hash_of_the_key() {
        let hash = Digest::of(rfc_key().public().as_bytes());
        assert_eq!(rfc_key().public().key_id(), hash.to_string()[..16]);
        assert_eq!(rfc_key().public().fingerprint().digest(), &hash);
    }

    #[test]
    fn a_fingerprint_is_compared_by_all_its_digits() {
        let fingerprint = rfc_key().public().fingerprint();
        let text = fingerprint.to_string();
        assert!(fingerprint.matches(&text));
        assert!(fingerprint.matches(&text.replace(' ', "-")));
        assert!(fingerprint.matches(&format!(" {} ", text.replace(' ', ""))));
        assert!(!fingerprint.matches(""));
        assert!(!fingerprint.matches(&text[..text.len() - 1]));
        assert!(!fingerprint.matches(&format!("{text}0")));
        assert!(!fingerprint.matches(&text.replace(' ', ".")));
        assert!(Fingerprint::is_well_formed(&text.replace(' ', "-")), "another one would be, too");
        for malformed in
            ["", "12345 12345 12345", &text.replace(' ', "."), &format!("{text}0"), "six groups of five digits"]
        {
            assert!(!Fingerprint::is_well_formed(malformed), "{malformed}");
        }
        for at in (0..text.len()).filter(|&at| text.as_bytes()[at] != b' ') {
            let other = if text.as_bytes()[at] == b'9' { "0" } else { "9" };
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, other);
            assert!(!fingerprint.matches(&wrong), "{wrong}");
        }
    }
}
