//! What a consent must say before it is recorded.

use std::time::Duration;

use lotse_core::reason::Reason;

use super::*;

pub(crate) const OWN: &str = "jc-hanau.hessen.example";
pub(crate) const YOUTH: &str = "ja-hanau.hessen.example";

pub(crate) fn now() -> Timestamp {
    crate::testing::FIRST_DAY.parse().unwrap()
}

/// A consent that is in order, given the day before.
pub(crate) fn good(number: u8) -> proto::Consent {
    proto::Consent {
        id: Id::from_bytes([number; 16]).to_string(),
        subject_reference: format!("AK-{number}"),
        subject_kind: proto::SubjectKind::Person as i32,
        given_by: proto::GivenBy::Self_ as i32,
        capacity: Some(proto::Capacity {
            age_band: proto::AgeBand::Adult as i32,
            assessed_by_role: "Fallmanagement".into(),
            changes_on: String::new(),
        }),
        recipients: vec![YOUTH.into()],
        purposes: vec![proto::Purpose::Orientation as i32],
        record_kinds: vec![proto::RecordKind::Referral as i32],
        categories: vec![proto::Category::Identity as i32, proto::Category::Contact as i32],
        explicit_categories: vec![],
        feedback_level: 0,
        given_at: Some(time::message(now().minus(Duration::from_secs(86_400)))),
        expires_at: Some(time::message(now().plus(Duration::from_secs(100 * 86_400)))),
        form: proto::ConsentForm::Written as i32,
        released_from_secrecy: vec![],
        text_language: "de".into(),
        text_version: "2026-1".into(),
        notices: Some(proto::Notices { purpose: true, consequences_of_refusal: true, right_to_withdraw: true }),
        form_sha256: "ab".repeat(32),
        recorded_by: "sb-17".into(),
        refused: false,
        supersedes: String::new(),
    }
}

pub(crate) fn parsed(consent: &proto::Consent) -> Result<RecordableConsent, Failure> {
    parse(Some(consent), &OWN.parse().unwrap(), now())
}

/// Returns what is wrong with a consent that was in order before the change.
fn wrong(change: impl FnOnce(&mut proto::Consent)) -> Vec<(Reason, String)> {
    let mut consent = good(1);
    change(&mut consent);
    let causes = parsed(&consent).err().map(|failure| failure.causes).unwrap_or_default();
    causes.into_iter().map(|cause| (cause.reason, cause.field.unwrap())).collect()
}

#[test]
fn a_consent_in_order_is_understood() {
    let consent = parsed(&good(1)).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(consent.id, Id::from_bytes([1; 16]));
    assert_eq!(consent.recipients, [YOUTH.parse().unwrap()]);
    assert_eq!(consent.feedback, FeedbackLevel::Status, "what is not said is status");
    assert_eq!(consent.categories, [Category::Identity, Category::Contact].into_iter().collect());
    assert_eq!(message(&consent.bytes, consent.expires_at), Some(good(1)));
}

