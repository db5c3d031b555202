//! What the lists of a message take in memory, found out before it is decoded: an element of two bytes becomes one of hundreds.

use super::cursor::{Cursor, WireType};
use super::shape::{Kind, Shape};
use super::{MAX_DEPTH, Malformation, ScanError};

/// The most memory that the elements of all lists of one message take together.
pub const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// Messages up to this length are decoded without a count: whatever they contain, their lists take less than what is allowed.
pub(super) const SHORT_BYTES: usize = 4096;

/// Why a message must not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Its lists would take too much memory.
    #[error("the lists of a message take more than {MAX_LIST_BYTES} bytes of memory: hand over less at a time")]
    TooLarge,
    /// Its bytes are no encoding of a message.
    #[error(transparent)]
    Malformed(#[from] ScanError),
}

/// A message of a call, whose lists are counted before it is decoded.
pub trait ListBounded {
    /// Counts what the lists of an encoded message would take.
    ///
    /// # Errors
    /// [`ListError::TooLarge`] above [`MAX_LIST_BYTES`]; the first part that is malformed.
    fn check_lists(bytes: &[u8]) -> Result<(), ListError>;
}

/// Counts what the lists of an encoded message of this shape would take.
pub(super) fn check(bytes: &[u8], shape: &'static Shape) -> Result<(), ListError> {
    if bytes.len() <= SHORT_BYTES { Ok(()) } else { Lists::default().fields(bytes, shape, MAX_DEPTH) }
}

/// What the elements that were met take.
#[derive(Default)]
pub(super) struct Lists {
    bytes: usize,
}

impl Lists {
    /// Adds elements of a list, with what each takes.
    pub(super) fn add(&mut self, elements: usize, bytes_each: usize) -> Result<(), ListError> {
        self.bytes = self.bytes.saturating_add(elements.saturating_mul(bytes_each));
        if self.bytes > MAX_LIST_BYTES { Err(ListError::TooLarge) } else { Ok(()) }
    }

    fn fields(&mut self, bytes: &[u8], shape: &'static Shape, depth: u32) -> Result<(), ListError> {
        let depth = depth.checked_sub(1).ok_or(ScanError::Malformed(Malformation::Depth))?;
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            let field = shape.field(number);
            let repeated = field.filter(|field| field.repeated);
            let block = match wire_type {
                WireType::Length => Some(cursor.block()?),
                WireType::Varint => cursor.number().map(|_| None)?,
                WireType::Fixed32 => cursor.take(4).map(|_| None)?,
                WireType::Fixed64 => cursor.take(8).map(|_| None)?,
            };
            match (block, field.map(|field| &field.kind)) {
                (Some(block), Some(Kind::Message(inner))) => {
                    self.add(usize::from(repeated.is_some()), inner.size)?;
                    self.fields(block, inner, depth)?;
                }
                // Numbers side by side, of a byte or more each.
                (Some(block), Some(Kind::Varint | Kind::Enumeration(_) | Kind::Fixed32 | Kind::Fixed64)) => {
                    self.add(repeated.map_or(0, |_| block.len()), NUMBER_BYTES)?;
                }
                _ => self.add(usize::from(repeated.is_some()), repeated.map_or(0, |field| field.kind.size()))?,
            }
        }
        Ok(())
    }
}

/// What a number takes at most.
const NUMBER_BYTES: usize = 8;

