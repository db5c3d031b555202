//! Begins a new generation of the node, after a restore or any other doubt about its log. The old log is never rewritten.
//!
//! Works on a stopped node. The database is changed in one transaction, the head store after it; a stop between the two is repaired
//! at the next start, because the first entry of the new log names the head that the head store still has.

use lotse_core::log::checkpoint::Origin;
use lotse_core::log::proof::TreeHead;
use lotse_core::random;
use lotse_core::time::Timestamp;
use lotse_store::counter::{self, Counter};
use lotse_store::{StoreError, Tx, log, meta, peer};

use crate::entry::{Detail, Draft, EntryKind, LogStart};
use crate::head_store::{Head, HeadStore};
use crate::sequencer::{Doubt, SequenceError, Sequencer, empty_tree};

/// What an administrator asks for.
#[derive(Clone, Debug)]
pub struct Resume {
    /// The generation that the new card names.
    pub generation: u32,
    /// Version of the new card.
    pub card_version: u64,
    /// Why. Never about persons.
    pub reason: String,
    /// Who.
    pub actor: String,
}

/// What the new generation begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// What its first entry says.
    pub start: LogStart,
    /// Why the old log was in doubt, if it was.
    pub doubt: Option<Doubt>,
}

/// Why the log was not resumed.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The card is of another generation.
    #[error(
        "the next generation of this node is {next}, the card names {card}: draft a new card with `lotse log resume`"
    )]
    OtherGeneration {
        /// The generation that follows.
        next: u32,
        /// The generation of the card.
        card: u32,
    },
    /// Database or head store failed.
    #[error(transparent)]
    Sequence(#[from] SequenceError),
}

/// The generation that follows: above what database and head store know.
pub async fn next_generation(sequencer: &Sequencer<'_>) -> Result<u32, SequenceError> {
    let stored = sequencer.store.read("generation", move |tx| Box::pin(meta::generation(tx))).await?;
    let head = sequencer.load_head().await?.map(|head| head.origin.generation);
    Ok(stored.max(head).unwrap_or(0) + 1)
}

/// Begins the new generation.
pub async fn resume_log(sequencer: &Sequencer<'_>, resume: &Resume) -> Result<Resumed, ResumeError> {
    let next = next_generation(sequencer).await?;
    if next != resume.generation {
        return Err(ResumeError::OtherGeneration { next, card: resume.generation });
    }
    // A crash between head store and checkpoint is no loss: it is completed before the old log is closed.
    let doubt = sequencer.start().await?.doubt;
    let head = sequencer.load_head().await.map_err(SequenceError::from)?;
    let closing = Closing {
        resume: resume.clone(),
        agency: sequencer.origin(next),
        head: head.clone(),
        at: sequencer.clock.now(),
        drawn: random::bytes(sequencer.random),
    };
    let closed = sequencer.store.transact("resume log", move |tx| {
        let closing = closing.clone();
        Box::pin(async move { close(tx, &closing).await })
    });
    let start = closed.await.map_err(SequenceError::from)?;
    begin_head(sequencer.head, head, sequencer.origin(next), resume.card_version)?;
    Ok(Resumed { start, doubt })
}

/// Lets the head store follow.
fn begin_head(store: &HeadStore, before: Option<Head>, origin: Origin, version: u64) -> Result<(), SequenceError> {
    let card_version = before.as_ref().map_or(0, |head| head.card_version).max(version);
    let new = Head { origin, tree: empty_tree(), checkpoints: 0, fencing_number: 0, card_version };
    store.compare_and_swap(before.as_ref(), &new)?;
    Ok(())
}

/// What the transaction works with.
#[derive(Clone)]
struct Closing {
    resume: Resume,
    agency: Origin,
    head: Option<Head>,
    at: Timestamp,
    drawn: [u8; 42],
}

