//! Opens an officer's session with a one-time link.

use std::net::IpAddr;
use std::sync::Arc;

use lotse_core::reason::Reason;

use crate::entry::{self, Decision, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::node::Node;
use crate::session::{Closed, Token};

/// What the log says of a link that opened a session.
const OPENED: &str = "one-time link used";

/// What the log says of one that did not.
const REFUSED: &str = "a one-time link that does not count";

/// Uses a link up and opens a session, whose secret is returned. The log says for whom; a link that does not count is
/// logged too, at most once a minute.
///
/// # Errors
/// `NOT_FOUND` for a link that is none, was used or has ended; `OVERLOADED` after too many of these from one network.
pub async fn open_session(node: &Arc<Node>, link: Option<&Token>, from: IpAddr) -> Result<Token, Failure> {
    match node.sessions.open(link, from, node.now(), node.random.as_ref()) {
        Ok((session, officer)) => {
            let draft = Draft { actor: officer.to_string(), remark: OPENED.into(), ..Draft::default() };
            let recorded = entry::record(node, "open_session", vec![(EntryKind::OfficerLooked, draft)]).await;
            // What cannot be logged is not opened.
            recorded.inspect_err(|_| node.sessions.end(&session))?;
            Ok(session)
        }
        Err(Closed::NotOpen) => {
            refused(node).await;
            Err(Failure::not_found())
        }
        Err(Closed::TooMany) => {
            let message = "too many links were tried or too many sessions are open: try again in a minute";
            Err(Failure::new(ErrorKind::Overloaded, Reason::Overloaded, message))
        }
    }
}

async fn refused(node: &Arc<Node>) {
    let Some(count) = node.federation.refusals.count(REFUSED, node.now()) else { return };
    let remark = if count > 1 { format!("{REFUSED} ×{count}") } else { REFUSED.to_string() };
    let reasons = vec![Reason::NotFound];
    let draft = Draft { decision: Decision::Refuse, reasons, remark, ..Draft::default() };
    if let Err(error) = entry::record(node, "deny", vec![(EntryKind::Denied, draft)]).await {
        tracing::error!(%error, "a denial could not be logged");
    }
}
