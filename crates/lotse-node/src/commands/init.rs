//! `lotse init`: the folder of a new node with configuration, keys, certificates and the first card.

mod pki;

#[cfg(test)]
mod tests;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use lotse_core::agency::AgencyKind;
use lotse_core::card::is_endpoint;
use lotse_core::id::AgencyId;
use lotse_core::key::Fingerprint;
use lotse_core::random::Random;
use lotse_core::time::Timestamp;
use lotse_store::vault::Vault;

use super::card::draft;
use super::{Context, FolderArgument};
use crate::card_file;
use crate::config::{Config, Template, template};
use crate::folder::Folder;
use crate::key_file;
use crate::pki::files::{write_key, write_public};

pub use pki::ExistingPki;

/// Sets up a new node: folder, configuration, keys, a small certificate authority, certificates and the first card.
#[derive(Args, Debug)]
pub struct Init {
    /// Where; must not exist yet or be empty.
    #[command(flatten)]
    pub folder: FolderArgument,
    /// What.
    #[command(flatten)]
    pub options: InitOptions,
}

/// What a new node is.
#[derive(Args, Clone, Debug)]
pub struct InitOptions {
    /// Id of the agency: a name in a DNS zone that it controls, for instance jc-hanau.hessen.example. Stays for ever.
    #[arg(long, value_name = "ID")]
    pub agency: AgencyId,
    /// Name of the agency.
    #[arg(long)]
    pub name: String,
    /// Kind of the agency, for instance jobcenter_ge.
    #[arg(long, value_parser = kind)]
    pub kind: AgencyKind,
    /// Where other agencies' nodes reach this one, host:port; may be given several times.
    #[arg(long, required = true, value_name = "HOST:PORT", value_parser = endpoint)]
    pub peer_address: Vec<String>,
    /// Where the node listens for other agencies' nodes.
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:8443")]
    pub listen_peer: SocketAddr,
    /// Where the node listens for the agency's own systems, officers and administrators.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8444")]
    pub listen_agency: SocketAddr,
    /// Where the node serves the officers' pages; without it there are none.
    #[arg(long, value_name = "IP:PORT")]
    pub listen_pages: Option<SocketAddr>,
    /// A system of the agency that may use the node for everything; may be given several times. Narrow it in lotse.toml.
    #[arg(long, value_name = "NAME")]
    pub system: Vec<String>,
    /// Let other agencies' cards name loopback addresses: only for demonstration and tests on one machine.
    #[arg(long)]
    pub allow_loopback: bool,
    /// The database, if it is not to be SQLite inside the folder: postgres://… without a password.
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
    /// Instead of a small authority.
    #[command(flatten)]
    pub existing_pki: Option<ExistingPki>,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let fingerprint = init(&folder, &self.options, context.clock.now(), &*context.random)?;
        context.terminal.line(farewell(&folder, &self.options, fingerprint))
    }
}

/// Sets up a node and returns the fingerprint of its root key.
pub fn init(
    folder: &Folder,
    options: &InitOptions,
    now: Timestamp,
    random: &dyn Random,
) -> anyhow::Result<Fingerprint> {
    // What can be refused is refused before anything is made, so that the command can be given again.
    let tls = options.existing_pki.as_ref().map(|pki| pki.check(&options.agency, now)).transpose()?;
    let text = template(&Template {
        id: &options.agency,
        name: &options.name,
        kind: options.kind,
        addresses: &options.peer_address,
        listen_peer: options.listen_peer,
        listen_agency: options.listen_agency,
        listen_pages: options.listen_pages,
        allow_loopback: options.allow_loopback,
        database: options.database.as_deref(),
        systems: &options.system,
        existing_pki: tls.as_ref(),
    });
    let config = Config::parse(&text).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    check_addresses(&config)?;
    let _lock = folder.create()?;
    write_public(&folder.config(), &text)?;
    let root = key_file::create_root(&folder.root_key(), random)?;
    key_file::NodeKeyFile::create(&folder.node_keys(), now, random)?;
    write_key(&folder.vault_keys(), &Vault::generate(random, &period(now))?)?;
    if tls.is_none() {
        pki::create(folder, &config, now, random)?;
    }
    let card = draft::draft(folder, &config, draft::Before::Nothing { root: root.public() }, now)?;
    card_file::write(&folder.own_card(), &card_file::signed(&card, &root)?)?;
    Ok(root.public().fingerprint())
}

/// Refuses an address that no node would call: the card would be good, and nothing would ever arrive.
fn check_addresses(config: &Config) -> anyhow::Result<()> {
    let addresses = &config.peer.addresses;
    match addresses.iter().find(|address| !config.peer.callable().may_allow(address)) {
        Some(address) => bail!(
            "other agencies' nodes do not call {address}: give --peer-address where they reach this one; for nodes that are only to \
             meet on one machine (demonstration, tests) give each of them --allow-loopback"
        ),
        None => Ok(()),
    }
}

/// The first period of the database's keys: the month.
fn period(now: Timestamp) -> String {
    now.date().to_string().chars().take(7).collect()
}

fn farewell(folder: &Folder, options: &InitOptions, fingerprint: Fingerprint) -> String {
    let path = fs::canonicalize(folder.path()).unwrap_or_else(|_| PathBuf::from(folder.path()));
    let path = path.display();
    let admin = match options.existing_pki {
        Some(_) => format!(
            "\n     Your PKI issues the administrator's certificate spiffe://{}/admin/default: put it and its key\n     to pki/issued/admin-default.crt and .key.",
            options.agency
        ),
        None => String::new(),
    };
    format!(
        "The node of {name} ({agency}) is set up in {path}

  Fingerprint of its root key:  {fingerprint}

What to do next:
  1. Look through lotse.toml. What each system may do stands at its end.{admin}
  2. Move keys/root.key to where it is offline. It is needed only for `lotse card sign`, at least once a year.
  3. Back up keys/node.toml and keys/vault.toml, apart from the database.
  4. Start the node:               lotse run --folder {path}
  5. Print the card for others:    lotse peer card --folder {path}
     Tell the fingerprint to their administrators by telephone; they run `lotse peer accept`.",
        name = options.name,
        agency = options.agency,
    )
}

/// Reads the kind of an agency.
pub(super) fn kind(text: &str) -> Result<AgencyKind, String> {
    let known = || AgencyKind::ALL.map(AgencyKind::name).join(", ");
    AgencyKind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| format!("one of {}", known()))
}

fn endpoint(text: &str) -> anyhow::Result<String> {
    if !is_endpoint(text) {
        bail!("write host:port, for instance lotse.jc-hanau.example:8443");
    }
    Ok(text.to_string())
}