/// Closes the old log and begins the new one.
async fn close(tx: &mut Tx, closing: &Closing) -> Result<LogStart, StoreError> {
    let Closing { resume, agency, head, at, drawn } = closing;
    let old = meta::generation(tx).await?.unwrap_or(0);
    let stored = log::newest_checkpoint(tx, old).await?.map_or(empty_tree(), |newest| newest.head);
    let newest = log::list(tx, old, &log::Filter::default(), 0..u64::MAX, 1).await?;
    let carried = log::carry(tx, (old, stored.size), (resume.generation, 1)).await?;
    let start = start(&Origin { generation: old, ..agency.clone() }, stored, head.as_ref(), carried, &resume.reason);
    let draft = Draft {
        actor: resume.actor.clone(),
        remark: resume.reason.clone(),
        version: resume.card_version,
        detail: Some(Detail::LogStart(start.clone())),
        ..Draft::default()
    };
    let entry = draft.entry_with(EntryKind::LogStarted, *at, drawn);
    let checkpoints = log::count_checkpoints(tx, old).await?;
    meta::set_closed_checkpoints(tx, old, checkpoints).await?;
    meta::set_generation(tx, resume.generation).await?;
    meta::set_restore_point(tx, newest.first().map_or(*at, |leaf| leaf.entry.at)).await?;
    counter::begin_generation(tx).await?;
    peer::lift_stops(tx).await?;
    counter::take(tx, &[(Counter::Leaf, 1 + carried as i64)]).await?;
    log::append(tx, resume.generation, 0, vec![entry]).await?;
    Ok(start)
}

