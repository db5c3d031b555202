//! The first entry of a node's first log.

use lotse_core::random;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::{StoreError, Tx, log, meta};

use crate::entry::{Detail, Draft, EntryKind, LogStart};

/// The generation that a new node begins with.
const FIRST_GENERATION: u32 = 1;

/// Writes `LOG_STARTED` as the first leaf of generation 1, unless the log has begun. To be called before anything else appends.
/// `drawn` are the entry's random bytes: a work may run twice and draws nothing itself.
pub async fn begin_log(tx: &mut Tx, at: Timestamp, drawn: &[u8; 42]) -> Result<(), StoreError> {
    if meta::generation(tx).await?.is_some() {
        return Ok(());
    }
    let start = LogStart { previous_root: Vec::new(), ..LogStart::default() };
    let draft = Draft { detail: Some(Detail::LogStart(start)), ..Draft::default() };
    let entry = draft.entry_with(EntryKind::LogStarted, at, drawn);
    meta::set_generation(tx, FIRST_GENERATION).await?;
    let taken = counter::take(tx, &[(Counter::Leaf, 1)]).await?;
    log::append(tx, FIRST_GENERATION, taken.first(&Counter::Leaf, 1), vec![entry]).await
}

impl super::Sequencer<'_> {
    /// Begins the log of a new node.
    pub(super) async fn begin(&self) -> Result<(), super::SequenceError> {
        let (at, drawn) = (self.clock.now(), random::bytes(self.random));
        self.store.transact("begin log", move |tx| Box::pin(async move { begin_log(tx, at, &drawn).await })).await?;
        self.pass(super::Point::LogBegun)
    }
}
