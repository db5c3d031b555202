//! Takes a version of an agreement that a peer offers, with the seals that it brings.

use std::collections::BTreeSet;
use std::sync::Arc;

use lotse_core::agreement::Agreement;
use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::seal::{DocumentType, Seal, Signature};
use lotse_core::time::Timestamp;
use lotse_store::agreement::StoredAgreement;

use super::take_seals::{about, add_seals};
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Change, Federation, Write, admit, change, count_seals, is_complete, make_room};
use crate::node::Node;
use crate::wire;

/// Takes an offered version and returns who has sealed it. Offering what is known adds the seals that are new.
///
/// A peer's offer never takes the place of another text of the same version, for an administrator may be about to seal that
/// one; only a text that all have sealed, this node included, takes the place of one that is not complete. A peer offers first
/// and seals later, so that what it offers may bear no seal at all; how much of it waits here has limits.
///
/// # Errors
/// `AGREEMENT_INVALID`, `SCHEMA_TOO_NEW`, `AGREEMENT_PARTY_UNKNOWN`, `AGREEMENT_SEAL_INVALID`, `AGREEMENT_CONFLICT`,
/// `AGREEMENT_TOO_SOON`, `AGREEMENT_SUPERSEDED`, `AGREEMENT_NOT_IN_FORCE`, `OVERLOADED`; since level 2 `PEER_TOO_OLD`.
pub async fn take_agreement(node: &Arc<Node>, peer: &AgencyId, seal: Seal) -> Result<BTreeSet<AgencyId>, Failure> {
    let agreement = read(node, peer, &seal).await;
    let brought: BTreeSet<AgencyId> = seal.signatures.iter().filter_map(|signature| signature.agency.clone()).collect();
    let offer = Offer { own: node.agency.clone(), peer: peer.clone(), agreement, seal, at: node.now() };
    let sealed = change(node, "take_agreement", move |federation| offer.decide(federation)).await?;
    if !sealed.is_subset(&brought) {
        // It may have been restored from a backup, and lack the rest of what it had, too.
        node.signals.offer_again(peer).notify_one();
    }
    node.heard_from(peer);
    Ok(sealed)
}

/// Reads an offer. Its source is compiled on a thread for such work, and only if the peer may offer it and it is not known.
async fn read(node: &Node, peer: &AgencyId, seal: &Seal) -> Result<Agreement, Failure> {
    if seal.document_type != DocumentType::Agreement {
        return Err(Failure::refused(Reason::AgreementInvalid));
    }
    let agreement = wire::agreement::parse_stored(&seal.payload).map_err(Failure::refused)?;
    let federation = node.federation.get();
    if federation.by_digest(&agreement.digest).is_some() {
        return Ok(agreement);
    }
    if !federation.sealers(&agreement).contains(peer) {
        return Err(no_party(peer));
    }
    let payload = seal.payload.clone();
    let checked = tokio::task::spawn_blocking(move || wire::agreement::check_source(agreement, &payload)).await;
    let checked = checked.map_err(|_| Failure::new(ErrorKind::Fault, Reason::Unavailable, "a task failed"))?;
    checked.map_err(Failure::refused)
}

fn no_party(peer: &AgencyId) -> Failure {
    let message = format!("{peer} is not a party and cannot offer it");
    Failure::new(ErrorKind::Refused, Reason::AgreementPartyUnknown, message)
}

struct Offer {
    own: AgencyId,
    peer: AgencyId,
    agreement: Result<Agreement, Failure>,
    seal: Seal,
    at: Timestamp,
}

impl Offer {
    fn decide(&self, federation: &Federation) -> Change<BTreeSet<AgencyId>> {
        let draft = match &self.agreement {
            Ok(agreement) => about(agreement, Direction::In),
            Err(_) => Draft { digest: Some(Digest::of(&self.seal.payload)), ..Draft::default() },
        };
        let refuse = |failure, draft| Change::refuse_peer(&self.peer, failure, EntryKind::AgreementRefused, draft);
        let judged = self.agreement.as_ref().map_err(Failure::clone);
        match judged.and_then(|agreement| Ok((agreement, self.fresh(federation, agreement)?))) {
            Ok((agreement, fresh)) => self.store(federation, agreement, fresh, draft),
            Err(failure) => refuse(failure, draft),
        }
    }

