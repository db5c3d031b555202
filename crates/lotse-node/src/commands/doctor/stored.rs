//! What stands in the database: read on one snapshot, beside the running node or without it.

use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::log::proof::TreeHead;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::outbox::{self, Oldest, WaitReason, Waiting};
use lotse_store::{StoreError, StoreOptions, Tx, log, meta};
use tokio::time::timeout;

use super::finding::{Area, Finding};
use super::place::Place;
use crate::database::{self, ForeignDatabase};
use crate::federation::Federation;

/// What stands in the database.
pub(super) struct Stored {
    pub(super) federation: Federation,
    /// Generation of the log; none before it has begun.
    pub(super) generation: Option<u32>,
    /// Committed entries of the log.
    pub(super) written: u64,
    /// The newest signed head in the database; none before the first.
    pub(super) checkpoint: Option<TreeHead>,
    /// Time of the newest entry.
    pub(super) newest_at: Option<Timestamp>,
    /// Time of the oldest entry that is not signed.
    pub(super) unsigned_since: Option<Timestamp>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) oldest: Vec<Oldest>,
    pub(super) wait_reasons: Vec<WaitReason>,
    /// Record ids that stand in the outbox more than once; none if counting took too long.
    pub(super) repeated: Option<u64>,
}

/// How long counting over the whole outbox may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stored {
    /// Reads it; where that is not possible it is a finding.
    pub(super) async fn read(place: &Place, findings: &mut Vec<Finding>) -> Option<Stored> {
        match read(place).await {
            Ok(stored) => Some(stored),
            Err(error) if error.is::<ForeignDatabase>() => {
                let seen =
                    error.downcast_ref().map_or_else(String::new, |foreign: &ForeignDatabase| foreign.seen.clone());
                findings.push(Finding::problem(Area::Database, "mark", seen, ForeignDatabase::WAY_OUT.into()));
                None
            }
            Err(error) => {
                let todo =
                    "what the database says above comes first; card, log, peers and agreements were not looked at";
                findings.push(Finding::problem(Area::Database, "tables", format!("{error:#}"), todo.into()));
                None
            }
        }
    }
}

async fn read(place: &Place) -> anyhow::Result<Stored> {
    let options = StoreOptions { readers: Some(1), ..StoreOptions::default() };
    let store = database::open_to_read(&place.folder, &place.config, &options).await?;
    let own = place.config.agency.id.clone();
    let stored = store.read("doctor", move |tx| Box::pin(async move { look(tx, &own).await })).await;
    let counting = store.read("repeated", |tx| Box::pin(outbox::repeated(tx)));
    let repeated = timeout(PATIENCE, counting).await.ok().transpose()?;
    store.close().await;
    Ok(Stored { repeated, ..stored? })
}

async fn look(tx: &mut Tx, own: &AgencyId) -> Result<Stored, StoreError> {
    let generation = meta::generation(tx).await?;
    let written = counter::read(tx, &Counter::Leaf).await?;
    let (mut checkpoint, mut newest_at, mut unsigned_since) = (None, None, None);
    if let Some(generation) = generation {
        checkpoint = log::newest_checkpoint(tx, generation).await?.map(|checkpoint| checkpoint.head);
        newest_at = log::find(tx, generation, written.saturating_sub(1)).await?.map(|leaf| leaf.entry.at);
        let signed = checkpoint.as_ref().map_or(0, |head| head.size);
        unsigned_since = log::find(tx, generation, signed).await?.map(|leaf| leaf.entry.at);
    }
    Ok(Stored {
        federation: Federation::load(tx, own).await?,
        generation,
        written,
        checkpoint,
        newest_at,
        unsigned_since,
        waiting: outbox::waiting(tx).await?,
        oldest: outbox::oldest(tx).await?,
        wait_reasons: outbox::wait_reasons(tx).await?,
        repeated: None,
    })
}
