//! Free space on the disks that a node writes to. A node that cannot write acknowledges nothing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::folder::Folder;

/// Below this a disk is a warning, bytes.
pub const LITTLE: u64 = 2 << 30;

/// Below this a disk is a problem, bytes.
pub const TOO_LITTLE: u64 = 256 << 20;

/// A folder that a node writes to, and what it keeps there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFolder {
    /// What is kept there.
    pub what: String,
    /// The folder.
    pub path: PathBuf,
}

/// Free space for the folders of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// What is kept there, and the first of the folders.
    pub folder: WrittenFolder,
    /// Bytes that a user may still write.
    pub free_bytes: u64,
}

impl DiskSpace {
    /// Returns how much is free, for people.
    pub fn sentence(&self) -> String {
        format!("{} MiB free on the disk of {}", self.free_bytes >> 20, self.folder.path.display())
    }

    /// Returns the alarm, if there is little space.
    pub fn alarm(&self) -> Option<String> {
        let todo = "make room, or give the node a larger disk; it acknowledges nothing that it cannot store";
        (self.free_bytes < LITTLE).then(|| format!("{}: {}: {todo}", self.folder.what, self.sentence()))
    }
}

/// Returns the folders that a node writes to: the database's if it is a file, the head store's, its own.
pub fn written_folders(folder: &Folder, config: &Config) -> Vec<WrittenFolder> {
    let written = |what: &str, path: &Path| WrittenFolder { what: what.into(), path: path.into() };
    let database = database_folder(folder, config).map(|path| written("database", &path));
    let head = written("head store", &config.files.head_store(folder));
    database.into_iter().chain([head, written("folder", folder.path())]).collect()
}

/// Returns the folder of the database; none if it is on a server.
pub fn database_folder(folder: &Folder, config: &Config) -> Option<PathBuf> {
    let url = config.database.url(folder);
    Path::new(url.strip_prefix("sqlite://")?).parent().map(Path::to_path_buf)
}

/// Free space, or the folder that cannot be looked at and why.
pub type MeasuredDisk = Result<DiskSpace, (WrittenFolder, io::Error)>;

/// Measures the free space of folders, once for each disk.
pub fn measure(folders: Vec<WrittenFolder>) -> Vec<MeasuredDisk> {
    let mut found: Vec<(u64, MeasuredDisk)> = Vec::new();
    for folder in folders {
        let looked =
            std::fs::metadata(&folder.path).and_then(|about| Ok((about.dev(), rustix::fs::statvfs(&folder.path)?)));
        match looked {
            Ok((disk, about)) => match found.iter_mut().find(|(known, space)| *known == disk && space.is_ok()) {
                Some((_, Ok(space))) => space.folder.what = format!("{}, {}", space.folder.what, folder.what),
                _ => {
                    let free_bytes = about.f_bavail.saturating_mul(about.f_frsize);
                    found.push((disk, Ok(DiskSpace { folder, free_bytes })));
                }
            },
            Err(error) => found.push((0, Err((folder, error)))),
        }
    }
    found.into_iter().map(|(_, space)| space).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_is_an_alarm_that_names_disk_and_amount_before_it_is_full() {
        let folder = WrittenFolder { what: "database".into(), path: "/var/lib/lotse".into() };
        let space = |free_bytes| DiskSpace { folder: folder.clone(), free_bytes };
        assert_eq!(space(LITTLE).alarm(), None);
        let alarm = space(TOO_LITTLE).alarm().unwrap();
        assert!(alarm.starts_with("database: 256 MiB free on the disk of /var/lib/lotse: make room"), "{alarm}");
    }

    #[test]
    fn folders_of_one_disk_are_measured_once_and_one_that_is_gone_is_named() {
        let place = tempfile::tempdir().unwrap();
        let folder = |what: &str, path: PathBuf| WrittenFolder { what: what.into(), path };
        let here = place.path().to_path_buf();
        let found = measure(vec![
            folder("database", here.clone()),
            folder("head store", here.clone()),
            folder("folder", here.join("gone")),
        ]);
        let space = found[0].as_ref().unwrap();
        assert_eq!((space.folder.what.as_str(), &space.folder.path), ("database, head store", &here));
        let (gone, error) = found[1].as_ref().unwrap_err();
        assert_eq!((found.len(), gone.what.as_str(), error.kind()), (2, "folder", io::ErrorKind::NotFound));
    }
}
