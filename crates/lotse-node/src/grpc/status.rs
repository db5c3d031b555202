//! How a failure is told over gRPC: a status, `google.rpc.ErrorInfo` with the stable reason, and a sentence that says what to do.

use std::collections::HashMap;

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

impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        let reasons = failure.causes.iter().map(|cause| cause.reason.code()).collect::<Vec<_>>().join(",");
        let retryable = failure.is_retryable().to_string();
        let mut metadata = HashMap::from([("reasons".into(), reasons), ("retryable".into(), retryable)]);
        if let Some(first) = failure.causes.first() {
            metadata.extend(first.field.clone().map(|field| ("field".to_string(), field)));
            metadata.extend(first.category.map(|category| ("category".to_string(), category.name().to_string())));
        }
        let mut details = ErrorDetails::with_error_info(failure.reason().code(), DOMAIN, metadata);
        for cause in failure.causes.iter().filter(|_| failure.kind == ErrorKind::Invalid) {
            details.add_bad_request_violation(cause.field.clone().unwrap_or_default(), cause.message.clone());
        }
        Status::with_error_details(code(failure.kind), failure.message(), details)
    }
}
