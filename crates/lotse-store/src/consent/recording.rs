//! Consents as they are recorded: many at once, each with its recipients.

use std::collections::HashMap;

use lotse_core::category::Categories;
use lotse_core::consent::{ConsentForm, ConsentState, GivenBy};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::{Purposes, RecordKinds};
use lotse_core::time::Timestamp;

use super::state;
use crate::engine::{Column, OnConflict, StoreError, Table, Tx};
use crate::vault::Sealed;

/// A consent as it is written.
#[derive(Clone)]
pub struct NewConsent {
    /// Identifier given by the recording system.
    pub consent_id: Id,
    /// Subject.
    pub subject: Id,
    /// Given or refused.
    pub state: ConsentState,
    /// Who gave it.
    pub given_by: GivenBy,
    /// How it was given.
    pub form: ConsentForm,
    /// Purposes.
    pub purposes: Purposes,
    /// Record kinds.
    pub record_kinds: RecordKinds,
    /// Categories.
    pub categories: Categories,
    /// Special categories that are named explicitly.
    pub explicit: Categories,
    /// What may be reported back.
    pub feedback: FeedbackLevel,
    /// When it was given.
    pub given_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// Whether somebody is released from professional secrecy.
    pub releases_from_secrecy: bool,
    /// Keyed digest of the content: the same id with another digest is an error.
    pub content_digest: Digest,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The consent as it was given, encrypted.
    pub content: Sealed,
}

/// A recipient that a consent names.
#[derive(Clone, Debug)]
pub struct NewRecipient {
    /// Consent.
    pub consent_id: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// How the recipient knows the consent.
    pub consent_ref: Id,
    /// Commitment to the signed form, for this recipient; empty if there is no form.
    pub form_commitment: Vec<u8>,
    /// First epoch.
    pub epoch: Sequence,
}

/// What is known of a consent id.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Subject.
    pub subject: Id,
    /// Digest of its content.
    pub content_digest: Digest,
    /// Where it stands.
    pub state: ConsentState,
}

/// Finds those of the ids that are recorded.
pub async fn known(tx: &mut Tx, consent_ids: Vec<Id>) -> Result<HashMap<Id, Known>, StoreError> {
    let keys = consent_ids.into_iter().map(Into::into).collect();
    let sql = "SELECT consent_id, subject_id, content_digest, state FROM consent WHERE consent_id";
    let rows = tx.fetch_in(sql, keys, "", []).await?;
    rows.iter()
        .map(|row| {
            Ok((row.get(0)?, Known { subject: row.get(1)?, content_digest: row.get(2)?, state: state(row, 3)? }))
        })
        .collect()
}

static CONSENT: Table<17> = Table {
    name: "consent",
    columns: [
        Column::blob("consent_id"),
        Column::blob("subject_id"),
        Column::int("state"),
        Column::int("given_by"),
        Column::int("form"),
        Column::int("purposes"),
        Column::int("record_kinds"),
        Column::int("categories"),
        Column::int("explicit_categories"),
        Column::int("feedback"),
        Column::int("given_at"),
        Column::int("expires_at"),
        Column::int("releases_from_secrecy"),
        Column::blob("content_digest"),
        Column::int("recorded_at"),
        Column::blob("content_key"),
        Column::blob("content"),
    ],
};

/// Writes consents. Their ids must not be known, their subjects must be.
pub async fn insert(tx: &mut Tx, consents: Vec<NewConsent>) -> Result<(), StoreError> {
    let row = |consent: NewConsent| {
        [
            consent.consent_id.into(),
            consent.subject.into(),
            consent.state.number().into(),
            consent.given_by.number().into(),
            consent.form.number().into(),
            consent.purposes.bits().into(),
            consent.record_kinds.bits().into(),
            consent.categories.bits().into(),
            consent.explicit.bits().into(),
            consent.feedback.number().into(),
            consent.given_at.into(),
            consent.expires_at.into(),
            consent.releases_from_secrecy.into(),
            consent.content_digest.into(),
            consent.recorded_at.into(),
            consent.content.key.into(),
            consent.content.ciphertext.into(),
        ]
    };
    tx.insert_many(&CONSENT, consents.into_iter().map(row).collect(), OnConflict::Fail).await.map(|_| ())
}

static RECIPIENT: Table<5> = Table {
    name: "consent_recipient",
    columns: [
        Column::blob("consent_id"),
        Column::text("recipient"),
        Column::blob("consent_ref"),
        Column::blob("form_commitment"),
        Column::int("epoch"),
    ],
};

/// Writes the recipients that new consents name.
pub async fn insert_recipients(tx: &mut Tx, recipients: Vec<NewRecipient>) -> Result<(), StoreError> {
    let row = |recipient: NewRecipient| {
        [
            recipient.consent_id.into(),
            (&recipient.recipient).into(),
            recipient.consent_ref.into(),
            recipient.form_commitment.into(),
            recipient.epoch.into(),
        ]
    };
    tx.insert_many(&RECIPIENT, recipients.into_iter().map(row).collect(), OnConflict::Fail).await.map(|_| ())
}
