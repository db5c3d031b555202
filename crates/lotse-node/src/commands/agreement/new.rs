//! `lotse agreement new`: a text to start from, with the parties' ids and fingerprints from their cards.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use lotse_core::agency::AgencyKind;
use lotse_core::agreement::{Party, text};
use lotse_core::card::Card;
use lotse_core::id::Id;
use lotse_core::time::{Calendar, DAY, Date};

use crate::card_file;
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::folder::Folder;
use crate::record_file;

/// Writes an agreement to start from, commented in German and English. The own agency is a party if the folder is a node's.
#[derive(Args)]
pub(crate) struct New {
    #[command(flatten)]
    folder: FolderArgument,
    /// Another party: its card and its kind, for instance aa-hanau.example.card=employment_agency; may be given several times.
    #[arg(long, value_name = "CARD=KIND")]
    party: Vec<PartyArgument>,
    /// The first day, as 2026-12-01 or 01.12.2026; tomorrow unless given.
    #[arg(long, value_name = "DAY", value_parser = record_file::day)]
    from: Option<Date>,
    /// Where to write it.
    #[arg(long, value_name = "FILE", default_value = "agreement.toml")]
    out: PathBuf,
}

/// A card and the kind of its agency.
#[derive(Clone, Debug)]
struct PartyArgument {
    card: PathBuf,
    kind: AgencyKind,
}

impl FromStr for PartyArgument {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<PartyArgument> {
        let (card, kind) = text.rsplit_once('=').context("write CARD=KIND")?;
        Ok(PartyArgument {
            card: card.into(),
            kind: crate::commands::init::kind(kind).map_err(|kinds| anyhow!(kinds))?,
        })
    }
}

impl New {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let (folder, now) = (self.folder.folder(), context.clock.now());
        let mut parties: Vec<Party> = own_party(&folder)?.into_iter().collect();
        for argument in &self.party {
            parties.push(party(&card_file::read(&argument.card)?.card, argument.kind));
        }
        let first_day = self.from.unwrap_or_else(|| Calendar::Germany.day_of(now.plus(DAY)));
        write(&self.out, &text::template(Id::new(now, &*context.random), first_day, &parties))?;
        context.terminal.line(format_args!(
            "Written to {out} with {count} parties. Edit it, then
  lotse agreement check {out}
  lotse agreement show {out}
  lotse agreement offer --folder {folder} {out}",
            out = self.out.display(),
            folder = folder.path().display(),
            count = parties.len()
        ))
    }
}

fn own_party(folder: &Folder) -> anyhow::Result<Option<Party>> {
    if !folder.config().exists() {
        return Ok(None);
    }
    let config = Config::load(folder)?;
    Ok(Some(party(&card_file::read(&folder.own_card())?.card, config.agency.kind)))
}

/// Makes a party of a card.
fn party(card: &Card, kind: AgencyKind) -> Party {
    Party {
        agency: card.agency.clone(),
        root_fingerprint: *card.root.fingerprint().digest(),
        name: card.name.clone(),
        kind,
        regions: Vec::new(),
        supervisory_authority: String::new(),
        ended_on: None,
        succeeded_by: None,
    }
}

/// Writes a file that is not there yet: an edited agreement is never overwritten.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} is there already and is not overwritten: name another file with --out", path.display())
        }
        opened => opened.with_context(|| format!("cannot make {}", path.display()))?,
    };
    fill(path, &mut file, text)
}

/// Writes the text into its new file; if that fails, the file is removed: a part of an agreement would be in the way of the next try.
fn fill(path: &Path, file: &mut File, text: &str) -> anyhow::Result<()> {
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| {
        let _ = std::fs::remove_file(path);
        format!("cannot write {}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_cannot_be_written_leaves_no_part_in_the_way_of_the_next_try() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("agreement.toml");
        std::fs::write(&path, "a part").unwrap();
        let mut unwritable = File::open(&path).unwrap();
        let failed = fill(&path, &mut unwritable, "an agreement").unwrap_err().to_string();
        assert!(failed.starts_with("cannot write "), "{failed}");
        write(&path, "an agreement").unwrap();
        let refused = write(&path, "another").unwrap_err().to_string();
        assert!(
            refused.ends_with("is there already and is not overwritten: name another file with --out"),
            "{refused}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an agreement");
    }
}
