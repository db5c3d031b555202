//! Batches under a good seal with anything in them: afterwards everything here can be read, listed and exported.

use lotse_core::delivery::Outcome;
use lotse_core::id::{Digest, Id};
use lotse_core::log::tile::encode_entries;
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_proto::exchange::v1::envelope::Basis;
use lotse_proto::exchange::v1::{Batch, Envelope, LogEntry};
use lotse_store::batch::BatchItem;
use lotse_store::{custody, outbox};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;

use super::*;
use crate::action::cut;
use crate::action::delivery_tests::pair::Pair;
use crate::action::fetch_records::fetch_records;
use crate::action::get_referral::get_referral;
use crate::action::submit_referrals::Timing;
use crate::entry::EntryKind;
use crate::testing::{TestNode, agree, introduce};
use crate::wire::batch::{open_batch, parse_item};

/// Changed envelopes that are tried.
const CHANGED: usize = 600;

/// A field of an envelope that takes a number or a text.
#[derive(Clone, Copy, Debug)]
enum Field {
    ThreadSequence,
    Revision,
    Epoch,
    AgreementVersion,
    SenderGeneration,
    CreatedAt,
    ExpiresAt,
    HoldUntil,
    ConsentExpiresAt,
    GivenOn,
    ClauseId,
    TraceId,
    AgreementId,
    ConsentRef,
    SubjectRef,
    ThreadId,
    RecordId,
}

const FIELDS: [Field; 17] = [
    Field::ThreadSequence,
    Field::Revision,
    Field::Epoch,
    Field::AgreementVersion,
    Field::SenderGeneration,
    Field::CreatedAt,
    Field::ExpiresAt,
    Field::HoldUntil,
    Field::ConsentExpiresAt,
    Field::GivenOn,
    Field::ClauseId,
    Field::TraceId,
    Field::AgreementId,
    Field::ConsentRef,
    Field::SubjectRef,
    Field::ThreadId,
    Field::RecordId,
];

/// A change to one field.
#[derive(Clone, Debug)]
struct FieldChange {
    field: Field,
    number: u64,
    text: String,
}

impl FieldChange {
    fn make(&self, envelope: &mut Envelope) {
        let (number, id) = (self.number, u128::from(self.number).to_be_bytes().to_vec());
        let Some(Basis::Consent(basis)) = &mut envelope.basis else { panic!("no basis") };
        let excerpt = basis.excerpt.as_mut().unwrap();
        match self.field {
            Field::ThreadSequence => envelope.thread_sequence = number,
            Field::Revision => envelope.revision = number,
            Field::Epoch => excerpt.epoch = number,
            Field::AgreementVersion => basis.agreement_version = number as u32,
            Field::SenderGeneration => envelope.sender_generation = number as u32,
            Field::CreatedAt => envelope.created_at_us = number.cast_signed(),
            Field::ExpiresAt => envelope.expires_at_us = number.cast_signed(),
            Field::HoldUntil => envelope.hold_until_us = number.cast_signed(),
            Field::ConsentExpiresAt => excerpt.expires_at_us = number.cast_signed(),
            Field::GivenOn => excerpt.given_on = format!("{:04}-01-01", number % 10_000),
            Field::ClauseId => basis.clause_id = self.text.clone(),
            Field::TraceId => envelope.trace_id = id,
            Field::AgreementId => basis.agreement_id = id,
            Field::ConsentRef => excerpt.consent_ref = id,
            Field::SubjectRef => excerpt.subject_ref = id,
            Field::ThreadId => envelope.thread_id = id,
            Field::RecordId => (envelope.record_id, envelope.thread_id) = (id.clone(), id),
        }
    }
}

