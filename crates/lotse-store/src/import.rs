//! Import tokens: each fetch of a record by a system has one, committed before the content is handed out.

use std::collections::{BTreeMap, BTreeSet};

use lotse_core::id::{Id, Sequence};
use lotse_core::purpose::Purpose;
use lotse_core::time::Timestamp;

use crate::custody;
use crate::engine::{Column, Columns, OnConflict, StoreError, Table, Tx};
use crate::outbox::purpose;

/// One fetch of one record.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// Token.
    pub token: Id,
    /// Record.
    pub record_id: Id,
    /// Revision of the record.
    pub revision: Sequence,
    /// System that fetched it.
    pub system: String,
    /// When.
    pub at: Timestamp,
}

static INSERT: Table<5> = Table {
    name: "import_token",
    columns: [
        Column::blob("token"),
        Column::blob("record_id"),
        Column::int("revision"),
        Column::text("system"),
        Column::int("fetched_at"),
    ],
};

/// Writes the tokens of a fetch.
pub async fn insert(tx: &mut Tx, fetched: &[Fetched]) -> Result<(), StoreError> {
    let row =
        |f: &Fetched| [f.token.into(), f.record_id.into(), f.revision.into(), f.system.as_str().into(), f.at.into()];
    tx.insert_many(&INSERT, fetched.iter().map(row).collect(), OnConflict::Fail).await.map(|_| ())
}

const CONFIRMED: Columns<3> = [Column::blob("token"), Column::text("system"), Column::int("at")];

/// Confirms the imports of a system; returns how many of the tokens are its own and confirmed now.
pub async fn confirm(tx: &mut Tx, system: &str, tokens: &[Id], at: Timestamp) -> Result<u64, StoreError> {
    let rows = tokens.iter().map(|&token| [token.into(), system.into(), at.into()]).collect();
    let sql = "UPDATE import_token SET confirmed_at = COALESCE(import_token.confirmed_at, v.at) FROM v
               WHERE import_token.token = v.token AND import_token.system = v.system";
    tx.execute_with(&CONFIRMED, rows, sql).await
}

/// Which systems have confirmed a held copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Envelope that brought the copy.
    pub envelope_id: Id,
    /// What it may be used for.
    pub purpose: Purpose,
    /// Systems that have confirmed this very revision.
    pub systems: BTreeSet<String>,
}

/// Finds the copies that these tokens are about and whose content is still there, with the systems that have confirmed each.
pub async fn imported(tx: &mut Tx, tokens: &[Id]) -> Result<Vec<Imported>, StoreError> {
    const TOKENS: Columns<1> = [Column::blob("token")];
    let rows = tokens.iter().map(|&token| [token.into()]).collect();
    let sql = "SELECT own.record_id, own.revision, t.system
               FROM v JOIN import_token own ON own.token = v.token
                      JOIN import_token t ON t.record_id = own.record_id AND t.revision = own.revision
               WHERE t.confirmed_at IS NOT NULL";
    let mut confirmed: BTreeMap<(Id, Sequence), BTreeSet<String>> = BTreeMap::new();
    for row in &tx.fetch_with(&TOKENS, rows, sql).await? {
        confirmed.entry((row.get(0)?, row.get(1)?)).or_default().insert(row.get(2)?);
    }
    let mut records: Vec<Id> = confirmed.keys().map(|&(record_id, _)| record_id).collect();
    records.dedup();
    let sql = "SELECT c.envelope_id, c.purpose, c.record_id, c.revision FROM custody c";
    let mut found = Vec::new();
    for row in
        &tx.fetch_by(&custody::RECORDS, sql, &records, " AND c.outcome = 1 AND c.content IS NOT NULL", []).await?
    {
        if let Some(systems) = confirmed.remove(&(row.get(2)?, row.get(3)?)) {
            found.push(Imported { envelope_id: row.get(0)?, purpose: purpose(row, 1)?, systems });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Database, on_both_engines};

    on_both_engines! {
        a_system_confirms_its_own_imports_and_twice_is_once
    }

    async fn a_system_confirms_its_own_imports_and_twice_is_once(database: Database) {
        let store = database.open().await;
        let token = |number: u8| Id::from_bytes([number; 16]);
        let fetched = move |number: u8, system: &str| Fetched {
            token: token(number),
            record_id: token(9),
            revision: Sequence::new(1, 1),
            system: system.into(),
            at: Timestamp::from_micros(1),
        };
        let all = [fetched(1, "akte"), fetched(2, "akte"), fetched(3, "archiv")];
        let written = store.transact("insert", move |tx| {
            let all = all.clone();
            Box::pin(async move { insert(tx, &all).await })
        });
        written.await.unwrap();
        for at in [2, 3] {
            let confirmed = store.transact("confirm", move |tx| {
                let tokens = [token(1), token(3), token(4)];
                Box::pin(async move { confirm(tx, "akte", &tokens, Timestamp::from_micros(at)).await })
            });
            assert_eq!(confirmed.await.unwrap(), 1);
        }
    }
}
