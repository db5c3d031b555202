//! Subjects: the persons and employers whom consents are about, and how each recipient knows them.

use std::collections::HashSet;

use lotse_core::id::{AgencyId, Id};
use lotse_core::keyed;

use crate::engine::{Column, OnConflict, StoreError, Table, Tx};
use crate::vault::{Place, Vault};

/// Derives the id of a subject: the first 128 bits of what is derived with the id key from the reference. The same reference is the
/// same subject for ever, and nobody can find it from a reference without the key file.
pub fn id(vault: &Vault, reference: &str) -> Id {
    let derived = keyed::derive(vault.id_key(), keyed::Kind::Subject, &[reference.as_bytes()]);
    let mut id = [0; 16];
    id.copy_from_slice(&derived[..16]);
    Id::from_bytes(id)
}

/// Where a subject's key and reference are stored.
pub fn place(subject: &Id) -> Place<'_> {
    Place { table: "subject", id: subject.as_bytes() }
}

/// A subject as it is written.
#[derive(Clone)]
pub struct NewSubject {
    /// Subject.
    pub subject: Id,
    /// Key of what is kept about it over years, wrapped.
    pub key: Vec<u8>,
    /// The agency's reference, encrypted under this key.
    pub reference: Vec<u8>,
}

static SUBJECT: Table<3> = Table {
    name: "subject",
    columns: [Column::blob("subject_id"), Column::blob("subject_key"), Column::blob("reference")],
};

/// Writes those subjects that are not known yet; a known one keeps its key.
pub async fn insert(tx: &mut Tx, subjects: Vec<NewSubject>) -> Result<(), StoreError> {
    let rows = subjects.into_iter().map(|s| [s.subject.into(), s.key.into(), s.reference.into()]).collect();
    tx.insert_many(&SUBJECT, rows, OnConflict::Ignore).await.map(|_| ())
}

/// Returns which of these subjects are known.
pub async fn known(tx: &mut Tx, subjects: &[Id]) -> Result<HashSet<Id>, StoreError> {
    let keys = subjects.iter().map(|&subject| subject.into()).collect();
    let rows = tx.fetch_in("SELECT subject_id FROM subject WHERE subject_id", keys, "", []).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// How a recipient knows a subject.
#[derive(Clone, Debug)]
pub struct NewAlias {
    /// Subject.
    pub subject: Id,
    /// Recipient.
    pub recipient: AgencyId,
    /// Random reference.
    pub subject_ref: Id,
}

static ALIAS: Table<3> = Table {
    name: "subject_alias",
    columns: [Column::blob("subject_id"), Column::text("recipient"), Column::blob("subject_ref")],
};

/// Writes those references that are not drawn yet: a recipient knows a subject under one reference for ever.
pub async fn insert_aliases(tx: &mut Tx, aliases: Vec<NewAlias>) -> Result<(), StoreError> {
    let rows = aliases.into_iter().map(|a| [a.subject.into(), (&a.recipient).into(), a.subject_ref.into()]).collect();
    tx.insert_many(&ALIAS, rows, OnConflict::Ignore).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use lotse_core::random::Random;

    use super::*;
    use crate::testing::{Database, on_both_engines, reading, writing};

    on_both_engines! {
        a_subject_is_known_once_it_was_written
    }

    async fn a_subject_is_known_once_it_was_written(database: Database) {
        let store = database.open().await;
        let subject = || NewSubject { subject: Id::from_bytes([1; 16]), key: vec![1], reference: vec![2] };
        writing!(store, tx => insert(tx, vec![subject()])).unwrap();
        let asked = || [1, 3].map(|number| Id::from_bytes([number; 16]));
        assert_eq!(reading!(store, tx => known(tx, &asked())), HashSet::from([Id::from_bytes([1; 16])]));
    }

    struct Constant(u8);

    impl Random for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn the_same_reference_is_the_same_subject_and_under_another_key_another() {
        let vault = |byte| Vault::load(&Vault::generate(&Constant(byte), "2026-11").unwrap()).unwrap();
        assert_eq!(id(&vault(1), "AK-17"), id(&vault(1), "AK-17"));
        assert_ne!(id(&vault(1), "AK-17"), id(&vault(1), "AK-18"));
        assert_ne!(id(&vault(1), "AK-17"), id(&vault(2), "AK-17"));
    }
}