#[test]
fn each_rule_names_its_field() {
    use Reason::{FieldInvalid, FieldMissing, TooLarge};
    type Change = fn(&mut proto::Consent);
    let cases: &[(Reason, &str, Change)] = &[
        (FieldMissing, "consent.id", |c| c.id.clear()),
        (FieldInvalid, "consent.id", |c| c.id = "17".into()),
        (FieldMissing, "consent.subject_reference", |c| c.subject_reference.clear()),
        (TooLarge, "consent.subject_reference", |c| c.subject_reference = "x".repeat(65)),
        (FieldMissing, "consent.subject_kind", |c| c.subject_kind = 0),
        (FieldInvalid, "consent.subject_kind", |c| c.subject_kind = 9),
        (FieldMissing, "consent.given_by", |c| c.given_by = 0),
        (FieldMissing, "consent.capacity", |c| c.capacity = None),
        (FieldMissing, "consent.recipients", |c| c.recipients.clear()),
        (FieldInvalid, "consent.recipients[1]", |c| c.recipients.push("Jugendamt".into())),
        (FieldInvalid, "consent.recipients[1]", |c| c.recipients.push(OWN.into())),
        (FieldInvalid, "consent.recipients[1]", |c| c.recipients.push(YOUTH.into())),
        (TooLarge, "consent.recipients", |c| c.recipients = (0..51).map(|n| format!("a{n}.example")).collect()),
        (FieldMissing, "consent.purposes", |c| c.purposes.clear()),
        (FieldInvalid, "consent.purposes[1]", |c| c.purposes.push(77)),
        (FieldMissing, "consent.record_kinds", |c| c.record_kinds.clear()),
        (FieldMissing, "consent.categories", |c| c.categories.clear()),
        (FieldInvalid, "consent.categories[2]", |c| c.categories.push(1)),
        (FieldInvalid, "consent.explicit_categories", |c| c.explicit_categories.push(14)),
        (FieldInvalid, "consent.explicit_categories", |c| c.explicit_categories.push(1)),
        (FieldInvalid, "consent.feedback_level", |c| c.feedback_level = 5),
        (FieldMissing, "consent.given_at", |c| c.given_at = None),
        (FieldInvalid, "consent.given_at", |c| c.given_at = Some(time::message(now().plus(MAX_AHEAD * 2)))),
        (FieldMissing, "consent.expires_at", |c| c.expires_at = None),
        (FieldInvalid, "consent.expires_at", |c| c.expires_at = c.given_at),
        (FieldMissing, "consent.form", |c| c.form = 0),
        (TooLarge, "consent.released_from_secrecy[0]", |c| c.released_from_secrecy = vec!["x".repeat(201)]),
        (FieldMissing, "consent.text_language", |c| c.text_language.clear()),
        (FieldInvalid, "consent.text_language", |c| c.text_language = "Deutsch!".into()),
        (FieldMissing, "consent.text_version", |c| c.text_version.clear()),
        (FieldMissing, "consent.notices", |c| c.notices = None),
        (FieldInvalid, "consent.notices.right_to_withdraw", |c| {
            c.notices = Some(proto::Notices { right_to_withdraw: false, ..c.notices.unwrap() });
        }),
        (FieldMissing, "consent.form_sha256", |c| c.form_sha256.clear()),
        (FieldInvalid, "consent.form_sha256", |c| c.form_sha256 = "ab".into()),
        (FieldMissing, "consent.recorded_by", |c| c.recorded_by.clear()),
        (FieldInvalid, "consent.recorded_by", |c| c.recorded_by = "Erika Mustermann".into()),
        (FieldInvalid, "consent.supersedes", |c| c.supersedes = "old".into()),
    ];
    for (reason, field, change) in cases {
        assert_eq!(wrong(change), [(*reason, field.to_string())], "{field}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let found = wrong(|c| {
        c.recipients.clear();
        c.given_at = None;
        c.notices = None;
    });
    assert_eq!(found.len(), 3);
}

#[test]
fn an_oral_consent_names_no_special_category_and_has_no_form() {
    let oral = |c: &mut proto::Consent| {
        c.form = proto::ConsentForm::Oral as i32;
        c.form_sha256.clear();
    };
    assert_eq!(wrong(oral), []);
    let found = wrong(|c| {
        oral(c);
        c.categories.push(14);
        c.explicit_categories.push(14);
    });
    assert_eq!(found, [(Reason::FieldInvalid, "consent.explicit_categories".into())]);
}

fn minor(consent: &mut proto::Consent, band: proto::AgeBand, changes_on: &str) {
    consent.capacity =
        Some(proto::Capacity { age_band: band as i32, assessed_by_role: "ASD".into(), changes_on: changes_on.into() });
}

