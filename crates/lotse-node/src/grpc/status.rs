//! How a failure is told over gRPC: a status, `google.rpc.ErrorInfo` with the stable reason, and a sentence that says what to do.

use std::collections::HashMap;

use http::HeaderMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::failure::{ErrorKind, Failure};

/// Domain of every reason.
const DOMAIN: &str = "lotse";

/// Maps a kind of failure to a status code. The only place that does.
const fn code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::NotAllowed => Code::PermissionDenied,
        ErrorKind::Refused => Code::FailedPrecondition,
        ErrorKind::Overloaded => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Fault => Code::Internal,
    }
}

/// Most bytes of a status on the wire. gRPC clients take 8 KiB of trailers, and what a proxy adds needs room too.
const MAX_STATUS_BYTES: usize = 6 * 1024;

/// Most bytes of one sentence.
const MAX_SENTENCE_BYTES: usize = 600;

/// A client that gets more than it takes would see its own limit instead of the reasons: as many causes are written as fit.
impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        let mut shown = failure.causes.len();
        loop {
            let status = status(&failure, shown);
            if shown <= 1 || wire_bytes(&status) <= MAX_STATUS_BYTES {
                return status;
            }
            shown = shown * 3 / 4;
        }
    }
}

/// Writes a status with the first causes; every reason is in it, once.
fn status(failure: &Failure, shown: usize) -> Status {
    let shown = shown.min(failure.causes.len());
    let mut codes: Vec<&str> = Vec::new();
    for cause in &failure.causes {
        if !codes.contains(&cause.reason.code()) {
            codes.push(cause.reason.code());
        }
    }
    let retryable = failure.is_retryable().to_string();
    let mut metadata = HashMap::from([("reasons".into(), codes.join(",")), ("retryable".into(), retryable)]);
    if let Some(first) = failure.causes.first() {
        metadata.extend(first.field.clone().map(|field| ("field".to_string(), field)));
        metadata.extend(first.category.map(|category| ("category".to_string(), category.name().to_string())));
    }
    let mut written = Failure { kind: failure.kind, causes: failure.causes[..shown].to_vec() };
    written.causes.iter_mut().for_each(|cause| cut(&mut cause.message));
    let mut details = ErrorDetails::with_error_info(failure.reason().code(), DOMAIN, metadata);
    for cause in written.causes.iter().filter(|_| failure.kind == ErrorKind::Invalid) {
        details.add_bad_request_violation(cause.field.clone().unwrap_or_default(), cause.message.clone());
    }
    let message = match failure.causes.len() - shown {
        0 => written.message(),
        more => format!("{}; and {more} more", written.message()),
    };
    Status::with_error_details(code(failure.kind), message, details)
}

fn cut(sentence: &mut String) {
    if sentence.len() > MAX_SENTENCE_BYTES {
        sentence.truncate(sentence.floor_char_boundary(MAX_SENTENCE_BYTES));
        sentence.push('…');
    }
}

/// Returns how many bytes a status takes in an answer: the message percent-encoded, the details in base64.
fn wire_bytes(status: &Status) -> usize {
    let mut fields = HeaderMap::new();
    // Cannot fail: tonic encodes every text for a header.
    let _ = status.add_header(&mut fields);
    fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use lotse_core::reason::Reason;
    use proptest::prelude::*;

    use super::*;
    use crate::failure::Cause;

    fn causes(count: usize, sentence: &str) -> Vec<Cause> {
        let cause = |index| {
            Failure::field(Reason::FieldInvalid, format!("referral.education.items[{index}].country"), sentence)
        };
        (0..count).flat_map(|index| cause(index).causes).collect()
    }

    #[test]
    fn a_refusal_with_few_causes_has_them_all() {
        let failure = Failure { kind: ErrorKind::Invalid, causes: causes(3, "write two capital letters") };
        let status = Status::from(failure.clone());
        assert_eq!(status.message(), failure.message());
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 3);
        assert_eq!(details.error_info().unwrap().metadata["reasons"], "FIELD_INVALID", "each code once");
        assert_eq!(details.error_info().unwrap().metadata["field"], "referral.education.items[0].country");
    }

    #[test]
    fn a_refusal_with_many_causes_says_how_many_more_there_are_and_every_reason() {
        let mut all = causes(200, "write a country as two capital letters (ISO 3166-1)");
        all.push(Reason::NoConsent.into());
        let status = Status::from(Failure { kind: ErrorKind::Invalid, causes: all });
        let details = status.get_error_details();
        let written = details.bad_request().unwrap().field_violations.len();
        assert!((5..201).contains(&written));
        assert!(status.message().ends_with(&format!("; and {} more", 201 - written)), "{}", status.message());
        assert_eq!(details.error_info().unwrap().metadata["reasons"], "FIELD_INVALID,NO_CONSENT");
    }

    proptest! {
        #[test]
        fn a_refusal_always_fits_into_what_clients_take(count in 1_usize..300, sentence in "[a-z ä%]{0,2000}") {
            for kind in [ErrorKind::Invalid, ErrorKind::Refused] {
                let status = Status::from(Failure { kind, causes: causes(count, &sentence) });
                prop_assert!(wire_bytes(&status) <= MAX_STATUS_BYTES, "{}", wire_bytes(&status));
            }
        }
    }
}
