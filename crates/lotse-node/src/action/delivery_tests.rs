//! Stories of delivery between two nodes, told with the actions alone: what the stream carries is handed over by the test, so
//! that it can be lost, doubled and delayed at will.

mod again;
mod answers;
mod broken;
mod content;
mod ended_keys;
mod faults;
mod forms;
mod guesses;
mod jumps;
mod later;
pub(crate) mod pair;
mod receipts;
mod repeats;
mod same_person;
mod suspensions;
mod terms;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use lotse_core::category::Category;
use lotse_core::delivery::{DeliveryState, Outcome};
use lotse_core::id::Id;
use lotse_core::purpose::Purpose;
use lotse_core::reason::Reason;
use lotse_core::referral::{ReferralEvent, ReferralState};
use lotse_core::release::Uncovered;
use lotse_core::time::DAY;
use lotse_proto::exchange::v1::LogEntry;
use lotse_proto::record::v1::{Mobility, Referral};

use super::cancel_referral::cancel_referral;
use super::claim::claim_due;
use super::claim_again::claim_again;
use super::confirm_import::confirm_import;
use super::expire_items::expire_items;
use super::fetch_records::fetch_records;
use super::get_status::get_status;
use super::purge_ended::purge_ended;
use super::record_receipt::{Recorded, record_receipt};
use super::submit_referrals::Timing;
use super::suspend_peer::{resume_peer, suspend_peer};
use super::take_batch::take_batch;
use crate::entry::{Detail, EntryKind};
use crate::testing::admin;
use crate::wire::batch::{ReceiptItem, encode_item, parse_item};
use pair::Pair;

#[tokio::test]
async fn a_referral_is_released_taken_and_acknowledged_once() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let submitted = outcome.results[0].clone().unwrap();
    assert_eq!(submitted.delivery, DeliveryState::InDoubt);
    let shipment = outcome.shipment.unwrap();
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt.clone()).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 1, refused: 0, again: vec![] });
    assert_eq!(record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap(), Recorded::Repeated);
    assert_eq!(pair.sent(submitted.record_id).await.delivery, DeliveryState::Taken);
    assert_eq!(pair.sent(submitted.record_id).await.referral_state, ReferralState::Received);
    assert_eq!(pair.held(submitted.record_id).await.unwrap().referral_state, ReferralState::Received);
    assert_eq!(pair.owner.entries(EntryKind::Released).await, 1);
    assert_eq!(pair.owner.entries(EntryKind::ReceiptRecorded).await, 1);
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
}

#[tokio::test]
async fn submission_claim_take_and_receipt_keep_to_their_statements() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let handovers: Vec<_> = (0..40).map(|n| pair.handover(&format!("key-{n}"), "person-1")).collect();
    let statements = |node: &crate::node::Node, work: &str| node.store.counters().work(work).statements;
    let shipment = pair.submit(&handovers, Timing::AtOnce).await.shipment.unwrap();
    assert_eq!(shipment.envelopes.len(), 40);
    // Submission and claim in one commit: known, consents, counters, outbox, log, register, batch.
    assert_eq!(statements(&pair.owner, "submit"), 7);
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    // Receipt known, counters, remembered, log, custody, inbox, receipt.
    assert_eq!(statements(&pair.holder, "take"), 8);
    record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    // Batch, its answer, counters, log, inbox.
    assert_eq!(statements(&pair.owner, "receipt"), 5);
}

#[tokio::test]
async fn what_is_left_out_at_submission_is_named_whether_the_referral_waits_or_not() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    for (key, timing) in [("key-1", Timing::AtOnce), ("key-2", Timing::Later)] {
        let with_mobility = |referral: &mut Referral| referral.mobility = Some(Mobility::default());
        let mut handover = pair.handover_with(key, "person-1", with_mobility);
        handover.uncovered = Uncovered::LeaveOut;
        let outcome = pair.submit(&[handover], timing).await;
        let record_id = outcome.results[0].clone().unwrap().record_id;
        let shipment = match outcome.shipment {
            Some(shipment) => shipment,
            None => claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap(),
        };
        pair.deliver(&shipment).await;
        assert_eq!(pair.sent(record_id).await.left_out, Category::Mobility.into(), "{timing:?}");
    }
}

