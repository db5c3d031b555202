//! What the vault promises.

use std::sync::Mutex;

use bytes::Bytes;
use lotse_core::id::Id;
use lotse_core::random::Random;

use super::{Place, Sealed, Vault, VaultError};

/// Counts up; also tells how often it was asked.
#[derive(Default)]
struct Counting(Mutex<(u8, u32)>);

impl Random for Counting {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        for byte in buffer {
            state.0 = state.0.wrapping_mul(29).wrapping_add(11);
            *byte = state.0;
        }
    }
}

const PLACE: Place<'static> = Place { table: "outbox", id: &[7; 16] };

fn vault(random: &dyn Random) -> Vault {
    Vault::load(&Vault::generate(random, "2026-11").unwrap()).unwrap()
}

#[test]
fn what_is_sealed_can_be_opened() {
    let random = Counting::default();
    let vault = vault(&random);
    for plaintext in [&b""[..], b"Gespraech am 3. November", &[0x5a; 5000]] {
        let sealed = vault.seal(&random, PLACE, plaintext).unwrap();
        assert_eq!(sealed.ciphertext.len(), plaintext.len() + 16);
        assert!(plaintext.is_empty() || !sealed.ciphertext.windows(plaintext.len()).any(|part| part == plaintext));
        assert_eq!(vault.open(PLACE, &sealed).unwrap(), plaintext);
    }
}

#[test]
fn a_batch_draws_randomness_once_and_gives_each_record_its_own_key() {
    let random = Counting::default();
    let vault = vault(&random);
    let ids: Vec<[u8; 16]> = (0..5).map(|n| [n; 16]).collect();
    let records: Vec<_> = ids.iter().map(|id| (Place { table: "outbox", id }, &b"the same"[..])).collect();
    let before = random.0.lock().unwrap().1;
    let sealed = vault.seal_many(&random, &records).unwrap();
    assert_eq!(random.0.lock().unwrap().1, before + 1);
    for (number, (place, plaintext)) in records.iter().enumerate() {
        let (one, key) = &sealed[number];
        assert_eq!(vault.open(*place, one).unwrap(), *plaintext);
        assert_eq!(key.open(*place, one).unwrap(), *plaintext, "the key that comes with it is its own");
        assert!(sealed[..number].iter().all(|(other, _)| other.ciphertext != one.ciphertext));
    }
}

#[test]
fn a_row_cannot_take_the_place_of_another() {
    let random = Counting::default();
    let vault = vault(&random);
    let sealed = vault.seal(&random, PLACE, b"secret").unwrap();
    for other in [Place { table: "outbox", id: &[8; 16] }, Place { table: "custody", id: &[7; 16] }] {
        assert_eq!(vault.open(other, &sealed), Err(VaultError::Unreadable));
    }
    let other = vault.seal(&random, PLACE, b"secret").unwrap();
    let mixed = Sealed { key: other.key, ciphertext: sealed.ciphertext };
    assert_eq!(vault.open(PLACE, &mixed), Err(VaultError::Unreadable));
}

