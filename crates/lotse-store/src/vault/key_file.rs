//! The key file: TOML with the id key and the keys of the periods, oldest first.

use lotse_core::random::{self, Random};
use serde::Deserialize;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{KEY_LEN, Period, VaultError, cipher};

/// Longest name of a period.
const LONGEST_NAME: usize = 32;

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyFile {
    id_key: String,
    period: Vec<PeriodEntry>,
}

#[derive(Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct PeriodEntry {
    name: String,
    key: String,
}

impl KeyFile {
    pub(super) fn generate(random: &dyn Random, period: &str) -> Result<Zeroizing<String>, VaultError> {
        KeyFile { id_key: new_key(random), period: Vec::new() }.with_new_period(random, period)
    }

    /// The error says nothing about the place, for the parser would quote it.
    pub(super) fn parse(text: &str) -> Result<KeyFile, VaultError> {
        let file: KeyFile = toml::from_str(text).map_err(|_| VaultError::KeyFile)?;
        for (number, entry) in file.period.iter().enumerate() {
            file.check_new(&entry.name, number)?;
        }
        if file.period.is_empty() { Err(VaultError::KeyFile) } else { Ok(file) }
    }

    pub(super) fn with_new_period(mut self, random: &dyn Random, name: &str) -> Result<Zeroizing<String>, VaultError> {
        self.check_new(name, self.period.len())?;
        self.period.push(PeriodEntry { name: name.to_owned(), key: new_key(random) });
        Ok(self.to_text())
    }

    pub(super) fn without_period(mut self, name: &str) -> Result<Zeroizing<String>, VaultError> {
        let at = self.period.iter().position(|entry| entry.name == name);
        match at {
            Some(at) if at + 1 < self.period.len() => drop(self.period.remove(at)),
            _ => return Err(VaultError::PeriodInUse),
        }
        Ok(self.to_text())
    }

    pub(super) fn id_key(&self) -> Result<Zeroizing<[u8; KEY_LEN]>, VaultError> {
        read_key(&self.id_key)
    }

    pub(super) fn periods(&self) -> Result<Vec<Period>, VaultError> {
        self.period
            .iter()
            .map(|entry| {
                let mut prefix = vec![entry.name.len() as u8];
                prefix.extend_from_slice(entry.name.as_bytes());
                Ok(Period { prefix, key: cipher(&*read_key(&entry.key)?)? })
            })
            .collect()
    }

    /// A name fits and none of the entries before `end` has it.
    fn check_new(&self, name: &str, end: usize) -> Result<(), VaultError> {
        let fits = (1..=LONGEST_NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && self.period[..end].iter().all(|entry| entry.name != name);
        if fits { Ok(()) } else { Err(VaultError::PeriodName) }
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(256 + 128 * self.period.len()));
        text.push_str(
            "# Keys of this node's database. Without this file the database cannot be read: keep a copy elsewhere.\n",
        );
        text.push_str("id_key = \"");
        text.push_str(&self.id_key);
        text.push_str("\"\n");
        for entry in &self.period {
            for part in ["\n[[period]]\nname = \"", &entry.name, "\"\nkey = \"", &entry.key, "\"\n"] {
                text.push_str(part);
            }
        }
        text
    }
}

fn new_key(random: &dyn Random) -> String {
    let key: Zeroizing<[u8; KEY_LEN]> = Zeroizing::new(random::bytes(random));
    hex::encode(*key)
}

fn read_key(text: &str) -> Result<Zeroizing<[u8; KEY_LEN]>, VaultError> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    hex::decode_to_slice(text, key.as_mut_slice()).map_err(|_| VaultError::KeyFile)?;
    Ok(key)
}
