//! Statuses that tonic makes itself get the reason that every refusal has: about messages that cannot be read.

use http::HeaderMap;
use lotse_core::reason::Reason;
use tonic::{Code, Status};

use crate::failure::{ErrorKind, Failure};

/// Adds the reason to a status in the head or the trailers of an answer, if it has none and is about what the caller sent.
pub(super) fn explain(fields: &mut HeaderMap) {
    let Some(status) = Status::from_header_map(fields).filter(|status| status.details().is_empty()) else { return };
    let failure = match status.code() {
        // Faults of this node have a reason already.
        Code::Internal => {
            let message = format!("a message cannot be read: {}", status.message());
            Failure::new(ErrorKind::Invalid, Reason::FieldInvalid, message)
        }
        Code::OutOfRange => Failure::new(ErrorKind::Invalid, Reason::TooLarge, status.message()),
        _ => return,
    };
    // Cannot fail: tonic encodes every text for a header.
    let _ = Status::from(failure).add_header(fields);
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn explained(status: &Status) -> Status {
        let mut fields = HeaderMap::new();
        status.add_header(&mut fields).unwrap();
        explain(&mut fields);
        Status::from_header_map(&fields).unwrap()
    }

    #[test]
    fn a_message_that_cannot_be_read_is_the_caller_s_mistake_with_a_reason() {
        let malformed = explained(&Status::internal("invalid wire type"));
        assert_eq!(malformed.code(), Code::InvalidArgument);
        assert_eq!(malformed.message(), "a message cannot be read: invalid wire type");
        assert_eq!(malformed.get_details_error_info().unwrap().reason, "FIELD_INVALID");
        let large = explained(&Status::out_of_range("too large"));
        assert_eq!(large.code(), Code::InvalidArgument);
        assert_eq!(large.get_details_error_info().unwrap().reason, "TOO_LARGE");
    }

    #[test]
    fn what_has_a_reason_or_needs_none_stays_as_it_is() {
        let fault: Status = Failure::new(ErrorKind::Fault, Reason::Unavailable, "a task failed").into();
        for status in [fault, Status::unimplemented("no such call"), Status::cancelled("gone")] {
            let same = explained(&status);
            assert_eq!(
                (same.code(), same.message(), same.details()),
                (status.code(), status.message(), status.details())
            );
        }
        let mut none = HeaderMap::new();
        explain(&mut none);
        assert!(none.is_empty());
    }
}
