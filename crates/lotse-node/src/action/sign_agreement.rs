//! Seals a version of an agreement with this node's sealing key, if it is still the text that was read. The duty courier hands
//! the seal to all parties.

use std::sync::Arc;

use lotse_core::agreement::Agreement;
use lotse_core::card::KeyUse;
use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::seal::{DocumentType, Seal};
use lotse_core::time::Timestamp;

use super::take_seals::{about, add_seals};
use crate::entry::{Direction, Draft, EntryKind};
use crate::failure::{ErrorKind, Failure};
use crate::federation::{Act, Change, Federation, admit, change};
use crate::node::Node;

/// What somebody read and wants to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadVersion {
    /// Agreement.
    pub id: Id,
    /// Version.
    pub version: u32,
    /// Digest of the text that was read: a version that not all have sealed can get another text.
    pub digest: Digest,
}

/// Seals a version and returns it. Sealing again changes nothing, unless this node's sealing key was exchanged since: then the seal
/// of the present key takes the place of the other one, for peers who cannot verify that.
///
/// # Errors
/// `NOT_FOUND`, `AGREEMENT_CONFLICT` (another text is here than was read), `OWN_CARD_EXPIRED` (also if the card does not name
/// the sealing key), `AGREEMENT_TOO_SOON`, `AGREEMENT_PARTY_UNKNOWN`, `AGREEMENT_SUPERSEDED`, `AGREEMENT_NOT_IN_FORCE`,
/// `AGREEMENT_INVALID` (the version before it was sealed since, and this one does not follow it); since level 2 `PEER_TOO_OLD`.
pub async fn sign_agreement(node: &Arc<Node>, read: ReadVersion, act: Act) -> Result<Arc<Agreement>, Failure> {
    let (own, at) = (node.clone(), node.now());
    change(node, "sign_agreement", move |federation| decide(federation, &own, read, at, &act)).await
}

fn decide(federation: &Federation, node: &Node, read: ReadVersion, at: Timestamp, act: &Act) -> Change<Arc<Agreement>> {
    let known = federation.version_of(read.id, read.version).map(|known| known.agreement.clone());
    let known = known.and_then(|agreement| Some((federation.seals.get(&agreement.digest)?, agreement)));
    let Some((seal, agreement)) = known else {
        return Change::none(Err(Failure::not_found()));
    };
    let draft = Draft { actor: act.actor.clone(), ..about(&agreement, Direction::Out) };
    if let Err(failure) = was_read(&agreement, read) {
        return Change::refuse(failure, EntryKind::AgreementRefused, draft);
    }
    let sealed_before = seal.signatures.iter().find(|signature| signature.agency.as_ref() == Some(&node.agency));
    if sealed_before.is_some_and(|signature| signature.key_id == node.keys.sealing.public().key_id()) {
        return Change::none(Ok(agreement));
    }
    let may_seal = may_seal(federation, node, at);
    let allowed = match sealed_before {
        Some(_) => may_seal,
        None => may_seal.and_then(|()| admit(federation, &node.agency, &agreement, at)),
    };
    if let Err(failure) = allowed {
        return Change::refuse(failure, EntryKind::AgreementRefused, draft);
    }
    let mut own = Seal::new(DocumentType::Agreement, seal.payload.clone());
    own.sign(&node.keys.sealing, Some(node.agency.clone()));
    let fresh = own.signatures.into_iter().map(|signature| (node.agency.clone(), signature)).collect();
    let added = add_seals(federation, &agreement, fresh, &draft, at);
    Change { writes: added.writes, entries: added.entries, ..Change::none(Ok(agreement)) }
}

/// Nobody seals what nobody read: the text may have been exchanged since.
fn was_read(agreement: &Agreement, read: ReadVersion) -> Result<(), Failure> {
    if agreement.digest == read.digest {
        return Ok(());
    }
    let message = format!(
        "the text of this version has the digest {}, not {} as the one that was read: read it again with `lotse agreement show`",
        agreement.digest, read.digest
    );
    Err(Failure::new(ErrorKind::Refused, Reason::AgreementConflict, message))
}

/// A seal counts for others only with a key that the own card names.
fn may_seal(federation: &Federation, node: &Node, at: Timestamp) -> Result<(), Failure> {
    let card = federation.own.as_ref().map(|known| &known.card).filter(|card| card.is_valid_at(at));
    let named = card.is_some_and(|card| card.keys_at(KeyUse::Sealing, at).contains(&node.keys.sealing.public()));
    if named {
        return Ok(());
    }
    let message =
        "the own card is not installed, has expired, or does not name the sealing key: draft, sign and install one";
    Err(Failure::new(ErrorKind::Refused, Reason::OwnCardExpired, message))
}