#[tokio::test]
async fn a_batch_delivered_twice_has_one_effect_and_one_receipt() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let first = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    for _ in 0..1000 {
        let again = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
        assert_eq!(again, first);
    }
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
}

#[tokio::test]
async fn a_reply_lost_after_the_commit_is_delivered_once() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    let shipment = outcome.shipment.unwrap();
    take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    pair.lapse(shipment.batch_id).await;
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    let repeated = again.shipment.unwrap();
    assert_ne!(repeated.batch_id, shipment.batch_id);
    assert_eq!(repeated.envelopes, shipment.envelopes, "the same bytes under the same envelope id");
    let receipt = take_batch(&pair.holder, &pair.owner.agency, repeated.message()).await.unwrap();
    record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
    assert_eq!(pair.owner.entries(EntryKind::Released).await, 1, "a repeat is no new release");
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1);
}

#[tokio::test]
async fn a_receipt_for_a_batch_that_was_sent_again_still_counts() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    let shipment = outcome.shipment.unwrap();
    let late = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    pair.lapse(shipment.batch_id).await;
    claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    record_receipt(&pair.owner, &pair.holder.agency, late).await.unwrap();
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn the_same_key_is_the_same_referral_and_other_content_is_an_error() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let first = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap();
    let again = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    assert!(again.shipment.is_none());
    let again = again.results[0].clone().unwrap();
    assert!(again.repeated && again.record_id == first.record_id);
    let other = pair.handover_with("key-1", "person-1", |referral| referral.sender_reference = "other".into());
    let refused = pair.submit(&[other], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::IdempotencyKeyReused);
    let twice = pair.handover("key-2", "person-1");
    let both = pair.submit(&[twice.clone(), twice], Timing::AtOnce).await;
    assert_eq!(both.shipment.unwrap().envelopes.len(), 1);
    assert!(both.results[1].clone().unwrap().repeated);
}

#[tokio::test]
async fn without_consent_nothing_leaves_and_the_refusal_is_logged() {
    let pair = Pair::new().await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let failure = outcome.results[0].clone().unwrap_err();
    assert_eq!(failure.reason(), Reason::NoConsent);
    assert!(failure.message().contains("SGB IX § 14"), "{}", failure.message());
    assert!(outcome.shipment.is_none());
    assert_eq!(pair.owner.entries(EntryKind::SubmitRefused).await, 1);
}

#[tokio::test]
async fn a_retry_after_a_withdrawal_sends_nothing() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    pair.lapse(outcome.shipment.unwrap().batch_id).await;
    let withdrawn = pair::withdraw(pair.owner.node.clone(), consent, vec![]).await;
    assert_eq!(withdrawn.envelopes_out, 1, "its answer says that something is out");
    let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap().unwrap();
    assert!(again.shipment.is_none());
    assert_eq!(again.staying, 1);
    let is_in_doubt = async || {
        assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::InDoubt);
        assert_eq!(get_status(&pair.owner).await.unwrap().waiting[&pair.holder.agency].in_doubt, 1, "and visible");
    };
    is_in_doubt().await;
    for _ in 0..40 {
        pair.clock.turn(DAY);
        expire_items(&pair.owner).await.unwrap();
        assert!(claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.is_none());
        let again = claim_again(&pair.owner, &pair.holder.agency).await.unwrap();
        assert!(again.is_none_or(|again| again.shipment.is_none()));
    }
    is_in_doubt().await;
}

#[tokio::test]
async fn a_withdrawal_waits_for_a_claim_that_is_not_yet_written() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let owner = pair.owner.node.clone();
    let withdrawal = tokio::spawn(pair::withdraw(owner, consent, vec![]));
    assert!(!pair.owner.is_answered_after_looks(&withdrawal).await, "the claim's lease still runs");
    assert!(pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.shipment.is_none());
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(4), withdrawal).await.unwrap().unwrap();
    assert_eq!(outcome.envelopes_out, 1);
    let kinds = pair.owner.log().await;
    let place = |kind| kinds.iter().rposition(|&k| k == kind).unwrap();
    assert!(place(EntryKind::Released) < place(EntryKind::ConsentWithdrawn));
    assert!(place(EntryKind::ReceiptRecorded) < place(EntryKind::ConsentWithdrawn));
}

