//! What no honest node sends, under good seals: each is refused for its own reason, and changes nothing.

use lotse_core::delivery::Outcome;
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{Digest, Id, Sequence};
use lotse_core::reason::Reason;
use lotse_proto::exchange::v1::{Batch, Envelope, Receipt};
use lotse_store::batch::BatchItem;
use prost::Message;

use super::world::World;
use super::{ALL_LEVELS, Op, Side};
use crate::action::cut;
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::action::take_batch::take_batch;
use crate::entry::EntryKind;
use crate::wire::batch::{ReceiptStatement, items_root, parse_item, seal_receipt};

/// A world in which the owner has released referrals, one batch each, and the holder has taken the first.
async fn released(count: u8) -> World {
    let mut world = World::with_levels(ALL_LEVELS).await;
    world.happen(&Op::Consent { person: 0, categories: 0x03ff, days: 90, feedback: FeedbackLevel::Status }).await;
    for key in 0..count {
        world.happen(&Op::Submit { key, person: 0, categories: 0, at_once: true, leave_out: false }).await;
    }
    world.happen(&Op::Deliver(0)).await;
    world
}

/// Hands the holder the envelope of the first batch, changed, under a new id and a good seal of the owner.
async fn taken_changed(world: &World, change: impl FnOnce(&mut Envelope)) -> Outcome {
    let (owner, holder) = (world.node(Side::Owner), world.node(Side::Holder));
    let mut envelope = Envelope::decode(world.shipment(0).envelopes[0].clone()).unwrap();
    envelope.id = Id::new(owner.now(), &*owner.random).to_vec();
    change(&mut envelope);
    let bytes = envelope.encode_to_vec();
    let item = BatchItem { record_id: world.shipment(0).items[0].record_id, digest: Digest::of_leaf(&bytes) };
    let batch_id = Id::new(owner.now(), &*owner.random);
    let (seal, _) = cut::seal(owner, &holder.agency, batch_id, owner.now(), vec![item], 0);
    let batch = Batch { seal: Some(seal), envelopes: vec![bytes.into()] };
    let receipt = take_batch(holder, &owner.agency, batch).await.unwrap();
    parse_item(&receipt.items[0]).unwrap().outcome
}

#[tokio::test]
async fn another_envelope_of_a_record_with_no_higher_revision_is_refused() {
    let world = released(1).await;
    assert_eq!(taken_changed(&world, |_| {}).await, Outcome::Refused(Reason::RevisionStale));
    let lower = |envelope: &mut Envelope| envelope.revision -= 1;
    assert_eq!(taken_changed(&world, lower).await, Outcome::Refused(Reason::RevisionStale));
    assert_eq!(world.node(Side::Holder).entries_of(EntryKind::Taken).await.len(), 1);
}

#[tokio::test]
async fn an_envelope_of_another_agency_or_for_another_one_is_refused_under_a_good_seal() {
    let world = released(1).await;
    let foreign = |envelope: &mut Envelope| envelope.sender = "zz.example".into();
    assert_eq!(taken_changed(&world, foreign).await, Outcome::Refused(Reason::SenderMismatch));
    let misdirected = |envelope: &mut Envelope| envelope.recipient = "zz.example".into();
    assert_eq!(taken_changed(&world, misdirected).await, Outcome::Refused(Reason::RecipientMismatch));
    assert_eq!(world.node(Side::Holder).entries_of(EntryKind::Taken).await.len(), 1);
}

/// Seals, as the holder, that it has taken what stands in `items`, as the receipt for a batch.
fn receipt(world: &World, batch_id: Id, batch_root: Digest, items: Receipt) -> Receipt {
    let holder = world.node(Side::Holder);
    let statement = ReceiptStatement {
        receiver: holder.agency.clone(),
        sender: world.node(Side::Owner).agency.clone(),
        batch_id,
        batch_root,
        taken_at: holder.now(),
        count: items.items.len() as u32,
        items_root: items_root(&items.items),
        number: Sequence::new(1, 99),
        receiver_generation: 1,
        sender_generation: 1,
    };
    Receipt { seal: Some(seal_receipt(&statement, &holder.keys.sealing)), items: items.items }
}

#[tokio::test]
async fn a_receipt_under_a_good_seal_about_other_envelopes_leaves_the_batch_in_doubt() {
    let world = released(2).await;
    let (owner, holder) = (world.node(Side::Owner), world.node(Side::Holder));
    let (first, second) = (world.shipment(0), world.shipment(1));
    let taken = || take_batch(holder, &owner.agency, first.message());
    let good = taken().await.unwrap();
    let unknown = Id::new(owner.now(), &*owner.random);
    for (bad, why) in [
        (receipt(&world, second.batch_id, second.root, good.clone()), "its items are about other envelopes"),
        (receipt(&world, second.batch_id, first.root, good.clone()), "root or count differ from what was sent"),
        (receipt(&world, unknown, first.root, good.clone()), "no such batch was sent"),
    ] {
        let recorded = record_receipt(owner, &holder.agency, bad).await.unwrap();
        assert_eq!(recorded, Recorded::Rejected(why));
    }
    assert_eq!(owner.entries_of(EntryKind::ReceiptRecorded).await.len(), 0);
    let recorded = record_receipt(owner, &holder.agency, good).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 1, refused: 0, again: vec![] });
}
