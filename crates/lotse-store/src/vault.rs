//! The vault: personal data at rest.
//!
//! Each record has a key of its own, made for it, which encrypts it once and from which the nonces of its envelopes are derived; it
//! lies beside the record, wrapped by the key of a period.
//! The periods' keys are in a file that is not in the database. So one record is shredded by deleting its wrapped key, and
//! a whole period, backups included, by destroying the period's key after the survivors were wrapped anew.
//!
//! AES-256-GCM throughout. A record's own key encrypts one message, so its nonce is zero. Keys that encrypt more than
//! once (a period's, a subject's) draw 96-bit nonces and must not be used more than 2^32 times (NIST SP 800-38D, section 8.3):
//! begin a new period at the latest every month.

mod key_file;
mod record;
mod subject;
#[cfg(test)]
mod tests;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use bytes::Bytes;
use lotse_core::random::Random;
use zeroize::Zeroizing;

use key_file::KeyFile;
pub use record::RecordKey;
pub use subject::SubjectKey;

/// Length of every key.
const KEY_LEN: usize = 32;

/// Length of the tag that AES-GCM appends.
const TAG_LEN: usize = 16;

/// Bytes drawn for one record: its key and the nonce of the wrapping.
const DRAWN: usize = KEY_LEN + NONCE_LEN;

/// Why the vault did not open, or did not open something.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VaultError {
    /// The key file is not TOML of the expected form.
    #[error(
        "the key file is not understood: it needs id_key and [[period]] entries with name and key, keys as 64 hex digits"
    )]
    KeyFile,
    /// A period's name does not fit, or is already there.
    #[error("a period is named once, with 1 to 32 of A-Z a-z 0-9 -, for instance 2026-11")]
    PeriodName,
    /// The newest period cannot be taken away.
    #[error("the period is the newest one or unknown: begin another one first")]
    PeriodInUse,
    /// The key that wraps this record is not in the key file.
    #[error("the record was encrypted in a period whose key is not in the key file")]
    PeriodUnknown,
    /// What is stored was changed, moved to another row, or belongs to another key.
    #[error("the stored bytes do not belong to this row or were changed")]
    Unreadable,
}

/// Which row of which table something is stored in. It is authenticated, so that rows cannot be exchanged.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Table.
    pub table: &'static str,
    /// Key of the row.
    pub id: &'a [u8],
}

/// A record as it is stored: a column for the wrapped key and a column for the content.
#[derive(Clone)]
pub struct Sealed {
    /// Wrapped key: length of the period's name, name, nonce, key and tag.
    pub key: Bytes,
    /// Content and tag.
    pub ciphertext: Bytes,
}

/// The keys of a node. Has no `Debug`.
pub struct Vault {
    id_key: hmac::Key,
    /// Oldest first.
    periods: Vec<Period>,
}

struct Period {
    /// What a wrapped key begins with: length of the name and name.
    prefix: Vec<u8>,
    key: LessSafeKey,
}

impl Vault {
    /// Makes the text of a new key file with one period.
    pub fn generate(random: &dyn Random, period: &str) -> Result<Zeroizing<String>, VaultError> {
        KeyFile::generate(random, period)
    }

    /// Returns the text of a key file with another period, which wraps from then on.
    pub fn with_new_period(key_file: &str, random: &dyn Random, period: &str) -> Result<Zeroizing<String>, VaultError> {
        KeyFile::parse(key_file)?.with_new_period(random, period)
    }

    /// Returns the text of a key file without a period, which makes everything unreadable that is still wrapped by its key.
    pub fn without_period(key_file: &str, period: &str) -> Result<Zeroizing<String>, VaultError> {
        KeyFile::parse(key_file)?.without_period(period)
    }

    /// Reads the text of a key file. The period that is listed last wraps.
    pub fn load(key_file: &str) -> Result<Vault, VaultError> {
        let file = KeyFile::parse(key_file)?;
        let id_key = hmac::Key::new(hmac::HMAC_SHA256, file.id_key()?.as_slice());
        Ok(Vault { id_key, periods: file.periods()? })
    }

    /// Returns the key from which ids of records and subjects, traces and digests of contents are derived.
    pub fn id_key(&self) -> &hmac::Key {
        &self.id_key
    }

    /// Encrypts one record.
    pub fn seal(&self, random: &dyn Random, place: Place<'_>, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        let mut drawn = Zeroizing::new([0; DRAWN]);
        random.fill(drawn.as_mut_slice());
        self.seal_with(&drawn, place, plaintext).map(|(sealed, _)| sealed)
    }

