//! `lotse officer end-sessions`: an officer's sessions at the pages end at once.

use clap::Args;
use lotse_proto::admin::v1::EndOfficerSessionsRequest;
use serde::Serialize;

use crate::commands::{Context, FolderArgument, OutputArgument, client};

/// Ends every session that one-time links opened for an officer, and the links that were not used. An officer's certificate is
/// revoked with `lotse cert revoke`.
#[derive(Args)]
pub(crate) struct EndSessions {
    #[command(flatten)]
    folder: FolderArgument,
    #[command(flatten)]
    output: OutputArgument,
    /// Whose: the name for which the links were made.
    #[arg(value_name = "NAME")]
    officer: String,
}

/// What has ended.
#[derive(Clone, Debug, Serialize)]
struct Ended {
    /// Identity under which looks were logged.
    officer: String,
    /// Sessions that were open.
    sessions: u32,
    /// Links that nobody had used.
    links: u32,
}

impl EndSessions {
    pub(super) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let mut node = client::admin(&self.folder.folder(), &context.clock)?;
        let request = EndOfficerSessionsRequest { officer: self.officer };
        let ended = node.end_officer_sessions(request).await.map_err(client::explained)?.into_inner();
        let ended = Ended { officer: ended.officer, sessions: ended.sessions, links: ended.links };
        if self.output.json {
            return context.terminal.json(&ended);
        }
        let Ended { officer, sessions, links } = ended;
        context.terminal.line(format_args!("Ended for {officer}: {sessions} open sessions, {links} unused links."))?;
        if sessions + links > 0 {
            return Ok(());
        }
        context.terminal.line(format_args!(
            "Nothing was open under that name. Compare it letter by letter: `lotse log list --kind officer-looked` shows who looked."
        ))
    }
}
