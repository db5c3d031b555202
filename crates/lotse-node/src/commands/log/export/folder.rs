//! The folder of an export: read by who verifies it, written by who exports, never by two at once.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::place::{CHECKPOINT, INCOMPLETE, Place};
use crate::plain_file;

/// The largest file of an export, bytes: a full bundle of the longest entries.
const MAX_FILE_BYTES: u64 = 256 * (2 + 65_535);

/// An export that is read.
pub(crate) struct Export {
    path: PathBuf,
}

impl Export {
    /// Takes a folder as it is.
    pub(crate) fn new(path: &Path) -> Export {
        Export { path: path.to_owned() }
    }

    /// Reads a file; nothing if it is not there or no plain file.
    pub(crate) fn read(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.path.join(name);
        let tried = || format!("cannot read {}", path.display());
        match fs::symlink_metadata(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).with_context(tried),
            Ok(about) if !about.is_file() => Ok(None),
            Ok(_) => plain_file::read(&path, MAX_FILE_BYTES).with_context(tried).map(Some),
        }
    }

    /// Reads a file as text.
    pub(crate) fn read_text(&self, name: &str) -> anyhow::Result<Option<String>> {
        let bytes = self.read(name)?;
        bytes.map(|bytes| String::from_utf8(bytes).with_context(|| format!("{name} is no text"))).transpose()
    }

    /// Tells whether an export into it was interrupted, or is under way.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.path.join(INCOMPLETE).exists()
    }

    /// Calls for every file below a folder of the export, with its path below the export; also for what is neither file nor folder.
    pub(crate) fn walk(&self, below: &str, seen: &mut impl FnMut(&str)) -> anyhow::Result<()> {
        let folder = self.path.join(below);
        let tried = || format!("cannot list {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(tried)? {
            let entry = entry.with_context(tried)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            match entry.file_type().with_context(tried)?.is_dir() {
                true => self.walk(&path, seen)?,
                false => seen(&path),
            }
        }
        Ok(())
    }
}

/// An export that is being written. From the first file on, until [`OpenExport::finish`], it says of itself that it is incomplete.
pub(super) struct OpenExport {
    pub(super) export: Export,
    /// The folder, locked as long as this lives.
    folder: File,
    is_marked: bool,
    /// Folders whose lists of files are not on the disk yet.
    changed: BTreeSet<PathBuf>,
}

impl OpenExport {
    /// Opens a folder for an export: an empty one, or one that holds an export already. Nothing in it is changed yet.
    pub(super) fn open(path: &Path) -> anyhow::Result<OpenExport> {
        let tried = || format!("cannot write to {}", path.display());
        fs::create_dir_all(path).with_context(tried)?;
        let is_empty = fs::read_dir(path).with_context(tried)?.next().is_none();
        let is_export = [CHECKPOINT, INCOMPLETE].iter().any(|name| path.join(name).exists());
        if !is_empty && !is_export {
            bail!("{} holds something else than an export: name an empty folder, or a new one", path.display());
        }
        let folder = File::open(path).with_context(tried)?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another export is being written to {}", path.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(tried),
        }
        Ok(OpenExport { export: Export::new(path), folder, is_marked: false, changed: BTreeSet::new() })
    }

    /// Writes a file, whole or not at all, in place of what is there.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.export.path.join(name);
        self.replace(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }

    fn replace(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if !self.is_marked {
            File::create(self.export.path.join(INCOMPLETE))?;
            self.folder.sync_all()?;
            self.is_marked = true;
        }
        let folder = path.parent().unwrap_or(&self.export.path);
        fs::create_dir_all(folder)?;
        let mut temporary = path.to_owned().into_os_string();
        temporary.push(".new");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        let below = folder.ancestors().take_while(|folder| folder.starts_with(&self.export.path));
        self.changed.extend(below.map(Path::to_owned));
        Ok(())
    }

    /// Writes the checkpoint, after everything under it is on the disk; removes what the tree has grown out of; declares the export
    /// complete.
    pub(super) fn finish(mut self, checkpoint: &str, is_kept: impl Fn(&Place) -> bool) -> anyhow::Result<()> {
        self.flush()?;
        self.write(CHECKPOINT, checkpoint.as_bytes())?;
        self.flush()?;
        self.clean(is_kept)?;
        let marker = self.export.path.join(INCOMPLETE);
        fs::remove_file(&marker).with_context(|| format!("cannot remove {}", marker.display()))?;
        self.folder.sync_all().with_context(|| format!("cannot write {}", self.export.path.display()))
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        for folder in std::mem::take(&mut self.changed) {
            let flushed = File::open(&folder).and_then(|folder| folder.sync_all());
            flushed.with_context(|| format!("cannot write {}", folder.display()))?;
        }
        Ok(())
    }

    /// Removes files of an older or an interrupted export; what no export ever wrote stays.
    fn clean(&self, is_kept: impl Fn(&Place) -> bool) -> anyhow::Result<()> {
        let mut old = Vec::new();
        self.export.walk("", &mut |path| {
            let place = Place::parse(path.strip_suffix(".new").unwrap_or(path));
            let is_left = place.is_some_and(|place| path.ends_with(".new") || !is_kept(&place));
            if is_left {
                old.push(self.export.path.join(path));
            }
        })?;
        for path in old {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            if let Some(folder) = path.parent() {
                let _ = fs::remove_dir(folder); // only an empty one goes
            }
        }
        Ok(())
    }
}
