//! The disclosure register (Übermittlungsverzeichnis): one row per release, written once in the transaction that releases, and
//! read with the batch that carried it. It lives as long as the clause says and dies with the subject's key.

use lotse_core::id::{AgencyId, Digest, Id};
use lotse_core::time::Timestamp;

use crate::engine::{Column, OnConflict, StoreError, Table, Tx};

/// One release.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// Subject.
    pub subject: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// Record.
    pub record_id: Id,
    /// Digest of the envelope.
    pub envelope_digest: Digest,
    /// Batch in which it was released.
    pub batch_id: Id,
    /// Reference of the consent at the recipient.
    pub consent_ref: Id,
    /// When it was released.
    pub released_at: Timestamp,
    /// Until when the entry is kept.
    pub keep_until: Timestamp,
    /// Purpose, basis and categories, encrypted under the subject's key.
    pub content: Vec<u8>,
}

static INSERT: Table<9> = Table {
    name: "register",
    columns: [
        Column::blob("subject_id"),
        Column::text("recipient"),
        Column::blob("record_id"),
        Column::blob("envelope_digest"),
        Column::blob("batch_id"),
        Column::blob("consent_ref"),
        Column::int("released_at"),
        Column::int("keep_until"),
        Column::blob("content"),
    ],
};

/// Writes releases.
pub async fn insert(tx: &mut Tx, disclosures: Vec<Disclosure>) -> Result<(), StoreError> {
    let row = |d: Disclosure| {
        [
            d.subject.into(),
            (&d.recipient).into(),
            d.record_id.into(),
            d.envelope_digest.into(),
            d.batch_id.into(),
            d.consent_ref.into(),
            d.released_at.into(),
            d.keep_until.into(),
            d.content.into(),
        ]
    };
    tx.insert_many(&INSERT, disclosures.into_iter().map(row).collect(), OnConflict::Fail).await.map(|_| ())
}

/// Counts the releases under a consent that its recipients hold or may hold: all but those they refused.
pub async fn out_under_consent(tx: &mut Tx, consent_id: Id) -> Result<u64, StoreError> {
    let row = tx
        .fetch_one(
            "WITH RECURSIVE part (number) AS (
                 SELECT MIN(seq) / 4096 FROM register
                 UNION ALL SELECT number + 1 FROM part WHERE number < (SELECT MAX(seq) / 4096 FROM register))
             SELECT COUNT(*) FROM part CROSS JOIN consent s
             JOIN register r ON r.seq / 4096 = part.number AND r.subject_id = s.subject_id
             JOIN consent_recipient c ON c.consent_id = s.consent_id AND c.consent_ref = r.consent_ref
             JOIN outbox o ON o.record_id = r.record_id AND o.envelope_digest = r.envelope_digest
             WHERE s.consent_id = $1 AND o.state = 2",
            [consent_id.into()],
        )
        .await?;
    row.get(0)
}
