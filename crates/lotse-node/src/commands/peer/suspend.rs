//! `lotse peer suspend`, `lotse peer resume` and `lotse peer errs`: one agency's own act, at once.

use clap::Args;
use lotse_core::id::AgencyId;
use lotse_proto::admin::v1::{DismissPeerDoubtRequest, ResumePeerRequest, SuspendPeerRequest};

use crate::commands::{Context, FolderArgument, client};

/// Which agency, and why.
#[derive(Args)]
pub(crate) struct Change {
    #[command(flatten)]
    folder: FolderArgument,
    /// The other agency.
    #[arg(value_name = "AGENCY")]
    agency: AgencyId,
    /// Why, for the log. Never about persons.
    #[arg(long)]
    reason: String,
}

impl Change {
    pub(super) async fn suspend(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let request = SuspendPeerRequest { agency: self.agency.to_string(), reason: self.reason };
        node.suspend_peer(request).await.map_err(client::explained)?;
        context.terminal.line(format_args!("No releases to {} from now on. Duties go on.", self.agency))
    }

    pub(super) async fn resume(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let request = ResumePeerRequest { agency: self.agency.to_string(), reason: self.reason };
        node.resume_peer(request).await.map_err(client::explained)?;
        context.terminal.line(format_args!("Releases to {} go on.", self.agency))
    }

    pub(super) async fn dismiss_doubt(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let request = DismissPeerDoubtRequest { agency: self.agency.to_string(), reason: self.reason };
        node.dismiss_peer_doubt(request).await.map_err(client::explained)?;
        context.terminal.line(format_args!("The exchange with {} goes on.", self.agency))
    }
}
