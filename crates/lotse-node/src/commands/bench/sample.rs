//! What the benchmark's system hands over: consents of 1,000 invented persons, and referrals of about 2 KiB with the fields that
//! adviser's offices fill in.

use std::time::Duration;

use bytes::Bytes;
use lotse_core::id::{AgencyId, Id};
use lotse_core::random::Random;
use lotse_core::time::{DAY, Timestamp};
use lotse_proto::agency::v1::{ReferralHandover, SubmitReferralRequest};
use lotse_proto::record::v1 as record;
use prost::Message;

use crate::wire::time;

/// Persons who consented.
pub(super) const SUBJECTS: usize = 1_000;

/// How long a consent holds.
const CONSENT_LIFE: Duration = DAY.saturating_mul(180);

/// Categories of the referrals, all covered by clause and consent: identity to mobility.
const CATEGORIES: std::ops::RangeInclusive<i32> = 1..=10;

const FAMILY_NAMES: [&str; 8] =
    ["Özdemir", "Kovalenko", "Müller", "Al-Khatib", "Weißgerber", "Nguyễn", "Schönfelder", "Tesfaye"];
const GIVEN_NAMES: [&str; 8] = ["Jürgen", "Oksana", "Änne", "Mahmoud", "Björn", "Thị Hương", "Zoë", "Selamawit"];

/// Returns the agency's own reference of a person.
fn reference(subject: usize) -> String {
    format!("bench-{subject:04}")
}

/// Makes the consent of a person towards the recipient.
pub(super) fn consent(subject: usize, recipient: &AgencyId, now: Timestamp, random: &dyn Random) -> record::Consent {
    record::Consent {
        id: Id::new(now, random).to_string(),
        subject_reference: reference(subject),
        subject_kind: record::SubjectKind::Person as i32,
        given_by: record::GivenBy::Self_ as i32,
        capacity: Some(record::Capacity {
            age_band: record::AgeBand::Adult as i32,
            assessed_by_role: "Fachkraft".into(),
            changes_on: String::new(),
        }),
        recipients: vec![recipient.to_string()],
        purposes: vec![record::Purpose::Orientation as i32],
        record_kinds: vec![record::RecordKind::Referral as i32],
        categories: CATEGORIES.collect(),
        feedback_level: record::FeedbackLevel::Status as i32,
        given_at: Some(time::message(now)),
        expires_at: Some(time::message(now.plus(CONSENT_LIFE))),
        form: record::ConsentForm::Written as i32,
        text_language: "de".into(),
        text_version: "2026-1".into(),
        notices: Some(record::Notices { purpose: true, consequences_of_refusal: true, right_to_withdraw: true }),
        form_sha256: "ab".repeat(32),
        recorded_by: "mb-17".into(),
        ..record::Consent::default()
    }
}

/// Makes what is handed over for a person, without its key.
pub(super) fn handover(subject: usize, recipient: &AgencyId) -> ReferralHandover {
    ReferralHandover {
        recipient: recipient.to_string(),
        subject_reference: reference(subject),
        referral: Some(referral(subject)),
        on_behalf_of: "mb-17".into(),
        ..ReferralHandover::default()
    }
}

/// Returns bytes of the size of one submission, for the yardstick.
pub(super) fn payload(recipient: &AgencyId) -> Bytes {
    let handover = ReferralHandover { idempotency_key: "b-0000000".into(), ..handover(0, recipient) };
    SubmitReferralRequest { handover: Some(handover) }.encode_to_vec().into()
}

fn referral(subject: usize) -> record::Referral {
    let pick = |names: [&str; 8]| names[subject % names.len()].to_owned();
    record::Referral {
        r#type: record::ReferralType::OrientationRefugee as i32,
        purpose: record::Purpose::Orientation as i32,
        requested_services: vec![1, 2, 6, 7],
        urgency: record::Urgency::Soon as i32,
        application_received_on: "2026-10-05".into(),
        sender_reference: format!("35-{subject:05}/26"),
        identity: Some(record::Identity {
            family_name: pick(FAMILY_NAMES),
            given_names: pick(GIVEN_NAMES),
            birth_date: format!("19{:02}-04-{:02}", 60 + subject % 40, 1 + subject % 28),
            sex: 1 + (subject % 2) as i32,
            ..record::Identity::default()
        }),
        contact: Some(contact(subject)),
        residence: Some(record::Residence { ags: "06435014".into(), kind: 1, ..record::Residence::default() }),
        residence_title: Some(record::ResidenceTitle {
            kind: record::ResidenceTitleKind::ResidencePermit as i32,
            legal_paragraph: "AufenthG § 24 Abs. 1".into(),
            valid_from: "2025-03-05".into(),
            valid_until: "2027-03-04".into(),
            first_issued_on: "2022-04-11".into(),
        }),
        work_permission: Some(record::WorkPermission { kind: 4, ..record::WorkPermission::default() }),
        education: Some(education()),
        work_history: Some(record::WorkHistory { items: (0..JOBS.len()).map(job).collect() }),
        languages: Some(languages()),
        skills: Some(record::Skills {
            target_kldb: vec!["43".into(), "62102".into(), "71402".into()],
            labels: SKILLS.map(String::from).to_vec(),
        }),
        mobility: Some(record::Mobility {
            max_commute_minutes: 60,
            driving_licences: vec!["B".into()],
            vehicle_available: false,
        }),
        ..record::Referral::default()
    }
}

