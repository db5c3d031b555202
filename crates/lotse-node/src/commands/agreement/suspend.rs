//! `lotse agreement suspend` and `lotse agreement resume`: one party's own act, at once.

use clap::Args;
use lotse_core::id::Id;
use lotse_proto::admin::v1::{ResumeAgreementRequest, SuspendAgreementRequest};

use super::unknown;
use crate::commands::{Context, FolderArgument, client};

/// Which agreement, and why.
#[derive(Args)]
pub(crate) struct Change {
    #[command(flatten)]
    folder: FolderArgument,
    /// The agreement.
    #[arg(value_name = "ID")]
    id: Id,
    /// Why, for the log. Never about persons.
    #[arg(long)]
    reason: String,
}

impl Change {
    pub(super) async fn suspend(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let unknown = |status| client::looked_for(status, unknown(self.id, None, &self.folder));
        let request = SuspendAgreementRequest { agreement_id: self.id.to_string(), reason: self.reason };
        node.suspend_agreement(request).await.map_err(unknown)?;
        context.terminal.line(format_args!("No releases under {} from now on. Duties go on.", self.id))
    }

    pub(super) async fn resume(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let unknown = |status| client::looked_for(status, unknown(self.id, None, &self.folder));
        let request = ResumeAgreementRequest { agreement_id: self.id.to_string(), reason: self.reason };
        node.resume_agreement(request).await.map_err(unknown)?;
        context.terminal.line(format_args!("Releases under {} go on.", self.id))
    }
}
