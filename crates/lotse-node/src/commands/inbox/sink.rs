//! Where events are written, so that they are there before they are acknowledged.

mod event_file;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::commands::terminal::Terminal;
pub(super) use event_file::Beginning;
use event_file::EventFile;

/// Where events are written.
pub(super) enum Sink {
    /// Standard output.
    Terminal {
        /// Writes to it.
        terminal: Terminal,
        /// The file that the shell put there, if it is one.
        file: Option<File>,
    },
    /// A file, written on at its end.
    File {
        /// Reports that the file was moved.
        terminal: Terminal,
        /// The file.
        file: EventFile,
    },
}

impl Sink {
    /// Opens a file to write on at its end, or standard output. A new file begins with `beginning`, and one that is there must have
    /// begun so.
    pub(super) fn open(terminal: &Terminal, file: Option<&Path>, beginning: Beginning) -> anyhow::Result<Sink> {
        let terminal = terminal.clone();
        let Some(path) = file else {
            beginning.heading.iter().try_for_each(|heading| terminal.data(heading))?;
            return Ok(Sink::Terminal { terminal, file: redirected()? });
        };
        Ok(Sink::File { terminal, file: EventFile::open(path, beginning)? })
    }

    /// Writes lines. When it returns they are on the disk, in the file to which the path leads, or handed to whoever reads standard
    /// output.
    pub(super) fn write(&mut self, lines: &[String]) -> anyhow::Result<()> {
        const TRIED: &str = "cannot write events: they stay in the inbox";
        match self {
            Sink::Terminal { terminal, file } => {
                lines.iter().try_for_each(|line| terminal.data(line)).context(TRIED)?;
                file.as_ref().map_or(Ok(()), check_redirected).context(TRIED)
            }
            Sink::File { terminal, file } => {
                let moved = file.write(lines).context(TRIED)?;
                if moved {
                    terminal.note(format_args!(
                        "{} was moved, removed or cut meanwhile: going on in the file that is there now, with the lines that were \
                         not confirmed yet",
                        file.path().display()
                    ));
                }
                Ok(())
            }
        }
    }
}

/// Returns the plain file that standard output is, if it is one.
fn redirected() -> io::Result<Option<File>> {
    let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    Ok(file.metadata()?.is_file().then_some(file))
}

/// Makes durable what was written to a file behind standard output. Nobody can open it anew once it was removed.
fn check_redirected(file: &File) -> anyhow::Result<()> {
    file.sync_data()?;
    if file.metadata()?.nlink() == 0 {
        bail!(
            "the file behind standard output was removed: name a file with --out, which is opened anew after a rotation"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn nothing_counts_as_written_to_a_removed_file_behind_standard_output() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let terminal = Terminal::to(Arc::new(Mutex::new(Vec::new())));
        let mut file = File::create(&path).unwrap();
        file.write_all(b"{}\n").unwrap();
        let mut sink = Sink::Terminal { terminal, file: Some(file) };
        sink.write(&["{}".into()]).unwrap();
        fs::remove_file(&path).unwrap();
        let refused = format!("{:#}", sink.write(&["{}".into()]).unwrap_err());
        assert!(refused.contains("stay in the inbox") && refused.contains("--out"), "{refused}");
    }
}
