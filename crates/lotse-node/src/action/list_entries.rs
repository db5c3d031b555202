//! Lists log entries, newest first.

use std::ops::Range;
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_store::log::{self, Filter, Leaf};
use lotse_store::{Store, StoreError};
use tokio::time::Instant;

use crate::federation::Federation;
use crate::wording::Wording;

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

/// Entries that one read looks at. Between two of them others read.
const WINDOW: u64 = 20_000;

/// How long a list looks for entries that its filter lets through. Then it returns those that it has found.
const LONGEST: Duration = Duration::from_secs(10);

/// Lists entries of a generation before a leaf index; `None` begins at the newest. Where few entries of a long log pass the filter a page
/// may not be full, or be empty, and name a next one all the same.
pub async fn list_entries(
    store: &Store,
    generation: u32,
    filter: Filter,
    before: Option<u64>,
    size: u32,
) -> Result<Page, StoreError> {
    let window = if filter.record_id.is_some() { u64::MAX } else { WINDOW };
    let list = EntryQuery { store, generation, filter, size: size.clamp(1, MAX_PAGE), window, longest: LONGEST };
    list.before(before).await
}

/// Explains a list without an entry that is narrowed to an agency of which no card is accepted here; `None` if there is nothing to explain.
pub fn explain_empty(
    page: &Page,
    asked: Option<&AgencyId>,
    own: &AgencyId,
    federation: &Federation,
) -> Option<Wording> {
    let asked = asked.filter(|asked| *asked != own && !federation.peers.contains_key(*asked))?;
    let is_empty = page.leaves.is_empty() && page.next.is_none();
    is_empty.then(|| federation.explain_unknown(asked))
}

/// The entries that are listed, and how far one call goes.
struct EntryQuery<'a> {
    store: &'a Store,
    generation: u32,
    filter: Filter,
    size: u32,
    window: u64,
    longest: Duration,
}

impl EntryQuery<'_> {
    async fn before(&self, before: Option<u64>) -> Result<Page, StoreError> {
        let begun = Instant::now();
        let generation = self.generation;
        let end = self.store.read_list("log end", move |tx| Box::pin(log::end(tx, generation))).await?;
        let mut before = before.map_or(end, |before| before.min(end));
        let mut leaves = Vec::new();
        loop {
            let first = before.saturating_sub(self.window);
            leaves.extend(self.read(first..before, self.size + 1 - leaves.len() as u32).await?);
            if leaves.len() > self.size as usize {
                leaves.truncate(self.size as usize);
                let next = leaves.last().map(|leaf| leaf.index);
                return Ok(Page { leaves, next });
            }
            if first == 0 {
                return Ok(Page { leaves, next: None });
            }
            if begun.elapsed() >= self.longest {
                return Ok(Page { leaves, next: Some(first) });
            }
            before = first;
        }
    }

    async fn read(&self, range: Range<u64>, limit: u32) -> Result<Vec<Leaf>, StoreError> {
        let (generation, filter) = (self.generation, self.filter.clone());
        let read = self.store.read_list("list_entries", move |tx| {
            Box::pin(async move { log::list(tx, generation, &filter, range, limit).await })
        });
        read.await
    }
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

    #[tokio::test]
    async fn a_list_that_takes_too_long_returns_what_it_has_and_where_to_go_on() {
        let log = TestLog::new();
        log.grown(&[9]).await;
        let open = log.open().await;
        let all = async |filter: Filter, window, longest| {
            let store = &open.store;
            let list = EntryQuery { store, generation: 1, filter, size: 4, window, longest };
            let (mut pages, mut before) = (Vec::new(), None);
            loop {
                let page = list.before(before).await.unwrap();
                pages.push(page.leaves.iter().map(|leaf| leaf.index).collect::<Vec<_>>());
                before = page.next;
                if before.is_none() {
                    return pages;
                }
            }
        };
        let start = || Filter { kind: Some(EntryKind::LogStarted as i32), ..Filter::default() };
        assert_eq!(all(start(), 4, Duration::ZERO).await, [vec![], vec![], vec![0]]);
        assert_eq!(all(start(), 4, Duration::MAX).await, [[0]], "the windows of one page");
        for (window, longest) in [(1, Duration::ZERO), (3, Duration::ZERO), (3, Duration::MAX), (4, Duration::ZERO)] {
            let pages = all(Filter::default(), window, longest).await;
            assert!(pages.iter().all(|page| page.len() <= 4));
            assert_eq!(pages.concat(), (0..10).rev().collect::<Vec<_>>(), "{window} {longest:?}");
        }
    }
}
