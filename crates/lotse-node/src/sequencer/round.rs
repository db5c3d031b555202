//! One round: read, grow, sign, swap the head store, commit.

use lotse_core::log::checkpoint::Checkpoint;
use lotse_core::log::proof::TreeHead;
use lotse_store::log;

use super::growth::{Growth, grow};
use super::reconcile::Base;
use super::{Doubt, Point, SequenceError, Sequencer};
use crate::head_store::Head;

/// The most entries that one checkpoint adds: bounds the memory of a round.
const MAX_ENTRIES: u64 = 65_536;

/// What a round reached.
pub(super) struct Round {
    /// Size of the signed head.
    pub(super) size: u64,
    /// Whether committed entries are left for the next round.
    pub(super) has_more: bool,
}

impl Sequencer<'_> {
    /// Signs a head over the entries that are committed and under no head yet, if there are any.
    pub(super) async fn round(&self) -> Result<Round, SequenceError> {
        let Base { generation, head, signed, written } = self.reconcile().await?;
        let until = written.min(signed.size + MAX_ENTRIES);
        if until <= signed.size {
            return Ok(Round { size: signed.size, has_more: false });
        }
        let growth = self.grown(generation, signed, until).await??;
        self.pass(Point::EntriesRead)?;
        let new = Head {
            origin: self.origin(generation),
            tree: growth.head,
            checkpoints: head.as_ref().map_or(0, |head| head.checkpoints) + 1,
            fencing_number: 0, // set by the head store
            card_version: head.as_ref().map_or(0, |head| head.card_version),
        };
        self.pass(Point::Signed)?; // the note itself is signed with its row: the same bytes whenever it is made
        self.swap_head(head.as_ref(), &new).await?;
        self.pass(Point::HeadStored)?;
        self.store_row(generation, signed, growth).await?;
        Ok(Round { size: until, has_more: until < written })
    }

    /// Grows the signed tree by stored entries.
    pub(super) async fn grown(
        &self,
        generation: u32,
        signed: TreeHead,
        until: u64,
    ) -> Result<Result<Growth, Doubt>, SequenceError> {
        let read = self.store.read("grow log", move |tx| Box::pin(grow(tx, generation, signed, until)));
        Ok(read.await?)
    }

    /// Commits tiles and checkpoint of a head that the head store has; once committed, it is published.
    pub(super) async fn store_row(
        &self,
        generation: u32,
        before: TreeHead,
        growth: Growth,
    ) -> Result<(), SequenceError> {
        let note = Checkpoint { origin: self.origin(generation), head: growth.head }.sign(self.key);
        let row = log::Checkpoint { head: growth.head, signed_at: growth.newest_at, note: note.to_string() };
        let updates = growth.updates;
        let stored = self.store.transact("sequence", move |tx| {
            let (row, updates) = (row.clone(), updates.clone());
            Box::pin(async move {
                let newest = log::newest_checkpoint(tx, generation).await?.map_or(0, |newest| newest.head.size);
                if newest != before.size {
                    return Ok(false); // another writer: the next round looks again
                }
                log::write_tiles(tx, generation, &updates).await?;
                log::insert_checkpoint(tx, generation, &row).await?;
                Ok(true)
            })
        });
        if !stored.await? {
            tracing::warn!("another process writes this log's checkpoints; the next round looks again");
        }
        self.pass(Point::RowStored)
    }
}
