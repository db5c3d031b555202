//! The folder of a node: what lies where, and the lock that lets one process at a time change it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// The lock of a folder; gone when dropped, and when the process ends.
#[derive(Debug)]
pub struct FolderLock(#[expect(dead_code, reason = "kept for its lock")] File);

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process holds it.
    #[error(
        "the node of {0} is running, or a command works on it: stop it first (`lotse run` stops on SIGTERM), or use a command that talks to the running node"
    )]
    Held(PathBuf),
    /// It is no node's.
    #[error("there is no lotse.toml in {0}: run `lotse init`, or name the node's folder with --folder")]
    NoNode(PathBuf),
    /// It is not empty.
    #[error("{0} is not empty: name a folder that does not exist yet or is empty")]
    NotEmpty(PathBuf),
    /// The system refused something.
    #[error("cannot use {path}: {cause}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said; the text has it already.
        cause: io::Error,
    },
}

impl Folder {
    /// Names a folder; nothing is read or made.
    pub fn new(path: impl Into<PathBuf>) -> Folder {
        Folder(path.into())
    }

    /// Makes the folder and what is inside, for its owner only, and takes its lock. One that is not empty is refused.
    pub fn create(&self) -> Result<FolderLock, FolderError> {
        make(&self.0)?;
        let mut entries = fs::read_dir(&self.0).map_err(|cause| self.io(&self.0, cause))?;
        if entries.next().is_some() {
            return Err(FolderError::NotEmpty(self.0.clone()));
        }
        let inside = ["keys", "pki", "pki/issued", "cards", "data", "head", "run"];
        inside.into_iter().try_for_each(|name| make(&self.0.join(name)))?;
        self.take_lock()
    }

    /// Takes the lock, which a running node and commands that need a stopped one hold. In a folder that is no node's nothing is
    /// made.
    pub fn lock(&self) -> Result<FolderLock, FolderError> {
        match self.config().try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(FolderError::NoNode(self.0.clone())),
            Err(cause) => return Err(self.io(&self.config(), cause)),
        }
        make(&self.0.join("run"))?;
        self.take_lock()
    }

    fn take_lock(&self) -> Result<FolderLock, FolderError> {
        let path = self.0.join("run/lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| self.io(&path, cause))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::Held(self.0.clone())),
            Err(TryLockError::Error(cause)) => return Err(self.io(&path, cause)),
        }
        let noted = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(|cause| self.io(&path, cause))?;
        Ok(FolderLock(file))
    }

    fn io(&self, path: &Path, cause: io::Error) -> FolderError {
        FolderError::Io { path: path.to_owned(), cause }
    }

    /// Returns the folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the configuration.
    pub fn config(&self) -> PathBuf {
        self.0.join("lotse.toml")
    }

    /// Returns the root key, meant to be moved to where it is offline.
    pub fn root_key(&self) -> PathBuf {
        self.0.join("keys/root.key")
    }

    /// Returns the sealing, log and witness key.
    pub fn node_keys(&self) -> PathBuf {
        self.0.join("keys/node.toml")
    }

    /// Returns the keys of the database.
    pub fn vault_keys(&self) -> PathBuf {
        self.0.join("keys/vault.toml")
    }

    /// Returns the root certificate of the small authority.
    pub fn ca_certificate(&self) -> PathBuf {
        self.0.join("pki/ca.crt")
    }

    /// Returns the key of the small authority.
    pub fn ca_key(&self) -> PathBuf {
        self.0.join("pki/ca.key")
    }

    /// Returns the revocation list of the small authority.
    pub fn revocation_list(&self) -> PathBuf {
        self.0.join("pki/revoked.crl")
    }

    /// Returns the list of certificates that the small authority issued and revoked.
    pub fn certificate_acts(&self) -> PathBuf {
        self.0.join("pki/acts.ndjson")
    }

    /// Returns the node's certificate.
    pub fn node_certificate(&self) -> PathBuf {
        self.0.join("pki/node.crt")
    }

    /// Returns the key of the node's certificate.
    pub fn node_key(&self) -> PathBuf {
        self.0.join("pki/node.key")
    }

    /// Returns where issued certificates lie.
    pub fn issued(&self) -> PathBuf {
        self.0.join("pki/issued")
    }

    /// Returns the signed own card.
    pub fn own_card(&self) -> PathBuf {
        self.0.join("cards/own.card")
    }

    /// Returns the drafted own card, not yet signed.
    pub fn card_draft(&self) -> PathBuf {
        self.0.join("cards/own.draft")
    }

    /// Returns the SQLite database.
    pub fn database(&self) -> PathBuf {
        self.0.join("data/lotse.sqlite")
    }

    /// Returns the folder of the head store.
    pub fn head(&self) -> PathBuf {
        self.0.join("head")
    }

    /// Returns where the running node writes the ports it listens on.
    pub fn ports(&self) -> PathBuf {
        self.0.join("run/ports.toml")
    }
}

/// Makes a folder for its owner only; one that is there stays as it is.
fn make(path: &Path) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|cause| FolderError::Io { path: path.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_is_for_its_owner_and_made_only_where_nothing_is() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("node"));
        drop(folder.create().unwrap());
        for inside in ["", "keys", "pki/issued"] {
            let mode = fs::metadata(folder.path().join(inside)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{inside}");
        }
        assert!(matches!(folder.create(), Err(FolderError::NotEmpty(_))));
    }

    #[test]
    fn one_process_at_a_time_holds_a_folder() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::new(parent.path().join("node"));
        let held = folder.create().unwrap();
        fs::write(folder.config(), "").unwrap();
        let refused = folder.lock().unwrap_err();
        assert!(refused.to_string().contains("is running"), "{refused}");
        drop(held);
        folder.lock().unwrap();
    }

    #[test]
    fn a_folder_that_is_no_node_s_is_told_so_and_left_as_it_is() {
        let parent = tempfile::tempdir().unwrap();
        let refused = Folder::new(parent.path()).lock().unwrap_err().to_string();
        assert!(refused.contains("there is no lotse.toml in") && refused.contains("--folder"), "{refused}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        let nowhere = Folder::new(parent.path().join("nowhere"));
        assert!(matches!(nowhere.lock(), Err(FolderError::NoNode(_))));
        assert!(!nowhere.path().exists());
    }
}
