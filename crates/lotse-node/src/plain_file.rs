//! Plain files: read through a limit, compared by where they lie, and recognised again after they were opened.
//!
//! A path may lead to a device without end or to a pipe that nobody writes to, and its length says nothing of either. What a path
//! leads to may also change while a file is open: whoever rotates files renames and deletes them.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Limit for files that hold one document: a card, a proof, an agreement, a key, 1 MiB.
pub(crate) const DOCUMENT_BYTES: u64 = 1024 * 1024;

/// The mark that editors put at the beginning of UTF-8 texts.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Opens a plain file for reading; a device, a pipe or a folder is refused before it is opened.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    check_plain(&fs::metadata(path)?)?;
    let file = File::open(path)?;
    check_plain(&file.metadata()?)?;
    Ok(file)
}

/// Refuses whatever is not a plain file.
pub(crate) fn check_plain(about: &Metadata) -> io::Result<()> {
    match about.is_file() {
        true => Ok(()),
        false => {
            Err(io::Error::new(ErrorKind::InvalidInput, "it is no plain file: give one, no device, pipe or folder"))
        }
    }
}

/// Reads a plain file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"));
    let size = file.metadata()?.len();
    if size > limit {
        return Err(too_large());
    }
    // Room for all of it at once: growing would leave copies of a secret behind.
    let mut bytes = Vec::with_capacity(usize::try_from(size).map_err(|_| too_large())? + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

/// Reads a plain file of at most `limit` bytes as UTF-8 text, without the byte order mark that editors put before it.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, limit)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is no UTF-8 text"))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

/// Tells whether a path still leads to this open file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok(open.nlink() > 0 && is_same(&open, &found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tells whether two paths lead to the same file, by whatever names and links. What is not there is no other file's same.
pub(crate) fn are_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => is_same(&one, &other),
        _ => false,
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Tells whether the last line of a file has no end: its writer was killed, or the disk was full.
pub(crate) fn is_cut_off(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Makes the name of a file in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn devices_pipes_and_folders_are_refused_and_links_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let [link, pipe] = ["link", "pipe"].map(|name| folder.path().join(name));
        symlink("/dev/zero", &link).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        for path in [Path::new("/dev/zero"), &link, &pipe, folder.path()] {
            let error = read(path, 16).unwrap_err();
            assert!(error.to_string().contains("it is no plain file"), "{}: {error}", path.display());
        }
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "\u{feff}0123456789").unwrap();
        assert_eq!(read(&path, 13).unwrap().len(), 13);
        assert_eq!(read(&path, 12).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_text(&path, 13).unwrap(), "0123456789");
        // The system says of such a file that it has no bytes.
        assert_eq!(read(Path::new("/proc/self/maps"), 10).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_file_is_recognised_by_every_name_and_not_after_it_was_renamed_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let [path, moved, link] = ["file", "file.1", "link"].map(|name| folder.path().join(name));
        let file = File::create(&path).unwrap();
        symlink(&path, &link).unwrap();
        assert!(is_at(&file, &path).unwrap() && is_at(&file, &link).unwrap());
        assert!(are_same(&path, &folder.path().join("./file")) && are_same(&link, &path));
        fs::rename(&path, &moved).unwrap();
        assert!(!is_at(&file, &path).unwrap() && is_at(&file, &moved).unwrap());
        fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path).unwrap() && !are_same(&path, &moved));
        fs::remove_file(&moved).unwrap();
        assert!(!is_at(&file, &moved).unwrap());
    }
}
