//! The file of results: written beside its name, and put in its place when every line has its result.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::plain_file::{self, DOCUMENT_BYTES};

/// Results on their way to a file. Until the end an older file of this name stays as it is.
pub(super) struct ResultFile {
    path: PathBuf,
    /// Where they are written meanwhile.
    part: PathBuf,
    /// Locked as long as this lives.
    file: File,
}

impl ResultFile {
    /// Begins to write. Only results are ever replaced: neither the file that is sent, by whatever name, nor anything else.
    pub(super) fn create(path: &Path, sent: &Path) -> anyhow::Result<ResultFile> {
        let mut part = path.to_owned().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        for path in [path, &part] {
            if plain_file::are_same(path, sent) {
                bail!("{} is the file that is sent: name another file with --results", path.display());
            }
            check_present(path)?;
        }
        let name = || format!("cannot write {}", part.display());
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&part).with_context(name)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another command writes to {}: name another file", part.display()),
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(name),
        }
        file.set_len(0).with_context(name)?;
        Ok(ResultFile { path: path.to_owned(), part, file })
    }

    /// Returns where the results are before the end.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Writes the result of a line.
    pub(super) fn write(&mut self, result: &Value) -> anyhow::Result<()> {
        let line = format!("{result}\n");
        self.file.write_all(line.as_bytes()).with_context(|| format!("cannot write {}", self.part.display()))
    }

    /// Makes the results durable under their name.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let name = || format!("cannot write {}", self.path.display());
        self.file.sync_all().with_context(name)?;
        if !plain_file::is_at(&self.file, &self.part).with_context(name)? {
            bail!(
                "{} was moved or removed while results were written to it: they are not at {}",
                self.part.display(),
                self.path.display()
            );
        }
        check_present(&self.path)?;
        fs::rename(&self.part, &self.path).and_then(|()| plain_file::sync_folder(&self.path)).with_context(name)
    }
}

/// Refuses to replace what is there, unless it is empty or holds results.
fn check_present(path: &Path) -> anyhow::Result<()> {
    let name = || format!("cannot look at {}", path.display());
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(name),
        Ok(about) => plain_file::check_plain(&about).with_context(name)?,
    }
    let mut line = Vec::new();
    let file = plain_file::open(path).with_context(name)?;
    BufReader::new(file.take(DOCUMENT_BYTES)).read_until(b'\n', &mut line).with_context(name)?;
    let is_result = || {
        let first: Option<Value> = serde_json::from_slice(&line).ok();
        first.is_some_and(|first| first["line"].is_u64() && first["result"].is_string())
    };
    if line.is_empty() || is_result() {
        return Ok(());
    }
    bail!("{} is there already and holds no results of lines: name another file with --results", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use serde_json::json;

    use super::*;

    fn result(line: u64) -> Value {
        json!({ "line": line, "result": "ok" })
    }

    #[test]
    fn results_never_take_the_place_of_what_is_sent_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let [sent, link, results] = ["b.csv", "link", "r"].map(|name| folder.path().join(name));
        symlink(&sent, &link).unwrap();
        symlink(&sent, folder.path().join("r.part")).unwrap();
        fs::write(&sent, "Schl\u{fc}ssel;Art\n").unwrap();
        fs::hard_link(&sent, folder.path().join("hard")).unwrap();
        for path in [&sent, &link, &folder.path().join("./b.csv"), &folder.path().join("hard"), &results] {
            let refused = ResultFile::create(path, &sent).err().unwrap().to_string();
            assert!(refused.contains("is the file that is sent"), "{refused}");
        }
        assert_eq!(fs::read_to_string(&sent).unwrap(), "Schl\u{fc}ssel;Art\n");
    }

    #[test]
    fn older_results_stay_until_the_new_ones_are_whole_and_nothing_else_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [sent, path, other] = ["b.csv", "r.ndjson", "c.ndjson"].map(|name| folder.path().join(name));
        for round in 1..=2 {
            let mut results = ResultFile::create(&path, &sent).unwrap();
            assert!(ResultFile::create(&path, &sent).is_err(), "another command writes there");
            results.write(&result(round)).unwrap();
            assert_eq!(path.exists(), round > 1);
            assert!(round == 1 || fs::read_to_string(&path).unwrap().contains("\"line\":1"));
            results.finish().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", result(round)));
        }
        drop(ResultFile::create(&path, &sent).unwrap()); // interrupted
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", result(2)));
        fs::write(&other, "{\"id\":\"a consent\"}\n").unwrap();
        for path in [&other, Path::new("/dev/null"), folder.path()] {
            assert!(ResultFile::create(path, &sent).is_err(), "{}", path.display());
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "{\"id\":\"a consent\"}\n");
    }

    #[test]
    fn results_that_were_moved_away_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.ndjson");
        let mut results = ResultFile::create(&path, Path::new("/nowhere")).unwrap();
        results.write(&result(1)).unwrap();
        fs::rename(results.part(), folder.path().join("elsewhere")).unwrap();
        assert!(results.finish().unwrap_err().to_string().contains("was moved or removed"));
    }
}
