//! Reasons that a receiver gives for batches and envelopes. What no honest node sends is made here, under good seals.

use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_core::referral::ReferralEvent;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::envelope::Basis;
use lotse_proto::exchange::v1::{Batch, Envelope, Receipt};
use lotse_store::batch::BatchItem;
use prost::Message;

use super::causes;
use crate::action::claim::claim_due;
use crate::action::cut;
use crate::action::delivery_tests::pair::Pair;
use crate::action::record_receipt::record_receipt;
use crate::action::submit_referrals::Timing;
use crate::action::take_batch::take_batch;
use crate::entry::EntryKind;
use crate::shipment::Shipment;
use crate::testing::TestNode;
use crate::wire::batch::parse_item;

async fn released() -> (Pair, Shipment) {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    (pair, shipment)
}

fn envelope(shipment: &Shipment) -> Envelope {
    Envelope::decode(shipment.envelopes[0].clone()).unwrap()
}

/// Seals one envelope as a batch of its own.
fn batch(from: &TestNode, to: &TestNode, batch_id: Id, bytes: Vec<u8>) -> Batch {
    let item = BatchItem { record_id: Id::from_bytes([1; 16]), digest: Digest::of_leaf(&bytes) };
    let (seal, _) = cut::seal(from, &to.agency, batch_id, from.now(), vec![item], 0);
    Batch { seal: Some(seal), envelopes: vec![bytes.into()] }
}

/// Delivers one envelope; returns what the receipt says against it.
async fn delivered(from: &TestNode, to: &TestNode, bytes: Vec<u8>) -> Vec<Reason> {
    let batch = batch(from, to, Id::new(from.now(), &*from.random), bytes);
    told(&take_batch(to, &from.agency, batch).await.unwrap())
}

fn told(receipt: &Receipt) -> Vec<Reason> {
    parse_item(&receipt.items[0]).unwrap().outcome.reason().into_iter().collect()
}

async fn refused(pair: &Pair, batch: Batch) -> Vec<Reason> {
    causes(&take_batch(&pair.holder, &pair.owner.agency, batch).await.unwrap_err())
}

/// Delivers a released envelope that was changed before it was sealed.
pub(super) async fn changed(change: impl FnOnce(&mut Envelope)) -> Vec<Reason> {
    let (pair, shipment) = released().await;
    let mut envelope = envelope(&shipment);
    change(&mut envelope);
    delivered(&pair.owner, &pair.holder, envelope.encode_to_vec()).await
}

pub(super) fn other_agreement_text(envelope: &mut Envelope) {
    if let Some(Basis::Consent(basis)) = &mut envelope.basis {
        basis.agreement_digest = vec![1; 32];
    }
}

pub(super) fn too_large(envelope: &mut Envelope) {
    if let Some(Basis::Consent(basis)) = &mut envelope.basis {
        basis.clause_id = "x".repeat(300_000);
    }
}

pub(super) async fn with_an_unknown_field() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    let mut bytes = shipment.envelopes[0].to_vec();
    bytes.extend([0xf8, 0x3f, 0x01]);
    delivered(&pair.owner, &pair.holder, bytes).await
}

pub(super) async fn a_changed_seal() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    let mut batch = shipment.message();
    batch.seal.as_mut().unwrap().signatures[0].sig[0] ^= 1;
    refused(&pair, batch).await
}

pub(super) async fn changed_under_its_seal() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    let mut batch = shipment.message();
    batch.envelopes.push(batch.envelopes[0].clone());
    refused(&pair, batch).await
}

pub(super) async fn a_batch_id_again() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    pair.deliver(&shipment).await;
    let mut other = envelope(&shipment);
    other.id = vec![5; 16];
    refused(&pair, batch(&pair.owner, &pair.holder, shipment.batch_id, other.encode_to_vec())).await
}

pub(super) async fn an_envelope_id_again() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    pair.deliver(&shipment).await;
    let mut other = envelope(&shipment);
    other.trace_id = vec![5; 16];
    delivered(&pair.owner, &pair.holder, other.encode_to_vec()).await
}

pub(super) async fn the_same_revision_again() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    pair.deliver(&shipment).await;
    let mut other = envelope(&shipment);
    other.id = vec![5; 16];
    delivered(&pair.owner, &pair.holder, other.encode_to_vec()).await
}

/// What comes of a receipt that is refused is an entry of the log.
pub(super) async fn a_receipt_without_its_items() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    let mut receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    receipt.items.clear();
    record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    let entries = pair.owner.entries_of(EntryKind::ReceiptRefused).await;
    entries.iter().flat_map(|entry| &entry.reasons).filter_map(|&number| Reason::from_number(number)).collect()
}

pub(super) async fn late() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    pair.clock.turn(DAY * 29);
    told(&take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap())
}

pub(super) async fn an_answer_to_nothing() -> Vec<Reason> {
    let (pair, shipment) = released().await;
    pair.deliver(&shipment).await;
    let referral = shipment.items[0].record_id;
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    let answer = claim_due(&pair.holder, &pair.owner.agency).await.unwrap().shipment.unwrap();
    let mut other = envelope(&answer);
    other.thread_id = vec![5; 16];
    delivered(&pair.holder, &pair.owner, other.encode_to_vec()).await
}

#[tokio::test]
async fn ids_of_sixteen_zeros_are_malformed() {
    let nil = || vec![0; 16];
    assert_eq!(changed(|envelope| envelope.id = nil()).await, [Reason::EnvelopeInvalid]);
    let opens_its_thread = |envelope: &mut Envelope| (envelope.record_id, envelope.thread_id) = (nil(), nil());
    assert_eq!(
        changed(opens_its_thread).await,
        [Reason::EnvelopeInvalid],
        "the record of what is refused, in the store"
    );
    let (pair, shipment) = released().await;
    pair.deliver(&shipment).await;
    pair.answer("answer-1", shipment.items[0].record_id, ReferralEvent::Accepted, false).await.unwrap();
    let answer = claim_due(&pair.holder, &pair.owner.agency).await.unwrap().shipment.unwrap();
    let mut other = envelope(&answer);
    other.thread_id = nil();
    assert_eq!(delivered(&pair.holder, &pair.owner, other.encode_to_vec()).await, [Reason::EnvelopeInvalid]);
}