fn change() -> impl Strategy<Value = FieldChange> {
    let extreme = prop::sample::select(vec![0, 1, 1 << 31, 1 << 32, 1 << 33, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX]);
    let number = prop_oneof![3 => extreme, 1 => any::<u64>()];
    let text = prop_oneof![
        2 => prop::sample::select(vec!["", "orientation-refugees", "Ä", "a\0b", "a\nb", "\u{202e}x"]).prop_map(str::to_owned),
        1 => (1..80_000usize).prop_map(|length| "x".repeat(length)),
    ];
    (prop::sample::select(FIELDS.to_vec()), number, text).prop_map(|(field, number, text)| FieldChange {
        field,
        number,
        text,
    })
}

/// Seals envelopes as a batch.
fn sealed(from: &TestNode, to: &TestNode, envelopes: &[Envelope]) -> Batch {
    let envelopes: Vec<Bytes> = envelopes.iter().map(|envelope| envelope.encode_to_vec().into()).collect();
    let item = |bytes: &Bytes| BatchItem { record_id: Id::from_bytes([1; 16]), digest: Digest::of_leaf(bytes) };
    let batch_id = Id::new(from.now(), &*from.random);
    let (seal, _) = cut::seal(from, &to.agency, batch_id, from.now(), envelopes.iter().map(item).collect(), 0);
    Batch { seal: Some(seal), envelopes }
}

async fn outcomes(from: &TestNode, to: &TestNode, envelopes: &[Envelope]) -> Vec<Outcome> {
    let receipt = take_batch(to, &from.agency, sealed(from, to, envelopes)).await.unwrap();
    receipt.items.iter().map(|item| parse_item(item).unwrap().outcome).collect()
}

/// The envelope of a referral that was released and not delivered.
async fn released() -> (Pair, Envelope) {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let envelope = Envelope::decode(shipment.envelopes[0].clone()).unwrap();
    (pair, envelope)
}

/// Such an envelope of a record of its own.
fn another(pair: &Pair, envelope: &Envelope) -> Envelope {
    let id = || Id::random(&*pair.owner.random).to_vec();
    let record_id = id();
    Envelope { id: id(), record_id: record_id.clone(), thread_id: record_id, ..envelope.clone() }
}

/// Reads everything that came, in every way in which it is read, and exports the log.
async fn read_all(node: &TestNode, records: Vec<Id>) {
    let generation = node.generation;
    let wanted = records.clone();
    let leaves = node.store.read("all", move |tx| {
        Box::pin(async move {
            custody::find(tx, &wanted).await?;
            custody::received(tx, &wanted).await?;
            custody::list_referrals(tx, u64::MAX, 1000).await?;
            outbox::list_referrals(tx, u64::MAX, 1000).await?;
            for &record_id in &wanted {
                custody::answers(tx, record_id).await?;
            }
            lotse_store::log::read(tx, generation, 0, 10_000).await
        })
    });
    let leaves = leaves.await.unwrap();
    for bundle in leaves.chunks(256) {
        encode_entries(bundle.iter().map(|leaf| leaf.entry.bytes.as_slice())).unwrap();
    }
    for leaf in &leaves {
        let entry = LogEntry::decode(leaf.entry.bytes.as_slice()).unwrap();
        assert!(leaf.entry.bytes.len() < 1024, "{:?}", entry.kind());
    }
    let purposes = Purpose::ALL.iter().copied().collect();
    for records in records.chunks(256) {
        let fetched = fetch_records(node, "akte", purposes, records.to_vec()).await.unwrap();
        assert_eq!(fetched.unreadable, []);
    }
    for record in records {
        let _ = get_referral(node, purposes, record)
            .await
            .map_err(|failure| assert_eq!(failure.reason(), Reason::NotFound));
    }
}

