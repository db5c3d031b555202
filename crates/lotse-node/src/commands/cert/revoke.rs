//! `lotse cert revoke`: a certificate that was lost or stolen counts no more for this node.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::time::{BACKDATED, DAY, Timestamp};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::issue::authority;
use crate::commands::{Context, FolderArgument};
use crate::config::Config;
use crate::identity::{Identity, Role, Side};
use crate::pem_file::{self, PEM_BYTES};
use crate::pki::certificate_act::{self, CertificateAct, CertificateActKind};
use crate::pki::files::write_public;
use crate::pki::revocation_list::{self, PublishedList};
use crate::pki::{Authority, RevocationList, Revoked};
use crate::plain_file;
use crate::tls::RevocationLists;

/// How long a list counts. It must be signed anew before, for an expired one refuses every certificate.
const LIST_LIFE: Duration = DAY.saturating_mul(30);

/// Revokes certificates of the agency's own small authority: the running node refuses them within a minute, on open connections
/// too. Without a certificate it signs the revocation list anew.
#[derive(Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    folder: FolderArgument,
    /// The certificate (PEM), for instance pki/issued/system-akte.crt; may be given several times. Revoke it before a new one of
    /// its name takes its place.
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// Its serial number, hexadecimal, where the file is lost; may be given several times.
    #[arg(long, value_name = "HEX")]
    serial: Vec<String>,
}

impl Revoke {
    pub(super) fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let config = Config::load(&folder)?;
        let path = match config.files.tls(&folder).revocation_lists {
            RevocationLists::IfThere(path) | RevocationLists::Required(path) => path,
            RevocationLists::None => folder.revocation_list(),
        };
        let (authority, now) = (authority(&folder)?, context.clock.now());
        let (mut revoked, mut acts) = (Vec::new(), Vec::new());
        let act = |serial: &[u8], identity: String| {
            let serial = hex::encode(serial);
            CertificateAct { act: CertificateActKind::Revoked, at: now.to_string(), identity, serial }
        };
        for file in &self.certificate {
            let (serial, identity) = certificate(file, &authority)?;
            context.terminal.line(format_args!("revoked  {identity}, serial {}", hex::encode(&serial)))?;
            if identity.role() == Role::Node {
                context.terminal.line(PEERS_DO_NOT_SEE)?;
            }
            acts.push(act(&serial, identity.to_string()));
            revoked.push(serial);
        }
        for serial in &self.serial {
            let bytes = hex::decode(serial.replace(':', "")).with_context(|| format!("the serial number {serial}"))?;
            acts.push(act(&bytes, String::new()));
            revoked.push(bytes);
            context.terminal.line(format_args!("revoked  serial {serial}"))?;
        }
        let until = publish(&path, &authority, revoked, now)?;
        let list = folder.certificate_acts();
        let logged = certificate_act::append(&list, &acts);
        logged.with_context(|| format!("the certificates are revoked; cannot note it in {}", list.display()))?;
        context.terminal.line(format_args!(
            "{} counts until {}: sign it anew before, `lotse cert revoke`; an expired list refuses every certificate.",
            path.display(),
            until.date()
        ))
    }
}

/// What an administrator must not believe.
const PEERS_DO_NOT_SEE: &str = "         PEERS DO NOT SEE THIS LIST: they refuse a stolen certificate of the node only once a card \
     without its authority is installed (deploy/KEYS.md, \"Certificate authority\").";

/// Reads the serial number of a certificate that this authority issued.
fn certificate(file: &Path, authority: &Authority) -> anyhow::Result<(Vec<u8>, Identity)> {
    let name = || format!("cannot read the certificate {}", file.display());
    let pem = plain_file::read(file, PEM_BYTES).with_context(name)?;
    let found = pem_file::certificates(&pem).with_context(name)?;
    let der = found.first().with_context(|| format!("{} holds no certificate", file.display()))?;
    let (_, certificate) = X509Certificate::from_der(der).with_context(name)?;
    if certificate.issuer().as_raw() != subject(authority)? {
        bail!("{} was not issued by the authority of this folder: its own authority revokes it", file.display());
    }
    let identity = Identity::from_certificate(der, Side::Client).with_context(name)?;
    Ok((certificate.raw_serial().to_vec(), identity))
}

fn subject(authority: &Authority) -> anyhow::Result<Vec<u8>> {
    let (_, root) = X509Certificate::from_der(authority.certificate()).context("the authority's certificate")?;
    Ok(root.subject().as_raw().to_vec())
}

/// Signs the next list of this authority, with what the one before said; lists of other authorities stay in the file.
fn publish(path: &Path, authority: &Authority, serials: Vec<Vec<u8>>, now: Timestamp) -> anyhow::Result<Timestamp> {
    let present = if path.exists() { revocation_list::read(path)? } else { Vec::new() };
    let issuer = subject(authority)?;
    let (own, others): (Vec<_>, Vec<_>) = present.into_iter().partition(|list| list.issuer == issuer);
    let number = own.iter().map(|list| list.number).max().unwrap_or(0) + 1;
    let mut revoked: Vec<Revoked> = own.into_iter().flat_map(|list| list.revoked).collect();
    for serial in serials {
        if !revoked.iter().any(|known| known.serial == serial) {
            revoked.push(Revoked { serial, at: now });
        }
    }
    let next_update = now.plus(LIST_LIFE);
    let list = RevocationList { number, this_update: now.minus(BACKDATED), next_update, revoked };
    let (_, pem) = authority.revocation_list(&list)?;
    let text = others.iter().map(armoured).chain([pem]).collect::<String>();
    write_public(path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(next_update)
}

/// Writes a list as PEM.
fn armoured(list: &PublishedList) -> String {
    pem_file::armoured("X509 CRL", &list.der)
}

#[cfg(test)]
mod tests;