#[tokio::test]
async fn a_withdrawal_before_the_claim_ends_what_is_due() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let submitted = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await.results[0].clone().unwrap();
    assert_eq!(submitted.delivery, DeliveryState::Due);
    pair.withdraw(consent, &[]).await;
    let claimed = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    assert!(claimed.shipment.is_none() && claimed.event.is_some());
    let item = pair.sent(submitted.record_id).await;
    assert_eq!(item.delivery, DeliveryState::Ended);
    assert_eq!(item.reasons, [Reason::ConsentWithdrawn]);
    assert_eq!(pair.owner.entries(EntryKind::Released).await, 0);
    assert_eq!(pair.owner.entries(EntryKind::ItemEnded).await, 1);
}

#[tokio::test]
async fn a_partial_withdrawal_before_delivery_delivers_the_rest() {
    let pair = Pair::new().await;
    let consent = pair.consent("person-1").await;
    let submitted = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await.results[0].clone().unwrap();
    pair.withdraw(consent, &[Category::Contact]).await;
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    let held = pair.held(submitted.record_id).await.unwrap();
    assert!(!held.present.contains(Category::Contact) && held.present.contains(Category::Languages));
    assert!(!held.covered.contains(Category::Contact));
    let item = pair.sent(submitted.record_id).await;
    assert_eq!(item.left_out, Category::Contact.into());
    let bytes = pair.held_bytes(submitted.record_id).await;
    assert!(!bytes.windows(12).any(|window| window == b"Am Freiheits"), "the street must not have travelled");
    assert!(bytes.windows(6).any(|window| window == "Özdemi".as_bytes().first_chunk::<6>().unwrap()));
}

#[tokio::test]
async fn an_envelope_of_the_old_agreement_version_is_cut_again() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let outcome = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = outcome.results[0].clone().unwrap().record_id;
    let shipment = outcome.shipment.unwrap();
    pair.next_agreement_version(2).await;
    pair.clock.turn(DAY * 3 + Duration::from_secs(60));
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 0, refused: 0, again: vec![Reason::AgreementSuperseded] });
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Due);
    pair.clock.turn(Duration::from_secs(60 * 60));
    let next = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    assert_ne!(next.items[0].digest, shipment.items[0].digest);
    pair.deliver(&next).await;
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn a_suspended_peer_gets_nothing_and_what_is_due_waits() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let submitted = pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await.results[0].clone().unwrap();
    suspend_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    let claimed = claim_due(&pair.owner, &pair.holder.agency).await.unwrap();
    assert!(claimed.shipment.is_none());
    assert_eq!(claimed.objection, Some(Reason::PeerSuspended));
    let refused =
        pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::PeerSuspended);
    resume_peer(&pair.owner, pair.holder.agency.clone(), admin()).await.unwrap();
    pair.clock.turn(Duration::from_secs(60));
    let shipment = claim_due(&pair.owner, &pair.holder.agency).await.unwrap().shipment.unwrap();
    pair.deliver(&shipment).await;
    assert_eq!(pair.sent(submitted.record_id).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn only_what_is_due_can_be_cancelled_and_only_by_its_system() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let due =
        pair.submit(&[pair.handover("key-1", "person-1")], Timing::Later).await.results[0].clone().unwrap().record_id;
    let other = cancel_referral(&pair.owner, "other", "spiffe://x/system/other", due).await.unwrap_err();
    assert_eq!(other.reason(), Reason::NotFound);
    let cancelled = cancel_referral(&pair.owner, "akte", "spiffe://x/system/akte", due).await.unwrap();
    assert_eq!(cancelled, ReferralState::Cancelled);
    assert_eq!(pair.sent(due).await.reasons, [Reason::ItemCancelled]);
    let released = pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await;
    let released = released.results[0].clone().unwrap().record_id;
    let refused = cancel_referral(&pair.owner, "akte", "spiffe://x/system/akte", released).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TransitionNotAllowed);
}

