//! Ends an officer's sessions at the pages: a device was lost, or a duty has ended.

use std::sync::Arc;

use super::issue_officer_link::officer;
use crate::entry::{self, AdminAct, Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::Act;
use crate::identity::SpiffeId;
use crate::node::Node;
use crate::session::Ended;

/// Ends every session and every unused link of the officer of this name; the log says who did it. They end even where the log
/// cannot be written, which is told as a failure.
///
/// # Errors
/// `FIELD_INVALID` for a name that no certificate could have.
pub async fn end_officer_sessions(node: &Arc<Node>, name: &str, act: Act) -> Result<(SpiffeId, Ended), Failure> {
    let officer = officer(node, name)?;
    let ended = node.sessions.end_all(&officer, node.now());
    let admin_act = AdminAct::OfficerSessionsEnded;
    let draft = Draft { on_behalf_of: officer.to_string(), admin_act, ..act.draft() };
    entry::record(node, "end_officer_sessions", vec![(EntryKind::AdminActed, draft)]).await?;
    Ok((officer, ended))
}
