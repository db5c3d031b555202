//! Returns entries' exact bytes in the order of the log, for those who compute the tree themselves.

use lotse_store::{Store, StoreError, Tx, log};

/// The most entries of a page.
const MAX_ENTRIES: usize = 1024;
/// After so many bytes a page ends: what fits into one message, with an entry of the largest size behind them.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Entries read at once.
const STEP: u32 = 128;

/// Returns entries of a generation from a leaf index on, without a gap and only those under a signed head. Nothing at the end, and
/// where an entry is missing.
pub async fn read_entries(store: &Store, generation: u32, first: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    store.read("read_entries", move |tx| Box::pin(read(tx, generation, first))).await
}

async fn read(tx: &mut Tx, generation: u32, first: u64) -> Result<Vec<Vec<u8>>, StoreError> {
    let signed = log::newest_checkpoint(tx, generation).await?.map_or(0, |newest| newest.head.size);
    let (mut entries, mut bytes, mut next) = (Vec::new(), 0, first);
    while next < signed && entries.len() < MAX_ENTRIES && bytes < MAX_BYTES {
        let limit = u32::try_from(signed - next).unwrap_or(STEP).min(STEP);
        let page = log::read(tx, generation, next, limit).await?;
        let is_whole = page.len() == limit as usize;
        for leaf in page {
            if leaf.index != next || bytes >= MAX_BYTES {
                return Ok(entries);
            }
            bytes += leaf.entry.bytes.len();
            entries.push(leaf.entry.bytes);
            next += 1;
        }
        if !is_whole {
            return Ok(entries);
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use lotse_store::testing::tamper;

    use super::*;
    use crate::sequencer::tests::TestLog;

    #[tokio::test]
    async fn entries_come_in_order_and_only_those_under_a_signed_head() {
        let log = TestLog::new();
        log.grown(&[1200]).await;
        let open = log.open().await;
        open.append(5).await;
        let first = read_entries(&open.store, 1, 0).await.unwrap();
        assert_eq!(first.len(), MAX_ENTRIES);
        let rest = read_entries(&open.store, 1, first.len() as u64).await.unwrap();
        assert_eq!(first.len() + rest.len(), 1201);
        assert!(read_entries(&open.store, 1, 1201).await.unwrap().is_empty());
        assert!(read_entries(&open.store, 2, 0).await.unwrap().is_empty());
        let all = open.store.read("all", |tx| Box::pin(log::read(tx, 1, 0, 4096))).await.unwrap();
        let all: Vec<Vec<u8>> = all.into_iter().take(1201).map(|leaf| leaf.entry.bytes).collect();
        assert_eq!([first, rest].concat(), all);
    }

    #[tokio::test]
    async fn nothing_comes_behind_a_gap() {
        let log = TestLog::new();
        log.grown(&[20]).await;
        tamper::delete_entry(log.database.url(), 7);
        let open = log.open().await;
        assert_eq!(read_entries(&open.store, 1, 3).await.unwrap().len(), 4);
        assert!(read_entries(&open.store, 1, 7).await.unwrap().is_empty());
    }
}
