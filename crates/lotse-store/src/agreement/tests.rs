use super::*;
use crate::card::{self, StoredCard};
use crate::peer::{self, StoredPeer};
use crate::testing::{Database, on_both_engines};
use crate::{Store, StoreError};

on_both_engines! {
    the_newest_card_of_an_agency_takes_the_place_of_the_one_before
    a_peer_is_accepted_once_and_suspended_at_will
    a_peer_has_exchanged_once_a_batch_went_or_came
    a_version_is_stored_once_and_completed_once
    a_later_seal_of_a_party_takes_the_place_of_the_one_before
    an_incomplete_version_makes_room_with_its_seals_a_complete_one_never
    an_agreement_is_suspended_and_resumed
    versions_seals_and_cards_are_found_by_what_names_them
}

fn agency(name: &str) -> AgencyId {
    name.parse().unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// Runs a write and reads what there is after it.
macro_rules! run {
    ($store:expr, $tx:ident => $work:expr) => {
        $store.transact("test", move |$tx| Box::pin(async move { $work })).await
    };
}

fn version(number: u32, digest: u8) -> StoredAgreement {
    StoredAgreement {
        digest: Digest::of(&[digest]),
        agreement_id: Id::from_bytes([7; 16]),
        version: number,
        payload: vec![digest],
        offered_at: at(1),
        offered_by: (number == 2).then(|| agency("a.example")),
        completed_at: None,
    }
}

fn seal(digest: u8, name: &str, signature: u8) -> StoredSeal {
    StoredSeal {
        digest: Digest::of(&[digest]),
        agency: agency(name),
        signature: vec![signature],
        sealed_at: at(signature.into()),
    }
}

async fn the_newest_card_of_an_agency_takes_the_place_of_the_one_before(database: Database) {
    let store = database.open().await;
    let card = |name: &str, version: u64| StoredCard {
        agency: agency(name),
        version,
        digest: Digest::of(&version.to_be_bytes()),
        seal: vec![version as u8],
        taken_at: at(version as i64),
    };
    let stored = run!(store, tx => {
        for card in [card("b.example", 1), card("a.example", 9), card("b.example", 2)] {
            card::put(tx, &card).await?;
        }
        card::all(tx).await
    });
    assert_eq!(stored.unwrap(), [card("a.example", 9), card("b.example", 2)]);
}

async fn a_peer_is_accepted_once_and_suspended_at_will(database: Database) {
    let store = database.open().await;
    let stored = run!(store, tx => {
        peer::insert(tx, &agency("a.example"), at(5), 3).await?;
        peer::suspend(tx, &agency("a.example"), Suspension::Suspended).await?;
        peer::raise_generation(tx, &agency("a.example"), 2).await?;
        let suspended = peer::all(tx).await?;
        peer::suspend(tx, &agency("a.example"), Suspension::Lifted).await?;
        peer::raise_generation(tx, &agency("a.example"), 4).await?;
        Ok((suspended, peer::all(tx).await?))
    });
    let peer = |suspended, generation| StoredPeer {
        agency: agency("a.example"),
        accepted_at: at(5),
        suspended,
        generation,
        stopped_at: None,
        named: Default::default(),
    };
    assert_eq!(stored.unwrap(), (vec![peer(true, 3)], vec![peer(false, 4)]), "a generation is never lowered");
    let again = run!(store, tx => peer::insert(tx, &agency("a.example"), at(6), 3).await);
    assert!(matches!(again, Err(StoreError::Constraint { .. })), "{again:?}");
}

async fn a_peer_has_exchanged_once_a_batch_went_or_came(database: Database) {
    let store = database.open().await;
    let exchanged = run!(store, tx => {
        peer::insert(tx, &agency("a.example"), at(5), 1).await?;
        peer::insert(tx, &agency("b.example"), at(5), 1).await?;
        let before = peer::has_exchanged(tx, &agency("a.example")).await?;
        let id = Id::from_bytes([1; 16]);
        crate::receipt::insert(tx, id, &agency("a.example"), Digest::of(b"root"), vec![1], at(6)).await?;
        let after = peer::has_exchanged(tx, &agency("a.example")).await?;
        Ok((before, after, peer::has_exchanged(tx, &agency("b.example")).await?))
    });
    assert_eq!(exchanged.unwrap(), (false, true, false));
}

async fn versions(store: &Store) -> Vec<StoredAgreement> {
    store.read("test", move |tx| Box::pin(all(tx))).await.unwrap()
}

async fn a_version_is_stored_once_and_completed_once(database: Database) {
    let store = database.open().await;
    run!(store, tx => {
        insert(tx, &version(2, 2)).await?;
        insert(tx, &version(1, 1)).await?;
        complete(tx, Digest::of(&[1]), at(10)).await?;
        complete(tx, Digest::of(&[1]), at(20)).await
    })
    .unwrap();
    let completed = StoredAgreement { completed_at: Some(at(10)), ..version(1, 1) };
    assert_eq!(versions(&store).await, [completed, version(2, 2)]);
    let other_text = run!(store, tx => insert(tx, &version(1, 3)).await);
    assert!(matches!(other_text, Err(StoreError::Constraint { .. })), "{other_text:?}");
}

async fn a_later_seal_of_a_party_takes_the_place_of_the_one_before(database: Database) {
    let store = database.open().await;
    let seals = run!(store, tx => {
        insert(tx, &version(1, 1)).await?;
        put_seals(tx, &[seal(1, "b.example", 1), seal(1, "a.example", 2)]).await?;
        put_seals(tx, &[seal(1, "b.example", 3)]).await?;
        put_seals(tx, &[]).await?;
        all_seals(tx).await
    });
    assert_eq!(seals.unwrap(), [seal(1, "a.example", 2), seal(1, "b.example", 3)]);
}

async fn an_incomplete_version_makes_room_with_its_seals_a_complete_one_never(database: Database) {
    let store = database.open().await;
    let seals = run!(store, tx => {
        insert(tx, &version(1, 1)).await?;
        put_seals(tx, &[seal(1, "a.example", 1)]).await?;
        remove(tx, Digest::of(&[1])).await?;
        insert(tx, &version(1, 2)).await?;
        complete(tx, Digest::of(&[2]), at(10)).await?;
        put_seals(tx, &[seal(2, "a.example", 1)]).await?;
        remove(tx, Digest::of(&[2])).await?;
        all_seals(tx).await
    });
    assert_eq!(versions(&store).await[0].digest, Digest::of(&[2]));
    assert_eq!(seals.unwrap(), [seal(2, "a.example", 1)]);
}

async fn an_agreement_is_suspended_and_resumed(database: Database) {
    let store = database.open().await;
    let id = Id::from_bytes([7; 16]);
    let read = run!(store, tx => {
        suspend(tx, id, Suspension::Suspended, at(1)).await?;
        suspend(tx, id, Suspension::Suspended, at(2)).await?;
        let during = suspended(tx).await?;
        suspend(tx, id, Suspension::Lifted, at(3)).await?;
        suspend(tx, id, Suspension::Lifted, at(3)).await?;
        Ok((during, suspended(tx).await?))
    });
    assert_eq!(read.unwrap(), (vec![id], vec![]));
}

async fn versions_seals_and_cards_are_found_by_what_names_them(database: Database) {
    let store = database.open().await;
    let card = |name: &str| StoredCard {
        agency: agency(name),
        version: 1,
        digest: Digest::of(name.as_bytes()),
        seal: vec![1],
        taken_at: at(1),
    };
    let found = run!(store, tx => {
        insert(tx, &version(1, 1)).await?;
        insert(tx, &version(2, 2)).await?;
        put_seals(tx, &[seal(1, "a.example", 1), seal(2, "b.example", 2), seal(2, "a.example", 3)]).await?;
        card::put(tx, &card("a.example")).await?;
        card::put(tx, &card("b.example")).await?;
        let asked = [Digest::of(&[2]), Digest::of(&[9])];
        let cards = card::find(tx, &[agency("b.example"), agency("c.example")]).await?;
        Ok((find(tx, &asked).await?, seals_of(tx, &asked).await?, cards))
    });
    let (versions, seals, cards) = found.unwrap();
    assert_eq!(versions, [version(2, 2)]);
    assert_eq!(seals, [seal(2, "a.example", 3), seal(2, "b.example", 2)]);
    assert_eq!(cards, [card("b.example")]);
}
