//! What the tables of consents, subjects and withdrawals promise, on both engines.

use lotse_core::category::{Categories, Category};
use lotse_core::consent::{ConsentForm, ConsentState, GivenBy, Withdrawn};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest, Id, Sequence};
use lotse_core::purpose::{Purpose, RecordKind};
use lotse_core::time::Timestamp;

use super::*;
use crate::Store;
use crate::subject::{NewAlias, NewSubject};
use crate::testing::{Database, on_both_engines, reading, writing};
use crate::vault::Sealed;
use crate::withdrawal::{Scope, Withdrawal, WithdrawnBy};
use crate::{subject, withdrawal};

on_both_engines! {
    a_consent_stands_towards_each_recipient_on_its_own
    a_consent_is_found_once_by_subject_and_by_name
    a_subject_keeps_its_key_and_its_references
    only_a_given_consent_ends_and_each_end_gives_new_epochs
    an_expired_consent_is_not_found_for_expiry_again
    a_withdrawal_takes_effect_once
    consents_of_a_subject_come_newest_first_in_pages
    what_is_known_of_consents_tells_repeated_ids_from_reused_ones
    only_a_given_consent_is_withdrawn_and_its_recipients_stay_as_they_are
    a_recipient_gets_an_epoch_that_was_never_used_towards_it
}

const JOBCENTER: &str = "jc.example";
const YOUTH: &str = "ja.example";

fn agency(text: &str) -> AgencyId {
    text.parse().unwrap()
}

fn id(number: u8) -> Id {
    Id::from_bytes([number; 16])
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(crate) fn consent(number: u8, subject: u8) -> NewConsent {
    NewConsent {
        consent_id: id(number),
        subject: id(subject),
        state: ConsentState::Given,
        given_by: GivenBy::Oneself,
        form: ConsentForm::Written,
        purposes: Purpose::Orientation.into(),
        record_kinds: RecordKind::Referral.into(),
        categories: [Category::Identity, Category::Contact].into_iter().collect(),
        explicit: Categories::NONE,
        feedback: FeedbackLevel::Status,
        given_at: at(10),
        expires_at: at(100 + i64::from(number)),
        releases_from_secrecy: false,
        content_digest: Digest::of(&[number]),
        recorded_at: at(20),
        content: Sealed { key: vec![number].into(), ciphertext: vec![number, number].into() },
    }
}

/// Records the consents, each for both recipients, with their subjects. Recipients know a consent by its id with another first byte:
/// 101 or 102.
pub(crate) async fn record(store: &Store, consents: Vec<NewConsent>) {
    store
        .transact("record", move |tx| {
            let consents = consents.clone();
            Box::pin(async move {
                let subjects =
                    consents.iter().map(|c| NewSubject { subject: c.subject, key: vec![1], reference: vec![2] });
                subject::insert(tx, subjects.collect()).await?;
                let ids: Vec<(Id, Id)> = consents.iter().map(|c| (c.consent_id, c.subject)).collect();
                insert(tx, consents).await?;
                for (number, recipient) in [(1, JOBCENTER), (2, YOUTH)] {
                    let mut recipients = Vec::new();
                    let mut aliases = Vec::new();
                    for (consent_id, subject) in &ids {
                        let mut consent_ref = *consent_id.as_bytes();
                        consent_ref[0] = 100 + number;
                        recipients.push(NewRecipient {
                            consent_id: *consent_id,
                            recipient: agency(recipient),
                            consent_ref: Id::from_bytes(consent_ref),
                            form_commitment: vec![number],
                            epoch: draw_epochs(tx, 1, [&agency(recipient)].into_iter()).await?[0],
                        });
                        let mut subject_ref = *subject.as_bytes();
                        subject_ref[0] = 200 + number;
                        let subject_ref = Id::from_bytes(subject_ref);
                        aliases.push(NewAlias { subject: *subject, recipient: agency(recipient), subject_ref });
                    }
                    insert_recipients(tx, recipients).await?;
                    subject::insert_aliases(tx, aliases).await?;
                }
                Ok(())
            })
        })
        .await
        .unwrap();
}

async fn towards_of(store: &Store, recipient: &str, subjects: &[Id], named: &[Id]) -> Vec<Towards> {
    let (recipient, subjects, named) = (agency(recipient), subjects.to_vec(), named.to_vec());
    let mut found = store
        .read("towards", move |tx| {
            Box::pin(async move { towards(tx, &recipient, &subjects, &named).await.map(|found| found.rows) })
        })
        .await
        .unwrap();
    found.sort_by_key(|towards| towards.consent.id);
    found
}

async fn a_consent_stands_towards_each_recipient_on_its_own(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9)]).await;
    store
        .transact("narrow", |tx| {
            Box::pin(async move {
                let mut recipients = recipients(tx, &[id(1)]).await?;
                recipients.retain(|recipient| recipient.recipient == agency(YOUTH));
                recipients[0].withdrawn = Withdrawn {
                    whole: false,
                    purposes: Purpose::Orientation.into(),
                    categories: Category::Contact.into(),
                };
                narrow(tx, &recipients).await
            })
        })
        .await
        .unwrap();

    let jobcenter = towards_of(&store, JOBCENTER, &[id(9)], &[]).await.remove(0);
    assert!(jobcenter.consent.names_recipient);
    assert_eq!(jobcenter.consent.withdrawn, Withdrawn::default());
    assert_eq!((jobcenter.form_commitment, jobcenter.subject_key), (vec![1], vec![1]));
    assert_eq!(jobcenter.epoch, Sequence::new(1, 1));
    let youth = towards_of(&store, YOUTH, &[id(9)], &[]).await.remove(0);
    assert_eq!(youth.consent.covered(), Category::Identity.into());
    assert_eq!(youth.consent.withdrawn.purposes, Purpose::Orientation.into());
    assert_ne!(youth.consent_ref, jobcenter.consent_ref);
    assert_ne!(youth.subject_ref, jobcenter.subject_ref);
    let stranger = towards_of(&store, "other.example", &[id(9)], &[]).await.remove(0);
    assert!(!stranger.consent.names_recipient);
    assert_eq!((stranger.consent_ref, stranger.subject_ref), (None, None));
}

