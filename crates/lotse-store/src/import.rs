//! Import tokens: each fetch of a record by a system has one, committed before the content is handed out.

use lotse_core::id::{Id, Sequence};
use lotse_core::time::Timestamp;

use crate::engine::{Column, OnConflict, StoreError, Table, Tx};

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

/// Confirms the imports of a system; returns how many of the tokens are its own and confirmed now.
pub async fn confirm(tx: &mut Tx, system: &str, tokens: &[Id], at: Timestamp) -> Result<u64, StoreError> {
    let keys = tokens.iter().map(|&token| token.into()).collect();
    tx.execute_in(
        "UPDATE import_token SET confirmed_at = COALESCE(confirmed_at, $2) WHERE token",
        keys,
        " AND system = $3",
        [at.into(), system.into()],
    )
    .await
}
