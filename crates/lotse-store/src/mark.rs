//! The mark of a database: of which agency it is, and of which of its nodes. Written once; whoever opens the database compares it
//! before anything is written, for two nodes on one database would fork its log.

use lotse_core::id::{AgencyId, Digest};

use crate::card;
use crate::engine::{Row, StoreError, Tx};
use crate::meta;

/// Name of the row with the agency.
const AGENCY: &str = "mark/agency";
/// Name of the row with the instance.
const INSTANCE: &str = "mark/instance";
/// Name of the row with the folder.
const FOLDER: &str = "mark/folder";

/// The mark of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseMark {
    /// The agency.
    pub agency: AgencyId,
    /// Which of its nodes: derived from the keys that lie in the node's folder, so that it moves and is restored with them.
    pub instance: Digest,
    /// The folder from which it was opened last, for messages only: a folder may be moved.
    pub folder: String,
}

/// The facts in a database that show whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identification {
    /// Its mark; none in a new database, and in one from before there were marks.
    pub mark: Option<DatabaseMark>,
    /// The newest signed head of its log, a note.
    pub head: Option<String>,
    /// The seal of the agency's own card, encoded.
    pub card: Option<Vec<u8>>,
}

/// Reads what a database says of itself to an agency. Its tables may be older than this program, but must be there.
pub async fn identify(tx: &mut Tx, agency: &AgencyId) -> Result<Identification, StoreError> {
    let newest = "SELECT note FROM checkpoint ORDER BY generation DESC, size DESC LIMIT 1";
    let head = tx.fetch_optional(newest, []).await?.map(|row: Row| row.get(0)).transpose()?;
    let card = card::find(tx, std::slice::from_ref(agency)).await?.pop().map(|card| card.seal);
    Ok(Identification { mark: read(tx).await?, head, card })
}

/// Marks a database for a node. Where it has the mark of another one, nothing is written and that mark is returned.
pub async fn set(tx: &mut Tx, mark: &DatabaseMark) -> Result<Option<DatabaseMark>, StoreError> {
    match read(tx).await? {
        Some(known) if known.agency != mark.agency || known.instance != mark.instance => return Ok(Some(known)),
        Some(known) if known.folder == mark.folder => return Ok(None),
        _ => {}
    }
    meta::write(tx, AGENCY, mark.agency.to_string().into_bytes()).await?;
    meta::write(tx, INSTANCE, mark.instance.as_bytes().to_vec()).await?;
    meta::write(tx, FOLDER, mark.folder.clone().into_bytes()).await?;
    Ok(None)
}

async fn read(tx: &mut Tx) -> Result<Option<DatabaseMark>, StoreError> {
    const UNREADABLE: StoreError = StoreError::Value("the stored mark of the database");
    let Some(agency) = meta::read(tx, AGENCY).await? else { return Ok(None) };
    let agency = String::from_utf8(agency).ok().and_then(|text| text.parse().ok()).ok_or(UNREADABLE)?;
    let instance = meta::read(tx, INSTANCE).await?.and_then(|bytes| bytes.try_into().ok()).ok_or(UNREADABLE)?;
    let folder = meta::read(tx, FOLDER).await?.unwrap_or_default();
    let folder = String::from_utf8_lossy(&folder).into_owned();
    Ok(Some(DatabaseMark { agency, instance: Digest::from_bytes(instance), folder }))
}

#[cfg(test)]
mod tests {
    use lotse_core::log::proof::TreeHead;
    use lotse_core::time::Timestamp;

    use super::*;
    use crate::card::StoredCard;
    use crate::log::{self, Checkpoint};
    use crate::testing::{Database, on_both_engines, reading, tamper, writing};

    on_both_engines! {
        a_mark_is_set_once_and_another_nodes_is_left_as_it_is
        a_database_without_a_mark_shows_its_log_and_its_card
    }

    fn agency(name: &str) -> AgencyId {
        name.parse().unwrap()
    }

    fn mark(name: &str, instance: u8, folder: &str) -> DatabaseMark {
        DatabaseMark { agency: agency(name), instance: Digest::from_bytes([instance; 32]), folder: folder.into() }
    }

    async fn a_mark_is_set_once_and_another_nodes_is_left_as_it_is(database: Database) {
        let store = database.open().await;
        let shown = async || reading!(store, tx => identify(tx, &agency("jc.example")));
        assert_eq!(shown().await, Identification::default());
        let first = mark("jc.example", 1, "/srv/node");
        for own in [first.clone(), first.clone()] {
            assert_eq!(
                store
                    .transact("mark", move |tx| {
                        let own = own.clone();
                        Box::pin(async move { set(tx, &own).await })
                    })
                    .await,
                Ok(None)
            );
        }
        for other in [mark("jc.example", 2, "/srv/node"), mark("aa.example", 1, "/srv/node")] {
            let refused = store.transact("mark", move |tx| {
                let other = other.clone();
                Box::pin(async move { set(tx, &other).await })
            });
            assert_eq!(refused.await, Ok(Some(first.clone())));
        }
        assert_eq!(shown().await.mark, Some(first));
        let moved = writing!(store, tx => set(tx, &mark("jc.example", 1, "/srv/moved")));
        assert_eq!(moved, Ok(None));
        assert_eq!(shown().await.mark, Some(mark("jc.example", 1, "/srv/moved")));
        tamper::forget_mark(database.url()).await;
        assert_eq!(shown().await.mark, None);
    }

    async fn a_database_without_a_mark_shows_its_log_and_its_card(database: Database) {
        let store = database.open().await;
        let at = Timestamp::from_micros(7);
        let written = store.transact("write", move |tx| {
            Box::pin(async move {
                for (generation, size) in [(1, 9), (2, 3)] {
                    let head = TreeHead { size, root: Digest::of(b"root") };
                    let row = Checkpoint { head, signed_at: at, note: format!("note {generation}") };
                    log::insert_checkpoint(tx, generation, &row).await?;
                }
                for name in ["aa.example", "jc.example"] {
                    let (agency, digest) = (agency(name), Digest::of(name.as_bytes()));
                    let card = StoredCard { agency, version: 1, digest, seal: name.into(), taken_at: at };
                    card::put(tx, &card).await?;
                }
                Ok(())
            })
        });
        written.await.unwrap();
        let shown = reading!(store, tx => identify(tx, &agency("jc.example")));
        let wanted = Identification { mark: None, head: Some("note 2".into()), card: Some(b"jc.example".to_vec()) };
        assert_eq!(shown, wanted);
    }
}