/// Says what the new log follows: the newest head that is known, and how much of it is here.
///
/// Entries behind the database's own newest head are carried on, whether the lost part of the log had them or not: under the new
/// log they can be proven, under the lost head they cannot. So they count as lost too: after a restore the node may have written
/// others in their places.
fn start(stored_log: &Origin, stored: TreeHead, head: Option<&Head>, carried: u64, reason: &str) -> LogStart {
    let rank = |head: &&Head| (head.origin.generation, head.tree.size) >= (stored_log.generation, stored.size);
    let (origin, last) = match head.filter(rank) {
        Some(head) => (&head.origin, head.tree),
        None => (stored_log, stored),
    };
    let is_forked = last.size == stored.size && last.root != stored.root;
    let restored_size = if origin == stored_log && !is_forked { stored.size } else { 0 };
    LogStart {
        previous_origin: origin.to_string(),
        previous_size: last.size,
        previous_root: last.root.to_vec(),
        restored_size,
        lost_entries: last.size.saturating_sub(restored_size),
        carried_entries: carried,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sequencer::tests::TestLog;
    use crate::sequencer::{Interrupt, Point};

    fn ask(generation: u32) -> Resume {
        Resume { generation, card_version: 5, reason: "restored from backup".into(), actor: "test".into() }
    }

    /// Resumes, then signs and verifies both generations.
    async fn resumed(log: &TestLog, generation: u32) -> Resumed {
        let open = log.open().await;
        let sequencer = open.sequencer(None);
        let resumed = resume_log(&sequencer, &ask(generation)).await.unwrap();
        let start = sequencer.start().await.unwrap();
        assert_eq!((start.generation, start.doubt), (generation, None));
        sequencer.catch_up().await.unwrap();
        assert_eq!(open.verify().await.findings, []);
        let head = open.head.load().unwrap().unwrap();
        assert_eq!((head.origin.generation, head.card_version), (generation, 5));
        open.close().await;
        resumed
    }

    #[tokio::test]
    async fn a_restored_node_begins_a_new_generation_that_says_what_is_lost() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let copy = fs::read(log.file()).unwrap();
        log.grown(&[4]).await;
        fs::write(log.file(), &copy).unwrap();
        let head = log.open().await.head.load().unwrap().unwrap();
        let Resumed { start, doubt } = resumed(&log, 2).await;
        assert_eq!(doubt, Some(Doubt::EntriesMissing { head: 8, stored: 4 }));
        assert_eq!(start.previous_origin, "jc-hanau.hessen.example/exchange-log/1");
        assert_eq!((start.previous_size, start.restored_size, start.lost_entries), (8, 4, 4));
        assert_eq!(start.previous_root, head.tree.root.to_vec());
    }

    #[tokio::test]
    async fn what_a_restored_node_wrote_in_the_places_of_lost_entries_does_not_make_them_fewer() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let copy = fs::read(log.file()).unwrap();
        log.grown(&[4]).await;
        fs::write(log.file(), &copy).unwrap();
        let open = log.open().await;
        open.append(4).await;
        open.close().await;
        let Resumed { start, doubt } = resumed(&log, 2).await;
        assert_eq!(doubt, Some(Doubt::OtherRoot { size: 8 }));
        assert_eq!((start.restored_size, start.lost_entries, start.carried_entries), (4, 4, 4));
    }

    #[tokio::test]
    async fn of_a_log_that_went_two_ways_nothing_counts_as_here() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let head = log.head_folder().join("head.toml");
        let copies = [log.file(), head.clone()].map(|path| (fs::read(&path).unwrap(), path));
        log.grown(&[4]).await;
        let one_way = fs::read(&head).unwrap();
        copies.iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
        log.grown(&[4]).await;
        fs::write(&head, one_way).unwrap();
        let Resumed { start, doubt } = resumed(&log, 2).await;
        assert_eq!(doubt, Some(Doubt::OtherRoot { size: 8 }));
        assert_eq!((start.previous_size, start.restored_size, start.lost_entries), (8, 0, 8));
    }

    #[tokio::test]
    async fn entries_under_no_head_become_leaves_of_the_new_log() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let open = log.open().await;
        open.append(5).await;
        let kept = open.store.read("kept", move |tx| Box::pin(log::find(tx, 1, 4))).await.unwrap().unwrap();
        open.close().await;
        fs::remove_dir_all(log.head_folder()).unwrap();
        let Resumed { start, doubt } = resumed(&log, 2).await;
        assert_eq!(doubt, Some(Doubt::HeadLost { size: 4 }));
        assert_eq!((start.restored_size, start.lost_entries, start.carried_entries), (4, 0, 5));
        let open = log.open().await;
        let carried = open.store.read("carried", move |tx| Box::pin(log::find(tx, 2, 1))).await.unwrap().unwrap();
        assert_eq!(carried.entry.bytes, kept.entry.bytes);
    }

    #[tokio::test]
    async fn a_card_of_another_generation_resumes_nothing() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let open = log.open().await;
        for generation in [1, 3] {
            let refused = resume_log(&open.sequencer(None), &ask(generation)).await;
            let is_other = matches!(refused, Err(ResumeError::OtherGeneration { next: 2, .. }));
            assert!(is_other, "{refused:?}");
        }
        assert_eq!(open.sequencer(None).start().await.unwrap().generation, 1);
    }

    #[tokio::test]
    async fn the_next_generation_is_above_what_the_head_store_knows() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let copy = fs::read(log.file()).unwrap();
        resumed(&log, 2).await;
        fs::write(log.file(), &copy).unwrap();
        let Resumed { start, .. } = resumed(&log, 3).await;
        assert_eq!(start.previous_origin, "jc-hanau.hessen.example/exchange-log/2");
        assert_eq!((start.restored_size, start.lost_entries), (0, 1));
    }

    #[tokio::test]
    async fn a_stop_between_database_and_head_store_is_repaired_at_the_next_start() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let old_head = fs::read(log.head_folder().join("head.toml")).unwrap();
        let open = log.open().await;
        resume_log(&open.sequencer(None), &ask(2)).await.unwrap();
        open.close().await;
        fs::write(log.head_folder().join("head.toml"), old_head).unwrap();
        let open = log.open().await;
        let start = open.sequencer(None).start().await.unwrap();
        assert_eq!((start.generation, start.doubt), (2, None));
        open.sequencer(None).catch_up().await.unwrap();
        assert_eq!(open.verify().await.findings, []);
    }

    #[tokio::test]
    async fn a_head_that_a_crash_left_without_its_row_is_completed_and_not_lost() {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let open = log.open().await;
        open.append(5).await;
        let stop: Interrupt = std::sync::Arc::new(|point| point == Point::HeadStored);
        open.sequencer(Some(&stop)).catch_up().await.unwrap_err();
        open.close().await;
        let Resumed { start, doubt } = resumed(&log, 2).await;
        assert_eq!(doubt, None);
        assert_eq!((start.previous_size, start.restored_size, start.carried_entries), (9, 9, 0));
    }
}
