//! Stores a version of an agreement that an administrator brings as text. The duty courier offers it to all parties.

use std::sync::Arc;

use lotse_core::agreement::check::check;
use lotse_core::agreement::text::{Draft as Text, TextError, parse};
use lotse_core::agreement::words::Language;
use lotse_core::agreement::{Agreement, KnownAgreement};
use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::time::Timestamp;

use super::take_agreement::stored;
use super::take_seals::about;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::failure::{Cause, ErrorKind, Failure};
use crate::federation::{Act, Change, Federation, Write, admit, change};
use crate::node::Node;
use crate::wire;

/// Compiles and stores a text, and returns the version and what the check warns of. It takes the place of another text of the
/// same version only as long as this node has not sealed that one and it is not complete.
///
/// # Errors
/// `AGREEMENT_INVALID` with a cause per finding, `AGREEMENT_PARTY_UNKNOWN`, `AGREEMENT_CONFLICT`, `AGREEMENT_TOO_SOON`,
/// `AGREEMENT_SUPERSEDED`, `AGREEMENT_NOT_IN_FORCE`, `SCHEMA_TOO_NEW`; since level 2 `PEER_TOO_OLD`.
pub async fn offer_agreement(
    node: &Arc<Node>,
    source: &str,
    act: Act,
) -> Result<(Arc<Agreement>, Vec<String>), Failure> {
    let text = parse(source).map_err(findings)?;
    let warnings = check(text.terms()).iter().map(|warning| warning.sentence(Language::English)).collect();
    let (agreement, payload) = compile(text);
    let (own, at, agreement) = (node.agency.clone(), node.now(), Arc::new(agreement));
    let offered = agreement.clone();
    let decide = move |federation: &Federation| decide(federation, &own, &offered, &payload, &act, at);
    change(node, "offer_agreement", decide).await?;
    Ok((agreement, warnings))
}

/// Compiles a text to the bytes that every party seals.
fn compile(text: Text) -> (Agreement, Vec<u8>) {
    let payload = wire::agreement::compile(text.terms());
    (text.compiled(Digest::of(&payload)), payload)
}

fn findings(errors: Vec<TextError>) -> Failure {
    let cause = |error: &TextError| Cause {
        reason: Reason::AgreementInvalid,
        message: error.to_string(),
        german: None,
        category: None,
        field: Some("source".into()),
    };
    Failure { kind: ErrorKind::Invalid, causes: errors.iter().map(cause).collect() }
}

fn decide(
    federation: &Federation,
    own: &AgencyId,
    agreement: &Agreement,
    payload: &[u8],
    act: &Act,
    at: Timestamp,
) -> Change<()> {
    if federation.by_digest(&agreement.digest).is_some() {
        return Change::none(Ok(()));
    }
    let draft = Draft { actor: act.actor.clone(), ..about(agreement, Direction::Out) };
    let replaced = match admit(federation, own, agreement, at).and_then(|()| replaced(federation, own, agreement)) {
        Ok(replaced) => replaced,
        Err(failure) => return Change::refuse(failure, EntryKind::AgreementRefused, draft),
    };
    let mut writes: Vec<Write> = replaced.map(Write::RemoveAgreement).into_iter().collect();
    writes.push(Write::Agreement(stored(agreement, payload, at, None)));
    let draft = Draft { decision: Decision::Permit, ..draft };
    Change::done((), writes, vec![(EntryKind::AgreementOffered, draft)])
}

/// Finds another text of the same version that makes room.
fn replaced(federation: &Federation, own: &AgencyId, agreement: &Agreement) -> Result<Option<Digest>, Failure> {
    let Some(other) = federation.version_of(agreement.id, agreement.version) else { return Ok(None) };
    if binds(federation, own, other) {
        let message = format!("another text of version {} is sealed: raise the version of yours", agreement.version);
        return Err(Failure::new(ErrorKind::Refused, Reason::AgreementConflict, message));
    }
    Ok(Some(other.agreement.digest))
}

fn binds(federation: &Federation, own: &AgencyId, other: &KnownAgreement) -> bool {
    other.completed_at.is_some() || federation.sealed_by(&other.agreement.digest).contains(own)
}