#[test]
fn under_15_somebody_else_consents() {
    let found = wrong(|c| minor(c, proto::AgeBand::Under15, "2027-03-01"));
    assert_eq!(found, [(Reason::FieldInvalid, "consent.given_by".into())]);
    for given_by in [proto::GivenBy::LegalGuardian, proto::GivenBy::Custodian, proto::GivenBy::EntrustingPerson] {
        let found = wrong(|c| {
            minor(c, proto::AgeBand::Under15, "2027-03-01");
            c.given_by = given_by as i32;
        });
        assert_eq!(found, []);
    }
    assert_eq!(wrong(|c| minor(c, proto::AgeBand::AgeBand15To17, "2027-03-01")), []);
    let found = wrong(|c| minor(c, proto::AgeBand::AgeBand15To17, ""));
    assert_eq!(found, [(Reason::FieldMissing, "consent.capacity.changes_on".into())]);
    let found = wrong(|c| minor(c, proto::AgeBand::AgeBand15To17, "2026-10-30"));
    assert_eq!(found, [(Reason::FieldInvalid, "consent.capacity.changes_on".into())]);
}

#[test]
fn a_consent_ends_where_the_capacity_changes() {
    let mut consent = good(1);
    minor(&mut consent, proto::AgeBand::AgeBand15To17, "2026-12-24");
    let ends = parsed(&consent).map(|parsed| parsed.expires_at.to_string());
    assert_eq!(ends.as_deref(), Ok("2026-12-23T23:00:00Z"));
    minor(&mut consent, proto::AgeBand::AgeBand15To17, "2030-12-24");
    assert_eq!(parsed(&consent).map(|parsed| time::message(parsed.expires_at)).ok(), good(1).expires_at);
}

#[test]
fn a_refusal_covers_nothing_and_replaces_nothing() {
    let refusal = |c: &mut proto::Consent| {
        c.refused = true;
        c.recipients.clear();
        c.purposes.clear();
        c.record_kinds.clear();
        c.categories.clear();
        c.form_sha256.clear();
    };
    assert_eq!(wrong(refusal), []);
    let found = wrong(|c| {
        refusal(c);
        c.supersedes = Id::from_bytes([3; 16]).to_string();
    });
    assert_eq!(found, [(Reason::FieldInvalid, "consent.supersedes".into())]);
}

#[test]
fn an_employer_needs_no_capacity() {
    let found = wrong(|c| {
        c.subject_kind = proto::SubjectKind::Employer as i32;
        c.capacity = None;
    });
    assert_eq!(found, []);
}

#[test]
fn a_term_without_end_and_a_reference_that_is_a_number_of_a_person_are_refused() {
    let until =
        |seconds: i64| wrong(|consent| consent.expires_at = Some(pbjson_types::Timestamp { seconds, nanos: 0 }));
    let invalid = |field: &str| vec![(Reason::FieldInvalid, field.to_string())];
    assert_eq!(until(253_402_300_799), invalid("consent.expires_at"), "9999-12-31T23:59:59Z");
    assert_eq!(until(253_370_764_800), invalid("consent.expires_at"), "9999-01-01T00:00:00Z");
    assert_eq!(until(2_429_913_600), [], "2047-01-01T00:00:00Z");
    for reference in ["415D012345", "15 070649 C 103", "4,96E+12", "AK\u{202e}1"] {
        assert_eq!(wrong(|consent| consent.subject_reference = reference.into()), invalid("consent.subject_reference"));
    }
}

#[test]
fn the_texts_of_a_consent_are_composed() {
    let given = proto::Consent { subject_reference: "Ka\u{308}se-1".into(), ..good(1) };
    let parsed = parsed(&given).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(parsed.subject_reference, "Käse-1");
    assert_eq!(parsed.bytes, proto::Consent { subject_reference: "Käse-1".into(), ..good(1) }.encode_to_vec());
    assert_eq!(parsed.bytes_as_given, Some(given.encode_to_vec()));
}
