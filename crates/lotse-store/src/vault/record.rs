//! Keys of records, beside encrypting: what nobody can compute without the key of a record, and nobody any more once it is shredded.

use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::hkdf;
use lotse_core::id::Id;
use zeroize::Zeroizing;

use super::{KEY_LEN, Place, Sealed, Vault, VaultError, cipher, open};

/// The key of one record, unwrapped. Has no `Debug`.
#[derive(Clone)]
pub struct RecordKey(Zeroizing<[u8; KEY_LEN]>);

impl Vault {
    /// Unwraps a record's key.
    pub fn record_key(&self, place: Place<'_>, sealed: &Sealed) -> Result<RecordKey, VaultError> {
        self.unwrap_key(&place.authenticated(), &sealed.key).map(RecordKey)
    }
}

impl RecordKey {
    pub(super) fn new(key: &[u8; KEY_LEN]) -> RecordKey {
        RecordKey(Zeroizing::new(*key))
    }

    /// Decrypts the record.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        open(&cipher(&self.0)?, [0; NONCE_LEN], &place.authenticated(), sealed.ciphertext.to_vec())
    }

    /// Derives the nonce of an envelope: HKDF-Expand with SHA-256 (RFC 5869, section 2.3) of the record's key, for the envelope's id.
    pub fn envelope_nonce(&self, envelope_id: &Id) -> Result<[u8; 32], VaultError> {
        let key = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, self.0.as_slice());
        let mut nonce = [0; 32];
        let info: [&[u8]; 2] = [b"lotse envelope nonce", envelope_id.as_bytes()];
        let derived = key.expand(&info, hkdf::HKDF_SHA256).and_then(|expanded| expanded.fill(&mut nonce));
        derived.map(|()| nonce).map_err(|_| VaultError::Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in doubt when a program is replaced must still be the same bytes under the next one.
    #[test]
    fn a_nonce_is_the_same_for_ever() {
        let nonce = RecordKey::new(&[7; KEY_LEN]).envelope_nonce(&Id::from_bytes([9; 16])).unwrap();
        let known = "f7404d7f766aa898a691e3855de6215e35c17b40af8fac0d21c0ac83ccf30dbe";
        assert_eq!(nonce.map(|byte| format!("{byte:02x}")).concat(), known);
    }
}
