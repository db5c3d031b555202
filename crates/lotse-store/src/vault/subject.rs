//! Keys of subjects: what is kept about one person over years is encrypted under one key, so that it can be shredded together.

use aws_lc_rs::aead::{LessSafeKey, NONCE_LEN};
use lotse_core::random::{self, Random};
use zeroize::Zeroizing;

use super::{KEY_LEN, Place, TAG_LEN, Vault, VaultError, cipher, open, seal};

/// The key of one subject, unwrapped. Has no `Debug`.
pub struct SubjectKey(LessSafeKey);

impl Vault {
    /// Makes a key for a subject; returns it with its wrapped form, which is stored in the subject's row.
    pub fn new_subject_key(&self, random: &dyn Random, place: Place<'_>) -> Result<(SubjectKey, Vec<u8>), VaultError> {
        let key: Zeroizing<[u8; KEY_LEN]> = Zeroizing::new(random::bytes(random));
        let wrapped = self.wrap_key(random::bytes(random), &place.authenticated(), &key)?;
        Ok((SubjectKey(cipher(&key)?), wrapped))
    }

    /// Unwraps a subject's key.
    pub fn subject_key(&self, place: Place<'_>, wrapped: &[u8]) -> Result<SubjectKey, VaultError> {
        Ok(SubjectKey(cipher(&*self.unwrap_key(&place.authenticated(), wrapped)?)?))
    }

    /// Encrypts entries, each under the key of its subject; randomness is drawn once for all. The stored form is nonce, content
    /// and tag.
    pub fn seal_under_many(
        random: &dyn Random,
        entries: &[(&SubjectKey, Place<'_>, &[u8])],
    ) -> Result<Vec<Vec<u8>>, VaultError> {
        let mut nonces = vec![[0; NONCE_LEN]; entries.len()];
        random.fill(nonces.as_flattened_mut());
        nonces.iter().zip(entries).map(|(nonce, (key, place, plaintext))| key.seal(*nonce, *place, plaintext)).collect()
    }
}

impl SubjectKey {
    /// Decrypts an entry.
    pub fn open(&self, place: Place<'_>, stored: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (nonce, ciphertext) = stored.split_first_chunk().ok_or(VaultError::Unreadable)?;
        open(&self.0, *nonce, &place.authenticated(), ciphertext.to_vec())
    }

    fn seal(&self, nonce: [u8; NONCE_LEN], place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut stored = Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN);
        stored.extend_from_slice(&nonce);
        stored.extend_from_slice(plaintext);
        seal(&self.0, nonce, &place.authenticated(), &mut stored, NONCE_LEN)?;
        Ok(stored)
    }
}
