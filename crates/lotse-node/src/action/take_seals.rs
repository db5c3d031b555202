//! Takes seals of an agreement version. What counts is decided by the parties' cards, never by what comes with a seal.

use std::collections::BTreeSet;
use std::sync::Arc;

use lotse_core::agreement::Agreement;
use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::seal::Signature;
use lotse_core::time::Timestamp;
use lotse_store::agreement::StoredSeal;
use prost::Message;

use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::{Change, Federation, Write, change, count_seals, is_complete};
use crate::node::Node;
use crate::wire;

/// Takes seals that a peer hands over, and returns who has sealed. Known seals change nothing.
///
/// # Errors
/// `AGREEMENT_UNKNOWN` (also if the peer is not to seal it), `AGREEMENT_SEAL_INVALID`.
pub async fn take_seals(
    node: &Arc<Node>,
    peer: &AgencyId,
    digest: Digest,
    signatures: Vec<Signature>,
) -> Result<BTreeSet<AgencyId>, Failure> {
    let (from, at) = (peer.clone(), node.now());
    let sealed =
        change(node, "take_seals", move |federation| decide(federation, &from, digest, &signatures, at)).await?;
    node.heard_from(peer);
    Ok(sealed)
}

fn decide(
    federation: &Federation,
    peer: &AgencyId,
    digest: Digest,
    signatures: &[Signature],
    at: Timestamp,
) -> Change<BTreeSet<AgencyId>> {
    let known = federation.by_digest(&digest).map(|known| known.agreement.clone());
    let known = known.filter(|agreement| federation.sealers(agreement).contains(peer));
    let (Some(agreement), Some(seal)) = (known, federation.seals.get(&digest)) else {
        return Change::none(Err(Failure::refused(Reason::AgreementUnknown)));
    };
    match count_seals(federation, &agreement, &seal.payload, signatures, at) {
        Ok(fresh) => add_seals(federation, &agreement, fresh, &about(&agreement, Direction::In), at),
        Err(failure) => {
            let failure = failure.without_names();
            Change::refuse_peer(peer, failure, EntryKind::AgreementRefused, about(&agreement, Direction::In))
        }
    }
}

/// Begins an entry about a version of an agreement.
pub(super) fn about(agreement: &Agreement, direction: Direction) -> Draft {
    Draft {
        direction,
        agreement_id: Some(agreement.id),
        version: agreement.version.into(),
        digest: Some(agreement.digest),
        ..Draft::default()
    }
}

/// Adds verified seals to a version, and completes it with the last one. Answers who has sealed.
pub(super) fn add_seals(
    federation: &Federation,
    agreement: &Agreement,
    fresh: Vec<(AgencyId, Signature)>,
    draft: &Draft,
    at: Timestamp,
) -> Change<BTreeSet<AgencyId>> {
    let mut sealed = federation.sealed_by(&agreement.digest);
    if fresh.is_empty() {
        return Change::none(Ok(sealed));
    }
    let was_complete = federation.by_digest(&agreement.digest).is_some_and(|known| known.completed_at.is_some());
    let (mut rows, mut entries) = (Vec::new(), Vec::new());
    for (agency, signature) in fresh {
        let draft = Draft { peer: Some(agency.clone()), decision: Decision::Permit, ..draft.clone() };
        entries.push((EntryKind::AgreementSealed, draft));
        sealed.insert(agency.clone());
        let signature = wire::seal::signature_message(&signature).encode_to_vec();
        rows.push(StoredSeal { digest: agreement.digest, agency, signature, sealed_at: at });
    }
    let mut writes = vec![Write::Seals(rows)];
    if !was_complete && is_complete(federation, agreement, &sealed) {
        writes.push(Write::Complete(agreement.digest, at));
        entries.push((EntryKind::AgreementCompleted, Draft { peer: None, ..draft.clone() }));
    }
    Change::done(sealed, writes, entries)
}
