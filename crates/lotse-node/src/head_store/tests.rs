use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;

use lotse_core::id::{Digest, Id};

use super::*;

fn head(size: u64) -> Head {
    Head {
        origin: "jc-hanau.hessen.example/exchange-log/3".parse().unwrap(),
        tree: TreeHead { size, root: Digest::of(&size.to_be_bytes()) },
        checkpoints: size,
        fencing_number: 0,
        card_version: 2,
    }
}

/// Fails once before the given step.
fn failing_at(step: WriteStep) -> WriteHook {
    let left = Mutex::new(Some(step));
    Arc::new(move |at| match left.lock().unwrap().take_if(|step| *step == at) {
        Some(_) => Err(io::Error::other("a planned fault")),
        None => Ok(()),
    })
}

#[test]
fn a_head_reads_as_it_was_written_and_is_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(&folder.path().join("head")).unwrap();
    assert_eq!(store.load().unwrap(), None);
    let first = store.compare_and_swap(None, &head(7)).unwrap();
    assert_eq!(first, Head { fencing_number: 1, ..head(7) });
    assert_eq!(store.load().unwrap(), Some(first));
    let mode = fs::metadata(store.path(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_writer_that_read_an_older_head_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(folder.path()).unwrap();
    let first = store.compare_and_swap(None, &head(1)).unwrap();
    let second = store.compare_and_swap(Some(&first), &head(2)).unwrap();
    assert_eq!(second.fencing_number, 2);
    for stale in [None, Some(&first)] {
        assert!(matches!(store.compare_and_swap(stale, &head(3)), Err(HeadError::Stale)));
    }
    assert_eq!(store.load().unwrap(), Some(second));
}

#[test]
fn a_write_that_fails_at_any_step_leaves_the_old_head_or_the_new_one() {
    for step in WriteStep::ALL {
        let folder = tempfile::tempdir().unwrap();
        let old = HeadStore::open(folder.path()).unwrap().compare_and_swap(None, &head(1)).unwrap();
        let store = HeadStore::open_with(folder.path(), Some(failing_at(step))).unwrap();
        let failed = store.compare_and_swap(Some(&old), &head(2));
        assert!(matches!(failed, Err(HeadError::Io { .. })), "{step:?}");
        let is_new = step == WriteStep::SyncFolder;
        let present = store.load().unwrap().unwrap();
        assert_eq!(present.tree.size, if is_new { 2 } else { 1 }, "{step:?}");
        let next = store.compare_and_swap(Some(&present), &head(3)).unwrap();
        assert_eq!(store.load().unwrap(), Some(next), "{step:?}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("head"), "a file").unwrap();
    let refused = HeadStore::open(&folder.path().join("head")).map(drop).unwrap_err();
    assert!(refused.to_string().contains("may write"), "{refused}");
    // Root may write everywhere; only where that is not so a read-only folder can be tried.
    let read_only = folder.path().join("read-only");
    DirBuilder::new().mode(0o500).create(&read_only).unwrap();
    if File::create(read_only.join("x")).is_err() {
        assert!(matches!(HeadStore::open(&read_only), Err(HeadError::Io { .. })));
    }
}

#[test]
fn a_changed_byte_of_the_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(folder.path()).unwrap();
    store.compare_and_swap(None, &head(300)).unwrap();
    let text = fs::read_to_string(store.path(FILE)).unwrap();
    for changed in [
        text.replace("size = 300", "size = 301"),
        text.replace("exchange-log/3", "exchange-log/4"),
        text.replace("card_version = 2", "card_version = 1"),
        text.replace("size = 300\n", ""),
        String::new(),
    ] {
        assert_ne!(changed, text);
        fs::write(store.path(FILE), changed).unwrap();
        assert!(matches!(store.load(), Err(HeadError::Unreadable { .. })));
    }
}

#[test]
fn the_highest_card_version_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(folder.path()).unwrap();
    store.raise_card_version(9).unwrap();
    assert_eq!(store.load().unwrap(), None, "the log has not begun");
    store.compare_and_swap(None, &head(1)).unwrap();
    for (version, kept) in [(5, 5), (3, 5), (6, 6)] {
        store.raise_card_version(version).unwrap();
        assert_eq!(store.load().unwrap().unwrap().card_version, kept);
    }
}

#[test]
fn a_line_of_something_else_is_named_with_its_file_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(folder.path()).unwrap();
    let id = Id::from_bytes([1; 16]);
    store.append_withdrawn(&[RememberedWithdrawal { consent_id: id, withdrawal_id: id }]).unwrap();
    let path = store.path(withdrawn::FILE);
    for garbage in ["Frau Meier hat widerrufen\n".as_bytes(), b"\xff\xfe\n"] {
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(garbage);
        fs::write(&path, &text).unwrap();
        let error = store.withdrawn().unwrap_err().to_string();
        assert!(error.contains("withdrawn.log") && error.contains("line 2"), "{error}");
        assert!(error.contains("Put the newest copy of it back") && !error.contains("Meier"), "{error}");
        text.truncate(text.len() - garbage.len());
        fs::write(&path, text).unwrap();
    }
    assert_eq!(store.withdrawn().unwrap().len(), 1);
}

#[test]
fn withdrawals_survive_and_a_line_cut_short_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let store = HeadStore::open(folder.path()).unwrap();
    let id = |byte| {
        let (consent_id, withdrawal_id) = (Id::from_bytes([byte; 16]), Id::from_bytes([byte + 100; 16]));
        RememberedWithdrawal { consent_id, withdrawal_id }
    };
    assert_eq!(store.withdrawn().unwrap(), []);
    store.append_withdrawn(&[id(1), id(2)]).unwrap();
    let cut_short = |line: &[u8]| {
        OpenOptions::new().append(true).open(store.path(withdrawn::FILE)).unwrap().write_all(line).unwrap();
    };
    cut_short(b"0198c5a4-7d3e");
    assert_eq!(store.withdrawn().unwrap(), [id(1), id(2)]);
    assert_eq!(HeadStore::look(folder.path()).unwrap(), None);
    assert!(fs::read(store.path(withdrawn::FILE)).unwrap().ends_with(b"7d3e"), "a look mends nothing");
    let reopened = HeadStore::open(folder.path()).unwrap();
    reopened.append_withdrawn(&[id(3)]).unwrap();
    assert_eq!(reopened.withdrawn().unwrap(), [id(1), id(2), id(3)]);

    cut_short(b"0198c5a4-7d3e"); // as a full disk leaves it behind in a node that runs on
    store.append_withdrawn(&[id(4)]).unwrap();
    assert_eq!(store.withdrawn().unwrap(), [id(1), id(2), id(3), id(4)], "without being opened again");
}