async fn a_consent_is_found_once_by_subject_and_by_name(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 8), consent(2, 9), consent(3, 9), consent(4, 7)]).await;
    let found = towards_of(&store, JOBCENTER, &[id(9), id(77)], &[id(1), id(3), id(66)]).await;
    assert_eq!(found.iter().map(|towards| towards.consent.id).collect::<Vec<_>>(), [id(1), id(2), id(3)]);
    assert_eq!(store.counters().work("towards").statements, 2);
    assert!(towards_of(&store, JOBCENTER, &[], &[]).await.is_empty());
}

async fn a_subject_keeps_its_key_and_its_references(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9)]).await;
    store
        .transact("again", |tx| {
            Box::pin(async move {
                subject::insert(tx, vec![NewSubject { subject: id(9), key: vec![8], reference: vec![8] }]).await?;
                let alias = NewAlias { subject: id(9), recipient: agency(JOBCENTER), subject_ref: id(3) };
                subject::insert_aliases(tx, vec![alias]).await
            })
        })
        .await
        .unwrap();
    let found = towards_of(&store, JOBCENTER, &[id(9)], &[]).await.remove(0);
    assert_eq!(found.subject_key, [1]);
    assert_ne!(found.subject_ref, Some(id(3)));
}

async fn only_a_given_consent_ends_and_each_end_gives_new_epochs(database: Database) {
    let store = database.open().await;
    let refused = NewConsent { state: ConsentState::Refused, ..consent(3, 9) };
    record(&store, vec![consent(1, 9), consent(2, 9), refused]).await;
    let superseded = async || {
        store.transact("supersede", |tx| Box::pin(async move { supersede(tx, &[id(2), id(3)]).await })).await.unwrap()
    };
    assert_eq!((superseded().await, superseded().await), (vec![id(2)], vec![]));
    let touched = expire_all(&store, &[id(1), id(2), id(3)]).await;
    assert_eq!(
        touched.iter().map(|t| (t.consent_id, t.recipient.as_str())).collect::<Vec<_>>(),
        [(id(1), YOUTH), (id(1), JOBCENTER)]
    );
    assert!(expire_all(&store, &[id(1), id(2), id(3)]).await.is_empty());

    let found = towards_of(&store, JOBCENTER, &[id(9)], &[]).await;
    let states: Vec<_> = found.iter().map(|towards| towards.consent.state).collect();
    assert_eq!(states, [ConsentState::Expired, ConsentState::Superseded, ConsentState::Refused]);
    assert_eq!(found[0].epoch, Sequence::new(1, 4), "higher than the three that were drawn before");
    assert_eq!(found[1].epoch, Sequence::new(1, 2));
}

