use signed_note::{StandardVerifier, VerifierList};

use super::leaves;
use crate::key::SigningKey;
use crate::log::checkpoint::*;
use crate::log::note::{Note, NoteError};
use crate::log::proof::TreeHead;
use crate::log::tree::root;

const ORIGIN: &str = "jc-hanau.hessen.example/exchange-log/3";

fn origin(text: &str) -> Origin {
    text.parse().unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_seed([5; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: origin(ORIGIN), head: TreeHead { size: 300, root: root(&leaves(300)) } }
}

#[test]
fn a_checkpoint_is_read_and_verified_by_other_peoples_tools() {
    let note = checkpoint().sign(&key());
    let vkey = origin(ORIGIN).verifier_key(key().public()).to_string();
    assert!(vkey.starts_with(&format!("{ORIGIN}+")));
    let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
    let verifier = StandardVerifier::new(&vkey).unwrap();
    let (good, _) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(good[0].name(), ORIGIN);
    let read = tlog_tiles::Checkpoint::from_bytes(theirs.text()).unwrap();
    assert_eq!((read.origin(), read.size(), read.extension()), (ORIGIN, 300, ""));
    assert_eq!(read.hash().0, *checkpoint().head.root.as_bytes());
}

#[test]
fn a_signed_checkpoint_is_opened_as_written() {
    let note = Note::parse(checkpoint().sign(&key()).to_string().as_bytes()).unwrap();
    let other = SigningKey::from_seed([6; 32]).public();
    assert_eq!(Checkpoint::open(&note, &origin(ORIGIN), &[other, key().public()]), Ok(checkpoint()));
}

#[test]
fn another_key_another_log_or_another_generation_does_not_open_it() {
    let note = checkpoint().sign(&key());
    let not_signed = Err(CheckpointError::Note(NoteError::NotSigned));
    let other = SigningKey::from_seed([6; 32]).public();
    assert_eq!(Checkpoint::open(&note, &origin(ORIGIN), &[other]), not_signed);
    assert_eq!(Checkpoint::open(&note, &origin(ORIGIN), &[]), not_signed);
    for wrong in ["jc-hanau.hessen.example/exchange-log/4", "jc-gelnhausen.hessen.example/exchange-log/3"] {
        assert_eq!(Checkpoint::open(&note, &origin(wrong), &[key().public()]), not_signed);
    }
}

#[test]
fn a_key_that_signs_another_logs_text_under_its_own_name_is_found_out() {
    let mine = origin("mine.example/exchange-log/1");
    let mut note = Note::new(checkpoint().to_string()).unwrap();
    note.sign(mine.to_string().parse().unwrap(), &key());
    let found = CheckpointError::OtherOrigin { expected: Box::new(mine.clone()), found: Box::new(origin(ORIGIN)) };
    assert_eq!(Checkpoint::open(&note, &mine, &[key().public()]), Err(found));
}

#[test]
fn a_changed_size_or_root_is_not_signed() {
    let written = checkpoint().sign(&key()).to_string();
    let known = [key().public()];
    let root = written.lines().nth(2).unwrap();
    let other_root = checkpoint_text(300, &leaves(1)[0]).lines().nth(2).unwrap().to_owned();
    for forged in [written.replace("\n300\n", "\n301\n"), written.replace(root, &other_root)] {
        assert_ne!(forged, written);
        let note = Note::parse(forged.as_bytes()).unwrap();
        let opened = Checkpoint::open(&note, &origin(ORIGIN), &known);
        let bad_signature = NoteError::BadSignature(ORIGIN.parse().unwrap());
        assert_eq!(opened, Err(CheckpointError::Note(bad_signature)));
    }
}

fn checkpoint_text(size: u64, root: &crate::id::Digest) -> String {
    Checkpoint { origin: origin(ORIGIN), head: TreeHead { size, root: *root } }.to_string()
}

#[test]
fn only_three_lines_in_their_one_form_are_a_checkpoint() {
    let good = checkpoint().to_string();
    assert_eq!(good.parse(), Ok(checkpoint()));
    let empty = checkpoint_text(0, &root(&[]));
    assert_eq!(empty.parse::<Checkpoint>().unwrap().head.size, 0);
    for bad in [
        String::new(),
        good.trim_end().to_owned(),
        format!("{good}extension\n"),
        format!("{good}\n"),
        good.replace("\n300\n", "\n0300\n"),
        good.replace("\n300\n", "\n+300\n"),
        good.replace("\n300\n", "\n-300\n"),
        good.replace("\n300\n", "\n99999999999999999999\n"),
        good.replace("\n300\n", "\n"),
        good.replace('\n', "\r\n"),
        good.replace("=\n", "\n"),
        format!("{ORIGIN}\n300\nAAAA\n"),
    ] {
        assert_eq!(bad.parse::<Checkpoint>(), Err(CheckpointError::Malformed), "{bad:?}");
    }
}

#[test]
fn an_origin_is_agency_and_generation() {
    assert_eq!(origin(ORIGIN).generation, 3);
    assert_eq!(origin(ORIGIN).to_string(), ORIGIN);
    for bad in ["", "a.example", "a.example/exchange-log/", "a.example/exchange-log/03", "A.example/exchange-log/3"] {
        assert_eq!(bad.parse::<Origin>(), Err(CheckpointError::Origin), "{bad}");
    }
    for bad in ["a.example/exchange-log/+3", "a.example/exchange-log/4294967296", "a.example/log/3", "/exchange-log/3"]
    {
        assert_eq!(bad.parse::<Origin>(), Err(CheckpointError::Origin), "{bad}");
    }
}