#[tokio::test]
async fn whatever_the_fields_of_an_envelope_say_what_is_here_can_be_read_and_exported() {
    let (pair, envelope) = released().await;
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let changes = prop::collection::vec(change(), 1..3);
    let (mut records, mut seen) = (Vec::new(), Vec::new());
    for _ in 0..CHANGED / 12 {
        let batch: Vec<Envelope> = (0..12)
            .map(|_| {
                let mut envelope = another(&pair, &envelope);
                changes.new_tree(&mut runner).unwrap().current().iter().for_each(|change| change.make(&mut envelope));
                envelope
            })
            .collect();
        records.extend(batch.iter().filter_map(|envelope| Id::from_slice(&envelope.record_id).ok()));
        seen.extend(outcomes(&pair.owner, &pair.holder, &batch).await);
    }
    let taken = seen.iter().filter(|outcome| **outcome == Outcome::Taken).count();
    assert!((1..CHANGED / 2).contains(&taken), "{taken} of {} are taken", seen.len());
    assert!(seen.contains(&Outcome::Refused(Reason::EnvelopeInvalid)));
    read_all(&pair.holder, records).await;
}

#[tokio::test]
async fn no_number_time_or_text_out_of_bounds_is_taken() {
    let (pair, envelope) = released().await;
    let number = |field, number| FieldChange { field, number, text: String::new() };
    let text = |text: String| FieldChange { field: Field::ClauseId, number: 0, text };
    let ahead = pair.owner.now().plus(lotse_core::time::DAY * 400).date().year() as u64;
    let changes = [
        number(Field::ThreadSequence, 1 << 63),
        number(Field::Revision, 1 << 63),
        number(Field::Revision, 7),
        number(Field::Epoch, 0),
        number(Field::Epoch, u64::MAX),
        number(Field::AgreementVersion, 0),
        number(Field::SenderGeneration, u64::MAX),
        number(Field::CreatedAt, u64::MAX),
        number(Field::ExpiresAt, 1 << 62),
        number(Field::HoldUntil, 0),
        number(Field::ConsentExpiresAt, 1 << 62),
        number(Field::GivenOn, ahead),
        number(Field::TraceId, 0),
        number(Field::AgreementId, 0),
        number(Field::ConsentRef, 0),
        number(Field::SubjectRef, 0),
        text(String::new()),
        text("x".repeat(65)),
        text("x".repeat(70 * 1024)),
        text("Frau Meier".into()),
    ];
    let changed = changes.iter().map(|change| {
        let mut envelope = another(&pair, &envelope);
        change.make(&mut envelope);
        envelope
    });
    let outcomes = outcomes(&pair.owner, &pair.holder, &changed.collect::<Vec<_>>()).await;
    for (change, outcome) in changes.iter().zip(outcomes) {
        assert_eq!(outcome, Outcome::Refused(Reason::EnvelopeInvalid), "{:?}", change.field);
    }
    read_all(&pair.holder, vec![]).await;
}

#[tokio::test]
async fn the_same_envelope_twice_in_a_batch_is_taken_once_and_answered_alike() {
    let (pair, envelope) = released().await;
    let refused = Envelope { nonce: vec![], ..another(&pair, &envelope) };
    let batch = [&envelope, &refused, &envelope, &refused].map(Clone::clone);
    let receipt =
        take_batch(&pair.holder, &pair.owner.agency, sealed(&pair.owner, &pair.holder, &batch)).await.unwrap();
    assert_eq!((&receipt.items[0], &receipt.items[1]), (&receipt.items[2], &receipt.items[3]));
    assert_eq!(parse_item(&receipt.items[0]).unwrap().outcome, Outcome::Taken);
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
    assert_eq!(pair.holder.entries(EntryKind::EnvelopeRefused).await, 1);
}

/// A pair whose holder has answered a referral, and the envelope of the answer.
async fn answered() -> (Pair, Id, Envelope) {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let envelope = Envelope::decode(pair.claimed_answers().await.envelopes[0].clone()).unwrap();
    (pair, referral, envelope)
}

