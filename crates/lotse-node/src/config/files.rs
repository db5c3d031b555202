//! `[files]`: where keys and certificates are.

use std::path::PathBuf;

use serde::Deserialize;

use crate::folder::Folder;
use crate::tls::{RevocationLists, TlsFiles};

/// Where keys and certificates are; what is not given lies in the folder, and relative paths begin there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesSection {
    /// Root certificates of the agency's authority: its bundle (PEM).
    pub bundle: Option<PathBuf>,
    /// The node's certificate and what stands between it and a root (PEM).
    pub certificate: Option<PathBuf>,
    /// The key of the node's certificate (PEM, PKCS#8).
    pub key: Option<PathBuf>,
    /// Revocation lists of the agency's authority (PEM); none means the one that `lotse cert revoke` writes, once it is there.
    pub revocation_lists: Option<PathBuf>,
    /// Sealing, log and witness key.
    pub node_keys: Option<PathBuf>,
    /// Keys of the database.
    pub vault_keys: Option<PathBuf>,
    /// The folder of the head store, best on another disk.
    pub head_store: Option<PathBuf>,
}

impl FilesSection {
    /// Returns the files of the node's certificate.
    pub fn tls(&self, folder: &Folder) -> TlsFiles {
        let path = |given: &Option<PathBuf>, default| given.as_ref().map_or(default, |given| folder.path().join(given));
        TlsFiles {
            bundle: path(&self.bundle, folder.ca_certificate()),
            chain: path(&self.certificate, folder.node_certificate()),
            key: path(&self.key, folder.node_key()),
            revocation_lists: match &self.revocation_lists {
                Some(given) => RevocationLists::Required(folder.path().join(given)),
                None => RevocationLists::IfThere(folder.revocation_list()),
            },
        }
    }

    /// Returns the file with sealing, log and witness key.
    pub fn node_keys(&self, folder: &Folder) -> PathBuf {
        self.node_keys.as_ref().map_or_else(|| folder.node_keys(), |given| folder.path().join(given))
    }

    /// Returns the file with the keys of the database.
    pub fn vault_keys(&self, folder: &Folder) -> PathBuf {
        self.vault_keys.as_ref().map_or_else(|| folder.vault_keys(), |given| folder.path().join(given))
    }

    /// Returns the folder of the head store.
    pub fn head_store(&self, folder: &Folder) -> PathBuf {
        self.head_store.as_ref().map_or_else(|| folder.head(), |given| folder.path().join(given))
    }
}
