//! What the generated code must do beyond compiling.

use bytes::Bytes;
use lotse_proto::agency::v1::ReferralHandover;
use lotse_proto::exchange::v1::{Batch, Seal};
use lotse_proto::record::v1::{Consent, GivenBy};
use prost::Message as _;

/// prost calls this value `Self_`; its JSON name must stay the one of the `.proto` file.
#[test]
fn a_value_that_is_a_rust_keyword_keeps_its_json_name() {
    let consent = Consent { given_by: GivenBy::Self_.into(), ..Default::default() };
    let json = serde_json::to_string(&consent).expect("writes");
    assert_eq!(json, r#"{"givenBy":"GIVEN_BY_SELF"}"#);
    assert_eq!(serde_json::from_str::<Consent>(&json).expect("reads"), consent);
}

#[test]
fn json_with_an_unknown_field_is_refused() {
    let error = serde_json::from_str::<ReferralHandover>(r#"{"recipiant":"aa-hanau.example"}"#).expect_err("refused");
    assert!(error.to_string().contains("recipiant"), "{error}");
}

#[test]
fn documents_of_a_batch_are_views_of_the_frame() {
    let seal = Seal { payload: Bytes::from_static(b"statement"), ..Default::default() };
    let batch =
        Batch { seal: Some(seal), envelopes: vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")] };
    let frame = Bytes::from(batch.encode_to_vec());
    let decoded = Batch::decode(frame.clone()).expect("decodes");
    assert_eq!(decoded, batch);
    let payload = decoded.seal.expect("sealed").payload;
    for view in decoded.envelopes.iter().chain([&payload]) {
        assert!(frame.as_ptr_range().contains(&view.as_ptr()));
    }
}