#[tokio::test]
async fn an_answer_goes_back_within_its_feedback_level_and_in_order() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let accepted = pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
    assert_eq!(accepted.state, ReferralState::Accepted);
    let outcome = pair.answer("answer-2", referral, ReferralEvent::Completed, true).await.unwrap_err();
    assert_eq!(outcome.reason(), Reason::FeedbackNotAllowed);
    pair.answer("answer-3", referral, ReferralEvent::InProgress, false).await.unwrap();
    let twice = pair.answer("answer-3", referral, ReferralEvent::InProgress, false).await.unwrap();
    assert!(twice.repeated);
    assert_eq!(pair.deliver_answers().await, 1, "inside a thread an answer waits for the one before it");
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::Accepted);
    pair.deliver_answers().await;
    assert_eq!(pair.sent(referral).await.referral_state, ReferralState::InProgress);
}

#[tokio::test]
async fn an_answer_that_the_state_does_not_allow_is_refused() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let refused = pair.answer("answer-1", referral, ReferralEvent::InProgress, false).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::TransitionNotAllowed);
}

#[tokio::test]
async fn a_read_after_hold_until_is_refused_while_the_job_sleeps() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let all = lotse_core::set::Set::from_bits(i64::MAX);
    let fetch = || super::fetch_records::fetch_records(&pair.holder, "akte", all, vec![referral]);
    assert_eq!(fetch().await.unwrap().records.len(), 1);
    pair.clock.turn(DAY * 90);
    assert!(fetch().await.unwrap().records.is_empty());
    assert_eq!(super::purge_ended::purge_ended(&pair.holder).await.unwrap(), 1);
}

#[tokio::test]
async fn a_fetch_is_an_entry_that_names_system_owner_purpose_and_number() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let records = [pair.delivered("key-1", "person-1").await, pair.delivered("key-2", "person-1").await];
    let all = lotse_core::set::Set::from_bits(i64::MAX);
    let fetch = async |ids: &[Id]| fetch_records(&pair.holder, "akte", all, ids.to_vec()).await.unwrap();
    let before = pair.holder.log().await.len();
    fetch(&records).await;
    fetch(&records[..1]).await;
    fetch(&[Id::from_bytes([9; 16])]).await;
    let entries = pair.holder.log_entries().await.split_off(before);
    let fetched = |entry: &LogEntry| match &entry.detail {
        Some(Detail::Batch(batch)) => (entry.kind(), batch.taken, entry.record_id.clone()),
        _ => (entry.kind(), 0, Vec::new()),
    };
    let told: Vec<_> = entries.iter().map(fetched).collect();
    let expected = [(EntryKind::Fetched, 2, Vec::new()), (EntryKind::Fetched, 1, records[0].to_vec())];
    assert_eq!(told, expected, "nothing was handed to the third call");
    let first = &entries[0];
    assert!(first.actor.ends_with("/system/akte") && first.peer == pair.owner.agency.as_str(), "{first:?}");
    assert_eq!(first.purpose, Purpose::Orientation.number());
}

/// The holder has two systems that receive for orientation, `akte` and `lesend`.
#[tokio::test]
async fn content_goes_when_the_last_system_confirms_its_import_and_row_and_digest_stay() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    let other = pair.delivered("key-2", "person-1").await;
    let all = lotse_core::set::Set::from_bits(i64::MAX);
    let digest = pair.held(referral).await.unwrap().envelope_id;
    let fetch = async |system| fetch_records(&pair.holder, system, all, vec![referral]).await.unwrap().records;
    let confirm = async |system| {
        let tokens = fetch(system).await.iter().map(|record| record.token).collect();
        confirm_import(&pair.holder, system, tokens).await.unwrap()
    };
    pair.holder.signals.content_gone.store(false, Ordering::Release);
    assert_eq!(confirm("akte").await, 1);
    assert_eq!(confirm("akte").await, 1, "twice by one is not once by each");
    assert_eq!(fetch("lesend").await.len(), 1, "the other system can still have it");
    let never_confirmed = fetch("lesend").await.remove(0).token;
    assert_eq!(confirm("lesend").await, 1);
    assert!(fetch("akte").await.is_empty() && fetch("lesend").await.is_empty());
    let held = pair.held(referral).await.unwrap();
    assert!(held.content.is_none() && held.envelope_id == digest && held.referral_state == ReferralState::Received);
    assert!(pair.held(other).await.unwrap().content.is_some(), "what nobody confirmed stays");
    assert!(pair.holder.signals.content_gone.load(Ordering::Acquire), "the write-ahead log is to be emptied");
    assert_eq!(confirm_import(&pair.holder, "lesend", vec![never_confirmed]).await.unwrap(), 1, "late is not an error");
    pair.answer("answer-1", referral, ReferralEvent::Accepted, false).await.unwrap();
}

