//! Refusals and reasons as messages.

use lotse_core::reason::Reason;
use lotse_proto::agency::v1 as agency;

use crate::failure::{Cause, Failure, STATUTORY_HINT, wants_consent};

/// Writes a cause.
pub fn reason_detail(cause: &Cause) -> agency::ReasonDetail {
    let statutory = if wants_consent(cause.reason) { format!("; {STATUTORY_HINT}") } else { String::new() };
    let told = hint(cause);
    agency::ReasonDetail { message: told.message + &statutory, ..told }
}

/// Writes a cause for which nothing was refused.
pub fn hint(cause: &Cause) -> agency::ReasonDetail {
    agency::ReasonDetail {
        reason: cause.reason.number(),
        message: cause.message.clone(),
        category: cause.category.map_or(0, |category| category.number()),
        field: cause.field.clone().unwrap_or_default(),
    }
}

/// Writes a reason without more.
pub fn reason(reason: Reason) -> agency::ReasonDetail {
    reason_detail(&Cause::from(reason))
}

/// Writes a failure as an answer.
pub fn refusal(failure: &Failure) -> agency::Refusal {
    agency::Refusal { reasons: failure.causes.iter().map(reason_detail).collect(), retryable: failure.is_retryable() }
}