#[tokio::test]
async fn an_answer_whose_place_in_the_thread_fits_no_column_is_refused_and_its_thread_read() {
    let (pair, referral, envelope) = answered().await;
    let poisoned = Envelope { thread_sequence: 1 << 63, ..another(&pair, &envelope) };
    let poisoned = Envelope { thread_id: envelope.thread_id.clone(), ..poisoned };
    let outcome = outcomes(&pair.holder, &pair.owner, std::slice::from_ref(&poisoned)).await;
    assert_eq!(outcome, [Outcome::Refused(Reason::EnvelopeInvalid)]);
    read_all(&pair.owner, vec![referral]).await;
    assert_eq!(outcomes(&pair.holder, &pair.owner, &[envelope]).await, [Outcome::Taken]);
}

#[tokio::test]
async fn an_answer_has_no_record_id_of_a_referral() {
    let (pair, referral, envelope) = answered().await;
    let own_thread = Envelope { id: vec![5; 16], record_id: envelope.thread_id.clone(), ..envelope.clone() };
    assert_eq!(outcomes(&pair.holder, &pair.owner, &[own_thread]).await, [Outcome::Refused(Reason::EnvelopeInvalid)]);
    // Nor of one that its sender handed over: the referral would be hidden behind it.
    let sent = Envelope { record_id: vec![9; 16], thread_id: vec![9; 16], thread_sequence: 1, ..envelope.clone() };
    let held = received_by_the_owner(&pair, sent).await;
    let hiding = Envelope {
        id: vec![8; 16],
        record_id: held.to_vec(),
        revision: Sequence::new(2, 1).as_u64(),
        sender_generation: 2,
        ..envelope.clone()
    };
    let hidden = outcomes(&pair.holder, &pair.owner, &[hiding]).await;
    assert_eq!(hidden, [Outcome::Refused(Reason::EnvelopeInvalid)]);
    assert_eq!(outcomes(&pair.holder, &pair.owner, &[envelope]).await, [Outcome::Taken]);
    read_all(&pair.owner, vec![referral, held]).await;
}

/// Lets the owner hold a referral of the holder, under the ids of an envelope.
async fn received_by_the_owner(pair: &Pair, envelope: Envelope) -> Id {
    let record_id = Id::from_slice(&envelope.record_id).unwrap();
    let head = Arrival {
        envelope_id: Id::from_bytes([7; 16]),
        digest: Digest::of(b"referral"),
        owner: pair.holder.agency.clone(),
        sender_generation: 1,
        recipient_generation: 1,
        outcome: Outcome::Taken,
        at: pair.owner.now(),
        leaf_hash: Digest::of(b"leaf"),
        expires_at: pair.owner.now(),
        copy: Some(Copy {
            record_id,
            kind: lotse_store::outbox::ItemKind::Referral,
            thread_id: record_id,
            thread_sequence: 1,
            revision: Sequence::new(1, 1),
            consent_ref: Id::from_bytes([6; 16]),
            subject_ref: None,
            epoch: Sequence::new(1, 1),
            agreement_id: pair.agreement,
            clause_id: "orientation-refugees".into(),
            purpose: Purpose::Orientation,
            present: Default::default(),
            covered: Default::default(),
            feedback: FeedbackLevel::Status,
            hold_until: pair.owner.now().plus(lotse_core::time::DAY),
            referral_state: ReferralState::Received,
            content: pair
                .owner
                .vault
                .seal(&*pair.owner.random, place(&Id::from_bytes([7; 16])), &envelope.encode_to_vec())
                .unwrap(),
        }),
    };
    let insert = pair.owner.store.transact("arrive", move |tx| {
        let arrivals = [head.clone()];
        Box::pin(async move { held::insert(tx, &arrivals).await })
    });
    insert.await.unwrap();
    record_id
}

