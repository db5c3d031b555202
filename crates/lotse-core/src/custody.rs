//! Custody: may a node hold what a peer sent? The receiver's half of the decision; it trusts nothing but its own copy of the
//! agreement and the owner's seal.

use std::time::Duration;

use crate::agreement::{self, Agreement, CHANGE_NOTICE, Clause, ConsentRequirement, KnownAgreement, OnEnd};
use crate::category::{Categories, Category};
use crate::consent::ConsentForm;
use crate::delivery::Outcome;
use crate::feedback::FeedbackLevel;
use crate::id::{AgencyId, Digest, Id};
use crate::purpose::{Purpose, RecordKind};
use crate::reason::Reason;
use crate::time::{DAY, Timestamp};

/// How far ahead of the receiver's clock an envelope may have been made.
pub const MAX_AHEAD: Duration = Duration::from_secs(120);

/// How long an envelope may live.
pub const MAX_LIFE: Duration = Duration::from_secs(35 * 24 * 60 * 60);

/// How long a node tries to deliver, unless the system says otherwise.
pub const USUAL_LIFE: Duration = Duration::from_secs(28 * 24 * 60 * 60);

/// How long after its end an envelope is still taken: the two clocks differ.
pub const EXPIRY_TOLERANCE: Duration = Duration::from_secs(10 * 60);

/// What an envelope says about itself.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// Sender of the batch; proven by TLS and seal.
    pub peer: &'a AgencyId,
    /// This agency.
    pub own: &'a AgencyId,
    /// Sender that the envelope names.
    pub sender: &'a AgencyId,
    /// Recipient that the envelope names.
    pub recipient: &'a AgencyId,
    /// Generation of the recipient that the envelope names.
    pub recipient_generation: u32,
    /// This node's generation.
    pub own_generation: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Checks what holds for every envelope: who, for whom, and when.
pub fn check_arrival(arrival: &Arrival<'_>, at: Timestamp) -> Result<(), Outcome> {
    if arrival.sender != arrival.peer {
        return Err(Outcome::Refused(Reason::SenderMismatch));
    }
    if arrival.recipient != arrival.own {
        return Err(Outcome::Refused(Reason::RecipientMismatch));
    }
    if arrival.recipient_generation != arrival.own_generation {
        return Err(Outcome::Again(Reason::GenerationMismatch));
    }
    if arrival.created_at > at.plus(MAX_AHEAD) {
        return Err(Outcome::Again(Reason::CreatedInFuture));
    }
    if arrival.expires_at > arrival.created_at.plus(MAX_LIFE) {
        return Err(Outcome::Refused(Reason::LifeTooLong));
    }
    if arrival.expires_at.plus(EXPIRY_TOLERANCE) < at {
        return Err(Outcome::Refused(Reason::EnvelopeExpired));
    }
    Ok(())
}

/// The basis that an envelope brings.
#[derive(Clone, Debug)]
pub struct Basis<'a> {
    /// Agreement id.
    pub agreement: Id,
    /// Agreement version.
    pub version: u32,
    /// Digest of that version.
    pub digest: Digest,
    /// Clause.
    pub clause_id: &'a str,
    /// Purpose.
    pub purpose: Purpose,
    /// Categories of the excerpt.
    pub excerpt: Categories,
    /// How the consent was given.
    pub form: ConsentForm,
    /// When the consent ends.
    pub consent_expires_at: Timestamp,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
}

/// What a release contains and asks for.
#[derive(Clone, Debug)]
pub struct Content {
    /// What kind of record it is.
    pub record_kind: RecordKind,
    /// Purpose that the record itself names.
    pub purpose: Purpose,
    /// Categories that it contains.
    pub present: Categories,
    /// Categories without which it makes no sense.
    pub required: Categories,
    /// Until when it may be held.
    pub hold_until: Timestamp,
    /// When the envelope was made.
    pub created_at: Timestamp,
}

/// Decides whether a release may be held: its basis must agree with this node's own copy of the agreement and cover the
/// content.
pub fn admit(
    arrival: &Arrival<'_>,
    basis: &Basis<'_>,
    content: &Content,
    known: &[KnownAgreement],
    at: Timestamp,
) -> Result<(), Outcome> {
    let agreement = find_agreement(basis, content, known, at)?;
    let clause = find_clause(arrival, basis, content, agreement, at)?;
    check_coverage(basis, content, clause)?;
    check_lease(basis, content, agreement, clause, at)
}

