//! The database of a folder. It belongs to one node: whoever opens it compares its mark first, and another node's is refused before
//! anything in it is changed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use lotse_core::id::{AgencyId, Digest};
use lotse_core::keyed::Kind;
use lotse_core::log::checkpoint::Origin;
use lotse_store::mark::{self, DatabaseMark, Identification};
use lotse_store::vault::Vault;
use lotse_store::{Store, StoreOptions, check_tables, has_tables};
use zeroize::Zeroizing;

use crate::card_file;
use crate::config::Config;
use crate::folder::Folder;
use crate::plain_file::{self, DOCUMENT_BYTES};
use crate::wire;

#[cfg(test)]
mod tests;

/// The refusal of a database that belongs to another node.
#[derive(Debug, thiserror::Error)]
#[error("{seen}: nothing was changed; {}", ForeignDatabase::WAY_OUT)]
pub(crate) struct ForeignDatabase {
    /// Whose it is, and whose folder this is.
    pub(crate) seen: String,
}

impl ForeignDatabase {
    /// What to do about it.
    pub(crate) const WAY_OUT: &'static str = "name this node's own database under [database] url in lotse.toml, or with --folder the \
         folder to which the database belongs (deploy/OPERATIONS.md, \"A database belongs to one node\")";
}

/// Opens the database of a folder to write as its node. A new one, and one from before there were marks, is marked.
pub(crate) async fn open(
    folder: &Folder,
    config: &Config,
    vault: &Vault,
    options: StoreOptions,
) -> anyhow::Result<Store> {
    let url = config.database.url(folder);
    let own = own_mark(folder, &config.agency.id, vault);
    let mut is_marked = false;
    if has_tables(&url).await.with_context(|| of_folder(folder))? {
        let look = Store::open_to_read(&url, &one_reader())?;
        let found = identify(&look, &own.agency).await;
        look.close().await;
        let found = found?;
        is_marked = found.mark.as_ref() == Some(&own);
        judge(folder, &own.agency, Some(own.instance), found)?;
    }
    let store = Store::open(&url, options).await.with_context(|| of_folder(folder))?;
    if is_marked {
        // Nothing is written, so that a database that is busy for a moment opens all the same.
        return Ok(store);
    }
    let claimed = store.transact("mark database", move |tx| {
        let own = own.clone();
        Box::pin(async move { mark::set(tx, &own).await })
    });
    match claimed.await {
        Ok(None) => Ok(store),
        Ok(Some(other)) => {
            store.close().await;
            Err(foreign(folder, &config.agency.id, &other).into())
        }
        Err(error) => Err(error).with_context(|| of_folder(folder)),
    }
}

/// Opens the database of a folder to read. It is not changed: tables of another version are refused, not brought up to date.
pub(crate) async fn open_to_read(folder: &Folder, config: &Config, options: &StoreOptions) -> anyhow::Result<Store> {
    let url = existing_url(folder, config)?;
    check_tables(&url).await.context("the node's database")?;
    let store = Store::open_to_read(&url, options).context("the node's database")?;
    let agency = &config.agency.id;
    // A log can be verified without the keys of the database.
    let instance = vault(folder, config).ok().map(|vault| instance(agency, &vault));
    judge(folder, agency, instance, identify(&store, agency).await?)?;
    Ok(store)
}

/// Opens the database of a folder, which must be there, to write as its node.
pub(crate) async fn open_existing(folder: &Folder, config: &Config, options: StoreOptions) -> anyhow::Result<Store> {
    existing_url(folder, config)?;
    open(folder, config, &vault(folder, config)?, options).await
}

/// Reads the keys of the database.
pub(crate) fn vault(folder: &Folder, config: &Config) -> anyhow::Result<Vault> {
    let path = config.files.vault_keys(folder);
    let name = || from_backup("the keys of the database", &path);
    let text = Zeroizing::new(plain_file::read_text(&path, DOCUMENT_BYTES).with_context(name)?);
    Vault::load(&text).with_context(name)
}

/// Says that a secret cannot be read.
pub(crate) fn from_backup(what: &str, path: &Path) -> String {
    format!("cannot read {what}: put {} back from its backup, nothing replaces it", path.display())
}

/// Returns the URL of a folder's database; one that is not there is not made.
fn existing_url(folder: &Folder, config: &Config) -> anyhow::Result<String> {
    let url = config.database.url(folder);
    if let Some(path) = url.strip_prefix("sqlite://")
        && !Path::new(path).exists()
    {
        bail!("there is no database at {path}: start the node once with `lotse run`");
    }
    Ok(url)
}

fn of_folder(folder: &Folder) -> String {
    format!("the database of {}", folder.path().display())
}

fn one_reader() -> StoreOptions {
    StoreOptions { readers: Some(1), ..StoreOptions::default() }
}

fn own_mark(folder: &Folder, agency: &AgencyId, vault: &Vault) -> DatabaseMark {
    let path = fs::canonicalize(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
    DatabaseMark { agency: agency.clone(), instance: instance(agency, vault), folder: path.display().to_string() }
}

/// Derives which node of an agency this is from the keys of its database, which no other folder has and without which nothing in the
/// database can be read.
fn instance(agency: &AgencyId, vault: &Vault) -> Digest {
    Digest::keyed(vault.id_key(), Kind::Database, &[agency.as_str().as_bytes()])
}

async fn identify(store: &Store, agency: &AgencyId) -> anyhow::Result<Identification> {
    let agency = agency.clone();
    let read = store.read("identify", move |tx| Box::pin(async move { mark::identify(tx, &agency).await }));
    read.await.context("the node's database")
}

/// Refuses the database of another node. One without a mark must have a log of this agency and a card of this folder's root key, as far
/// as it has a log and a card.
fn judge(folder: &Folder, agency: &AgencyId, instance: Option<Digest>, found: Identification) -> anyhow::Result<()> {
    if let Some(mark) = &found.mark {
        let is_own = mark.agency == *agency && instance.is_none_or(|instance| instance == mark.instance);
        return if is_own { Ok(()) } else { Err(foreign(folder, agency, mark).into()) };
    }
    let database = of_folder(folder);
    let origin = found.head.as_deref().and_then(|note| note.lines().next()?.parse::<Origin>().ok());
    if let Some(origin) = origin.filter(|origin| origin.agency != *agency) {
        let seen = format!("{database} has the log {origin}, and this is the node of {agency}");
        return Err(ForeignDatabase { seen }.into());
    }
    let path = folder.own_card();
    let stored = found.card.as_deref().and_then(|seal| wire::card::parse(&wire::seal::decode(seal)?.payload).ok());
    if let Some(stored) = stored
        && path.exists()
        && card_file::read(&path)?.card.root != stored.root
    {
        let seen = format!(
            "{database} has a card of {agency} under another root key than {}: another node of this agency wrote it",
            path.display()
        );
        return Err(ForeignDatabase { seen }.into());
    }
    Ok(())
}

fn foreign(folder: &Folder, agency: &AgencyId, mark: &DatabaseMark) -> ForeignDatabase {
    let database = of_folder(folder);
    let DatabaseMark { agency: other, folder: from, .. } = mark;
    let seen = if other == agency {
        format!(
            "{database} belongs to another node of {agency}, last opened from {from}: keys/vault.toml here is not that node's"
        )
    } else {
        format!("{database} belongs to {other}, last opened from {from}, and this is the node of {agency}")
    };
    ForeignDatabase { seen }
}
