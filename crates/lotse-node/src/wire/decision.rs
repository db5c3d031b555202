//! Refusals and reasons as messages.

use lotse_core::agreement::words::Language;
use lotse_core::reason::Reason;
use lotse_proto::agency::v1 as agency;

use crate::failure::{Cause, Failure, STATUTORY_HINT, STATUTORY_HINT_GERMAN, wants_consent};

/// Writes a cause in a language.
pub fn reason_detail(cause: &Cause, language: Language) -> agency::ReasonDetail {
    let statutory = language.choose((STATUTORY_HINT_GERMAN, STATUTORY_HINT));
    let statutory = if wants_consent(cause.reason) { format!("; {statutory}") } else { String::new() };
    let told = hint(cause, language);
    agency::ReasonDetail { message: told.message + &statutory, ..told }
}

/// Writes a cause for which nothing was refused, in a language.
pub fn hint(cause: &Cause, language: Language) -> agency::ReasonDetail {
    agency::ReasonDetail {
        reason: cause.reason.number(),
        message: cause.text(language).to_string(),
        category: cause.category.map_or(0, |category| category.number()),
        field: cause.field.clone().unwrap_or_default(),
    }
}

/// Writes a reason without more.
pub fn reason(reason: Reason) -> agency::ReasonDetail {
    reason_in(reason, Language::English)
}

/// Writes a reason without more, in a language.
pub fn reason_in(reason: Reason, language: Language) -> agency::ReasonDetail {
    reason_detail(&Cause::from(reason), language)
}

/// Writes a failure as an answer in a language.
pub fn refusal(failure: &Failure, language: Language) -> agency::Refusal {
    let reasons = failure.causes.iter().map(|cause| reason_detail(cause, language)).collect();
    agency::Refusal { reasons, retryable: failure.is_retryable() }
}
