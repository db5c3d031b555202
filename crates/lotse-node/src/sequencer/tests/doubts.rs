use std::fs;

use lotse_store::testing::tamper;

use super::*;

/// What a start says.
async fn doubt(log: &TestLog) -> Option<Doubt> {
    let open = log.open().await;
    let doubt = open.sequencer(None).start().await.unwrap().doubt;
    open.close().await;
    doubt
}

#[tokio::test]
async fn an_older_copy_of_the_database_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let copy = fs::read(log.file()).unwrap();
    log.grown(&[4]).await;
    fs::write(log.file(), &copy).unwrap();
    assert_eq!(doubt(&log).await, Some(Doubt::EntriesMissing { head: 8, stored: 4 }));
    assert!(Doubt::EntriesMissing { head: 8, stored: 4 }.to_string().contains("lotse log resume"));
}

#[tokio::test]
async fn an_older_copy_that_has_written_on_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let copy = fs::read(log.file()).unwrap();
    log.grown(&[4]).await;
    fs::write(log.file(), &copy).unwrap();
    let open = log.open().await;
    open.append(9).await; // not what was signed at these places
    open.close().await;
    assert_eq!(doubt(&log).await, Some(Doubt::OtherRoot { size: 8 }));
}

#[tokio::test]
async fn an_empty_database_beside_a_signed_head_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let other = TestLog { folder: log.folder, ..TestLog::new() };
    assert_eq!(doubt(&other).await, Some(Doubt::EntriesMissing { head: 4, stored: 0 }));
}

#[tokio::test]
async fn a_lost_head_store_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    fs::remove_dir_all(log.head_folder()).unwrap();
    assert_eq!(doubt(&log).await, Some(Doubt::HeadLost { size: 4 }));
}

#[tokio::test]
async fn an_older_head_store_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[3]).await;
    let copy = fs::read(log.head_folder().join("head.toml")).unwrap();
    log.grown(&[4]).await;
    fs::write(log.head_folder().join("head.toml"), copy).unwrap();
    assert_eq!(doubt(&log).await, Some(Doubt::HeadOlder { head: 4, database: 8 }));
}

#[tokio::test]
async fn the_head_store_of_another_node_is_a_doubt() {
    let (log, other) = (TestLog::new(), TestLog { agency: "other.example".parse().unwrap(), ..TestLog::new() });
    log.grown(&[3]).await;
    other.grown(&[3]).await;
    fs::copy(other.head_folder().join("head.toml"), log.head_folder().join("head.toml")).unwrap();
    assert!(matches!(doubt(&log).await, Some(Doubt::OtherLog { .. })));
}

#[tokio::test]
async fn a_flipped_bit_in_the_newest_bundle_is_found_before_the_next_signature() {
    for batches in [vec![9], vec![255], vec![300]] {
        let log = TestLog::new();
        log.grown(&batches).await;
        let newest = batches.iter().sum::<u64>();
        tamper::flip_entry_bit(log.database.url(), newest as i64, 77);
        let open = log.open().await;
        open.append(1).await;
        let before = open.head.load().unwrap();
        let holds = Holds::default();
        run(open.sequencer(None), &Signals::default(), &holds, |signed| signed.unwrap(), std::future::ready(())).await;
        let why = holds.log_hold().unwrap();
        assert!(why.contains(&format!("entry {newest} is missing or is not the entry")), "{why}");
        assert_eq!(open.head.load().unwrap(), before, "nothing was signed");
    }
}

#[tokio::test]
async fn an_entry_that_vanished_before_it_was_signed_is_a_doubt() {
    let log = TestLog::new();
    log.grown(&[9]).await;
    let open = log.open().await;
    open.append(5).await;
    open.close().await;
    tamper::delete_entry(log.database.url(), 14);
    let open = log.open().await;
    let refused = open.sequencer(None).catch_up().await;
    assert!(matches!(refused, Err(SequenceError::Doubt(Doubt::EntryMissing { index: 14 }))), "{refused:?}");
}
