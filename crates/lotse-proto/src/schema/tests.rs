mod document;

use document::{Document, document};
use proptest::prelude::*;
use prost::Message as _;

use super::{Lists, MAX_LIST_BYTES, Malformation, MessageType, Scan, ScanError, scan};
use crate::exchange::v1 as exchange;
use crate::record::v1 as record;

/// A level above all that are declared.
const LATEST: u32 = 99;

fn sealed() -> impl Strategy<Value = MessageType> {
    prop::sample::select(MessageType::ALL.as_slice())
}

/// Documents of later levels are in the minority, so that both sides of the line are met.
fn any_document() -> impl Strategy<Value = (MessageType, Document)> {
    (sealed(), any::<u64>(), 1..=3_u32).prop_map(|(message, seed, level)| (message, document(message, seed, level)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_document_passes_at_the_level_it_uses((message, document) in any_document()) {
        prop_assert_eq!(scan(&document.bytes, message, LATEST), Ok(document.level));
        prop_assert_eq!(scan(&document.bytes, message, document.level), Ok(document.level));
    }

    #[test]
    fn a_document_is_refused_below_the_level_it_uses((message, document) in any_document()) {
        prop_assume!(!document.bytes.is_empty());
        let found = scan(&document.bytes, message, document.level - 1);
        prop_assert!(matches!(found, Err(ScanError::AboveLevel { .. })), "{:?}", found);
    }

    #[test]
    fn a_document_that_prost_writes_again_passes((message, document) in any_document()) {
        let bytes = written_by_prost(message, &document.bytes);
        prop_assert_eq!(scan(&bytes, message, LATEST), Ok(document.level));
    }

    #[test]
    fn an_unknown_field_is_found_at_any_depth(
        message in sealed(), seed in any::<u64>(), place in any::<prop::sample::Index>(), number in 500..5000_u32,
    ) {
        let place = place.index(document(message, seed, LATEST).messages);
        let found = scan(&Document::with_field(message, seed, place, number), message, LATEST);
        let expected = matches!(found, Err(ScanError::UnknownField { number: found, .. }) if found == number);
        prop_assert!(expected, "{:?}", found);
    }

    #[test]
    fn a_document_cut_off_inside_a_field_is_malformed(
        (message, document) in any_document(), cut in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!document.bytes.is_empty());
        let cut = cut.index(document.bytes.len());
        match scan(&document.bytes[..cut], message, LATEST) {
            Ok(_) => prop_assert!(document.field_ends.contains(&cut), "cut at {}", cut),
            Err(error) => {
                prop_assert_eq!(error, ScanError::Malformed(Malformation::Truncated));
                prop_assert!(!document.field_ends.contains(&cut), "cut at {}", cut);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(message in sealed(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&bytes, message, LATEST);
    }

    #[test]
    fn what_passes_can_be_parsed(
        (message, document) in any_document(), place in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = document.bytes;
        prop_assume!(!bytes.is_empty());
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if scan(&bytes, message, LATEST).is_ok() && let Err(error) = parse(message, &bytes) {
            prop_assert!(error.contains("UTF-8"), "{}", error);
        }
    }
}

#[test]
fn a_recall_is_refused_at_level_1() {
    let recall = exchange::envelope::Body::Recall(exchange::Recall::default());
    let bytes = exchange::Envelope { body: Some(recall), ..Default::default() }.encode_to_vec();
    let refused = ScanError::AboveLevel { element: "lotse.exchange.v1.Envelope", number: 23, level: 2 };
    assert_eq!(scan(&bytes, MessageType::Envelope, 1), Err(refused));
    assert_eq!(scan(&bytes, MessageType::Envelope, 2), Ok(2));
    assert!(refused.is_too_new());
}

#[test]
fn a_reason_of_level_2_is_refused_at_level_1() {
    let reason = exchange::Reason::CatchingUp.into();
    let bytes = exchange::ReceiptItem { reason, ..Default::default() }.encode_to_vec();
    let refused = ScanError::AboveLevel { element: "lotse.exchange.v1.Reason", number: 96, level: 2 };
    assert_eq!(scan(&bytes, MessageType::ReceiptItem, 1), Err(refused));
    assert_eq!(scan(&bytes, MessageType::ReceiptItem, 2), Ok(2));
}

#[test]
fn an_unknown_enum_value_is_found() {
    for (value, on_the_wire) in [(i32::MAX, i64::from(i32::MAX)), (-1, -1), (142, 142), (50, 50)] {
        let bytes = exchange::ReceiptItem { reason: value, ..Default::default() }.encode_to_vec();
        let unknown = ScanError::UnknownEnumValue { enumeration: "lotse.exchange.v1.Reason", value: on_the_wire };
        assert_eq!(scan(&bytes, MessageType::ReceiptItem, LATEST), Err(unknown));
    }
}

#[test]
fn an_unknown_enum_value_is_found_packed_and_unpacked() {
    let unknown = ScanError::UnknownEnumValue { enumeration: "lotse.exchange.v1.Reason", value: 999 };
    let packed = exchange::LogEntry { reasons: vec![1, 999], ..Default::default() }.encode_to_vec();
    assert_eq!(scan(&packed, MessageType::LogEntry, 1), Err(unknown));
    let tag = [0x90, 0x01]; // field 18, varint
    let unpacked = [&tag[..], &[0x01], &tag, &[0xe7, 0x07]].concat();
    assert_eq!(scan(&unpacked, MessageType::LogEntry, 1), Err(unknown));
}

#[test]
fn an_unknown_enum_value_is_found_deep_inside_an_envelope() {
    let health = record::Health { restrictions: vec![77], ..Default::default() };
    let referral = record::Referral { health: Some(health), ..Default::default() };
    let body = Some(exchange::envelope::Body::Referral(referral));
    let bytes = exchange::Envelope { body, ..Default::default() }.encode_to_vec();
    let unknown = ScanError::UnknownEnumValue { enumeration: "lotse.record.v1.HealthRestriction", value: 77 };
    assert_eq!(scan(&bytes, MessageType::Envelope, LATEST), Err(unknown));
}

#[test]
fn a_number_of_more_than_32_bits_is_no_enum_value() {
    let bytes = [0x10, 0x81, 0x80, 0x80, 0x80, 0x10]; // outcome = 2^32 + 1, which prost would take as 1
    let unknown = ScanError::UnknownEnumValue { enumeration: "lotse.exchange.v1.ItemOutcome", value: (1 << 32) + 1 };
    assert_eq!(scan(&bytes, MessageType::ReceiptItem, LATEST), Err(unknown));
}

#[test]
fn a_second_body_is_malformed() {
    let body = |body| exchange::Envelope { body: Some(body), ..Default::default() }.encode_to_vec();
    let referral = body(exchange::envelope::Body::Referral(record::Referral::default()));
    let answer = body(exchange::envelope::Body::Answer(record::ReferralAnswer::default()));
    let twice = Malformation::Twice { message: "lotse.exchange.v1.Envelope", number: 21 };
    assert_eq!(scan(&[referral, answer].concat(), MessageType::Envelope, 1), Err(ScanError::Malformed(twice)));
}

#[test]
fn malformed_bytes_are_told_apart_from_newer_ones() {
    let cases: [(&[u8], Malformation); 9] = [
        (&[0x0a], Malformation::Truncated),
        (&[0x0a, 0x05, 0x00], Malformation::Truncated),
        (&[0x80], Malformation::Truncated),
        (&[0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], Malformation::Number),
        (&[0x0b], Malformation::Tag),                               // group
        (&[0x0e], Malformation::Tag),                               // wire type 6
        (&[0x02, 0x00], Malformation::Tag),                         // field 0
        (&[0x82, 0x80, 0x80, 0x80, 0x80, 0x01], Malformation::Tag), // more than 32 bits
        (&[0x08, 0x01], Malformation::WireType { message: "lotse.exchange.v1.ReceiptItem", number: 1 }),
    ];
    for (bytes, expected) in cases {
        let error = scan(bytes, MessageType::ReceiptItem, LATEST).expect_err("malformed");
        assert_eq!(error, ScanError::Malformed(expected), "{bytes:02x?}");
        assert!(!error.is_too_new());
    }
}

#[test]
fn messages_nested_too_deep_are_malformed() {
    let body = Some(exchange::envelope::Body::Referral(record::Referral::default()));
    let bytes = exchange::Envelope { body, ..Default::default() }.encode_to_vec();
    let scan_to = |depth| {
        let scan = Scan { level: 1, highest: 1, lists: Lists::default() };
        scan.message(&bytes, MessageType::Envelope.shape(), depth)
    };
    assert_eq!(scan_to(2), Ok(1));
    assert_eq!(scan_to(1), Err(ScanError::Malformed(Malformation::Depth)));
}

#[test]
fn a_document_whose_lists_would_take_too_much_memory_is_malformed() {
    let too_large = Err(ScanError::Malformed(Malformation::Lists));
    let parties = |count| [0x42, 0].repeat(count); // empty elements of field 8
    let most = MAX_LIST_BYTES / size_of::<exchange::Party>();
    assert_eq!(scan(&parties(most), MessageType::Agreement, 1), Ok(1));
    assert_eq!(scan(&parties(most + 1), MessageType::Agreement, 1), too_large);
    let reasons = |count| exchange::LogEntry { reasons: vec![1; count], ..Default::default() }.encode_to_vec();
    assert_eq!(scan(&reasons(10_000), MessageType::LogEntry, 1), Ok(1));
    assert_eq!(scan(&reasons(MAX_LIST_BYTES / 8), MessageType::LogEntry, 1), too_large);
}

#[test]
fn an_empty_document_uses_level_1() {
    for message in MessageType::ALL {
        assert_eq!(scan(&[], message, 1), Ok(1));
    }
}

fn parse(message: MessageType, bytes: &[u8]) -> Result<Vec<u8>, String> {
    fn through<M: prost::Message + Default>(bytes: &[u8]) -> Result<Vec<u8>, String> {
        M::decode(bytes).map(|message| message.encode_to_vec()).map_err(|error| error.to_string())
    }
    match message {
        MessageType::Card => through::<exchange::Card>(bytes),
        MessageType::Agreement => through::<exchange::Agreement>(bytes),
        MessageType::Envelope => through::<exchange::Envelope>(bytes),
        MessageType::BatchStatement => through::<exchange::BatchStatement>(bytes),
        MessageType::ReceiptStatement => through::<exchange::ReceiptStatement>(bytes),
        MessageType::ReceiptItem => through::<exchange::ReceiptItem>(bytes),
        MessageType::LogEntry => through::<exchange::LogEntry>(bytes),
    }
}

fn written_by_prost(message: MessageType, bytes: &[u8]) -> Vec<u8> {
    parse(message, bytes).expect("a document parses")
}
