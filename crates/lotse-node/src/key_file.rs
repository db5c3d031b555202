//! Key files: the root key as PEM, and the node's sealing, log and witness key as TOML.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lotse_core::key::SigningKey;
use lotse_core::random::{self, Random};
use lotse_core::time::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::pem_file::{self, PemError};
use crate::pki::files::write_key;
use crate::plain_file::{self, DOCUMENT_BYTES};

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Why a key file cannot be used. Never says what is inside.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("cannot use the key file {path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said; the text has it already.
        cause: io::Error,
    },
    /// A part of it cannot be read.
    #[error("cannot read the key file {path}, {fault}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// Where and what.
        fault: PemError,
    },
    /// It is no root key.
    #[error("{0} is no root key: give the PEM file with the Ed25519 key (PKCS#8) that `lotse init` made")]
    NoRootKey(PathBuf),
    /// It has no node keys.
    #[error(
        "{0} is no file of node keys: it needs [sealing], [log] and [witness], each with seed (64 hex digits) and made_at"
    )]
    NoNodeKeys(PathBuf),
}

/// Where systemd puts a unit's credentials: readable by that unit's user, by a list that shows in the mode as the group's.
const CREDENTIALS: &str = "/run/credentials";

/// Returns the mode of a file of secrets that others than its owner may use; none if nobody may, or if there is no such file.
pub fn mode_for_others(path: &Path) -> Option<u32> {
    if path.starts_with(CREDENTIALS) {
        return None;
    }
    let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

/// Draws a root key and writes it.
pub fn create_root(path: &Path, random: &dyn Random) -> Result<SigningKey, KeyFileError> {
    let seed = Zeroizing::new(random::bytes::<32>(random));
    let mut der = Zeroizing::new(PKCS8_HEAD.to_vec());
    der.extend_from_slice(&*seed);
    let base64 = Zeroizing::new(STANDARD.encode(&*der));
    let pem = Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *base64));
    write_key(path, &pem).map_err(|cause| io_error(path, cause))?;
    Ok(SigningKey::from_seed(*seed))
}

/// Reads a root key.
pub fn read_root(path: &Path) -> Result<SigningKey, KeyFileError> {
    let pem = plain_file::read(path, DOCUMENT_BYTES).map(Zeroizing::new).map_err(|cause| io_error(path, cause))?;
    let no_root_key = || KeyFileError::NoRootKey(path.to_owned());
    let keys = pem_file::private_keys(&pem);
    let keys = keys.map_err(|fault| KeyFileError::Pem { path: path.to_owned(), fault })?;
    let [PrivateKeyDer::Pkcs8(der)] = &keys[..] else { return Err(no_root_key()) };
    let seed = der.secret_pkcs8_der().strip_prefix(&PKCS8_HEAD).ok_or_else(no_root_key)?;
    Ok(SigningKey::from_seed(seed.try_into().map_err(|_| no_root_key())?))
}

/// One of the node's keys.
#[derive(Debug)]
pub struct NodeKey {
    /// The key.
    pub key: SigningKey,
    /// When it was made.
    pub made_at: Timestamp,
}

/// The keys that a node signs with, from their file.
#[derive(Debug)]
pub struct NodeKeyFile {
    /// Seals batches, receipts and agreements.
    pub sealing: NodeKey,
    /// Signs checkpoints of the own log.
    pub log: NodeKey,
    /// Cosigns other agencies' checkpoints.
    pub witness: NodeKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    sealing: TextKey,
    log: TextKey,
    witness: TextKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextKey {
    seed: Seed,
    made_at: String,
}

/// 64 hex digits, overwritten when dropped.
#[derive(Deserialize)]
struct Seed(String);

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl NodeKeyFile {
    /// Draws three keys and writes them.
    pub fn create(path: &Path, now: Timestamp, random: &dyn Random) -> Result<(), KeyFileError> {
        let mut text = Zeroizing::new(String::with_capacity(1024));
        text.push_str(
            "# The keys this node signs with. Secret. Back them up, apart from the database (see certs/README.md).\n",
        );
        for name in ["sealing", "log", "witness"] {
            let seed = Zeroizing::new(random::bytes::<32>(random));
            let digits = Zeroizing::new(hex::encode(*seed));
            for part in ["\n[", name, "]\nseed = \"", &digits, "\"\nmade_at = \"", &now.to_string(), "\"\n"] {
                text.push_str(part);
            }
        }
        write_key(path, &text).map_err(|cause| io_error(path, cause))
    }

    /// Reads the file.
    pub fn read(path: &Path) -> Result<NodeKeyFile, KeyFileError> {
        let text =
            plain_file::read_text(path, DOCUMENT_BYTES).map(Zeroizing::new).map_err(|cause| io_error(path, cause))?;
        // The parser's error would quote the file.
        let text: Text = toml::from_str(&text).map_err(|_| KeyFileError::NoNodeKeys(path.to_owned()))?;
        let key = |text: TextKey| text.read().ok_or_else(|| KeyFileError::NoNodeKeys(path.to_owned()));
        Ok(NodeKeyFile { sealing: key(text.sealing)?, log: key(text.log)?, witness: key(text.witness)? })
    }
}

impl TextKey {
    fn read(&self) -> Option<NodeKey> {
        let mut seed = [0; 32];
        hex::decode_to_slice(&self.seed.0, &mut seed).ok()?;
        let key = SigningKey::from_seed(seed);
        seed.zeroize();
        Some(NodeKey { key, made_at: self.made_at.parse().ok()? })
    }
}

fn io_error(path: &Path, cause: io::Error) -> KeyFileError {
    KeyFileError::Io { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;
    use crate::ambient::SystemRandom;

    #[test]
    fn a_root_key_reads_as_it_was_written_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let made = create_root(&path, &SystemRandom).unwrap();
        assert_eq!(read_root(&path).unwrap().public(), made.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let pem = fs::read(&path).unwrap();
        let der = PrivatePkcs8KeyDer::from_pem_slice(&pem).unwrap();
        aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).unwrap();
    }

    #[test]
    fn node_keys_read_as_they_were_written_and_all_differ() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        let now = Timestamp::from_micros(1_764_000_000_000_000);
        NodeKeyFile::create(&path, now, &SystemRandom).unwrap();
        let keys = NodeKeyFile::read(&path).unwrap();
        assert_eq!(keys.sealing.made_at, now);
        assert_ne!(keys.log.key.public(), keys.witness.key.public());
        assert_ne!(keys.sealing.key.public(), keys.log.key.public());
    }

    #[test]
    fn an_error_does_not_quote_a_key_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node.toml");
        fs::write(&path, "[sealing]\nseed = \"topsecret\"\n").unwrap();
        let error = NodeKeyFile::read(&path).unwrap_err();
        assert!(!error.to_string().contains("topsecret"));
        assert!(matches!(read_root(&path), Err(KeyFileError::NoRootKey(_))));
    }
}
