use std::slice::from_ref;

use signed_note::{StandardVerifier, VerifierList};

use crate::key::{PublicKey, SigningKey};
use crate::log::note::*;

/// The example of C2SP signed-note.
const TEXT: &str = "This is an example message.\n";
const EXAMPLE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn verifier(text: &str, seed: u8) -> VerifierKey {
    VerifierKey::new(name(text), key(seed).public())
}

fn signed(text: &str, signer: &str, seed: u8) -> Note {
    let mut note = Note::new(text.to_owned()).unwrap();
    note.sign(name(signer), &key(seed));
    note
}

#[test]
fn the_example_of_the_specification_verifies() {
    let known: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!(known.to_string(), EXAMPLE_KEY);
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.text(), TEXT);
    assert_eq!(note.to_string(), EXAMPLE);
    assert_eq!(note.verify(from_ref(&known)), Ok(vec![&known]));
}

#[test]
fn the_oracle_accepts_our_notes_and_only_by_our_key() {
    for text in ["one line\n", "with an\n\nempty line\n", "ending empty\n\n", "ß — €\n", "\n"] {
        let mut note = signed(text, "a.example/log", 1);
        note.sign(name("b.example"), &key(2));
        let theirs = signed_note::Note::from_bytes(note.to_string().as_bytes()).unwrap();
        assert_eq!(theirs.text(), text.as_bytes());
        let check = |key: VerifierKey| {
            let verifier = StandardVerifier::new(&key.to_string()).unwrap();
            theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).map(|(good, other)| (good.len(), other.len()))
        };
        assert_eq!(check(verifier("a.example/log", 1)).unwrap(), (1, 1));
        assert_eq!(check(verifier("b.example", 2)).unwrap(), (1, 1));
        assert!(check(verifier("b.example", 1)).is_err());
        assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }
}

#[test]
fn a_flipped_bit_anywhere_is_noticed() {
    let written = signed("text\n", "a.example", 1).to_string().into_bytes();
    let known = [verifier("a.example", 1)];
    assert!(Note::parse(&written).unwrap().verify(&known).is_ok());
    for bit in 0..written.len() * 8 {
        let mut bad = written.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let accepted = Note::parse(&bad).is_ok_and(|note| note.verify(&known).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}

#[test]
fn unknown_signatures_are_ignored_and_a_wrong_known_one_refuses_the_note() {
    let mut note = signed("text\n", "a.example", 1);
    note.sign(name("b.example"), &key(2));
    let (a, b) = (verifier("a.example", 1), verifier("b.example", 2));
    assert_eq!(note.verify(from_ref(&a)).unwrap(), [&a]);
    assert_eq!(note.verify(&[b.clone(), a.clone()]).unwrap(), [&a, &b]);
    assert_eq!(note.verify(&[verifier("a.example", 2)]), Err(NoteError::NotSigned));
    assert_eq!(note.verify(&[verifier("c.example", 1)]), Err(NoteError::NotSigned));
    assert_eq!(note.verify(&[]), Err(NoteError::NotSigned));
    let mut forged = note.signatures()[0].clone();
    forged.bytes[5] ^= 1;
    note.add(forged);
    assert_eq!(note.verify(&[a, b.clone()]), Err(NoteError::BadSignature(name("a.example"))));
    assert_eq!(note.verify(from_ref(&b)), Ok(vec![&b]));
}

#[test]
fn a_key_signs_once_under_a_name() {
    let mut note = signed("text\n", "a.example", 1);
    note.sign(name("a.example"), &key(1));
    assert_eq!(note.signatures().len(), 1);
    note.sign(name("a.example"), &key(2));
    assert_eq!(note.signatures().len(), 2);
}

#[test]
fn what_is_no_note_is_refused() {
    let line = signed("text\n", "a.example", 1).to_string().split_off("text\n\n".len());
    assert!(Note::parse(format!("text\n\n{line}").as_bytes()).is_ok());
    for bad in [
        String::new(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        "text\n\n\n".to_owned(),
        format!("text\n{line}"),
        format!("text{line}"),
        format!("te\txt\n\n{line}"),
        format!("text\r\n\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        format!("text\n\n{}", line.replace('—', "-")),
        format!("text\n\n{}", line.replace("a.example", "a+example")),
        format!("text\n\n{}", line.replace('=', "")),
        "text\n\n— a.example AAAAAA==\n".to_owned(),
        "text\n\n— a.example AAA=\n".to_owned(),
        "text\n\n— a.example\n".to_owned(),
    ] {
        assert_eq!(Note::parse(bad.as_bytes()), Err(NoteError::Malformed), "{bad:?}");
    }
    assert_eq!(Note::parse(b"te\xfft\n\n"), Err(NoteError::Malformed));
    assert_eq!(Note::new("text".to_owned()), Err(NoteError::Malformed));
    assert_eq!(Note::new("te\0xt\n".to_owned()), Err(NoteError::Malformed));
}

#[test]
fn a_note_has_limits_and_sixteen_signatures_are_within() {
    let with = |count: u8| {
        let mut note = Note::new("text\n".to_owned()).unwrap();
        (0..count).for_each(|seed| note.sign(name("a.example"), &key(seed)));
        Note::parse(note.to_string().as_bytes()).map(|note| note.signatures().len())
    };
    assert_eq!(with(16), Ok(16));
    assert_eq!(with(64), Ok(64));
    assert_eq!(with(65), Err(NoteError::TooLong));
    assert_eq!(Note::parse(&vec![b'a'; MAX_NOTE_BYTES + 1]), Err(NoteError::TooLong));
    assert_eq!(Note::new("\n".repeat(MAX_NOTE_BYTES + 1)), Err(NoteError::TooLong));
}

#[test]
fn key_names_and_verifier_keys_are_checked() {
    for bad in ["", "a b", "a+b", "a\u{a0}b", "a\n", "a\u{2003}b"] {
        assert_eq!(bad.parse::<KeyName>(), Err(NoteError::KeyName), "{bad:?}");
    }
    for bad in [
        EXAMPLE_KEY.replace("530d903a", "530d903b"),
        EXAMPLE_KEY.replace("530d903a", "530D903A"),
        EXAMPLE_KEY.replace("/foo", "/fop"),
        EXAMPLE_KEY.replace("Aeky", "Beky"),
        EXAMPLE_KEY.replace("+A", "+"),
        EXAMPLE_KEY.replace("+530d903a", ""),
        "a.example".to_owned(),
    ] {
        assert_eq!(bad.parse::<VerifierKey>(), Err(NoteError::VerifierKey), "{bad}");
    }
    assert_eq!(EXAMPLE_KEY.replace("example.com/foo", "").parse::<VerifierKey>(), Err(NoteError::KeyName));
    let expected = [0x53, 0x0d, 0x90, 0x3a];
    let example: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!(key_id(&name("example.com/foo"), TYPE_ED25519, example.key()), expected);
    let other_type = key_id(&name("example.com/foo"), 0x04, &PublicKey::from_bytes(*example.key().as_bytes()));
    assert_ne!(other_type, expected);
}
