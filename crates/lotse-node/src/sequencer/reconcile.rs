//! Before each round: do head store and database tell of one log? What a crash left between them is completed; anything else is
//! a doubt, and nothing more is signed.

use lotse_core::log::checkpoint::Origin;
use lotse_core::log::proof::TreeHead;
use lotse_proto::exchange::v1::LogEntry;
use lotse_store::counter::{self, Counter};
use lotse_store::log::{self, Checkpoint};
use lotse_store::meta;

use prost::Message;

use super::{Doubt, Point, SequenceError, Sequencer, empty_tree};
use crate::entry::{Detail, LogStart};
use crate::head_store::Head;

/// Where a round begins.
pub(super) struct Base {
    /// Generation.
    pub(super) generation: u32,
    /// What the head store has; nothing before the first signature.
    pub(super) head: Option<Head>,
    /// The signed tree.
    pub(super) signed: TreeHead,
    /// Number of entries that are committed.
    pub(super) written: u64,
}

/// What the database tells of its log.
struct Stored {
    generation: Option<u32>,
    checkpoint: Option<Checkpoint>,
    written: u64,
}

impl Sequencer<'_> {
    /// Makes head store and database agree, or says why they cannot.
    pub(super) async fn reconcile(&self) -> Result<Base, SequenceError> {
        let head = self.load_head().await?;
        let mut stored = self.stored().await?;
        if stored.generation.is_none() && head.is_none() {
            self.begin().await?;
            stored = self.stored().await?;
        }
        let Some(generation) = stored.generation else {
            let head = head.map_or(0, |head| head.tree.size);
            return Err(Doubt::EntriesMissing { head, stored: 0 }.into());
        };
        let row = stored.checkpoint.map_or(empty_tree(), |checkpoint| checkpoint.head);
        let head = match head {
            Some(head) if head.origin != self.origin(generation) => Some(self.follow(head, generation, &row).await?),
            head => head,
        };
        let base = |head: Option<Head>, signed| Base { generation, head, signed, written: stored.written };
        match head {
            None if row.size == 0 => Ok(base(None, row)),
            None => Err(Doubt::HeadLost { size: row.size }.into()),
            Some(head) if head.tree == row => Ok(base(Some(head), row)),
            Some(head) if head.tree.size == row.size => Err(Doubt::OtherRoot { size: row.size }.into()),
            Some(head) if head.tree.size < row.size => {
                Err(Doubt::HeadOlder { head: head.tree.size, database: row.size }.into())
            }
            Some(head) if head.tree.size > stored.written => {
                Err(Doubt::EntriesMissing { head: head.tree.size, stored: stored.written }.into())
            }
            Some(head) => {
                let signed = head.tree;
                let head = self.complete(generation, row, head).await?;
                Ok(base(Some(head), signed))
            }
        }
    }

    /// Writes the tiles and the row of a head that was signed before a crash.
    async fn complete(&self, generation: u32, row: TreeHead, head: Head) -> Result<Head, SequenceError> {
        self.pass(Point::Completing)?;
        let growth = self.grown(generation, row, head.tree.size).await?;
        let growth = growth.map_err(|doubt| match doubt {
            // Committed before the head was signed: only a database that is another one has lost them.
            Doubt::EntryMissing { index } => Doubt::EntriesMissing { head: head.tree.size, stored: index },
            other => other,
        })?;
        if growth.head != head.tree {
            return Err(Doubt::OtherRoot { size: head.tree.size }.into());
        }
        // What was seen may not be on the disk yet: the folder's flush may be what failed.
        let head = self.swap_head(Some(&head), &head).await?;
        self.store_row(generation, row, growth).await?;
        Ok(head)
    }

    /// Follows a resume that a crash cut off between database and head store: the new generation's first entry names exactly the
    /// head that the head store has.
    async fn follow(&self, head: Head, generation: u32, row: &TreeHead) -> Result<Head, SequenceError> {
        let origin = self.origin(generation);
        let other = Doubt::OtherLog { head: Box::new(head.origin.clone()), database: Box::new(origin.clone()) };
        if row.size > 0 || head.origin.agency != origin.agency || head.origin.generation > generation {
            return Err(other.into());
        }
        let read = self.store.read("log start", move |tx| Box::pin(log::find(tx, generation, 0)));
        let start = read.await?.and_then(|leaf| log_start(&leaf.entry.bytes));
        let continues = start.is_some_and(|start| continues(&start, &head));
        if !continues {
            return Err(other.into());
        }
        let new = Head { origin, tree: empty_tree(), checkpoints: 0, ..head.clone() };
        Ok(self.swap_head(Some(&head), &new).await?)
    }

    async fn stored(&self) -> Result<Stored, SequenceError> {
        let read = self.store.read("log state", move |tx| {
            Box::pin(async move {
                let generation = meta::generation(tx).await?;
                let written = counter::read(tx, &Counter::Leaf).await?;
                let checkpoint = match generation {
                    Some(generation) => log::newest_checkpoint(tx, generation).await?,
                    None => None,
                };
                Ok(Stored { generation, checkpoint, written })
            })
        });
        Ok(read.await?)
    }
}

/// Tells whether a log follows the one that a head store knows: it names that very head, or a newer one, where the head store was
/// lost or is an older copy.
fn continues(start: &LogStart, head: &Head) -> bool {
    let Ok(previous) = start.previous_origin.parse::<Origin>() else { return false };
    let is_same = previous == head.origin && start.previous_size == head.tree.size;
    let is_newer = (previous.generation, start.previous_size) > (head.origin.generation, head.tree.size);
    previous.agency == head.origin.agency && (is_newer || (is_same && start.previous_root == head.tree.root.as_bytes()))
}

/// Reads what the first entry of a generation says.
pub(crate) fn log_start(entry: &[u8]) -> Option<LogStart> {
    match LogEntry::decode(entry).ok()?.detail? {
        Detail::LogStart(start) => Some(start),
        Detail::Batch(_) => None,
    }
}
