use proptest::prelude::*;

use super::*;

/// Made by securesystemslib 1.6 (PyPI) with the Ed25519 seed 07…07, as the fields of its JSON.
const FOREIGN: &str = r#"
payload = "AP/+Pj9ncsO2w59l"
payloadType = "application/vnd.lotse.batch.v1+protobuf"
signatures = [{ keyid = "fe812c12f3ab4ce6", sig = "gyoZz5P8skrsdqoJ4zeDIA1PL5xvSL9n4yNLovB2lmFqdP8mWeZ4IUYoGMNEKSHqzpCy7G6wWjZT+wNqZp0/CQ==" }]
"#;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed([seed; 32])
}

fn sealed(payload: &[u8], seeds: &[u8]) -> Seal {
    let mut seal = Seal::new(DocumentType::Batch, payload.to_vec());
    seeds.iter().for_each(|&seed| seal.sign(&key(seed), None));
    seal
}

/// Reads the standard form from any text format of serde; the node writes it as JSON.
fn read(text: &str) -> Result<Seal, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())
}

fn write(seal: &Seal) -> String {
    toml::to_string(seal).unwrap()
}

#[test]
fn the_encoding_that_is_signed_is_that_of_dsse() {
    // The example of the DSSE specification.
    let signed = pae("http://example.com/HelloWorld", b"hello world");
    assert_eq!(signed, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    assert_eq!(pae("", b""), b"DSSEv1 0  0 ");
    assert_eq!(pae("é", &[0, 255]), b"DSSEv1 2 \xc3\xa9 2 \x00\xff");
}

#[test]
fn a_seal_made_by_another_implementation_verifies_and_is_the_same_as_ours() {
    let foreign = read(FOREIGN).unwrap();
    assert_eq!(foreign.verify(DocumentType::Batch, &[key(7).public()]), Ok(key(7).public()));
    assert_eq!(foreign, sealed(&foreign.payload, &[7]));
    assert_eq!(foreign.payload, [&[0, 255, 254, 62, 63], "größe".as_bytes()].concat());
}

#[test]
fn the_standard_form_keeps_every_byte_and_both_alphabets_are_read() {
    let mut seal = sealed(&[0, 255, 254, 62, 63, 64], &[1, 2]);
    seal.sign(&key(3), Some("jc-hanau.hessen.example".parse().unwrap()));
    assert_eq!(read(&write(&seal)), Ok(seal));
    let url_safe = FOREIGN.replace('+', "-").replace("v1-protobuf", "v1+protobuf").replace("AP/-", "AP_-");
    let url_safe = url_safe.replace("==", "").replace("p0/C", "p0_C");
    assert_ne!(url_safe, FOREIGN);
    assert_eq!(read(&url_safe), read(FOREIGN));
    assert!(read(&format!("{FOREIGN}\nunknown = 1")).is_ok());
}

#[test]
fn a_form_that_is_none_is_refused() {
    assert!(read(FOREIGN).is_ok());
    for (from, to) in [
        ("vnd.lotse.batch.v1", "vnd.lotse.batch.v2"),
        ("AP/+", "AP/!"),
        ("AP/+", "AP/-"),
        ("gyoZ", ""),
        ("payloadType", "type"),
        ("sig =", "signature ="),
        ("keyid", "agency = \"UPPER\", keyid"),
    ] {
        assert!(FOREIGN.contains(from));
        assert!(read(&FOREIGN.replace(from, to)).is_err(), "{from} to {to}");
    }
}

#[test]
fn a_seal_of_another_type_does_not_count() {
    let mut seal = sealed(b"payload", &[1]);
    let keys = [key(1).public()];
    assert_eq!(seal.verify(DocumentType::Batch, &keys), Ok(keys[0]));
    for expected in [DocumentType::Card, DocumentType::Agreement, DocumentType::Receipt] {
        let other = SealError::OtherType { expected, found: DocumentType::Batch };
        assert_eq!(seal.verify(expected, &keys), Err(other));
        seal.document_type = expected; // relabelled: the type is signed too
        assert_eq!(seal.verify(expected, &keys), Err(SealError::NotSigned));
        seal.document_type = DocumentType::Batch;
    }
}

#[test]
fn only_the_keys_that_are_asked_for_count_whatever_the_hints_say() {
    let mut seal = sealed(b"payload", &[1, 2]);
    let key_of = |seed: u8| key(seed).public();
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(2)]), Ok(key_of(2)));
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(3), key_of(1)]), Ok(key_of(1)));
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(3)]), Err(SealError::NotSigned));
    assert_eq!(seal.verify(DocumentType::Batch, &[]), Err(SealError::NotSigned));
    assert_eq!(sealed(b"payload", &[]).verify(DocumentType::Batch, &[key_of(1)]), Err(SealError::NotSigned));
    seal.signatures[0].key_id = key_of(3).key_id();
    seal.signatures[1].key_id = String::new();
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(3)]), Err(SealError::NotSigned));
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(3), key_of(1)]), Ok(key_of(1)));
    assert_eq!(seal.verify(DocumentType::Batch, &[key_of(2)]), Ok(key_of(2)));
}