    /// Returns the seals that count and are new. Terms are not asked again of what is known already.
    fn fresh(&self, federation: &Federation, agreement: &Agreement) -> Result<Vec<(AgencyId, Signature)>, Failure> {
        if !federation.sealers(agreement).contains(&self.peer) {
            return Err(no_party(&self.peer));
        }
        let known = federation.by_digest(&agreement.digest).is_some();
        let admitted = if known {
            Ok(())
        } else {
            admit(federation, &self.own, agreement, self.at).map_err(Failure::without_names)
        };
        let missed_its_time =
            |failure: &Failure| matches!(failure.reason(), Reason::AgreementTooSoon | Reason::AgreementNotInForce);
        match admitted {
            Err(failure) if !missed_its_time(&failure) => return Err(failure),
            _ => {}
        }
        let fresh = count_seals(federation, agreement, &self.seal.payload, &self.seal.signatures, self.at);
        let fresh = fresh.map_err(Failure::without_names)?;
        // What all have sealed in time, and only comes here late, is taken.
        if admitted.is_err() && !self.completes(federation, agreement, &fresh) {
            return admitted.map(|()| fresh);
        }
        Ok(fresh)
    }

    fn store(
        &self,
        federation: &Federation,
        agreement: &Agreement,
        fresh: Vec<(AgencyId, Signature)>,
        draft: Draft,
    ) -> Change<BTreeSet<AgencyId>> {
        if federation.by_digest(&agreement.digest).is_some() {
            return add_seals(federation, agreement, fresh, &draft, self.at);
        }
        let other = federation.version_of(agreement.id, agreement.version);
        let completes = self.completes(federation, agreement, &fresh);
        if let Some(other) = other.filter(|other| !completes || other.completed_at.is_some()) {
            tracing::error!(agreement = %agreement.id, version = agreement.version, peer = %self.peer, known = %other.agreement.digest,
                offered = %agreement.digest, "a peer offers another text of the same version; the first stays");
            let message = "another text of this version is here: offer yours as the next version, or let both administrators \
                           offer the same text";
            let failure = Failure::new(ErrorKind::Refused, Reason::AgreementConflict, message);
            return Change::refuse_peer(&self.peer, failure, EntryKind::AgreementRefused, draft).with_alarm();
        }
        let over = match self.make_room(federation, agreement, &fresh) {
            Ok(over) => over,
            Err(failure) => return Change::refuse_peer(&self.peer, failure, EntryKind::AgreementRefused, draft),
        };
        let removed = other.map(|other| other.agreement.digest).into_iter().chain(over);
        let mut writes: Vec<Write> = removed.map(Write::RemoveAgreement).collect();
        let offered_by = Some(self.peer.clone());
        writes.push(Write::Agreement(stored(agreement, &self.seal.payload, self.at, offered_by)));
        let offered = Draft { peer: Some(self.peer.clone()), decision: Decision::Permit, ..draft.clone() };
        let added = add_seals(federation, agreement, fresh, &draft, self.at);
        writes.extend(added.writes);
        let entries = std::iter::once((EntryKind::AgreementOffered, offered)).chain(added.entries).collect();
        Change { writes, entries, ..Change::none(added.answer) }
    }

    /// Finds room for a version that is to wait here for this agency's seal; one that comes with it, as after a restore, does not
    /// wait. Returns the versions that go for it.
    fn make_room(
        &self,
        federation: &Federation,
        agreement: &Agreement,
        fresh: &[(AgencyId, Signature)],
    ) -> Result<Vec<Digest>, Failure> {
        let waits =
            !self.completes(federation, agreement, fresh) && fresh.iter().all(|(agency, _)| *agency != self.own);
        if !waits {
            return Ok(Vec::new());
        }
        make_room(federation, &self.own, &self.peer, self.seal.payload.len(), self.at)
    }

    fn completes(&self, federation: &Federation, agreement: &Agreement, fresh: &[(AgencyId, Signature)]) -> bool {
        let mut sealed = federation.sealed_by(&agreement.digest);
        sealed.extend(fresh.iter().map(|(agency, _)| agency.clone()));
        is_complete(federation, agreement, &sealed)
    }
}

/// Builds the row of a version.
pub(super) fn stored(
    agreement: &Agreement,
    payload: &[u8],
    offered_at: Timestamp,
    offered_by: Option<AgencyId>,
) -> StoredAgreement {
    StoredAgreement {
        digest: agreement.digest,
        agreement_id: agreement.id,
        version: agreement.version,
        payload: payload.to_vec(),
        offered_at,
        offered_by,
        completed_at: None,
    }
}

#[cfg(test)]
mod exchanged_keys;
#[cfg(test)]
mod tests;
