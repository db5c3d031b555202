//! Consents: what a person agreed to, and how it stands towards each recipient.
//!
//! What the decision reads is in clear and names nobody; the consent as it was given is encrypted. A withdrawal is written into
//! the rows that [`towards`] reads in the transaction of its arrival, so that no decision after it sees the old coverage.

use lotse_core::category::Categories;
use lotse_core::consent::{Consent, ConsentForm, ConsentState, GivenBy, Withdrawn};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Id, Sequence};
use lotse_core::purpose::{Purposes, RecordKinds};

use crate::engine::{Column, Columns, Readable, Row, StoreError, Tx, readable};

mod coverage;
mod reading;
mod recording;

pub use coverage::{
    Recipient, Touched, draw_epochs, due_to_expire, expire, narrow, raise_epochs, recipients, supersede, withdraw,
};
pub use reading::{Head, Stored, find, heads, list};
pub use recording::{Known, NewConsent, NewRecipient, insert, insert_recipients, known};

/// A consent as it stands towards one recipient, with what an excerpt for this recipient says.
#[derive(Clone, Debug)]
pub struct Towards {
    /// What the decision asks.
    pub consent: Consent,
    /// How the recipient knows the consent; none if the consent does not name it.
    pub consent_ref: Option<Id>,
    /// Epoch towards this recipient; zero if the consent does not name it.
    pub epoch: Sequence,
    /// Commitment to the signed form, drawn for this recipient; empty if there is no form.
    pub form_commitment: Vec<u8>,
    /// How the recipient knows the subject; none if no consent of this subject names it.
    pub subject_ref: Option<Id>,
    /// The subject's key, wrapped.
    pub subject_key: Vec<u8>,
}

/// A consent and its subject as they stand towards a recipient, found by one of the consent's columns.
macro_rules! towards_by {
    ($key:literal) => {
        concat!(
            "SELECT c.consent_id, c.subject_id, c.state, c.given_by, c.form, c.purposes, c.record_kinds, c.categories,
                    c.explicit_categories, c.feedback, c.given_at, c.expires_at, c.releases_from_secrecy, r.consent_ref,
                    r.epoch, r.form_commitment, r.withdrawn, r.withdrawn_purposes, r.withdrawn_categories, a.subject_ref,
                    s.subject_key
             FROM v JOIN consent c ON c.",
            $key,
            " = v.key
             JOIN subject s ON s.subject_id = c.subject_id
             LEFT JOIN consent_recipient r ON r.consent_id = c.consent_id AND r.recipient = v.recipient
             LEFT JOIN subject_alias a ON a.subject_id = c.subject_id AND a.recipient = v.recipient"
        )
    };
}

const ASKED: Columns<2> = [Column::blob("key"), Column::text("recipient")];

/// Finds all consents of these subjects, and those named by id, as they stand towards a recipient: one statement for each of the
/// two, whatever their number. What is not recorded is missing from the answer; what cannot be read is named by its subject.
pub async fn towards(
    tx: &mut Tx,
    recipient: &AgencyId,
    subjects: &[Id],
    named: &[Id],
) -> Result<Readable<Towards>, StoreError> {
    let asked = |ids: &[Id]| ids.iter().map(|id| [id.into(), recipient.into()]).collect();
    let mut rows = tx.fetch_with(&ASKED, asked(subjects), towards_by!("subject_id")).await?;
    if !named.is_empty() {
        rows.extend(tx.fetch_with(&ASKED, asked(named), towards_by!("consent_id")).await?);
    }
    let mut found = readable(&rows, 1, read_towards);
    found.rows.sort_unstable_by_key(|towards| towards.consent.id);
    found.rows.dedup_by_key(|towards| towards.consent.id);
    Ok(found)
}

fn read_towards(row: &Row) -> Result<Towards, StoreError> {
    let consent_ref: Option<Id> = row.get(13)?;
    let withdrawn = Withdrawn {
        whole: row.get::<Option<bool>>(16)?.unwrap_or_default(),
        purposes: Purposes::from_bits(row.get::<Option<i64>>(17)?.unwrap_or_default()),
        categories: Categories::from_bits(row.get::<Option<i64>>(18)?.unwrap_or_default()),
    };
    let consent = Consent {
        id: row.get(0)?,
        subject: row.get(1)?,
        state: state(row, 2)?,
        given_by: GivenBy::from_number(row.get(3)?).ok_or(StoreError::Value("who gave a consent"))?,
        form: ConsentForm::from_number(row.get(4)?).ok_or(StoreError::Value("form of a consent"))?,
        names_recipient: consent_ref.is_some(),
        purposes: Purposes::from_bits(row.get(5)?),
        record_kinds: RecordKinds::from_bits(row.get(6)?),
        categories: Categories::from_bits(row.get(7)?),
        explicit: Categories::from_bits(row.get(8)?),
        feedback: FeedbackLevel::from_number(row.get(9)?).ok_or(StoreError::Value("feedback level"))?,
        given_at: row.get(10)?,
        expires_at: row.get(11)?,
        releases_from_secrecy: row.get(12)?,
        withdrawn,
    };
    Ok(Towards {
        consent,
        consent_ref,
        epoch: row.get::<Option<Sequence>>(14)?.unwrap_or_default(),
        form_commitment: row.get::<Option<Vec<u8>>>(15)?.unwrap_or_default(),
        subject_ref: row.get(19)?,
        subject_key: row.get(20)?,
    })
}

pub(crate) fn state(row: &Row, column: usize) -> Result<ConsentState, StoreError> {
    ConsentState::from_number(row.get(column)?).ok_or(StoreError::Value("state of a consent"))
}

#[cfg(test)]
pub(crate) mod tests;
