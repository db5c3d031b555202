use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::head_store::WriteStep;

/// Where a test stops.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// At a point of the sequencer.
    At(Point),
    /// Inside the replacement of the head store's file.
    In(WriteStep),
}

const STOPS: [Stop; 10] = [
    Stop::At(Point::LogBegun),
    Stop::At(Point::Completing),
    Stop::At(Point::EntriesRead),
    Stop::At(Point::Signed),
    Stop::At(Point::HeadStored),
    Stop::At(Point::RowStored),
    Stop::In(WriteStep::WriteTemporary),
    Stop::In(WriteStep::SyncTemporary),
    Stop::In(WriteStep::Rename),
    Stop::In(WriteStep::SyncFolder),
];

/// Opens the log, lets it grow, stops at the n-th passing of a place and closes. Returns whether the place was passed.
async fn stopped(log: &TestLog, stop: Stop, passings: usize, new_entries: u64) -> bool {
    let left = Arc::new(AtomicUsize::new(passings));
    let is_last = move || left.fetch_sub(1, Ordering::SeqCst) == 1;
    let (hook, interrupt): (Option<WriteHook>, Option<Interrupt>) = match stop {
        Stop::At(point) => (None, Some(Arc::new(move |at| at == point && is_last()))),
        Stop::In(step) => {
            let failed = move || if is_last() { Err(io::Error::other("a planned stop")) } else { Ok(()) };
            (Some(Arc::new(move |at| if at == step { failed() } else { Ok(()) })), None)
        }
    };
    let open = log.open_with(hook, StoreOptions::default()).await;
    let sequencer = open.sequencer(interrupt.as_ref());
    let mut outcome = sequencer.start().await.map(drop);
    if outcome.is_ok() {
        open.append(new_entries).await;
        outcome = sequencer.catch_up().await.map(drop);
    }
    open.close().await;
    match outcome {
        Ok(()) => false,
        Err(SequenceError::Interrupted(_) | SequenceError::Head(HeadError::Io { .. })) => true,
        Err(other) => panic!("{stop:?}: {other}"),
    }
}

/// Starts again without a stop: no doubt, everything under a head, everything verifies.
async fn recovers(log: &TestLog, after: Stop) {
    let open = log.open().await;
    let start = open.sequencer(None).start().await.unwrap();
    assert_eq!(start.doubt, None, "{after:?}");
    open.append(2).await;
    let size = open.sequencer(None).catch_up().await.unwrap();
    let report = open.verify().await;
    assert_eq!(report.findings, [], "{after:?}");
    assert_eq!((report.verified[0].entries, report.verified[0].signed), (size, size), "{after:?}");
    open.close().await;
}

#[tokio::test]
async fn a_stop_after_any_step_of_the_first_round_is_repaired() {
    for stop in STOPS {
        let log = TestLog::new();
        let was_passed = stopped(&log, stop, 1, 3).await;
        assert_eq!(was_passed, !matches!(stop, Stop::At(Point::Completing)), "{stop:?}");
        recovers(&log, stop).await;
    }
}

#[tokio::test]
async fn a_stop_while_another_one_is_repaired_is_repaired() {
    for stop in STOPS {
        let log = TestLog::new();
        log.grown(&[254]).await;
        assert!(stopped(&log, Stop::At(Point::HeadStored), 1, 3).await);
        stopped(&log, stop, 1, 300).await;
        recovers(&log, stop).await;
    }
}

#[tokio::test]
async fn what_a_stop_left_verifies_before_it_is_repaired() {
    let log = TestLog::new();
    log.grown(&[254]).await;
    assert!(stopped(&log, Stop::At(Point::HeadStored), 1, 3).await);
    let open = log.open().await;
    assert_eq!(open.verify().await.findings, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_stops_at_random_never_end_in_a_hold() {
    let log = TestLog::new();
    let mut number = 0u64;
    let mut passed = 0;
    for _ in 0..200 {
        let drawn: [u8; 3] = random::bytes(&log.random);
        let stop = STOPS[usize::from(drawn[0]) % STOPS.len()];
        let new_entries = 1 + u64::from(drawn[2]) % 60;
        passed += usize::from(stopped(&log, stop, 1 + usize::from(drawn[1] % 2), new_entries).await);
        number += new_entries;
    }
    assert!(passed > 80, "only {passed} stops happened");
    recovers(&log, Stop::At(Point::RowStored)).await;
    let open = log.open().await;
    assert!(open.newest().await.unwrap().head.size <= number + 3);
}
