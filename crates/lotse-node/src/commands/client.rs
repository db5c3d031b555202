//! Calls to the running node: over mutual TLS, with a certificate from the node's folder.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use lotse_core::time::Clock;
use lotse_proto::admin::v1::admin_service_client::AdminServiceClient;
use lotse_proto::agency::v1::referral_service_client::ReferralServiceClient;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use crate::config::Config;
use crate::edge::{Addresses, Connector, MAX_MESSAGE_BYTES};
use crate::folder::{Folder, FolderError};
use crate::identity::Role;
use crate::start::Ports;
use crate::tls::{Credentials, TlsFiles, TrustStore};

/// The administrator's certificate that commands use.
pub const ADMIN_NAME: &str = "default";

/// The officer's certificate that `lotse log` uses.
pub const OFFICER_NAME: &str = "default";

/// Tells whether a node, or a command, holds the folder.
pub fn is_running(folder: &Folder) -> anyhow::Result<bool> {
    match folder.lock() {
        Ok(_lock) => Ok(false),
        Err(FolderError::Held(_)) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Opens the admin service of the running node.
pub fn admin(folder: &Folder, clock: &Arc<dyn Clock>) -> anyhow::Result<AdminServiceClient<Channel>> {
    let channel = channel(folder, Role::Admin, ADMIN_NAME, clock)?;
    Ok(AdminServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Opens the referral service of the running node for a system.
pub fn referral(
    folder: &Folder,
    system: &str,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<ReferralServiceClient<Channel>> {
    let channel = channel(folder, Role::System, system, clock)?;
    Ok(ReferralServiceClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
}

/// Opens a channel to the agency port of the running node, with an issued certificate of the folder.
pub fn channel(folder: &Folder, role: Role, name: &str, clock: &Arc<dyn Clock>) -> anyhow::Result<Channel> {
    let config = Config::load(folder)?;
    let [chain, key] = issued_files(folder, role, name);
    if !chain.exists() {
        bail!(
            "{} is not there: `lotse cert issue --role {role} {name}` makes it; with a PKI of your own, put certificate and key there",
            chain.display()
        );
    }
    let files = TlsFiles { chain, key, ..config.files.tls(folder) };
    let credentials = Credentials::load(files, Arc::new(TrustStore::default()), clock.now())?;
    let connector = Connector { credentials, clock: clock.clone(), addresses: Addresses::RoutedAndLoopback };
    let address = address(folder, &config)?;
    Ok(connector.channel(&address.to_string(), &config.agency.id)?)
}

/// Returns where certificate and key of an issued leaf lie.
pub fn issued_files(folder: &Folder, role: Role, name: &str) -> [PathBuf; 2] {
    ["crt", "key"].map(|end| folder.issued().join(format!("{role}-{name}.{end}")))
}

/// Where the node listens for its agency: what it wrote when it started, else what is configured.
fn address(folder: &Folder, config: &Config) -> anyhow::Result<SocketAddr> {
    let mut address = match fs::read_to_string(folder.ports()) {
        Ok(text) => {
            toml::from_str::<Ports>(&text).context("run/ports.toml is not understood: start the node again")?.agency
        }
        Err(_) => config.listen.agency,
    };
    if address.port() == 0 {
        bail!("the node of {} does not run: start it with `lotse run`", folder.path().display());
    }
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

/// Says what the node answered, as a sentence with its reason.
pub fn explained(status: Status) -> anyhow::Error {
    let details = status.get_error_details();
    match details.error_info() {
        Some(info) => anyhow!("{} [{}]", status.message(), info.metadata.get("reasons").unwrap_or(&info.reason)),
        None if status.code() == tonic::Code::Unavailable || status.code() == tonic::Code::Unknown => {
            anyhow!("the node does not answer: start it with `lotse run` ({})", source(&status))
        }
        None => anyhow!("{} [{:?}]", status.message(), status.code()),
    }
}

/// Returns the innermost cause that a transport gives.
fn source(status: &Status) -> String {
    let mut text = status.message().to_string();
    let mut error = std::error::Error::source(status);
    while let Some(cause) = error {
        text = cause.to_string();
        error = cause.source();
    }
    text
}
