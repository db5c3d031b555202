//! The certificates of a new node: from a small authority of its own, or from a PKI that is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use lotse_core::id::AgencyId;
use lotse_core::random::Random;
use lotse_core::time::Timestamp;

use crate::commands::cert::issue;
use crate::commands::client::{ADMIN_NAME, OFFICER_NAME};
use crate::config::Config;
use crate::folder::Folder;
use crate::identity::Role;
use crate::pki::Authority;
use crate::pki::files::{write_key, write_public};
use crate::tls::{Credentials, RevocationLists, TlsFiles, TrustStore};

/// The name of the node in the certificate that `lotse init` issues.
pub(super) const NODE_NAME: &str = "1";

/// Certificates of a PKI that is there. The files stay where they are; replaced ones are picked up.
#[derive(Args, Clone, Debug)]
#[group(requires_all = ["existing_bundle", "existing_certificate", "existing_key"])]
pub struct ExistingPki {
    /// Take certificates of a PKI that is there: the CA certificates of the agency (PEM).
    #[arg(long, value_name = "FILE", required = false)]
    pub existing_bundle: PathBuf,
    /// The node's certificate `spiffe://AGENCY/node/NAME`, then what stands between it and the bundle (PEM).
    #[arg(long, value_name = "FILE", required = false)]
    pub existing_certificate: PathBuf,
    /// Its key (PEM, PKCS#8).
    #[arg(long, value_name = "FILE", required = false)]
    pub existing_key: PathBuf,
}

impl ExistingPki {
    /// Checks that the files belong together and are this agency's node's, and returns them with absolute paths.
    pub(super) fn check(&self, agency: &AgencyId, now: Timestamp) -> anyhow::Result<TlsFiles> {
        let absolute =
            |path: &Path| std::fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()));
        let files = TlsFiles {
            bundle: absolute(&self.existing_bundle)?,
            chain: absolute(&self.existing_certificate)?,
            key: absolute(&self.existing_key)?,
            revocation_lists: RevocationLists::None,
        };
        let identity = Credentials::load(files.clone(), Arc::new(TrustStore::default()), now)?.identity();
        if identity.agency() != agency || identity.role() != Role::Node {
            bail!("the certificate is {identity}: a certificate of spiffe://{agency}/node/<name> is needed");
        }
        Ok(files)
    }
}

/// Makes the small authority, the node's certificate, the administrator's and the officer's for commands, and one for each
/// system.
pub(super) fn create(folder: &Folder, config: &Config, now: Timestamp, random: &dyn Random) -> anyhow::Result<()> {
    let authority = Authority::create(&config.agency.id, now, random)?;
    write_public(&folder.ca_certificate(), authority.certificate_pem())?;
    write_key(&folder.ca_key(), &authority.key_pem())?;
    issue::issue(folder, config, &issue::Request::new(Role::Node, NODE_NAME), now, random)?;
    issue::issue(folder, config, &issue::Request::new(Role::Admin, ADMIN_NAME), now, random)?;
    issue::issue(folder, config, &issue::Request::new(Role::Officer, OFFICER_NAME), now, random)?;
    for system in &config.systems {
        issue::issue(folder, config, &issue::Request::new(Role::System, &system.name), now, random)?;
    }
    Ok(())
}