fn contact(subject: usize) -> record::Contact {
    record::Contact {
        street: format!("Nürnberger Straße {}", 1 + subject % 120),
        postal_code: "63450".into(),
        city: "Hanau".into(),
        phone: format!("+49 6181 55{subject:05}"),
        email: format!("person{subject:04}@post.example"),
        preferred_language: "uk".into(),
    }
}

fn education() -> record::Education {
    let item = |title: &str, institution: &str, completed_on: &str| record::EducationItem {
        title: title.into(),
        institution: institution.into(),
        country: "UA".into(),
        completed_on: completed_on.into(),
        recognised: false,
    };
    record::Education {
        school_degree: record::SchoolDegree::UniversityEntrance as i32,
        items: vec![
            item("Bachelor Buchhaltung und Steuern", "Staatliche Wirtschaftsuniversität Charkiw", "2014-06-30"),
            item("Fachkraft für Lagerlogistik", "Berufskolleg für Handel und Verkehr Poltawa", "2009-06-30"),
            item("Deutschkurs B1 (Integrationskurs)", "Volkshochschule Main-Kinzig, Gelnhausen", "2025-11-14"),
        ],
    }
}

const SKILLS: [&str; 13] = [
    "Debitoren- und Kreditorenbuchhaltung mit gängigen Programmen",
    "Lohnabrechnung, Grundkenntnisse im deutschen Steuerrecht",
    "Tabellenkalkulation, sicher auch mit großen Auswertungen",
    "Warenannahme, Kommissionierung und Inventur",
    "Führen von Flurförderzeugen, Nachweis in der Heimat erworben",
    "Beratung von Kundinnen und Kunden am Schalter",
    "Übersetzen zwischen Ukrainisch, Russisch und Polnisch",
    "Schichtarbeit möglich, wenn die Kinderbetreuung geklärt ist",
    "Vorbereitung von Jahresabschlüssen nach dem Recht des Herkunftslandes",
    "Umgang mit Kassensystemen, Tagesabschluss und Belegprüfung",
    "Schriftverkehr mit Behörden, bisher mit Unterstützung durch Angehörige",
    "Anleitung neuer Kolleginnen und Kollegen im Lager",
    "Erste Hilfe, Nachweis vom März 2026 liegt vor",
];

const JOBS: [(&str, &str, &str); 6] = [
    ("Bilanzbuchhalterin in einem Großhandel für Baustoffe", "72213", "2018-02-01"),
    ("Sachbearbeiterin Lohn und Gehalt, Krankenhaus", "72213", "2014-09-01"),
    ("Fachkraft für Lagerlogistik in einem Verteilzentrum", "51312", "2009-07-15"),
    ("Disponentin bei einem Betrieb des Güterverkehrs", "51622", "2012-03-01"),
    ("Assistentin der Verwaltung einer Wohnungsgesellschaft", "71402", "2010-10-01"),
    ("Aushilfe im Verkauf, Bäckerei und Konditorei", "62302", "2007-06-01"),
];

fn job(place: usize) -> record::WorkHistoryItem {
    let (occupation, kldb, from) = JOBS[place];
    record::WorkHistoryItem {
        occupation: occupation.into(),
        kldb: kldb.into(),
        country: "UA".into(),
        from: from.into(),
        until: "2022-02-28".into(),
    }
}

fn languages() -> record::Languages {
    let language = |tag: &str, level: record::LanguageLevel| record::Language { tag: tag.into(), level: level as i32 };
    record::Languages {
        items: vec![
            language("uk", record::LanguageLevel::Native),
            language("ru", record::LanguageLevel::C2),
            language("pl", record::LanguageLevel::B2),
            language("de", record::LanguageLevel::B1),
            language("en", record::LanguageLevel::A2),
        ],
        interpreter_needed: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ambient::SystemRandom;
    use crate::testing::FIRST_DAY;
    use crate::wire;

    #[test]
    fn samples_are_well_formed_and_about_two_kibibytes() {
        let recipient: AgencyId = "aa.example".parse().unwrap();
        for subject in [0, 17, SUBJECTS - 1] {
            let handover =
                ReferralHandover { idempotency_key: format!("b-{subject}"), ..handover(subject, &recipient) };
            let own = "jc.example".parse().unwrap();
            let now = FIRST_DAY.parse().unwrap();
            wire::referral::parse_handover(handover, now).unwrap();
            wire::consent::parse(Some(&consent(subject, &recipient, now, &SystemRandom)), &own, now).unwrap();
        }
        let size = payload(&recipient).len();
        assert!((1_950..=2_200).contains(&size), "{size} bytes");
    }
}
