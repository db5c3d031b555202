use lotse_core::time::DAY;

use super::*;

fn head() -> Head {
    let at: Timestamp = "2026-11-02T08:00:00Z".parse().unwrap();
    let id = |byte| Id::from_bytes([byte; 16]);
    Head {
        envelope_id: id(1),
        sender: "jc.example".parse().unwrap(),
        recipient: "aa.example".parse().unwrap(),
        sender_generation: 1,
        recipient_generation: 1,
        created_at: at,
        expires_at: at.plus(DAY),
        hold_until: at.plus(DAY),
        record_id: id(2),
        revision: Sequence::new(1, 1),
        thread_id: id(3),
        thread_sequence: 2,
        trace_id: vec![],
        basis: Basis {
            agreement_id: id(4),
            agreement_version: 1,
            agreement_digest: Digest::of(b"agreement"),
            clause_id: "orientation".into(),
            purpose: Purpose::Orientation,
            consent_ref: id(5),
            epoch: Sequence::new(1, 1),
            excerpt: None,
        },
    }
}

fn answer() -> proto::Envelope {
    use lotse_proto::record::v1::{Accepted, ReferralAnswer, referral_answer::Kind};
    let head = proto::Envelope::decode(encode_head(&head()).as_slice()).unwrap();
    let answer = ReferralAnswer { on: "2026-11-02".into(), kind: Some(Kind::Accepted(Accepted {})), note: None };
    proto::Envelope { nonce: vec![7; 32], body: Some(ProtoBody::Answer(answer)), ..head }
}

#[test]
fn an_answer_within_its_bounds_is_read_and_one_beyond_any_of_them_is_not() {
    assert!(parse(&answer().encode_to_vec()).is_ok());
    let highest = proto::Envelope { thread_sequence: bounds::MAX_THREAD_SEQUENCE, trace_id: vec![1; 16], ..answer() };
    assert!(parse(&highest.encode_to_vec()).is_ok());
    for beyond in [
        proto::Envelope { thread_sequence: bounds::MAX_THREAD_SEQUENCE + 1, ..answer() },
        proto::Envelope { sender_generation: bounds::MAX_GENERATION + 1, ..answer() },
        proto::Envelope { recipient_generation: u32::MAX, ..answer() },
        proto::Envelope { record_id: answer().thread_id, ..answer() },
        proto::Envelope { trace_id: vec![0; 16], ..answer() },
        proto::Envelope { created_at_us: -1, ..answer() },
        proto::Envelope { expires_at_us: 1 << 62, ..answer() },
        proto::Envelope { hold_until_us: i64::MIN, ..answer() },
    ] {
        assert_eq!(parse(&beyond.encode_to_vec()).err(), Some(Outcome::Refused(Reason::EnvelopeInvalid)));
    }
}