/// Finds the version on which the release rests. A version that was replaced counts for releases made before, for 24 hours.
pub fn find_agreement<'a>(
    basis: &Basis<'_>,
    content: &Content,
    known: &'a [KnownAgreement],
    at: Timestamp,
) -> Result<&'a Agreement, Outcome> {
    let again = |reason| Err(Outcome::Again(reason));
    let Some(current) = agreement::current(known, basis.agreement, at) else {
        return again(Reason::AgreementUnknown);
    };
    // The sender says when an envelope was made; that alone must not bring back an agreement whose end is over here.
    if current.agreement.valid_until.plus(EXPIRY_TOLERANCE) <= at {
        return Err(Outcome::Refused(Reason::BasisMismatch));
    }
    if current.suspended {
        return again(Reason::AgreementSuspended);
    }
    let named = known.iter().find(|k| {
        k.agreement.id == basis.agreement && k.agreement.version == basis.version && k.completed_at.is_some()
    });
    let Some(named) = named else {
        return again(Reason::AgreementUnknown);
    };
    if named.agreement.digest != basis.digest {
        return Err(Outcome::Refused(Reason::BasisMismatch));
    }
    let since = current.agreement.valid_from;
    let in_grace = content.created_at < since && at < since.plus(CHANGE_NOTICE);
    if named.agreement.version < current.agreement.version && !in_grace {
        return again(Reason::AgreementSuperseded);
    }
    if named.agreement.version > current.agreement.version || !named.agreement.covers(content.created_at) {
        return Err(Outcome::Refused(Reason::BasisMismatch));
    }
    Ok(&named.agreement)
}

fn find_clause<'a>(
    arrival: &Arrival<'_>,
    basis: &Basis<'_>,
    content: &Content,
    agreement: &'a Agreement,
    at: Timestamp,
) -> Result<&'a Clause, Outcome> {
    const MISMATCH: Outcome = Outcome::Refused(Reason::BasisMismatch);
    let kind = |agency| {
        let party = agreement.party(agency).ok_or(MISMATCH)?;
        let is_active = |at| agreement.active_party(agency, at).is_some();
        let both_say_so = is_active(content.created_at) && is_active(at.minus(EXPIRY_TOLERANCE));
        if both_say_so { Ok(party.kind) } else { Err(Outcome::Refused(Reason::PartyEnded)) }
    };
    let (from, to) = (kind(arrival.sender)?, kind(arrival.recipient)?);
    let allows = |clause: &&Clause| clause.allows(basis.purpose, content.record_kind, from, to);
    let clause = agreement.clause(basis.clause_id).filter(allows).filter(|_| content.purpose == basis.purpose);
    clause.ok_or(MISMATCH)
}

fn check_coverage(basis: &Basis<'_>, content: &Content, clause: &Clause) -> Result<(), Outcome> {
    let is_oral = basis.form == ConsentForm::Oral;
    let special = basis.excerpt.special();
    let refused = if !clause.categories.contains_all(content.present) {
        Some(Reason::CategoryNotInClause)
    } else if !basis.excerpt.contains_all(content.present) {
        Some(Reason::CategoryNotInConsent)
    } else if is_oral && !special.is_empty() {
        Some(Reason::CategoryNotExplicit)
    } else if is_oral && clause.consent_required == ConsentRequirement::ExplicitConsent {
        Some(Reason::ConsentNotExplicit)
    } else if !clause.categories.contains_all(basis.excerpt) || !clause.permits_feedback(basis.feedback) {
        Some(Reason::BasisMismatch)
    } else if !content.present.contains_all(content.required.or(Category::Identity.into())) {
        Some(Reason::SectionRequired)
    } else {
        None
    };
    refused.map_or(Ok(()), |reason| Err(Outcome::Refused(reason)))
}

fn check_lease(
    basis: &Basis<'_>,
    content: &Content,
    agreement: &Agreement,
    clause: &Clause,
    at: Timestamp,
) -> Result<(), Outcome> {
    // The owner counts the retention from its own clock at the release, shortly before the envelope was made.
    let longest = content.created_at.plus(clause.retention()).plus(DAY).min(basis.consent_expires_at);
    let longest = if agreement.on_end == OnEnd::Purge { longest.min(agreement.valid_until) } else { longest };
    if content.hold_until > longest {
        return Err(Outcome::Refused(Reason::BasisMismatch));
    }
    if basis.consent_expires_at <= at || content.hold_until <= at {
        return Err(Outcome::Refused(Reason::ConsentExpired));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