    /// Encrypts records, and returns each with its key. Randomness is drawn once for all of them, which is most of the cost.
    pub fn seal_many(
        &self,
        random: &dyn Random,
        records: &[(Place<'_>, &[u8])],
    ) -> Result<Vec<(Sealed, RecordKey)>, VaultError> {
        let mut drawn = Zeroizing::new(vec![[0; DRAWN]; records.len()]);
        random.fill(drawn.as_flattened_mut());
        drawn.iter().zip(records).map(|(drawn, (place, plaintext))| self.seal_with(drawn, *place, plaintext)).collect()
    }

    /// Decrypts a record.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Vec<u8>, VaultError> {
        self.record_key(place, sealed)?.open(place, sealed)
    }

    /// Wraps a record's key anew if it is wrapped by another than the newest period; `None` if it need not be.
    pub fn rewrap(&self, random: &dyn Random, place: Place<'_>, wrapped: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        if wrapped.starts_with(self.newest_prefix()) {
            return Ok(None);
        }
        let place = place.authenticated();
        let key = self.unwrap_key(&place, wrapped)?;
        self.wrap_key(lotse_core::random::bytes(random), &place, &key).map(Some)
    }

    /// Returns what keys begin with that are wrapped by the newest period; a purge looks for all others.
    pub fn newest_prefix(&self) -> &[u8] {
        self.newest().map(|period| period.prefix.as_slice()).unwrap_or_default()
    }

    fn newest(&self) -> Result<&Period, VaultError> {
        self.periods.last().ok_or(VaultError::KeyFile)
    }

    fn seal_with(
        &self,
        drawn: &[u8; DRAWN],
        place: Place<'_>,
        plaintext: &[u8],
    ) -> Result<(Sealed, RecordKey), VaultError> {
        let (key, nonce) = drawn.split_first_chunk().ok_or(VaultError::Unreadable)?;
        let nonce = nonce.try_into().map_err(|_| VaultError::Unreadable)?;
        let place = place.authenticated();
        let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG_LEN);
        ciphertext.extend_from_slice(plaintext);
        seal(&cipher(key)?, [0; NONCE_LEN], &place, &mut ciphertext, 0)?;
        let sealed = Sealed { key: self.wrap_key(nonce, &place, key)?.into(), ciphertext: ciphertext.into() };
        Ok((sealed, RecordKey::new(key)))
    }

    fn wrap_key(&self, nonce: [u8; NONCE_LEN], place: &[u8], key: &[u8; KEY_LEN]) -> Result<Vec<u8>, VaultError> {
        let period = self.newest()?;
        let start = period.prefix.len() + NONCE_LEN;
        let mut wrapped = Vec::with_capacity(start + KEY_LEN + TAG_LEN);
        wrapped.extend_from_slice(&period.prefix);
        wrapped.extend_from_slice(&nonce);
        wrapped.extend_from_slice(key);
        seal(&period.key, nonce, place, &mut wrapped, start)?;
        Ok(wrapped)
    }

    fn unwrap_key(&self, place: &[u8], wrapped: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, VaultError> {
        let period = self.periods.iter().rev().find(|period| wrapped.starts_with(&period.prefix));
        let period = period.ok_or(VaultError::PeriodUnknown)?;
        let rest = &wrapped[period.prefix.len()..];
        let (nonce, ciphertext) = rest.split_first_chunk().ok_or(VaultError::Unreadable)?;
        let opened = Zeroizing::new(open(&period.key, *nonce, place, ciphertext.to_vec())?);
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if opened.len() != KEY_LEN {
            return Err(VaultError::Unreadable);
        }
        key.copy_from_slice(&opened);
        Ok(key)
    }
}

impl Place<'_> {
    /// What is authenticated: length of the table's name, name, key of the row.
    fn authenticated(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.table.len() + self.id.len());
        bytes.push(self.table.len() as u8);
        bytes.extend_from_slice(self.table.as_bytes());
        bytes.extend_from_slice(self.id);
        bytes
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, VaultError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| VaultError::KeyFile)
}

/// Encrypts `bytes[start..]` in place and appends the tag.
fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    place: &[u8],
    bytes: &mut Vec<u8>,
    start: usize,
) -> Result<(), VaultError> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(place), &mut bytes[start..]);
    bytes.extend_from_slice(tag.map_err(|_| VaultError::Unreadable)?.as_ref());
    Ok(())
}

fn open(key: &LessSafeKey, nonce: [u8; NONCE_LEN], place: &[u8], mut bytes: Vec<u8>) -> Result<Vec<u8>, VaultError> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(place), &mut bytes).map_err(|_| VaultError::Unreadable)?.len();
    bytes.truncate(length);
    Ok(bytes)
}
