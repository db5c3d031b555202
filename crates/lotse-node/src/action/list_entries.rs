//! Lists log entries, newest first.

use lotse_store::log::{self, Filter, Leaf};
use lotse_store::{Store, StoreError};

/// The most entries of a page.
pub const MAX_PAGE: u32 = 500;

/// One page of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Entries, newest first.
    pub leaves: Vec<Leaf>,
    /// Where the next page begins: entries before this leaf index. Nothing at the end.
    pub next: Option<u64>,
}

/// Lists entries of a generation before a leaf index; `None` begins at the newest.
pub async fn list_entries(
    store: &Store,
    generation: u32,
    filter: Filter,
    before: Option<u64>,
    size: u32,
) -> Result<Page, StoreError> {
    let size = size.clamp(1, MAX_PAGE);
    let read = store.read("list_entries", move |tx| {
        Box::pin(async move { log::list(tx, generation, &filter, before, size + 1).await })
    });
    let mut leaves = read.await?;
    let has_more = leaves.len() > size as usize;
    leaves.truncate(size as usize);
    let next = leaves.last().map(|leaf| leaf.index).filter(|_| has_more);
    Ok(Page { leaves, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryKind;
    use crate::sequencer::tests::TestLog;

    #[tokio::test]
    async fn pages_follow_each_other_without_gap_or_repeat() {
        let log = TestLog::new();
        log.grown(&[9]).await;
        let open = log.open().await;
        let mut seen = Vec::new();
        let mut before = None;
        loop {
            let page = list_entries(&open.store, 1, Filter::default(), before, 4).await.unwrap();
            seen.extend(page.leaves.iter().map(|leaf| leaf.index));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..10).rev().collect::<Vec<_>>());
        let start = Filter { kind: Some(EntryKind::LogStarted as i32), ..Filter::default() };
        let page = list_entries(&open.store, 1, start, None, 4).await.unwrap();
        assert_eq!((page.leaves.len(), page.next), (1, None));
    }
}
