//! Makes a one-time link by which an officer's browser gets to the pages without a certificate.

use std::sync::Arc;

use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

use crate::entry::{self, AdminAct, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::Act;
use crate::identity::{Role, SpiffeId};
use crate::node::Node;
use crate::session::Token;

/// A link that was made.
pub struct OfficerLink {
    /// Its secret. Whoever has it first is taken for the officer.
    pub token: Token,
    /// For whom.
    pub officer: SpiffeId,
    /// Until when it counts.
    pub valid_until: Timestamp,
}

/// Makes a link for the officer of this name. The log says who made it for whom.
///
/// # Errors
/// `NOT_GRANTED` where the node serves no pages, `FIELD_INVALID` for a name that no certificate could have, `OVERLOADED`.
pub async fn issue_officer_link(node: &Arc<Node>, name: &str, act: Act) -> Result<OfficerLink, Failure> {
    if node.config.listen.pages.is_none() {
        let message = "the node serves no pages: set pages below [listen] in lotse.toml and start it again";
        return Err(Failure::new(ErrorKind::Refused, Reason::NotGranted, message));
    }
    let officer = officer(node, name)?;
    let draft = Draft { on_behalf_of: officer.to_string(), admin_act: AdminAct::OfficerLinkMade, ..act.draft() };
    entry::record(node, "issue_officer_link", vec![(EntryKind::AdminActed, draft)]).await?;
    let made = node.sessions.offer(officer.clone(), node.now(), node.random.as_ref());
    let too_many = "too many links are open: wait until some of them are used or have ended";
    let (token, valid_until) = made.ok_or_else(|| Failure::new(ErrorKind::Overloaded, Reason::Overloaded, too_many))?;
    Ok(OfficerLink { token, officer, valid_until })
}

/// Returns the identity of the officer of this name.
pub(super) fn officer(node: &Node, name: &str) -> Result<SpiffeId, Failure> {
    SpiffeId::new(node.agency.clone(), Role::Officer, name)
        .map_err(|_| Failure::field(Reason::FieldInvalid, "officer", "use 1 to 64 of a-z A-Z 0-9 . _ -"))
}