async fn expire_all(store: &Store, consents: &[Id]) -> Vec<Touched> {
    let consents = consents.to_vec();
    store
        .transact("expire", move |tx| {
            let consents = consents.clone();
            Box::pin(async move { expire(tx, 1, &consents).await })
        })
        .await
        .unwrap()
}

async fn due(store: &Store, seconds: i64) -> Vec<Id> {
    store.read("due", move |tx| Box::pin(due_to_expire(tx, at(seconds), 10))).await.unwrap()
}

async fn an_expired_consent_is_not_found_for_expiry_again(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9), consent(2, 9)]).await;
    assert_eq!(due(&store, 100).await, []);
    assert_eq!(due(&store, 101).await, [id(1)]);
    expire_all(&store, &[id(1)]).await;
    assert_eq!(due(&store, 102).await, [id(2)]);
}

async fn a_withdrawal_takes_effect_once(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9)]).await;
    let scope = Scope { recipients: vec![agency(YOUTH), agency(JOBCENTER)], ..Scope::default() };
    let arrived = Withdrawal {
        withdrawal_id: id(5),
        consent_id: id(1),
        scope: scope.clone(),
        arrived_at: at(30),
        effective_at: None,
        by: by(),
    };
    store
        .transact("arrive", move |tx| {
            let arrived = arrived.clone();
            Box::pin(async move { withdrawal::insert(tx, &arrived).await })
        })
        .await
        .unwrap();
    let pending = async |arrived_by| {
        store.read("pending", move |tx| Box::pin(withdrawal::pending(tx, at(arrived_by), 10))).await.unwrap()
    };
    assert!(pending(29).await.is_empty(), "it arrived later");
    let found = pending(30).await;
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].withdrawal_id, &found[0].scope, &found[0].by), (id(5), &scope, &by()));

    let effective = take_effect(&store).await;
    assert_eq!((effective[0].effective_at, &effective[0].by), (Some(at(40)), &by()));
    assert!(take_effect(&store).await.is_empty());
    assert!(pending(99).await.is_empty());
    let all = store.read("all", move |tx| Box::pin(async move { withdrawal::of_consents(tx, &[id(1)]).await })).await;
    assert_eq!(all.unwrap()[0].effective_at, Some(at(40)));
}

fn by() -> WithdrawnBy {
    WithdrawnBy { actor: "akte".into(), on_behalf_of: "sb-17".into(), trace_id: Some(vec![7; 16]) }
}

async fn take_effect(store: &Store) -> Vec<Withdrawal> {
    store
        .transact("effect", |tx| Box::pin(async move { withdrawal::take_effect(tx, &[id(5)], at(40)).await }))
        .await
        .unwrap()
}

async fn page(store: &Store, before: Option<(Timestamp, Id)>) -> Vec<Stored> {
    store.read("list", move |tx| Box::pin(list(tx, id(9), before, 2))).await.unwrap()
}

async fn consents_of_a_subject_come_newest_first_in_pages(database: Database) {
    let store = database.open().await;
    let newest = NewConsent { recorded_at: at(30), ..consent(1, 9) };
    record(&store, vec![newest, consent(2, 9), consent(3, 9), consent(4, 8)]).await;
    let ids = |stored: &[Stored]| stored.iter().map(|s| s.consent_id).collect::<Vec<_>>();
    let first = page(&store, None).await;
    assert_eq!(ids(&first), [id(1), id(3)]);
    let rest = page(&store, Some((first[1].recorded_at, first[1].consent_id))).await;
    assert_eq!(ids(&rest), [id(2)]);
    let found = store.read("find", move |tx| Box::pin(find(tx, id(2)))).await.unwrap().unwrap();
    assert_eq!((found.expires_at, found.content.ciphertext.to_vec()), (at(102), vec![2, 2]));
}

