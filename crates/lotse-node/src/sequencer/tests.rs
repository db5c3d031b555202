//! A log in a temporary folder, its sequencer, and stops at every point.

mod doubts;
mod foreign;
mod stops;

use std::path::PathBuf;
use std::time::Duration;

use lotse_core::log::checkpoint::{Checkpoint, Origin};
use lotse_core::log::note::Note;
use lotse_core::random;
use lotse_store::counter::{self, Counter};
use lotse_store::testing::Database;
use lotse_store::{Fault, Faults, StoreOptions, log};

use super::check::{Report, Writer, verify_stored};
use super::*;
use crate::entry::{Decision, Direction, Draft, EntryKind};
use crate::head_store::{WriteHook, WriteStep};
use crate::testing::{ManualClock, SeededRandom};

/// A log that can be stopped and opened again.
pub(crate) struct TestLog {
    pub(crate) database: Database,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) agency: AgencyId,
    pub(crate) key: SigningKey,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: SeededRandom,
}

/// A log that is open.
pub(crate) struct OpenLog<'a> {
    pub(crate) log: &'a TestLog,
    pub(crate) store: Store,
    pub(crate) head: Arc<HeadStore>,
}

impl TestLog {
    pub(crate) fn new() -> TestLog {
        TestLog {
            database: Database::sqlite(),
            folder: tempfile::tempdir().unwrap(),
            agency: "jc-hanau.hessen.example".parse().unwrap(),
            key: SigningKey::from_seed([7; 32]),
            clock: ManualClock::new(),
            random: SeededRandom::new("log"),
        }
    }

    pub(crate) async fn open(&self) -> OpenLog<'_> {
        self.open_with(None, StoreOptions::default()).await
    }

    pub(crate) async fn open_with(&self, hook: Option<WriteHook>, options: StoreOptions) -> OpenLog<'_> {
        let store = self.database.open_with(options).await;
        let head = Arc::new(HeadStore::open_with(&self.head_folder(), hook).unwrap());
        OpenLog { log: self, store, head }
    }

    pub(crate) fn head_folder(&self) -> PathBuf {
        self.folder.path().join("head")
    }

    pub(crate) fn origin(&self, generation: u32) -> Origin {
        Origin { agency: self.agency.clone(), generation }
    }

    /// The file of the database.
    pub(crate) fn file(&self) -> PathBuf {
        self.database.url().trim_start_matches("sqlite://").into()
    }

    /// Opens, signs everything and closes.
    pub(crate) async fn grown(&self, batches: &[u64]) {
        let open = self.open().await;
        open.sequencer(None).start().await.unwrap();
        for &count in batches {
            open.append(count).await;
            open.sequencer(None).catch_up().await.unwrap();
        }
        open.close().await;
    }
}

impl OpenLog<'_> {
    pub(crate) fn sequencer<'b>(&'b self, interrupt: Option<&'b Interrupt>) -> Sequencer<'b> {
        let TestLog { agency, key, clock, random, .. } = self.log;
        Sequencer { store: &self.store, head: &self.head, key, agency, clock: &**clock, random, interrupt }
    }

    /// Appends entries as actions do.
    pub(crate) async fn append(&self, count: u64) {
        self.log.clock.turn(Duration::from_millis(3));
        let (at, random) = (self.log.clock.now(), &self.log.random);
        let entry = |number: u64| {
            let draft = Draft {
                direction: Direction::Out,
                peer: Some("aa-hanau.hessen.example".parse().unwrap()),
                record_id: number.is_multiple_of(2).then(|| lotse_core::id::Id::random(random)),
                decision: Decision::Permit,
                ..Draft::default()
            };
            draft.entry_with(EntryKind::Released, at, &random::bytes(random))
        };
        let entries: Vec<_> = (0..count).map(entry).collect();
        let appended = self.store.transact("append", move |tx| {
            let entries = entries.clone();
            Box::pin(async move {
                let taken = counter::take(tx, &[(Counter::Leaf, entries.len() as i64)]).await?;
                log::append(tx, 1, taken.first(&Counter::Leaf, entries.len()), entries).await
            })
        });
        appended.await.unwrap();
    }

    pub(crate) async fn newest(&self) -> Option<log::Checkpoint> {
        self.store.read("newest", move |tx| Box::pin(log::newest_checkpoint(tx, 1))).await.unwrap()
    }

    pub(crate) async fn verify(&self) -> Report {
        let head = self.head.load().unwrap();
        let (agency, key) = (self.log.agency.clone(), self.log.key.public());
        let verified = self.store.read("verify", move |tx| {
            Box::pin(async move { verify_stored(tx, &agency, &[key], head.as_ref(), Writer::Stopped).await })
        });
        verified.await.unwrap()
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}

