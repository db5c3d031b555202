//! Which agreements this node takes part in, and which seals on them count.

use std::collections::BTreeSet;

use lotse_core::agreement::Agreement;
use lotse_core::agreement::successor::{SuccessorError, check_successor};
use lotse_core::card::KeyUse;
use lotse_core::id::AgencyId;
use lotse_core::reason::Reason;
use lotse_core::seal::{DocumentType, Seal, Signature};
use lotse_core::time::Timestamp;

use super::Federation;
use crate::failure::{ErrorKind, Failure};
use crate::wire::envelope::SCHEMA_LEVEL;

/// Decides whether this node may store and seal a version: it understands it, it is to seal it, it knows every party by the
/// root key that the agreement names, and there is time left.
pub(crate) fn admit(
    federation: &Federation,
    own: &AgencyId,
    agreement: &Agreement,
    at: Timestamp,
) -> Result<(), Failure> {
    levels(federation, agreement)?;
    parties(federation, own, agreement)?;
    terms(federation, agreement, at)
}

/// A party that is behind is updated, and the same text passes then. A node of level 1 refuses as too new what a peer could be too
/// old for: no card has a lower level.
fn levels(federation: &Federation, agreement: &Agreement) -> Result<(), Failure> {
    if agreement.minimum_schema_level > SCHEMA_LEVEL {
        return Err(Failure::refused(Reason::SchemaTooNew));
    }
    let too_old = |agency: &AgencyId| {
        federation.card(agency).is_some_and(|card| card.schema_level < agreement.minimum_schema_level)
    };
    match agreement.parties.iter().find(|party| too_old(&party.agency)) {
        Some(party) => Err(refused(Reason::PeerTooOld, format!("{}: its node must be updated first", party.agency))),
        None => Ok(()),
    }
}

fn parties(federation: &Federation, own: &AgencyId, agreement: &Agreement) -> Result<(), Failure> {
    let unknown = |message: String| Err(refused(Reason::AgreementPartyUnknown, message));
    if !federation.sealers(agreement).contains(own) {
        return unknown(format!("{own} is not a party; check the agency ids of the parties"));
    }
    for agency in federation.sealers(agreement) {
        let Some(card) = federation.card(&agency) else {
            return unknown(format!(
                "{agency} has no accepted card here: compare fingerprints, then `lotse peer accept`"
            ));
        };
        let named = agreement.party(&agency).map(|party| party.root_fingerprint);
        if named.is_some_and(|named| named != *card.root.fingerprint().digest()) {
            return unknown(format!(
                "{agency} has another root key than the agreement names: correct root_fingerprint"
            ));
        }
    }
    Ok(())
}

fn terms(federation: &Federation, agreement: &Agreement, at: Timestamp) -> Result<(), Failure> {
    if agreement.valid_until <= at {
        return Err(refused(Reason::AgreementNotInForce, "its term has ended: offer a later one".into()));
    }
    let later = |version: u32| version > agreement.version;
    let mut complete = federation.agreements.iter().filter(|known| known.completed_at.is_some());
    if let Some(known) = complete.find(|known| known.agreement.id == agreement.id && later(known.agreement.version)) {
        let message = format!("version {} is complete: offer a higher one", known.agreement.version);
        return Err(refused(Reason::AgreementSuperseded, message));
    }
    let Some(previous) = federation.predecessor(agreement) else { return Ok(()) };
    match check_successor(previous, agreement, at) {
        Ok(_) => Ok(()),
        Err(errors) => {
            let too_soon = errors.iter().any(|error| matches!(error, SuccessorError::TooSoon { .. }));
            let reason = if too_soon { Reason::AgreementTooSoon } else { Reason::AgreementInvalid };
            let sentences: Vec<String> = errors.iter().map(SuccessorError::to_string).collect();
            Err(Failure::new(ErrorKind::Refused, reason, sentences.join("; ")))
        }
    }
}

/// Returns those of the signatures that are new, each verified with a sealing key of its agency's card. A key that was exchanged
/// since keeps its seals good: they bear no time, and are handed on for as long as the agreement lasts. The hints of a signature
/// find the agency; no key comes from anywhere but a card.
///
/// # Errors
/// `AGREEMENT_SEAL_INVALID` if one of them does not verify, or its agency is not to seal this version.
pub(crate) fn count_seals(
    federation: &Federation,
    agreement: &Agreement,
    payload: &[u8],
    signatures: &[Signature],
    at: Timestamp,
) -> Result<Vec<(AgencyId, Signature)>, Failure> {
    let sealers = federation.sealers(agreement);
    let mut sealed = federation.sealed_by(&agreement.digest);
    let mut fresh = Vec::new();
    for signature in signatures {
        let agency = signature.agency.clone().filter(|agency| sealers.contains(agency));
        let agency = agency.ok_or_else(|| invalid("a signature names no agency that is to seal this version"))?;
        if !sealed.insert(agency.clone()) {
            continue;
        }
        let keys = federation.card(&agency).map(|card| card.keys_until(KeyUse::Sealing, at)).unwrap_or_default();
        let mut alone = Seal::new(DocumentType::Agreement, payload.to_vec());
        alone.signatures.push(signature.clone());
        if alone.verify(DocumentType::Agreement, &keys).is_err() {
            let why = "needs a sealing key that its card names, neither revoked nor compromised";
            return Err(invalid(&format!("{agency}'s seal {why}")));
        }
        fresh.push((agency, signature.clone()));
    }
    Ok(fresh)
}

/// Tells whether a set of agencies is all that are to seal a version.
pub(crate) fn is_complete(federation: &Federation, agreement: &Agreement, sealed: &BTreeSet<AgencyId>) -> bool {
    federation.sealers(agreement).is_subset(sealed)
}

fn invalid(why: &str) -> Failure {
    refused(Reason::AgreementSealInvalid, why.to_string())
}

fn refused(reason: Reason, what: String) -> Failure {
    Failure::new(ErrorKind::Refused, reason, format!("{}: {what}", reason.sentence()))
}