async fn what_is_known_of_consents_tells_repeated_ids_from_reused_ones(database: Database) {
    let store = database.open().await;
    let refused = NewConsent { state: ConsentState::Refused, ..consent(2, 8) };
    record(&store, vec![consent(1, 9), refused]).await;
    let found = reading!(store, tx => known(tx, vec![id(2), id(77), id(1)]));
    assert_eq!(found.len(), 2);
    let of = |number: u8| (found[&id(number)].subject, found[&id(number)].content_digest, found[&id(number)].state);
    assert_eq!(of(1), (id(9), Digest::of(&[1]), ConsentState::Given));
    assert_eq!(of(2), (id(8), Digest::of(&[2]), ConsentState::Refused));
}

async fn states(store: &Store) -> Vec<(Id, ConsentState)> {
    let mut heads = reading!(store, tx => heads(tx, &[id(3), id(2), id(1), id(77)]));
    heads.sort_by_key(|head| head.consent_id);
    let given = consent(1, 9);
    assert!(heads.iter().all(|head| (head.purposes, head.categories) == (given.purposes, given.categories)));
    heads.iter().map(|head| (head.consent_id, head.state)).collect()
}

async fn only_a_given_consent_is_withdrawn_and_its_recipients_stay_as_they_are(database: Database) {
    let store = database.open().await;
    let refused = NewConsent { state: ConsentState::Refused, ..consent(3, 9) };
    record(&store, vec![consent(1, 9), consent(2, 9), refused]).await;
    writing!(store, tx => withdraw(tx, &[id(1), id(3), id(77)])).unwrap();
    let (withdrawn, given, refused) = (ConsentState::Withdrawn, ConsentState::Given, ConsentState::Refused);
    assert_eq!(states(&store).await, [(id(1), withdrawn), (id(2), given), (id(3), refused)]);
    assert_eq!(due(&store, 999).await, [id(2)], "what is withdrawn expires no more");
    let of_first = reading!(store, tx => recipients(tx, &[id(1)]));
    let told: Vec<_> = of_first.iter().map(|r| (r.recipient.as_str(), r.withdrawn, r.epoch)).collect();
    let untouched = |agency| (agency, Withdrawn::default(), Sequence::new(1, 1));
    assert_eq!(told, [untouched(YOUTH), untouched(JOBCENTER)]);
}

async fn a_recipient_gets_an_epoch_that_was_never_used_towards_it(database: Database) {
    let store = database.open().await;
    record(&store, vec![consent(1, 9), consent(2, 9)]).await;
    let raised = writing!(store, tx => async {
        let mut recipients = recipients(tx, &[id(1), id(2)]).await?;
        recipients.retain(|r| (r.consent_id, r.recipient.as_str()) != (id(2), YOUTH));
        raise_epochs(tx, 4, &recipients).await
    });
    let told: Vec<_> = raised.unwrap().into_iter().map(|t| (t.consent_id, t.recipient, t.epoch)).collect();
    let (youth, jobcenter) = (agency(YOUTH), agency(JOBCENTER));
    let third = Sequence::new(4, 3);
    let expected =
        [(id(1), youth.clone(), third), (id(1), jobcenter.clone(), third), (id(2), jobcenter, Sequence::new(4, 4))];
    assert_eq!(told, expected, "two were drawn towards each when they were recorded");
    let stored = reading!(store, tx => recipients(tx, &[id(2), id(1)]));
    let stored: Vec<_> = stored.into_iter().map(|r| (r.consent_id, r.recipient, r.epoch)).collect();
    let [one, two, three] = expected;
    assert_eq!(stored, [one, two, (id(2), youth, Sequence::new(1, 2)), three], "and the one that was not named stays");
}