#[tokio::test]
async fn a_new_log_begins_with_its_start_under_a_signed_head() {
    let log = TestLog::new();
    let open = log.open().await;
    let start = open.sequencer(None).start().await.unwrap();
    assert_eq!(start, Start { generation: 1, restore_point: None, doubt: None });
    assert_eq!(open.sequencer(None).catch_up().await.unwrap(), 1);
    let first = open.store.read("first", move |tx| Box::pin(lotse_store::log::find(tx, 1, 0))).await.unwrap().unwrap();
    assert_eq!(first.entry.kind, EntryKind::LogStarted as i32);
    let newest = open.newest().await.unwrap();
    let note = Note::parse(newest.note.as_bytes()).unwrap();
    let checkpoint = Checkpoint::open(&note, &log.origin(1), &[log.key.public()]).unwrap();
    assert_eq!(checkpoint.head, TreeHead { size: 1, root: first.entry.leaf_hash() });
    assert_eq!(open.head.load().unwrap().unwrap().tree, checkpoint.head);
    assert_eq!(open.sequencer(None).start().await.unwrap().doubt, None, "a second start changes nothing");
    assert_eq!(open.verify().await.verified[0].entries, 1);
}

#[tokio::test]
async fn heads_follow_each_other_over_bundles_and_levels() {
    let log = TestLog::new();
    log.grown(&[1, 253, 1, 1, 1, 300, 4096, 3]).await;
    let open = log.open().await;
    let report = open.verify().await;
    assert_eq!(report.findings, []);
    assert_eq!((report.verified[0].entries, report.verified[0].checkpoints), (4657, 8));
    open.append(70_000).await;
    assert_eq!(open.sequencer(None).catch_up().await.unwrap(), 74_657, "more than one checkpoint may add");
    let report = open.verify().await;
    assert_eq!((report.findings, report.verified[0].checkpoints), (vec![], 10));
}

#[tokio::test]
async fn nothing_new_signs_nothing() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let open = log.open().await;
    let before = open.head.load().unwrap();
    open.sequencer(None).catch_up().await.unwrap();
    assert_eq!(open.head.load().unwrap(), before);
}

#[tokio::test]
async fn what_is_committed_before_the_stop_is_signed_before_the_end() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let open = log.open().await;
    open.append(5).await;
    run(open.sequencer(None), &Signals::default(), &Holds::default(), |signed| signed.unwrap(), std::future::ready(()))
        .await;
    assert_eq!(open.newest().await.unwrap().head.size, 9);
}

#[tokio::test]
async fn a_card_version_written_meanwhile_does_not_put_off_the_signature() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let open = log.open().await;
    open.append(5).await;
    let folder = log.head_folder();
    let raised: Interrupt = Arc::new(move |at| {
        if at == Point::Signed {
            HeadStore::open(&folder).unwrap().raise_card_version(2).unwrap();
        }
        false
    });
    sign(&open.sequencer(Some(&raised)), &Holds::default()).await.unwrap();
    assert_eq!(open.newest().await.unwrap().head.size, 9);
    assert_eq!(open.head.load().unwrap().unwrap().card_version, 2);
}

#[tokio::test]
async fn a_log_on_hold_is_not_signed() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let open = log.open().await;
    open.append(5).await;
    let holds = Holds::default();
    holds.hold_log("a peer saw another head".into());
    run(open.sequencer(None), &Signals::default(), &holds, |signed| signed.unwrap(), std::future::ready(())).await;
    assert_eq!(open.newest().await.unwrap().head.size, 4);
}

#[tokio::test]
async fn a_commit_that_fails_or_is_reported_failed_is_repaired_by_the_next_round() {
    for fault in [Fault::FailBeforeCommit, Fault::StoreButReportFailure] {
        let log = TestLog::new();
        log.grown(&[3]).await;
        let faults = Arc::new(Faults::default());
        let open = log.open_with(None, StoreOptions { faults: Some(faults.clone()), ..StoreOptions::default() }).await;
        open.append(5).await;
        faults.plan(1, fault);
        assert!(matches!(open.sequencer(None).catch_up().await, Err(SequenceError::Store(_))), "{fault:?}");
        open.append(5).await;
        assert_eq!(open.sequencer(None).catch_up().await.unwrap(), 14, "{fault:?}");
        assert_eq!(open.verify().await.findings, [], "{fault:?}");
    }
}

/// On the one thread of this test, as on a machine with one core.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_other_task() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (hang, mut hung) = tokio::sync::mpsc::unbounded_channel();
    let released = std::sync::Mutex::new(released);
    let hook: WriteHook = Arc::new(move |step| match step {
        WriteStep::SyncTemporary => {
            hang.send(()).unwrap();
            let waited = released.lock().unwrap().recv_timeout(Duration::from_secs(10));
            waited.map_err(|_| std::io::Error::other("no other task went on"))
        }
        _ => Ok(()),
    });
    let open = log.open_with(Some(hook), StoreOptions::default()).await;
    open.append(2).await;
    let sequencer = open.sequencer(None);
    let other = async {
        hung.recv().await.unwrap();
        release.send(()).unwrap();
    };
    let (signed, ()) = tokio::join!(sequencer.catch_up(), other);
    assert_eq!(signed.unwrap(), 6);
}
