//! Which of the agency's systems a command speaks for.

use anyhow::bail;
use clap::Args;

use crate::config::{Config, GrantedService};
use crate::folder::Folder;

/// Which of the agency's systems a command speaks for.
#[derive(Args, Clone, Debug)]
pub(super) struct SystemArgument {
    /// The system whose certificate is used; needed only if several are granted the service.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
}

impl SystemArgument {
    /// Returns its name: the one given, else the only one that is granted the service.
    pub(super) fn name(&self, folder: &Folder, service: GrantedService) -> anyhow::Result<String> {
        if let Some(name) = &self.system {
            return Ok(name.clone());
        }
        let systems = Config::load(folder)?.systems;
        let mut granted = systems.iter().filter(|system| system.may_call(service));
        match (granted.next(), granted.next()) {
            (Some(system), None) => Ok(system.name.clone()),
            (None, _) => bail!("no system is granted this service: add one to lotse.toml"),
            _ => bail!("several systems are granted this service: name one with --system"),
        }
    }
}
