//! Logs what a peer sent and this node refused whole: a batch, or a receipt. The entry is evidence of what was tried; one a minute for
//! each peer and reason counts all that were alike, so that a peer cannot fill the log with them.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;

use crate::entry::{self, Decision, Direction, Draft, EntryKind};
use crate::node::Node;

/// A message of a peer that was refused.
#[derive(Clone, Debug)]
pub struct PeerRefusal {
    /// Kind of the entry.
    pub kind: EntryKind,
    /// Why.
    pub reason: Reason,
    /// Digest of the seal's payload, if there was one.
    pub digest: Option<Digest>,
    /// More about it, and never about persons.
    pub remark: String,
}

/// Logs a refusal, and raises an alarm. One of a batch that names another agency as its sender is an alarm in the log, too.
pub async fn log_refusal(node: &Arc<Node>, peer: &AgencyId, refusal: PeerRefusal) {
    let PeerRefusal { kind, reason, digest, remark } = refusal;
    let now = node.now();
    tracing::warn!(%peer, %reason, %remark, "{} is refused", noun(kind));
    node.links.refuse(peer, now, format!("{} was refused: {}", noun(kind), reason.sentence()));
    let Some(alike) = node.federation.refusals.count(&format!("{peer} {kind:?} {reason}"), now) else { return };
    let draft = Draft {
        direction: Direction::In,
        peer: Some(peer.clone()),
        digest,
        decision: Decision::Refuse,
        reasons: vec![reason],
        remark,
        alike: u32::try_from(alike).unwrap_or(u32::MAX),
        ..Draft::default()
    };
    let alarm = (reason == Reason::SenderMismatch).then(|| (EntryKind::Alarm, draft.clone()));
    let drafts = [(kind, draft)].into_iter().chain(alarm).collect();
    if let Err(error) = entry::record(node, "log refusal", drafts).await {
        tracing::error!(%error, %peer, "a refusal could not be logged");
    }
}

fn noun(kind: EntryKind) -> &'static str {
    if kind == EntryKind::ReceiptRefused { "a receipt" } else { "a batch" }
}
