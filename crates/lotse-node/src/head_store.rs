//! The head store: the newest signed head of the own log, kept outside the database, so that a database that was put back or
//! rewritten is noticed before anything more is signed.
//!
//! One file, `head.toml`, replaced whole: temporary file, fsync, rename, fsync of the folder. Beside it `withdrawn.log`, to which
//! withdrawals are appended before they are answered: they survive a restore of the database.

mod text;
mod withdrawn;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lotse_core::log::checkpoint::Origin;
use lotse_core::log::proof::TreeHead;

pub use withdrawn::RememberedWithdrawal;

/// Name of the file with the head.
const FILE: &str = "head.toml";
/// Name of the file that is renamed onto it.
const TEMPORARY: &str = "head.toml.new";
/// Name of the file whose lock serialises writers of several processes.
const LOCK: &str = "head.lock";

/// What the head store remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The log, and with it the generation.
    pub origin: Origin,
    /// Size and root of the newest head that was signed; the empty tree before the first one.
    pub tree: TreeHead,
    /// How many checkpoints of this generation were signed.
    pub checkpoints: u64,
    /// Grows with each write; a writer that read a lower one is refused.
    pub fencing_number: u64,
    /// Highest version of the own card that was ever installed.
    pub card_version: u64,
}

/// A step of replacing the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStep {
    /// The temporary file is made and filled.
    WriteTemporary,
    /// Its bytes go to the disk.
    SyncTemporary,
    /// It takes the place of the file.
    Rename,
    /// The folder goes to the disk.
    SyncFolder,
}

impl WriteStep {
    /// Every step, in order.
    pub const ALL: [WriteStep; 4] =
        [WriteStep::WriteTemporary, WriteStep::SyncTemporary, WriteStep::Rename, WriteStep::SyncFolder];
}

/// Called before each step; an error is taken as the system's. For tests.
pub type WriteHook = Arc<dyn Fn(WriteStep) -> io::Result<()> + Send + Sync>;

/// Why the head store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The system refused something.
    #[error("cannot use {path}: {cause}; the head store needs a folder on a local disk that this user may write")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the system said; the text has it already.
        cause: io::Error,
    },
    /// The file is there and cannot be read as a head.
    #[error("{path} is no head of a log ({why}): put the newest copy of it back, or run `lotse log resume`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The list of withdrawals is there and cannot be read.
    #[error("cannot read the withdrawals in {path}: {cause}")]
    Withdrawals {
        /// The file.
        path: PathBuf,
        /// Which line, and what to do.
        cause: io::Error,
    },
    /// Another writer was faster.
    #[error("another writer has changed the head meanwhile: read it again")]
    Stale,
}

/// The folder of the head store.
pub struct HeadStore {
    folder: PathBuf,
    hook: Option<WriteHook>,
}

impl HeadStore {
    /// Opens the folder and makes it if needed. One that cannot be written is refused here, not at the first signature.
    pub fn open(folder: &Path) -> Result<HeadStore, HeadError> {
        HeadStore::open_with(folder, None)
    }

    /// Opens the folder with failures to be played.
    pub fn open_with(folder: &Path, hook: Option<WriteHook>) -> Result<HeadStore, HeadError> {
        let store = HeadStore { folder: folder.to_owned(), hook };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|cause| store.io("", cause))?;
        store.probe("probe.new")?;
        Ok(store)
    }

    /// Tries whether a folder that is there can be written and flushed, beside a node that may be running.
    pub fn try_out(folder: &Path) -> Result<(), HeadError> {
        HeadStore { folder: folder.to_owned(), hook: None }.probe("doctor.new")
    }

    fn probe(&self, name: &str) -> Result<(), HeadError> {
        let written = File::create(self.path(name)).and_then(|mut file| {
            file.write_all(b"probe")?;
            file.sync_all()
        });
        written.and_then(|()| fs::remove_file(self.path(name))).map_err(|cause| self.io(name, cause))
    }

    /// Reads the head of a folder and touches nothing, beside a node that may be running.
    pub fn look(folder: &Path) -> Result<Option<Head>, HeadError> {
        HeadStore { folder: folder.to_owned(), hook: None }.load()
    }

    /// Reads the head; nothing before the first was signed.
    pub fn load(&self) -> Result<Option<Head>, HeadError> {
        let path = self.path(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(HeadError::Io { path, cause }),
        };
        text::parse(&text).map(Some).map_err(|why| HeadError::Unreadable { path, why })
    }

    /// Replaces the head, if it is still the one that the caller has read. The fencing number is set here.
    ///
    /// After an error the old head or the new one may be on the disk: the caller reads again.
    pub fn compare_and_swap(&self, read: Option<&Head>, new: &Head) -> Result<Head, HeadError> {
        let _lock = self.lock()?;
        let present = self.load()?;
        if present.as_ref() != read {
            return Err(HeadError::Stale);
        }
        let fencing_number = read.map_or(0, |head| head.fencing_number) + 1;
        let head = Head { fencing_number, ..new.clone() };
        self.replace(&text::write(&head))?;
        Ok(head)
    }

    /// Remembers a version of the own card, unless a higher one is known. Does nothing before the log has begun.
    pub fn raise_card_version(&self, version: u64) -> Result<(), HeadError> {
        loop {
            let Some(head) = self.load()?.filter(|head| head.card_version < version) else { return Ok(()) };
            match self.compare_and_swap(Some(&head), &Head { card_version: version, ..head.clone() }) {
                Err(HeadError::Stale) => {}
                swapped => return swapped.map(drop),
            }
        }
    }

    /// Appends withdrawals; they are on the disk when this returns.
    pub fn append_withdrawn(&self, withdrawals: &[RememberedWithdrawal]) -> Result<(), HeadError> {
        let _lock = self.lock()?;
        withdrawn::append(&self.path(withdrawn::FILE), withdrawals).map_err(|cause| self.io(withdrawn::FILE, cause))?;
        self.sync_folder()
    }

    /// Reads all withdrawals that were ever answered at this node; one may stand there more than once.
    pub fn withdrawn(&self) -> Result<Vec<RememberedWithdrawal>, HeadError> {
        withdrawn::read(&self.path(withdrawn::FILE)).map_err(|cause| match cause.kind() {
            io::ErrorKind::InvalidData => HeadError::Withdrawals { path: self.path(withdrawn::FILE), cause },
            _ => self.io(withdrawn::FILE, cause),
        })
    }

    fn replace(&self, text: &str) -> Result<(), HeadError> {
        let temporary = self.path(TEMPORARY);
        let written = || -> io::Result<()> {
            self.step(WriteStep::WriteTemporary)?;
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            self.step(WriteStep::SyncTemporary)?;
            file.sync_all()?;
            self.step(WriteStep::Rename)?;
            fs::rename(&temporary, self.path(FILE))?;
            self.step(WriteStep::SyncFolder)
        };
        written().map_err(|cause| self.io(FILE, cause))?;
        self.sync_folder()
    }

    fn step(&self, step: WriteStep) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(step))
    }

    fn sync_folder(&self) -> Result<(), HeadError> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(|cause| self.io("", cause))
    }

    fn lock(&self) -> Result<File, HeadError> {
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.path(LOCK));
        let file = opened.map_err(|cause| self.io(LOCK, cause))?;
        file.lock().map_err(|cause| self.io(LOCK, cause))?;
        Ok(file)
    }

    /// The error of a call that did not end by itself.
    pub(crate) fn failed(&self, cause: io::Error) -> HeadError {
        self.io("", cause)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn io(&self, name: &str, cause: io::Error) -> HeadError {
        HeadError::Io { path: self.path(name), cause }
    }
}
