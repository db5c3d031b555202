//! The bounds of everything that an envelope says beside its body. Numbers within them fit the columns and the times of the database,
//! and texts fit an entry of the log, so that whatever becomes of the envelope can be read, listed and exported.

use lotse_core::agreement::Clause;
use lotse_core::id::{Id, Sequence};
use lotse_core::time::DAY;

use super::{Body, Head};
use crate::telemetry::trace::TraceId;
use crate::wire::time::is_sealable;

/// Highest place in a thread.
pub const MAX_THREAD_SEQUENCE: u64 = u32::MAX as u64;

/// Highest generation that a peer may name: what is numbered by it fits 63 bits.
pub const MAX_GENERATION: u32 = i32::MAX as u32;

/// Returns whether a number of a peer has a generation, and fits a column of the database.
pub fn is_numbered(number: Sequence) -> bool {
    is_generation(number.generation())
}

/// Returns whether a node may be of this generation.
pub fn is_generation(generation: u32) -> bool {
    (1..=MAX_GENERATION).contains(&generation)
}

/// Returns whether everything in a head is within its bounds, for the body that it comes with.
pub(super) fn are_kept(head: &Head, body: &Body) -> bool {
    are_numbers_kept(head) && are_times_kept(head) && are_names_kept(head, body)
}

fn are_numbers_kept(head: &Head) -> bool {
    [head.sender_generation, head.recipient_generation].into_iter().all(is_generation)
        && [head.revision, head.basis.epoch].into_iter().all(is_numbered)
        && (1..=MAX_THREAD_SEQUENCE).contains(&head.thread_sequence)
        && head.basis.agreement_version > 0
}

/// The day on which a consent was given is a day of its owner's calendar, which may be one ahead of UTC.
fn are_times_kept(head: &Head) -> bool {
    let is_excerpt_kept = head
        .basis
        .excerpt
        .as_ref()
        .is_none_or(|excerpt| is_sealable(excerpt.expires_at) && excerpt.given_at <= head.created_at.plus(DAY));
    [head.created_at, head.expires_at, head.hold_until].into_iter().all(is_sealable) && is_excerpt_kept
}

/// An answer is a record of its own in the thread of a referral.
fn are_names_kept(head: &Head, body: &Body) -> bool {
    let basis = &head.basis;
    let subject = basis.excerpt.as_ref().map(|excerpt| excerpt.subject_ref);
    let is_own_record = matches!(body, Body::Referral(_)) || head.record_id != head.thread_id;
    let is_traced = head.trace_id.is_empty() || TraceId::from_slice(&head.trace_id).is_some();
    let ids = [Some(basis.agreement_id), Some(basis.consent_ref), subject];
    is_own_record && is_traced && Clause::is_id(&basis.clause_id) && ids.into_iter().flatten().all(|id| id != Id::NIL)
}
