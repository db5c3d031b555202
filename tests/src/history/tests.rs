use super::*;

/// Two keys: the first answer to `b` got lost, it was asked again.
fn good() -> (History, Ledger) {
    let leaf = |record: &str| Leaf { record: record.into(), digest: format!("digest of {record}") };
    let history = History(vec![
        Seen::Invoked("a".into()),
        Seen::Invoked("b".into()),
        Seen::Acknowledged("a".into(), "record-a".into()),
        Seen::Unknown("b".into()),
        Seen::Read(1, "record-b".into()),
        Seen::Invoked("b".into()),
        Seen::Acknowledged("b".into(), "record-b".into()),
        Seen::Read(2, "record-a".into()),
    ]);
    let both = || vec![leaf("record-a"), leaf("record-b")];
    let ledger = Ledger { inbox: vec!["record-b".into(), "record-a".into()], released: both(), taken: both() };
    (history, ledger)
}

/// Breaks a good run and returns what is found.
#[track_caller]
fn broken(breaks: impl FnOnce(&mut History, &mut Ledger)) -> String {
    let (mut history, mut ledger) = good();
    breaks(&mut history, &mut ledger);
    check(&history, &ledger).expect_err("a broken run must be refused").join("; ")
}

#[test]
fn a_good_run_is_counted() {
    let (history, ledger) = good();
    assert_eq!(check(&history, &ledger), Ok(Tally { acknowledged: 2, unknown: 1, effects: 2 }));
}

#[test]
fn an_effect_of_a_call_without_an_answer_is_no_invention() {
    let (mut history, ledger) = good();
    history.0.retain(|seen| !matches!(seen, Seen::Acknowledged(key, _) if key == "b"));
    history.0.push(Seen::Unknown("b".into()));
    assert_eq!(check(&history, &ledger).map(|tally| tally.effects), Ok(2));
}

#[test]
fn an_acknowledged_record_without_an_effect_is_lost() {
    let found = broken(|_, ledger| {
        ledger.inbox.pop();
    });
    assert!(found.contains("LOST: a"), "{found}");
}

#[test]
fn a_record_that_comes_twice_is_found() {
    let found = broken(|_, ledger| ledger.inbox.push("record-a".into()));
    assert!(found.contains("TWICE: record-a"), "{found}");
}

#[test]
fn a_record_that_nobody_handed_over_is_found() {
    let found = broken(|_, ledger| ledger.inbox.push("record-c".into()));
    assert!(found.contains("INVENTED: record-c"), "{found}");
}

#[test]
fn a_key_that_becomes_another_record_is_found() {
    let found = broken(|history, _| {
        history.0.push(Seen::Invoked("a".into()));
        history.0.push(Seen::Acknowledged("a".into(), "record-b".into()));
    });
    assert!(found.contains("a became another record") && found.contains("record-b has two keys"), "{found}");
}

#[test]
fn a_missing_and_a_doubled_leaf_are_found_in_either_log() {
    let missing = broken(|_, ledger| {
        ledger.released.pop();
    });
    assert!(missing.contains("record-b has no leaf `released`"), "{missing}");
    let missing = broken(|_, ledger| {
        ledger.taken.remove(0);
    });
    assert!(missing.contains("record-a has no leaf `taken`"), "{missing}");
    let doubled = broken(|_, ledger| ledger.taken.push(ledger.taken[0].clone()));
    assert!(doubled.contains("record-a has 2 leaves `taken`"), "{doubled}");
    let doubled = broken(|_, ledger| ledger.released.push(ledger.released[1].clone()));
    assert!(doubled.contains("record-b has 2 leaves `released`"), "{doubled}");
}

#[test]
fn a_leaf_without_an_effect_is_found() {
    let stray = Leaf { record: "record-c".into(), digest: "digest".into() };
    let found = broken(|_, ledger| ledger.released.push(stray.clone()));
    assert!(found.contains("record-c has a leaf `released` and no effect"), "{found}");
    let found = broken(|_, ledger| ledger.taken.push(stray));
    assert!(found.contains("record-c has a leaf `taken` and no effect"), "{found}");
}

#[test]
fn other_bytes_than_were_released_are_found() {
    let found = broken(|_, ledger| ledger.taken[0].digest = "another".into());
    assert!(found.contains("record-a was taken in other bytes"), "{found}");
}

#[test]
fn a_reader_that_goes_back_and_a_read_that_is_undone_are_found() {
    let found = broken(|history, _| history.0.push(Seen::Read(1, "record-b".into())));
    assert!(found.contains("went back from 2 to 1"), "{found}");
    let found = broken(|history, _| history.0.push(Seen::Read(3, "record-x".into())));
    assert!(found.contains("record-x was read and is gone"), "{found}");
}

#[test]
fn calls_that_never_began_or_overlap_are_found() {
    let found = broken(|history, _| history.0.push(Seen::Acknowledged("z".into(), "record-z".into())));
    assert!(found.contains("z ended without having been invoked"), "{found}");
    let found = broken(|history, _| {
        history.0.push(Seen::Invoked("a".into()));
        history.0.push(Seen::Invoked("a".into()));
    });
    assert!(found.contains("a was invoked while it ran"), "{found}");
}