#[test]
fn a_key_signs_once_and_there_is_a_limit() {
    let mut seal = sealed(b"payload", &[1, 1]);
    seal.sign(&key(1), Some("a.example".parse().unwrap()));
    assert_eq!(seal.signatures.len(), 1);
    seal.signatures = vec![seal.signatures[0].clone(); MAX_SIGNATURES];
    assert!(seal.verify(DocumentType::Batch, &[key(1).public()]).is_ok());
    assert!(read(&write(&seal)).is_ok());
    seal.signatures.push(seal.signatures[0].clone());
    assert_eq!(seal.verify(DocumentType::Batch, &[key(1).public()]), Err(SealError::TooManySignatures));
    assert!(read(&write(&seal)).is_err());
}

#[test]
fn a_seal_holds_a_signature_of_every_party_of_the_largest_agreement_and_of_the_version_before() {
    let seed = |number: usize| {
        let mut seed = [3; 32];
        seed[..8].copy_from_slice(&(number as u64).to_be_bytes());
        SigningKey::from_seed(seed)
    };
    let mut seal = Seal::new(DocumentType::Agreement, b"agreement".to_vec());
    let parties = 2 * *crate::agreement::text::PARTIES.end();
    (0..parties).for_each(|number| seal.sign(&seed(number), format!("a{number}.example").parse().ok()));
    let read = read(&write(&seal)).unwrap();
    for number in 0..parties {
        assert!(read.verify(DocumentType::Agreement, &[seed(number).public()]).is_ok(), "party {number}");
    }
}

#[test]
fn a_signature_of_another_length_is_refused() {
    let from = |bytes: &[u8]| Signature::from_parts(String::new(), None, bytes);
    assert!(from(&[0; 64]).is_ok());
    assert_eq!(from(&[0; 63]), Err(SealError::SignatureLength));
    assert_eq!(from(&[0; 65]), Err(SealError::SignatureLength));
}

#[test]
fn every_type_reads_what_it_writes() {
    for kind in DocumentType::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!("application/json".parse::<DocumentType>(), Err(SealError::UnknownType));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_of_payload_or_signature_is_noticed(
        payload in prop::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0u32..8,
    ) {
        let seal = sealed(&payload, &[1]);
        let keys = [key(1).public()];
        prop_assert_eq!(seal.verify(DocumentType::Batch, &keys), Ok(keys[0]));
        let mut bad = seal.clone();
        bad.payload[at.index(payload.len())] ^= 1u8 << bit;
        prop_assert_eq!(bad.verify(DocumentType::Batch, &keys), Err(SealError::NotSigned));
        let mut bad = seal.clone();
        bad.payload.push(0);
        prop_assert_eq!(bad.verify(DocumentType::Batch, &keys), Err(SealError::NotSigned));
        let mut bad = seal.clone();
        bad.signatures[0].bytes[at.index(64)] ^= 1u8 << bit;
        prop_assert_eq!(bad.verify(DocumentType::Batch, &keys), Err(SealError::NotSigned));
        prop_assert_eq!(read(&write(&seal)), Ok(seal));
    }
}
