//! People who do not exist: their consents, and referrals in which every category can be found again.

use std::sync::Arc;

use lotse_core::category::{Categories, Category};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::Id;
use lotse_core::time::Timestamp;
use lotse_proto::record::v1 as proto;

use crate::action::withdraw_consent::{self, WithdrawConsent, withdraw_consent};
use crate::failure::Failure;
use crate::node::Node;
use crate::wire::field::Findings;

/// A consent for orientation, given now.
pub(super) fn consent(
    id: Id,
    person: u8,
    categories: Categories,
    feedback: FeedbackLevel,
    recipient: &str,
    now: Timestamp,
    expires_at: Timestamp,
) -> proto::Consent {
    let message = |at: Timestamp| pbjson_types::Timestamp {
        seconds: at.micros().div_euclid(1_000_000),
        nanos: (at.micros().rem_euclid(1_000_000) * 1000) as i32,
    };
    proto::Consent {
        id: id.to_string(),
        subject_reference: format!("person-{person}"),
        subject_kind: proto::SubjectKind::Person as i32,
        given_by: proto::GivenBy::Self_ as i32,
        capacity: Some(proto::Capacity {
            age_band: proto::AgeBand::Adult as i32,
            assessed_by_role: "Fachkraft".into(),
            changes_on: String::new(),
        }),
        recipients: vec![recipient.into()],
        purposes: vec![proto::Purpose::Orientation as i32],
        record_kinds: vec![proto::RecordKind::Referral as i32],
        categories: categories.iter().map(Category::number).collect(),
        feedback_level: feedback.number(),
        given_at: Some(message(now)),
        expires_at: Some(message(expires_at)),
        form: proto::ConsentForm::Written as i32,
        text_language: "de".into(),
        text_version: "1".into(),
        notices: Some(proto::Notices { purpose: true, consequences_of_refusal: true, right_to_withdraw: true }),
        form_sha256: "ab".repeat(32),
        recorded_by: "mb-17".into(),
        ..proto::Consent::default()
    }
}

/// The text by which a category is found again in bytes.
pub(super) fn mark(category: Category) -> &'static str {
    match category {
        Category::Identity => "Zeichen-der-Person",
        Category::Contact => "Zeichen-der-Anschrift",
        Category::Residence => "97531864",
        Category::ResidenceTitle => "Zeichen-des-Titels",
        Category::WorkPermission => "Zeichen-der-Erlaubnis",
        Category::Education => "Zeichen-der-Bildung",
        Category::WorkHistory => "Zeichen-der-Arbeit",
        Category::Languages => "qaa-x-zeichen",
        Category::Skills => "Zeichen-des-Koennens",
        Category::Mobility => "Z31CH3N",
        Category::Benefits => "1903-02-17",
        Category::DisabilityStatus => "2093-07-19",
        Category::Note => "Zeichen-der-Notiz",
        // Numbers and codes only: what was parsed is looked at.
        Category::Household | Category::Health | Category::YouthHelp => "Zeichen-ohne-Feld",
    }
}

/// A referral with a section for each of these categories.
pub(super) fn referral(present: Categories) -> proto::Referral {
    let text = |category| mark(category).to_string();
    let has = |category| present.contains(category);
    proto::Referral {
        r#type: proto::ReferralType::OrientationRefugee as i32,
        purpose: proto::Purpose::Orientation as i32,
        requested_services: vec![proto::RequestedService::Orientation as i32],
        identity: has(Category::Identity).then(|| proto::Identity {
            family_name: text(Category::Identity),
            given_names: "Jürgen".into(),
            birth_date: "1990-04-01".into(),
            ..proto::Identity::default()
        }),
        contact: has(Category::Contact)
            .then(|| proto::Contact { street: text(Category::Contact), ..proto::Contact::default() }),
        residence: has(Category::Residence)
            .then(|| proto::Residence { ags: text(Category::Residence), ..proto::Residence::default() }),
        residence_title: has(Category::ResidenceTitle).then(|| proto::ResidenceTitle {
            kind: proto::ResidenceTitleKind::ResidencePermit as i32,
            legal_paragraph: text(Category::ResidenceTitle),
            ..proto::ResidenceTitle::default()
        }),
        work_permission: has(Category::WorkPermission).then(|| proto::WorkPermission {
            kind: proto::WorkPermissionKind::EmployerBound as i32,
            bound_employer: text(Category::WorkPermission),
            ..proto::WorkPermission::default()
        }),
        education: has(Category::Education).then(|| proto::Education {
            items: vec![proto::EducationItem { title: text(Category::Education), ..proto::EducationItem::default() }],
            ..proto::Education::default()
        }),
        work_history: has(Category::WorkHistory).then(|| proto::WorkHistory {
            items: vec![proto::WorkHistoryItem {
                occupation: text(Category::WorkHistory),
                ..proto::WorkHistoryItem::default()
            }],
        }),
        languages: has(Category::Languages).then(|| proto::Languages {
            items: vec![proto::Language { tag: text(Category::Languages), level: proto::LanguageLevel::Native as i32 }],
            interpreter_needed: true,
        }),
        skills: has(Category::Skills)
            .then(|| proto::Skills { labels: vec![text(Category::Skills)], ..proto::Skills::default() }),
        mobility: has(Category::Mobility).then(|| proto::Mobility {
            driving_licences: vec![text(Category::Mobility)],
            ..proto::Mobility::default()
        }),
        household: has(Category::Household).then(|| proto::Household {
            adults: 1,
            children: 2,
            ..proto::Household::default()
        }),
        benefits: has(Category::Benefits)
            .then(|| proto::Benefits { since: text(Category::Benefits), ..proto::Benefits::default() }),
        disability_status: has(Category::DisabilityStatus).then(|| proto::DisabilityStatus {
            kind: proto::DisabilityStatusKind::SeverelyDisabled as i32,
            degree: 50,
            valid_until: text(Category::DisabilityStatus),
        }),
        health: has(Category::Health).then(|| proto::Health { hours_per_day: 3, ..proto::Health::default() }),
        youth_help: has(Category::YouthHelp).then(proto::YouthHelp::default),
        note: has(Category::Note).then(|| proto::Note { text: text(Category::Note) }),
        ..proto::Referral::default()
    }
}

/// Withdraws a consent: these categories, or the whole of it.
pub(super) async fn withdraw(
    node: Arc<Node>,
    consent_id: Id,
    categories: Categories,
    whole: bool,
) -> Result<withdraw_consent::Outcome, Failure> {
    let categories = if whole { vec![] } else { categories.iter().map(Category::number).collect() };
    let scope = proto::WithdrawalScope { categories, ..proto::WithdrawalScope::default() };
    let scope = crate::wire::consent::parse_scope(Some(&scope), &mut Findings::default());
    let actor = "spiffe://jc.example/system/akte".to_string();
    withdraw_consent(&node, WithdrawConsent { consent_id, scope, on_behalf_of: String::new(), actor, trace: None })
        .await
}
