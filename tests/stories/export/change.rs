//! Changes that a foreign hand makes to an export.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use lotse_tests::dice::Dice;

/// A change, and what was there before.
pub(super) struct Change {
    /// What was done, to be told.
    pub(super) what: String,
    /// Files with what they held; nothing where there was none.
    before: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Change {
    /// Puts back what was there.
    pub(super) fn undo(self) -> Result<()> {
        for (path, bytes) in self.before {
            match bytes {
                Some(bytes) => fs::write(path, bytes)?,
                None => fs::remove_file(path)?,
            }
        }
        Ok(())
    }
}

/// A kind of change: of an export with these files, at random.
type Kind = fn(&Path, &[PathBuf], &mut Dice) -> Result<Change>;

/// The kinds of change, in turn.
const KINDS: [Kind; 8] = [flip, flip, remove, truncate, lengthen, swap, copy_over, add];

/// Changes something.
pub(super) fn plant(number: usize, export: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    KINDS[number % KINDS.len()](export, files, dice)
}

fn pick<'a>(files: &'a [PathBuf], dice: &mut Dice) -> &'a PathBuf {
    &files[dice.below(files.len() as u64) as usize]
}

/// Writes a file anew.
fn replaced(path: &Path, what: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<Change> {
    let before = fs::read(path)?;
    let mut bytes = before.clone();
    change(&mut bytes);
    fs::write(path, bytes)?;
    Ok(Change { what: format!("{what}: {}", path.display()), before: vec![(path.to_owned(), Some(before))] })
}

fn flip(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let path = pick(files, dice);
    let bit = dice.below(fs::metadata(path)?.len() * 8);
    replaced(path, &format!("flip bit {bit}"), |bytes| bytes[bit as usize / 8] ^= 1 << (bit % 8))
}

fn remove(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let path = pick(files, dice);
    let before = fs::read(path)?;
    fs::remove_file(path)?;
    Ok(Change { what: format!("remove {}", path.display()), before: vec![(path.clone(), Some(before))] })
}

fn truncate(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let path = pick(files, dice);
    let length = dice.below(fs::metadata(path)?.len());
    replaced(path, &format!("cut to {length} bytes"), |bytes| bytes.truncate(length as usize))
}

fn lengthen(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let byte = dice.below(256) as u8;
    replaced(pick(files, dice), &format!("append byte {byte}"), |bytes| bytes.push(byte))
}

/// Two files that differ.
fn two<'a>(files: &'a [PathBuf], dice: &mut Dice) -> Result<[(&'a PathBuf, Vec<u8>); 2]> {
    loop {
        let (one, other) = (pick(files, dice), pick(files, dice));
        let (first, second) = (fs::read(one)?, fs::read(other)?);
        if first != second {
            return Ok([(one, first), (other, second)]);
        }
    }
}

fn swap(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let [(one, first), (other, second)] = two(files, dice)?;
    fs::write(one, &second)?;
    fs::write(other, &first)?;
    let before = vec![(one.clone(), Some(first)), (other.clone(), Some(second))];
    Ok(Change { what: format!("swap {} and {}", one.display(), other.display()), before })
}

fn copy_over(_: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let [(one, first), (other, second)] = two(files, dice)?;
    fs::write(one, &second)?;
    let what = format!("put {} in the place of {}", other.display(), one.display());
    Ok(Change { what, before: vec![(one.clone(), Some(first))] })
}

/// Adds a file that looks as if it belonged there.
fn add(export: &Path, files: &[PathBuf], dice: &mut Dice) -> Result<Change> {
    let names = [
        "tile/0/999",
        "tile/entries/999",
        "tile/0/000.p/7",
        "seal/000/0.items",
        "seal/000/1.receipt.json",
        "card/xy.example.card",
        "readme.txt",
        "tile/0/000.new",
    ];
    let name = names[dice.below(names.len() as u64) as usize];
    let path = export.join(name);
    fs::create_dir_all(path.parent().unwrap_or(export))?;
    fs::copy(pick(files, dice), &path)?;
    Ok(Change { what: format!("add {name}"), before: vec![(path, None)] })
}
