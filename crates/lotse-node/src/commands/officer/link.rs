//! `lotse officer link`: a one-time link to the pages.

use std::fs;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;
use lotse_core::time::Timestamp;
use lotse_proto::admin::v1::IssueOfficerLinkRequest;
use serde::Serialize;

use crate::commands::client::OFFICER_NAME;
use crate::commands::{Context, FolderArgument, OutputArgument, client};
use crate::config::Config;
use crate::folder::Folder;
use crate::start::Ports;
use crate::wire;

/// Makes a link that opens the officers' pages once, for ten minutes from now, and ends older sessions of the officer when it is used.
/// What is looked at is logged under the name.
#[derive(Args)]
pub(crate) struct Link {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// For whom: the name that the log shows.
    #[arg(value_name = "NAME", default_value = OFFICER_NAME)]
    officer: String,
}

/// A link that the node made.
#[derive(Clone, Debug, Serialize)]
pub(in crate::commands) struct OfficerLink {
    /// Address with its secret.
    pub(in crate::commands) url: String,
    /// Identity under which looks are logged.
    pub(in crate::commands) officer: String,
    /// Until when it counts, RFC 3339.
    pub(in crate::commands) valid_until: String,
}

impl Link {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let folder = self.folder.folder();
        let link = request(&folder, &self.officer, context).await?;
        if self.output.json {
            return context.terminal.json(&link);
        }
        context.terminal.line(format_args!(
            "\n  {}\n\nOpens the pages once, until {}. Hand it only to the officer: what is looked at is logged as\n{}. \
             The browser must trust {}.",
            link.url,
            link.valid_until,
            link.officer,
            Config::load(&folder)?.files.tls(&folder).bundle.display()
        ))
    }
}

/// Asks the running node of a folder for a link.
pub(in crate::commands) async fn request(
    folder: &Folder,
    officer: &str,
    context: &Context,
) -> anyhow::Result<OfficerLink> {
    let mut node = client::admin(folder, &context.clock)?;
    let request = IssueOfficerLinkRequest { officer: officer.to_string() };
    let link = node.issue_officer_link(request).await.map_err(client::explained)?.into_inner();
    let until: Option<Timestamp> = link.valid_until.as_ref().and_then(wire::time::parse);
    Ok(OfficerLink {
        url: format!("https://{}{}", host(folder)?, link.path),
        officer: link.officer,
        valid_until: until.context("the node did not say until when the link counts")?.to_string(),
    })
}

/// Where browsers find the pages: the address that the node listens on. One that listens on all is called by the first name
/// that its certificate has for the agency's own systems.
fn host(folder: &Folder) -> anyhow::Result<String> {
    let text = fs::read_to_string(folder.ports()).context("run/ports.toml: start the node with `lotse run`")?;
    let ports: Ports = toml::from_str(&text).context("run/ports.toml is not understood: start the node again")?;
    let address: SocketAddr = ports.pages.context("the node serves no pages")?;
    if !address.ip().is_unspecified() {
        return Ok(address.to_string());
    }
    let names = Config::load(folder)?.listen.agency_names;
    let name = names.into_iter().next().unwrap_or_else(|| "localhost".into());
    Ok(format!("{name}:{}", address.port()))
}