impl Kind {
    /// Returns what an element of this kind takes in a list, without the bytes of a text.
    pub(super) const fn size(&self) -> usize {
        match self {
            Kind::Varint | Kind::Enumeration(_) | Kind::Fixed32 | Kind::Fixed64 => NUMBER_BYTES,
            Kind::Bytes => size_of::<bytes::Bytes>(),
            Kind::Message(shape) => shape.size,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::agency::v1::{ConfirmImportRequest, ReferralHandover, SubmitReferralsRequest, WithdrawConsentRequest};
    use crate::codec::read;
    use crate::exchange::v1::Batch;
    use crate::peer::v1::ExchangeRequest;
    use crate::peer::v1::exchange_request::Frame;
    use crate::record::v1::{Language, Languages, Referral, WithdrawalScope};

    /// The largest message of a call.
    const MESSAGE_BYTES: usize = 4 * 1024 * 1024;

    fn checked<M: ListBounded + Message>(message: &M) -> Result<(), ListError> {
        M::check_lists(&message.encode_to_vec())
    }

    fn languages(count: usize) -> SubmitReferralsRequest {
        let languages = Languages { items: vec![Language::default(); count], ..Languages::default() };
        let referral = Referral { languages: Some(languages), ..Referral::default() };
        let handover = ReferralHandover { referral: Some(referral), ..ReferralHandover::default() };
        SubmitReferralsRequest { handover: Some(handover) }
    }

    #[test]
    fn empty_elements_count_with_what_they_take_however_deep_they_are() {
        let most = MAX_LIST_BYTES / size_of::<Language>();
        assert_eq!(checked(&languages(most)), Ok(()));
        assert_eq!(checked(&languages(most + 1)), Err(ListError::TooLarge));
        let texts = |count| ConfirmImportRequest { import_tokens: vec![String::new(); count] };
        let most = MAX_LIST_BYTES / size_of::<Bytes>();
        assert_eq!(checked(&texts(most)), Ok(()));
        assert_eq!(checked(&texts(most + 1)), Err(ListError::TooLarge));
    }

    #[test]
    fn numbers_count_side_by_side_and_alone() {
        let most = MAX_LIST_BYTES / NUMBER_BYTES;
        let packed = |count| {
            let scope = WithdrawalScope { categories: vec![1; count], ..WithdrawalScope::default() };
            WithdrawConsentRequest { scope: Some(scope), ..WithdrawConsentRequest::default() }
        };
        assert_eq!(checked(&packed(most)), Ok(()));
        assert_eq!(checked(&packed(most + 1)), Err(ListError::TooLarge));
        let alone = |count| {
            let categories = [0x18, 1].repeat(count); // field 3 of the scope
            let mut message = vec![0x12]; // field 2 of the request
            prost::encode_length_delimiter(categories.len(), &mut message).unwrap();
            [message, categories].concat()
        };
        let read = WithdrawConsentRequest::decode(alone(3).as_slice()).unwrap();
        assert_eq!(read.scope.unwrap().categories, [1; 3]);
        assert_eq!(WithdrawConsentRequest::check_lists(&alone(most)), Ok(()));
        assert_eq!(WithdrawConsentRequest::check_lists(&alone(most + 1)), Err(ListError::TooLarge));
    }

    #[test]
    fn what_is_large_and_no_list_passes() {
        let handover = ReferralHandover { idempotency_key: "k".repeat(MESSAGE_BYTES), ..ReferralHandover::default() };
        assert_eq!(checked(&SubmitReferralsRequest { handover: Some(handover) }), Ok(()));
        let batch = Batch { envelopes: vec![Bytes::from(vec![7; MESSAGE_BYTES / 256]); 256], ..Batch::default() };
        assert_eq!(checked(&ExchangeRequest { frame: Some(Frame::Batch(batch)) }), Ok(()));
    }

    #[test]
    fn a_field_that_is_not_known_is_skipped_and_one_that_hides_the_rest_is_malformed() {
        let unknown = [vec![0xfa, 0x3f, 0], languages(100_000).encode_to_vec()].concat();
        assert_eq!(SubmitReferralsRequest::check_lists(&unknown), Ok(()));
        // A group: begin and end of field 1000.
        let group = [vec![0xc3, 0x3e, 0xc4, 0x3e], languages(1_000_000).encode_to_vec()].concat();
        assert!(matches!(SubmitReferralsRequest::check_lists(&group), Err(ListError::Malformed(_))));
    }

    #[test]
    fn a_message_whose_lists_are_too_large_is_not_decoded() {
        let large = Bytes::from(languages(MESSAGE_BYTES / 3).encode_to_vec());
        let refused = read::<SubmitReferralsRequest>(large).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::OutOfRange);
        assert!(refused.message().contains("hand over less at a time"), "{refused}");
        let known = Bytes::from(languages(1000).encode_to_vec());
        assert_eq!(read::<SubmitReferralsRequest>(known).unwrap(), languages(1000));
    }
}