#[tokio::test]
async fn a_record_of_one_agency_is_not_replaced_by_another_agencys() {
    let (pair, envelope) = released().await;
    assert_eq!(outcomes(&pair.owner, &pair.holder, std::slice::from_ref(&envelope)).await, [Outcome::Taken]);
    let third = TestNode::with("yc.example", lotse_core::agency::AgencyKind::JobcenterGe, pair.clock.clone()).await;
    introduce(&[&pair.holder, &third]).await;
    let agreement = agree(&[&third, &pair.holder]).await;
    let known = third.federation.get().version_of(agreement, 1).unwrap().agreement.digest;
    let mut replacing = Envelope {
        id: vec![9; 16],
        sender: third.agency.to_string(),
        revision: envelope.revision + 1,
        ..envelope.clone()
    };
    let Some(Basis::Consent(basis)) = &mut replacing.basis else { panic!("no basis") };
    (basis.agreement_id, basis.agreement_digest) = (agreement.to_vec(), known.to_vec());
    let own_record = Envelope { id: vec![8; 16], ..another(&pair, &replacing) };
    let outcomes = outcomes(&third, &pair.holder, &[replacing, own_record]).await;
    assert_eq!(outcomes, [Outcome::Refused(Reason::EnvelopeInvalid), Outcome::Taken]);
    let record_id = Id::from_slice(&envelope.record_id).unwrap();
    assert_eq!(pair.held(record_id).await.unwrap().owner, pair.owner.agency);
}

/// The bytes that so many refused envelopes add.
fn refused(refused: u64) -> Added {
    Added { bytes: 0, refused }
}

#[tokio::test]
async fn malformed_envelopes_of_a_batch_share_one_entry_that_counts_them() {
    let (pair, envelope) = released().await;
    let malformed = |_| Envelope { nonce: vec![], ..another(&pair, &envelope) };
    let batch: Vec<Envelope> = (0..100).map(malformed).chain([envelope.clone()]).collect();
    let receipt =
        take_batch(&pair.holder, &pair.owner.agency, sealed(&pair.owner, &pair.holder, &batch)).await.unwrap();
    let items: Vec<_> = receipt.items.iter().map(|item| parse_item(item).unwrap()).collect();
    assert!(items[..100].iter().all(|item| item.outcome == Outcome::Refused(Reason::EnvelopeInvalid)));
    assert!(items[..100].iter().all(|item| item.log_leaf_hash == items[0].log_leaf_hash));
    assert_ne!(items[100].log_leaf_hash, items[0].log_leaf_hash);
    let entries = pair.holder.entries_of(EntryKind::EnvelopeRefused).await;
    assert_eq!((entries.len(), entries[0].alike), (1, 100));
    assert_eq!(Digest::of_leaf(&entries[0].encode_to_vec()), items[0].log_leaf_hash, "it is the entry's");
    // The log has no gap: the next leaf follows.
    let log = pair.holder.log().await.len();
    assert_eq!(outcomes(&pair.owner, &pair.holder, &[another(&pair, &envelope)]).await, [Outcome::Taken]);
    assert_eq!(pair.holder.log().await.len(), log + 1);
}