fn flipped(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

#[test]
fn a_flipped_bit_is_refused() {
    let random = Counting::default();
    let vault = vault(&random);
    let sealed = vault.seal(&random, PLACE, b"secret").unwrap();
    for at in 0..sealed.ciphertext.len() {
        let mut changed = sealed.clone();
        changed.ciphertext = flipped(&changed.ciphertext, at);
        assert_eq!(vault.open(PLACE, &changed), Err(VaultError::Unreadable));
    }
    for at in 0..sealed.key.len() {
        let mut changed = sealed.clone();
        changed.key = flipped(&changed.key, at);
        assert!(vault.open(PLACE, &changed).is_err());
        assert!(vault.open(PLACE, &Sealed { key: sealed.key.slice(..at), ..sealed.clone() }).is_err());
    }
}

#[test]
fn a_record_without_its_key_is_shredded() {
    let random = Counting::default();
    let vault = vault(&random);
    let sealed = vault.seal(&random, PLACE, b"secret").unwrap();
    let shredded = Sealed { key: Bytes::new(), ..sealed };
    assert!(vault.open(PLACE, &shredded).is_err());
}

#[test]
fn a_nonce_belongs_to_an_envelope_of_a_record_and_goes_with_the_records_key() {
    let random = Counting::default();
    let vault = vault(&random);
    let records: Vec<Sealed> = (0..2).map(|_| vault.seal(&random, PLACE, b"the same").unwrap()).collect();
    let nonce = |vault: &Vault, sealed: &Sealed, id: u8| {
        vault.record_key(PLACE, sealed).and_then(|key| key.envelope_nonce(&Id::from_bytes([id; 16])))
    };
    let first = nonce(&vault, &records[0], 1).unwrap();
    assert_eq!(nonce(&vault, &records[0], 1), Ok(first));
    assert!(nonce(&vault, &records[0], 2) != Ok(first) && nonce(&vault, &records[1], 1) != Ok(first));
    let shredded = Sealed { key: Bytes::new(), ..records[0].clone() };
    assert!(nonce(&vault, &shredded, 1).is_err());
}

#[test]
fn survivors_are_wrapped_anew_and_the_rest_goes_with_its_period() {
    let random = Counting::default();
    let first = Vault::generate(&random, "2026-11").unwrap();
    let old = Vault::load(&first).unwrap();
    let survivor = old.seal(&random, PLACE, b"kept").unwrap();
    let nonce =
        |vault: &Vault, sealed: &Sealed| vault.record_key(PLACE, sealed).unwrap().envelope_nonce(&Id::NIL).unwrap();
    let before = nonce(&old, &survivor);
    let purged = old.seal(&random, PLACE, b"purged").unwrap();

    let second = Vault::with_new_period(&first, &random, "2026-12").unwrap();
    let both = Vault::load(&second).unwrap();
    assert_eq!(both.open(PLACE, &survivor).unwrap(), b"kept");
    assert!(!survivor.key.starts_with(both.newest_prefix()));
    let key = both.rewrap(&random, PLACE, &survivor.key).unwrap().expect("an old period");
    let survivor = Sealed { key: key.into(), ..survivor };
    assert!(survivor.key.starts_with(both.newest_prefix()));
    assert!(both.rewrap(&random, PLACE, &survivor.key).unwrap().is_none());

    assert_eq!(Vault::without_period(&second, "2026-12").err(), Some(VaultError::PeriodInUse));
    let new = Vault::load(&Vault::without_period(&second, "2026-11").unwrap()).unwrap();
    assert_eq!(new.open(PLACE, &survivor).unwrap(), b"kept");
    assert_eq!(nonce(&new, &survivor), before, "what is in doubt can still be sent again");
    assert_eq!(new.open(PLACE, &purged), Err(VaultError::PeriodUnknown));
}

#[test]
fn the_id_key_stays_when_periods_change() {
    let random = Counting::default();
    let first = Vault::generate(&random, "2026-11").unwrap();
    let second = Vault::with_new_period(&first, &random, "2026-12").unwrap();
    let tag = |text: &str| aws_lc_rs::hmac::sign(Vault::load(text).unwrap().id_key(), b"x").as_ref().to_vec();
    assert_eq!(tag(&first), tag(&second));
}

#[test]
fn what_is_sealed_under_a_subject_opens_only_with_its_key() {
    let random = Counting::default();
    let vault = vault(&random);
    let subject = Place { table: "subject", id: &[1; 16] };
    let (key, wrapped) = vault.new_subject_key(&random, subject).unwrap();
    let (other, _) = vault.new_subject_key(&random, subject).unwrap();
    let entry = Place { table: "register", id: &[2; 16] };
    let stored = Vault::seal_under_many(&random, &[(&key, entry, b"one"), (&key, entry, b"two")]).unwrap();
    let again = vault.subject_key(subject, &wrapped).unwrap();
    assert_eq!(again.open(entry, &stored[0]).unwrap(), b"one");
    assert_eq!(again.open(entry, &stored[1]).unwrap(), b"two");
    assert_ne!(stored[0][..12], stored[1][..12]);
    assert_eq!(other.open(entry, &stored[0]), Err(VaultError::Unreadable));
    assert_eq!(again.open(subject, &stored[0]), Err(VaultError::Unreadable));
    assert!(vault.subject_key(entry, &wrapped).is_err());
}

#[test]
fn a_key_file_that_is_not_understood_is_refused_without_quoting_it() {
    let random = Counting::default();
    let good = Vault::generate(&random, "2026-11").unwrap();
    for bad in [
        "",
        "id_key = \"00\"",
        &good.replace("id_key", "idkey"),
        &good.replacen("key = \"", "key = \"zz", 2),
        &format!("{}extra = 1\n", good.as_str()),
    ] {
        let error = Vault::load(bad).err().expect("refused");
        assert_eq!(error, VaultError::KeyFile);
        assert!(!error.to_string().contains(&good[good.len() - 20..good.len() - 3]));
    }
    for name in ["", "2026 11", "a\"b", &"x".repeat(33)] {
        assert_eq!(Vault::generate(&random, name).err(), Some(VaultError::PeriodName));
    }
    assert_eq!(Vault::with_new_period(&good, &random, "2026-11").err(), Some(VaultError::PeriodName));
}
