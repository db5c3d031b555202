//! Columns of consents (`lotse.record.v1.Consent`).

use super::super::code;
use super::column;
use crate::record_file::column::{Column, Kind::*};

/// Columns of consents.
pub static CONSENT: &[Column] = &[
    column("id", "Einwilligung", "id", Text),
    column("subject_reference", "Aktenzeichen", "subjectReference", Text).or(&[
        "Akte",
        "Az",
        "Aktennummer",
        "Fallnummer",
    ]),
    column("subject_kind", "Art_der_Person", "subjectKind", Code(&code::SUBJECT_KIND)),
    column("given_by", "Erteilt_durch", "givenBy", Code(&code::GIVEN_BY)),
    column("age_band", "Altersgruppe", "capacity.ageBand", Code(&code::AGE_BAND)),
    column("capacity_assessed_by_role", "Einsichtsfähigkeit_beurteilt_durch", "capacity.assessedByRole", Text),
    column("capacity_changes_on", "Einsichtsfähigkeit_ändert_sich_am", "capacity.changesOn", Day),
    column("recipients", "Empfänger", "recipients", Texts),
    column("purposes", "Zwecke", "purposes", Codes(&code::PURPOSE)),
    column("record_kinds", "Datensatzarten", "recordKinds", Codes(&code::RECORD_KIND)),
    column("categories", "Datenkategorien", "categories", Codes(&code::CATEGORY)),
    column("explicit_categories", "Ausdrückliche_Datenkategorien", "explicitCategories", Codes(&code::CATEGORY)),
    column("feedback_level", "Rückmeldung", "feedbackLevel", Code(&code::FEEDBACK_LEVEL)),
    column("given_at", "Erteilt_am", "givenAt", From).or(&["Erteilt"]),
    column("expires_at", "Gültig_bis", "expiresAt", Until),
    column("form", "Form", "form", Code(&code::CONSENT_FORM)),
    column("released_from_secrecy", "Von_Schweigepflicht_entbunden", "releasedFromSecrecy", Texts),
    column("text_language", "Textsprache", "textLanguage", Text),
    column("text_version", "Textfassung", "textVersion", Text),
    column("notice_purpose", "Hinweis_Zweck", "notices.purpose", Flag),
    column("notice_refusal", "Hinweis_Folgen_der_Verweigerung", "notices.consequencesOfRefusal", Flag),
    column("notice_withdrawal", "Hinweis_Widerruf", "notices.rightToWithdraw", Flag),
    column("form_sha256", "Formular_SHA256", "formSha256", Text),
    column("recorded_by", "Erfasst_durch", "recordedBy", Text),
    column("refused", "Verweigert", "refused", Flag),
    column("supersedes", "Ersetzt", "supersedes", Text),
];
