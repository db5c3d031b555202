//! Consents and referrals of people who do not exist.

use anyhow::Result;
use lotse_proto::agency::v1::consent_service_client::ConsentServiceClient;
use lotse_proto::agency::v1::{RecordConsentRequest, ReferralHandover};
use lotse_proto::record::v1::{
    AgeBand, Capacity, Category, Consent, ConsentForm, Contact, FeedbackLevel, GivenBy, Identity, Language,
    LanguageLevel, Languages, Notices, Purpose, RecordKind, Referral, ReferralType, RequestedService, Sex, SubjectKind,
};
use pbjson_types::Timestamp;

use crate::federation::Agency;

/// A written consent for orientation: identity, contact, languages and skills, given this year, for four years.
pub fn consent(id: &str, subject: &str, recipients: &[&str]) -> Consent {
    Consent {
        id: id.into(),
        subject_reference: subject.into(),
        subject_kind: SubjectKind::Person as i32,
        given_by: GivenBy::Self_ as i32,
        capacity: Some(Capacity {
            age_band: AgeBand::Adult as i32,
            assessed_by_role: "Fachkraft".into(),
            changes_on: String::new(),
        }),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        purposes: vec![Purpose::Orientation as i32],
        record_kinds: vec![RecordKind::Referral as i32],
        categories: [Category::Identity, Category::Contact, Category::Languages, Category::Skills]
            .map(|category| category as i32)
            .to_vec(),
        feedback_level: FeedbackLevel::Status as i32,
        given_at: Some(Timestamp { seconds: 1_767_225_600, nanos: 0 }),
        expires_at: Some(Timestamp { seconds: 1_893_456_000, nanos: 0 }),
        form: ConsentForm::Written as i32,
        text_language: "de".into(),
        text_version: "2026-01".into(),
        notices: Some(Notices { purpose: true, consequences_of_refusal: true, right_to_withdraw: true }),
        form_sha256: "ab".repeat(32),
        recorded_by: "mb-17".into(),
        ..Consent::default()
    }
}

/// A referral for first orientation that such a consent covers.
pub fn handover(key: &str, subject: &str, recipient: &str) -> ReferralHandover {
    let referral = Referral {
        r#type: ReferralType::OrientationRefugee as i32,
        purpose: Purpose::Orientation as i32,
        requested_services: vec![RequestedService::Orientation as i32],
        identity: Some(Identity {
            family_name: "Özdemir-Müller".into(),
            given_names: "Jürgen".into(),
            birth_date: "1990-04-01".into(),
            sex: Sex::Male as i32,
            ..Identity::default()
        }),
        contact: Some(Contact { street: "Am Freiheitsplatz 1".into(), city: "Hanau".into(), ..Contact::default() }),
        languages: Some(Languages {
            items: vec![Language { tag: "uk".into(), level: LanguageLevel::Native as i32 }],
            interpreter_needed: true,
        }),
        ..Referral::default()
    };
    ReferralHandover {
        idempotency_key: key.into(),
        recipient: recipient.into(),
        subject_reference: subject.into(),
        referral: Some(referral),
        ..ReferralHandover::default()
    }
}

/// Records a consent at an agency's node.
pub async fn record(agency: &Agency, consent: Consent) -> Result<()> {
    let request = RecordConsentRequest { consent: Some(consent) };
    ConsentServiceClient::new(agency.system()?).record_consent(request).await?;
    Ok(())
}
