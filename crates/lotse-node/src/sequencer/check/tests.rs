use lotse_core::random;
use lotse_store::testing::tamper::{LOG_CHANGES, change_log};

use crate::sequencer::tests::TestLog;

/// A number below a limit.
fn below(log: &TestLog, limit: u64) -> u64 {
    u64::from_be_bytes(random::bytes(&log.random)) % limit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_changes_of_a_stopped_nodes_log_are_all_found() {
    let log = TestLog::new();
    log.grown(&[3, 200, 60, 250, 1, 90]).await;
    let open = log.open().await;
    assert_eq!(open.verify().await.findings, []);
    open.close().await;
    let good = std::fs::read(log.file()).unwrap();
    let mut escaped = Vec::new();
    let rounds = 200usize.next_multiple_of(LOG_CHANGES);
    for number in 0..rounds {
        let change = change_log(log.database.url(), number, |limit| below(&log, limit));
        let open = log.open().await;
        let report = open.verify().await;
        open.close().await;
        if report.is_good() {
            escaped.push(change);
        }
        std::fs::write(log.file(), &good).unwrap();
    }
    assert_eq!(escaped, [""; 0], "of {rounds} changes");
    let open = log.open().await;
    assert_eq!(open.verify().await.findings, [], "and what was put back is good again");
}

#[tokio::test]
async fn a_finding_says_where() {
    let log = TestLog::new();
    log.grown(&[300]).await;
    lotse_store::testing::tamper::flip_entry_bit(log.database.url(), 17, 300);
    let open = log.open().await;
    let report = open.verify().await;
    let text = report.findings[0].to_string();
    assert!(text.starts_with("generation 1, entry 17: "), "{text}");
    assert!(report.findings.iter().all(|finding| finding.place == super::Place::Entry(17)), "{report:?}");
}

#[tokio::test]
async fn another_key_verifies_no_checkpoint() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let other = TestLog { key: lotse_core::key::SigningKey::from_seed([8; 32]), ..log };
    let open = other.open().await;
    let report = open.verify().await;
    assert!(report.findings.iter().any(|finding| finding.text.contains("signed by no key")), "{report:?}");
}

#[tokio::test]
async fn entries_that_wait_for_their_head_are_in_order() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let open = log.open().await;
    open.append(5).await;
    let report = open.verify().await;
    assert_eq!(report.findings, []);
    assert_eq!((report.verified[0].entries, report.verified[0].signed), (9, 4));
}