#[tokio::test]
async fn a_batch_in_another_agencys_name_is_evidence_and_a_thousand_are_one_entry() {
    let (pair, envelope) = released().await;
    let third = TestNode::with("zz.example", lotse_core::agency::AgencyKind::JobcenterGe, pair.clock.clone()).await;
    let batch = |sender: &TestNode| {
        let mut batch = sealed(&third, &pair.holder, &[another(&pair, &envelope)]);
        let statement = open_batch(batch.seal.as_ref().unwrap(), &[third.keys.sealing.public()]).unwrap();
        batch.seal = Some(crate::wire::batch::seal_batch(&statement, &sender.keys.sealing));
        batch
    };
    for _ in 0..50 {
        let refused = take_batch(&pair.holder, &pair.owner.agency, batch(&pair.owner)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::SenderMismatch);
    }
    let entries = pair.holder.entries_of(EntryKind::BatchRefused).await;
    assert_eq!((entries.len(), entries[0].alike, entries[0].remark.as_str()), (1, 1, "sender zz.example"));
    assert_eq!((entries[0].peer.as_str(), entries[0].digest.len()), (pair.owner.agency.as_str(), 32));
    assert_eq!(pair.holder.entries(EntryKind::Alarm).await, 1, "acting as another agency needs a human");
    let alarms = || async { crate::action::get_status::get_status(&pair.holder).await.unwrap().alarms.join("; ") };
    assert!(alarms().await.contains("a batch was refused"));

    pair.clock.turn(std::time::Duration::from_secs(61));
    take_batch(&pair.holder, &pair.owner.agency, batch(&third)).await.unwrap_err();
    take_batch(&pair.holder, &pair.owner.agency, batch(&pair.owner)).await.unwrap_err();
    let entries = pair.holder.entries_of(EntryKind::BatchRefused).await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.reasons[0], entry.alike)).collect();
    let number = Reason::number;
    assert_eq!(told[1..], [(number(Reason::SealInvalid), 1), (number(Reason::SenderMismatch), 50)]);
    pair.clock.turn(lotse_core::time::DAY);
    assert!(!alarms().await.contains("a batch was refused"), "a day later the log alone tells it");
}

#[tokio::test]
async fn a_peer_that_is_over_its_daily_limit_of_refused_envelopes_is_overloaded_and_what_is_good_goes() {
    let (pair, envelope) = released().await;
    let (holder, peer) = (&pair.holder, &pair.owner.agency);
    let limits = holder.config.peer.daily_limits();
    assert!(limits.refused > 10_000 && limits.bytes > 1 << 34, "an honest peer never comes near");
    holder.federation.budgets.spend(peer, limits, refused(limits.refused - 2), holder.now());
    let malformed = |count: usize| -> Vec<Envelope> {
        (0..count).map(|_| Envelope { nonce: vec![], ..another(&pair, &envelope) }).collect()
    };
    let failure = take_batch(holder, peer, sealed(&pair.owner, holder, &malformed(3))).await.unwrap_err();
    assert_eq!((failure.kind, failure.reason()), (ErrorKind::Overloaded, Reason::Overloaded));
    assert!(failure.is_retryable());
    assert_eq!(holder.entries(EntryKind::EnvelopeRefused).await, 0);
    assert_eq!(holder.entries(EntryKind::BatchRefused).await, 1);
    outcomes(&pair.owner, holder, &malformed(2)).await;
    assert!(take_batch(holder, peer, sealed(&pair.owner, holder, &malformed(1))).await.is_err());
    assert_eq!(outcomes(&pair.owner, holder, std::slice::from_ref(&envelope)).await, [Outcome::Taken]);
    let receipts = holder.store.read("number", {
        let peer = peer.clone();
        move |tx| Box::pin(async move { counter::read(tx, &Counter::Receipt(peer)).await })
    });
    assert_eq!(receipts.await.unwrap(), 2, "no number is missing");
    pair.clock.turn(lotse_core::time::DAY);
    assert!(take_batch(holder, peer, sealed(&pair.owner, holder, &malformed(3))).await.is_ok());
}

#[tokio::test]
async fn a_peer_that_is_over_its_daily_limit_of_bytes_is_overloaded() {
    let (pair, envelope) = released().await;
    let (holder, peer) = (&pair.holder, &pair.owner.agency);
    let limits = holder.config.peer.daily_limits();
    outcomes(&pair.owner, holder, &[another(&pair, &envelope)]).await;
    let over = Added { bytes: limits.bytes, refused: 0 };
    assert!(!holder.federation.budgets.has_room(peer, limits, over, holder.now()), "what came counts");
    holder.federation.budgets.spend(peer, limits, Added { bytes: limits.bytes - 3000, refused: 0 }, holder.now());
    let failure = take_batch(holder, peer, sealed(&pair.owner, holder, &[envelope])).await.unwrap_err();
    assert_eq!(failure.reason(), Reason::Overloaded);
}
