//! `lotse cert issue`: a certificate for the node, a system, an officer or an administrator.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::random::Random;
use lotse_core::time::{BACKDATED, DAY, Timestamp};
use zeroize::Zeroizing;

use crate::commands::client::issued_files;
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::folder::Folder;
use crate::identity::{Role, SpiffeId};
use crate::pem_file::PEM_BYTES;
use crate::pki::certificate_act::{self, CertificateAct, CertificateActKind};
use crate::pki::files::{write_key, write_public};
use crate::pki::{Authority, HostName, Leaf};
use crate::plain_file::{self, DOCUMENT_BYTES};

/// How long a certificate is valid unless asked otherwise, days.
pub const DEFAULT_DAYS: u32 = 365;

/// The longest validity, days: what browsers and most other clients accept.
const MAX_DAYS: i64 = 397;

/// Issues a certificate and its key; an earlier one of the same name is replaced, and keeps counting until it ends.
#[derive(Args)]
pub struct Issue {
    #[command(flatten)]
    folder: FolderArgument,
    /// node, system, officer or admin.
    #[arg(long)]
    role: Role,
    /// What tells certificates of one role apart, for instance akte or m.sommer.
    name: String,
    /// How long it is valid.
    #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: u32,
}

/// What is to be issued.
pub struct Request<'a> {
    /// Role.
    pub role: Role,
    /// Name.
    pub name: &'a str,
    /// How long it is valid, days.
    pub days: u32,
}

impl Request<'_> {
    /// Asks for the default validity.
    pub fn new(role: Role, name: &str) -> Request<'_> {
        Request { role, name, days: DEFAULT_DAYS }
    }
}

/// Where an issued certificate lies.
pub struct IssuedFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whose it is.
    pub id: SpiffeId,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Its serial number.
    pub serial: Vec<u8>,
}

impl Issue {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let config = Config::load(&folder)?;
        let request = Request { role: self.role, name: &self.name, days: self.days };
        let now = context.clock.now();
        let issued = issue(&folder, &config, &request, now, &*context.random)?;
        let act = CertificateAct {
            act: CertificateActKind::Issued,
            at: now.to_string(),
            identity: issued.id.to_string(),
            serial: hex::encode(&issued.serial),
        };
        let list = folder.certificate_acts();
        let logged = certificate_act::append(&list, &[act]);
        logged.with_context(|| format!("the certificate was issued; cannot note it in {}", list.display()))?;
        context.terminal.line(format_args!(
            "{}\n  certificate  {}\n  key          {}\n  valid until  {}",
            issued.id,
            issued.certificate.display(),
            issued.key.display(),
            issued.not_after.date()
        ))?;
        if self.role == Role::System && config.system(&self.name).is_none() {
            context.terminal.line(format_args!(
                "This system may call nothing yet: add a [[system]] with name = \"{}\" to lotse.toml and start the node again.",
                self.name
            ))?;
        }
        Ok(())
    }
}

/// Issues a certificate with the folder's authority and writes it with its key.
pub fn issue(
    folder: &Folder,
    config: &Config,
    request: &Request<'_>,
    now: Timestamp,
    random: &dyn Random,
) -> anyhow::Result<IssuedFiles> {
    let id = SpiffeId::new(config.agency.id.clone(), request.role, request.name)?;
    let not_after = now.plus(DAY.saturating_mul(request.days));
    let hosts = if request.role == Role::Node { hosts(config)? } else { Vec::new() };
    let leaf = Leaf { id: id.clone(), hosts, not_before: now.minus(BACKDATED), not_after };
    let issued = authority(folder)?.issue(&leaf, random)?;
    let [certificate, key] = match request.role {
        Role::Node => [folder.node_certificate(), folder.node_key()],
        role => issued_files(folder, role, request.name),
    };
    // The key first: until the certificate follows, a reload finds no pair and keeps the old one.
    write_key(&key, &issued.key_pem)?;
    write_public(&certificate, &issued.certificate_pem)?;
    Ok(IssuedFiles { certificate, key, id, not_after, serial: issued.serial })
}

/// Loads the small authority of a folder.
pub(super) fn authority(folder: &Folder) -> anyhow::Result<Authority> {
    if !folder.ca_key().exists() {
        bail!(
            "{} is not there: if the agency has a PKI of its own, that issues certificates (see certs/README.md)",
            folder.ca_key().display()
        );
    }
    let key = Zeroizing::new(plain_file::read_text(&folder.ca_key(), DOCUMENT_BYTES)?);
    let certificate =
        plain_file::read_text(&folder.ca_certificate(), PEM_BYTES).context("the authority's certificate pki/ca.crt")?;
    Ok(Authority::from_pem(&certificate, &key)?)
}

/// The names under which peers and the agency's own systems reach the node, for clients that look at them.
pub(crate) fn hosts(config: &Config) -> anyhow::Result<Vec<HostName>> {
    let host = |name: &str| {
        name.trim_matches(['[', ']']).parse::<HostName>().with_context(|| format!("the name or address {name}"))
    };
    let mut hosts = Vec::new();
    for address in &config.peer.addresses {
        hosts.push(host(address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host))?);
    }
    for name in &config.listen.agency_names {
        hosts.push(host(name)?);
    }
    for address in [Some(config.listen.agency), config.listen.pages].into_iter().flatten() {
        match address.ip() {
            ip if ip.is_unspecified() => {}
            ip if ip.is_loopback() => hosts.extend([HostName::Ip(ip), HostName::Dns("localhost".into())]),
            ip => hosts.push(HostName::Ip(ip)),
        }
    }
    let mut unique: Vec<HostName> = Vec::new();
    for host in hosts {
        if !unique.contains(&host) {
            unique.push(host);
        }
    }
    Ok(unique)
}