#[tokio::test]
async fn content_that_a_system_never_confirms_goes_after_payload_days() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let referral = pair.delivered("key-1", "person-1").await;
    pair.clock.turn(DAY * 30 - Duration::from_secs(1));
    assert_eq!(purge_ended(&pair.holder).await.unwrap(), 0);
    pair.clock.turn(Duration::from_secs(1));
    assert_eq!(purge_ended(&pair.holder).await.unwrap(), 1);
    let held = pair.held(referral).await.unwrap();
    assert!(held.content.is_none() && pair.holder.now() < held.hold_until, "the lease goes on without content");
}

#[tokio::test]
async fn a_seal_of_another_key_a_foreign_batch_and_changed_bytes_are_refused() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let refused = |batch| async { take_batch(&pair.holder, &pair.owner.agency, batch).await.unwrap_err().reason() };
    let mut changed = shipment.message();
    let mut bytes = changed.envelopes[0].to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    changed.envelopes[0] = bytes.into();
    assert_eq!(refused(changed).await, Reason::BatchInvalid);
    let mut unsealed = shipment.message();
    unsealed.seal.as_mut().unwrap().signatures[0].sig[0] ^= 1;
    assert_eq!(refused(unsealed).await, Reason::SealInvalid);
    let to_itself = take_batch(&pair.owner, &pair.holder.agency, shipment.message()).await.unwrap_err();
    assert_eq!(to_itself.reason(), Reason::SealInvalid, "the owner's key is not the holder's");
    let unknown = "zz.example".parse().unwrap();
    let unknown = take_batch(&pair.holder, &unknown, shipment.message()).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::PeerUnknown);
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 0);
}

#[tokio::test]
async fn a_receipt_that_does_not_fit_leaves_the_batch_in_doubt() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let first = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await;
    let record_id = first.results[0].clone().unwrap().record_id;
    let shipment = first.shipment.unwrap();
    let good = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    let other = pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let other = take_batch(&pair.holder, &pair.owner.agency, other.message()).await.unwrap();
    let mut swapped = good.clone();
    swapped.items = other.items.clone();
    let mut forged = good.clone();
    forged.seal.as_mut().unwrap().signatures[0].sig[5] ^= 1;
    // The same envelope, and another outcome than the one that was sealed.
    let mut turned = good.clone();
    let item = parse_item(&good.items[0]).unwrap();
    let refused = Outcome::Refused(Reason::EnvelopeExpired);
    turned.items[0] = encode_item(&ReceiptItem { outcome: refused, first_taken_at: None, ..item });
    for bad in [swapped, forged, turned] {
        let recorded = record_receipt(&pair.owner, &pair.holder.agency, bad).await.unwrap();
        assert!(matches!(recorded, Recorded::Rejected(_)), "{recorded:?}");
    }
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::InDoubt);
    record_receipt(&pair.owner, &pair.holder.agency, good).await.unwrap();
    assert_eq!(pair.sent(record_id).await.delivery, DeliveryState::Taken);
}

#[tokio::test]
async fn log_hold_and_skewed_clocks_stop_releases_only() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    pair.owner.links.update(&pair.holder.agency, |link| link.clock_difference_us = 121_000_000);
    let refused =
        pair.submit(&[pair.handover("key-2", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::ClockSkew);
    pair.owner.holds.hold_log("test".into());
    let refused =
        pair.submit(&[pair.handover("key-3", "person-1")], Timing::AtOnce).await.results[0].clone().unwrap_err();
    assert_eq!(refused.reason(), Reason::LogHold);
    pair.holder.holds.hold_log("test".into());
    pair.deliver(&shipment).await;
    assert_eq!(pair.holder.entries(EntryKind::Taken).await, 1, "what peers send is taken");
    let _: &Arc<_> = &pair.owner.node;
}
