//! What a withdrawal promises.

use std::time::Duration;

use bytes::Bytes;
use lotse_core::category::{Categories, Category};
use lotse_core::feedback::FeedbackLevel;
use lotse_core::id::{AgencyId, Digest};
use lotse_core::purpose::{Purpose, Purposes};
use lotse_proto::exchange::v1::LogEntry;
use lotse_proto::record::v1 as proto;
use lotse_store::batch::{BatchItem, NewBatch};
use lotse_store::consent::Towards;
use lotse_store::outbox::{self, ItemKind, NewItem, Release};
use lotse_store::testing::grip::Grip;
use lotse_store::vault::Sealed;

use super::*;
use crate::action::expire_consents::expire_consents;
use crate::action::get_consent::get_consent;
use crate::action::record_consent::tests::{SYSTEM, record_good, towards};
use crate::testing::TestNode;
use crate::wire::consent::tests::{OWN, YOUTH, good};

const JOB: &str = "aa-hanau.example";

fn consent_id() -> Id {
    Id::from_bytes([1; 16])
}

/// A node with a consent for two recipients, two purposes and two categories.
pub(in crate::action) async fn with_consent() -> TestNode {
    let node = TestNode::new(OWN).await;
    let consent = proto::Consent {
        recipients: vec![YOUTH.into(), JOB.into()],
        purposes: vec![Purpose::Orientation.number(), Purpose::JobPlacement.number()],
        ..good(1)
    };
    assert!(record_good(&node, &[consent]).await[0].is_ok());
    node
}

fn withdrawal_of(scope: Scope) -> WithdrawConsent {
    WithdrawConsent { consent_id: consent_id(), scope, on_behalf_of: "sb-17".into(), actor: SYSTEM.into(), trace: None }
}

async fn withdraw_scope(node: &TestNode, scope: Scope) -> Result<Outcome, Failure> {
    withdraw_consent(node, withdrawal_of(scope)).await
}

async fn stands(node: &TestNode, recipient: &str) -> Towards {
    towards(node, recipient, 1).await.remove(0)
}

fn only(recipient: &str) -> Scope {
    Scope { recipients: vec![recipient.parse().unwrap()], ..Scope::default() }
}

const WITHDRAWN: Outcome = Outcome { state: ConsentState::Withdrawn, envelopes_out: 0 };
const GIVEN: Outcome = Outcome { state: ConsentState::Given, envelopes_out: 0 };

/// Releases one item under the consent, in a batch whose lease runs.
pub(in crate::action) async fn claim(node: &TestNode, number: u8, recipient: &str) -> Id {
    let (at, recipient): (_, AgencyId) = (node.now(), recipient.parse().unwrap());
    let (batch_id, record_id) = (Id::from_bytes([100 + number; 16]), Id::from_bytes([number; 16]));
    let digest = Digest::of(&[number]);
    let release = Release {
        batch_id,
        envelope_id: record_id,
        envelope_digest: digest,
        consent_id: Some(consent_id()),
        sent: Category::Identity.into(),
        left_out: Categories::NONE,
        hold_until: at,
        feedback: FeedbackLevel::Status,
        head: Bytes::new(),
    };
    let item = NewItem {
        record_id,
        kind: ItemKind::Referral,
        recipient: recipient.clone(),
        thread_id: record_id,
        system: "akte".into(),
        idempotency_key: number.to_string(),
        content_digest: digest,
        subject: None,
        purpose: Purpose::Orientation,
        present: Category::Identity.into(),
        left_out: Categories::NONE,
        request: Bytes::new(),
        submitted_at: at,
        expires_at: at,
        content: Sealed { key: Bytes::new(), ciphertext: Bytes::new() },
        release: Some(release),
    };
    let items = vec![BatchItem { record_id, digest }];
    let batch = NewBatch {
        batch_id,
        peer: recipient,
        created_at: at,
        root: digest,
        seal: vec![],
        items,
        attempts: 0,
        content_until: None,
    };
    let work = node.store.transact("test_claim", move |tx| {
        let (item, batch) = (item.clone(), batch.clone());
        Box::pin(async move {
            outbox::insert(tx, vec![item]).await?;
            lotse_store::batch::insert(tx, &batch).await
        })
    });
    work.await.unwrap();
    batch_id
}

pub(in crate::action) async fn answer(node: &TestNode, batch_id: Id) {
    let at = node.now();
    let work =
        node.store.transact("test_answer", move |tx| Box::pin(lotse_store::batch::answer(tx, batch_id, vec![1], at)));
    assert!(work.await.unwrap());
}

/// Waits until the first commit of a withdrawal is seen by whoever decides.
async fn arrived(node: &TestNode, recipient: &str) {
    while !stands(node, recipient).await.consent.withdrawn.whole {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_withdrawal_ends_the_whole_consent_and_twice_has_one_effect() {
    let node = with_consent().await;
    let epochs = (stands(&node, YOUTH).await.epoch, stands(&node, JOB).await.epoch);
    let before = node.log().await.len();
    assert_eq!(withdraw_scope(&node, Scope::default()).await, Ok(WITHDRAWN));
    let (youth, job) = (stands(&node, YOUTH).await, stands(&node, JOB).await);
    assert_eq!(youth.consent.state, ConsentState::Withdrawn);
    assert!(youth.epoch > epochs.0 && job.epoch > epochs.1);

    assert_eq!(withdraw_scope(&node, Scope::default()).await, Ok(WITHDRAWN));
    assert_eq!(stands(&node, YOUTH).await.epoch, youth.epoch);
    use EntryKind::{ConsentWithdrawn, WithdrawalArrived};
    let entries = [WithdrawalArrived, WithdrawalArrived, ConsentWithdrawn, ConsentWithdrawn];
    assert_eq!(node.log().await[before..], entries, "one for each recipient");
    let found = get_consent(&node, consent_id()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(found.withdrawals.len(), 1);
    assert_eq!(found.withdrawals[0].effective_at, Some(node.now()));
}

#[tokio::test]
async fn a_withdrawal_towards_one_recipient_leaves_the_other() {
    let node = with_consent().await;
    let epoch = stands(&node, JOB).await.epoch;
    assert_eq!(withdraw_scope(&node, only(YOUTH)).await, Ok(GIVEN));
    assert!(stands(&node, YOUTH).await.consent.withdrawn.whole);
    assert_eq!(stands(&node, JOB).await.consent.withdrawn, Withdrawn::default());
    assert_eq!(stands(&node, JOB).await.epoch, epoch);
    assert_eq!(withdraw_scope(&node, only(JOB)).await, Ok(WITHDRAWN), "nothing is left");
}

#[tokio::test]
async fn a_partial_withdrawal_takes_all_that_matches_any_of_its_lists() {
    let node = with_consent().await;
    let scope = Scope {
        recipients: vec![JOB.parse().unwrap()],
        purposes: Purpose::JobPlacement.into(),
        categories: [Category::Contact, Category::Health].into_iter().collect(),
    };
    assert_eq!(withdraw_scope(&node, scope).await, Ok(GIVEN));
    assert!(stands(&node, JOB).await.consent.withdrawn.whole);
    let youth = stands(&node, YOUTH).await.consent;
    assert_eq!(youth.covered(), Category::Identity.into());
    assert_eq!(youth.withdrawn.purposes, Purpose::JobPlacement.into());
    assert!(!youth.withdrawn.whole);
}

#[tokio::test]
async fn two_partial_withdrawals_leave_their_intersection() {
    let node = with_consent().await;
    let of = |purposes: Purposes| Scope { purposes, ..Scope::default() };
    assert_eq!(withdraw_scope(&node, of(Purpose::JobPlacement.into())).await, Ok(GIVEN));
    assert_eq!(stands(&node, YOUTH).await.consent.withdrawn.purposes, Purpose::JobPlacement.into());
    assert_eq!(withdraw_scope(&node, of(Purpose::Orientation.into())).await, Ok(WITHDRAWN));
}

#[tokio::test]
async fn a_scope_that_matches_nothing_is_refused_and_withdraws_nothing() {
    let node = with_consent().await;
    let refused = withdraw_scope(&node, only("other.example")).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::FieldInvalid);
    assert_eq!(refused.causes[0].field.as_deref(), Some("scope.recipients[0]"));
    let health = Scope { categories: Category::Health.into(), ..Scope::default() };
    assert_eq!(withdraw_scope(&node, health).await.unwrap_err().causes[0].field.as_deref(), Some("scope"));
    assert_eq!(stands(&node, YOUTH).await.consent.withdrawn, Withdrawn::default());
    let unknown = WithdrawConsent { consent_id: Id::from_bytes([9; 16]), ..withdrawal_of(Scope::default()) };
    assert_eq!(withdraw_consent(&node, unknown).await, Err(Failure::not_found()));
}

#[tokio::test]
async fn a_withdrawal_waits_for_what_is_on_its_way_and_no_claim_after_it_sees_the_old_coverage() {
    let node = with_consent().await;
    let batch_id = claim(&node, 1, YOUTH).await;
    let withdrawal = tokio::spawn(withdraw_consent_owned(node.node.clone()));
    arrived(&node, YOUTH).await;
    assert!(!node.is_answered_after_looks(&withdrawal).await);
    assert_eq!(stands(&node, YOUTH).await.consent.state, ConsentState::Given, "not effective yet");
    answer(&node, batch_id).await;
    assert_eq!(withdrawal.await.unwrap().map(|outcome| outcome.state), Ok(ConsentState::Withdrawn));
}

async fn withdraw_consent_owned(node: Arc<Node>) -> Result<Outcome, Failure> {
    withdraw_consent(&node, withdrawal_of(Scope::default())).await
}

#[tokio::test]
async fn a_withdrawal_does_not_wait_for_what_rests_on_another_consent() {
    let node = with_consent().await;
    record_good(&node, &[good(2)]).await;
    claim(&node, 1, YOUTH).await;
    let began = tokio::time::Instant::now();
    let other = WithdrawConsent { consent_id: Id::from_bytes([2; 16]), ..withdrawal_of(Scope::default()) };
    assert_eq!(withdraw_consent(&node, other).await, Ok(WITHDRAWN));
    assert!(began.elapsed() < crate::shipment::LEASE);
}

#[tokio::test]
async fn a_lease_that_lapses_ends_the_wait() {
    let node = with_consent().await;
    let batch_id = claim(&node, 1, YOUTH).await;
    let withdrawal = tokio::spawn(withdraw_consent_owned(node.node.clone()));
    arrived(&node, YOUTH).await;
    let at = node.now();
    let lapse = node.store.transact("test_lapse", move |tx| Box::pin(lotse_store::batch::lapse(tx, batch_id, at)));
    lapse.await.unwrap();
    assert!(withdrawal.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_withdrawal_waits_no_longer_than_the_leases_run() {
    let node = with_consent().await;
    let batch_id = claim(&node, 1, YOUTH).await;
    let over = tokio::time::Instant::now();
    assert_eq!(wait_for(&node, vec![batch_id], over).await, Ok(()));
    assert!(leases_end() <= tokio::time::Instant::now() + crate::shipment::LEASE + crate::action::wait_for_leases::CUT);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_a_withdrawal() {
    let node = with_consent().await;
    let batch_id = claim(&node, 1, YOUTH).await;
    let impatient = withdraw_scope(&node, Scope::default());
    assert!(tokio::time::timeout(Duration::from_millis(30), impatient).await.is_err());
    arrived(&node, YOUTH).await;
    answer(&node, batch_id).await;
    while stands(&node, YOUTH).await.consent.state != ConsentState::Withdrawn {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pending_withdrawal_is_finished_after_a_crash() {
    let node = with_consent().await;
    let (at, shared) = (node.now(), node.node.clone());
    let arrival = node.store.transact("test_arrive", move |tx| {
        let node = shared.clone();
        Box::pin(async move {
            arrive(tx, &node, &withdrawal_of(only(YOUTH)), Id::from_bytes([7; 16]), at).await.map(|_| ())
        })
    });
    arrival.await.unwrap();
    let epoch = stands(&node, YOUTH).await.epoch;
    let node = node.restart().await;
    assert!(stands(&node, YOUTH).await.consent.withdrawn.whole, "no claim in between sees the old coverage");
    assert_eq!(node.head.withdrawn().unwrap(), []);
    assert_eq!(finish_pending(&node).await, Ok(1));
    let remembered = RememberedWithdrawal { consent_id: consent_id(), withdrawal_id: Id::from_bytes([7; 16]) };
    assert_eq!(node.head.withdrawn().unwrap(), [remembered]);
    assert!(stands(&node, YOUTH).await.epoch > epoch);
    assert_eq!(node.log().await.last(), Some(&EntryKind::ConsentWithdrawn));
    assert_eq!(actor_of_last(&node).await, (SYSTEM.to_string(), "sb-17".to_string()), "a crash forgets nobody");
    assert_eq!(finish_pending(&node).await, Ok(0));
}

/// Returns who the newest entry names.
async fn actor_of_last(node: &TestNode) -> (String, String) {
    let generation = node.generation;
    let read = node.store.read("test_log", move |tx| Box::pin(lotse_store::log::read(tx, generation, 0, 10_000)));
    let last = read.await.unwrap().pop().unwrap();
    let entry: LogEntry = prost::Message::decode(last.entry.bytes.as_slice()).unwrap();
    (entry.actor, entry.on_behalf_of)
}

#[tokio::test]
async fn a_withdrawal_is_its_callers_until_it_is_overdue() {
    let node = with_consent().await;
    let batch_id = claim(&node, 1, YOUTH).await;
    let withdrawal = tokio::spawn(withdraw_consent_owned(node.node.clone()));
    arrived(&node, YOUTH).await;
    assert_eq!(finish_overdue(&node).await, Ok(0), "its caller waits for the lease");
    node.clock.turn(OVERDUE);
    answer(&node, batch_id).await;
    let finished = finish_overdue(&node).await.unwrap();
    assert!(finished <= 1 && withdrawal.await.unwrap().is_ok());
    assert_eq!(actor_of_last(&node).await.0, SYSTEM, "whoever was faster");
}

#[tokio::test]
async fn an_expired_consent_can_be_withdrawn_and_stays_expired() {
    let node = with_consent().await;
    node.clock.turn(Duration::from_secs(101 * 86_400));
    expire_consents(&node).await.unwrap();
    let epoch = stands(&node, YOUTH).await.epoch;
    let outcome = withdraw_scope(&node, Scope::default()).await;
    assert_eq!(outcome, Ok(Outcome { state: ConsentState::Expired, envelopes_out: 0 }));
    assert!(stands(&node, YOUTH).await.epoch > epoch, "what recipients hold is judged anew");
}

#[tokio::test]
async fn a_withdrawal_is_remembered_outside_the_database_before_it_is_effective() {
    let node = with_consent().await;
    let file = node.head_folder().join("withdrawn.log");
    std::fs::create_dir(&file).unwrap();
    let unanswered = withdraw_scope(&node, Scope::default()).await.unwrap_err();
    assert_eq!(unanswered.reason(), Reason::Unavailable);
    let stopped = stands(&node, YOUTH).await.consent;
    assert!(stopped.withdrawn.whole, "nothing more is released");
    assert_eq!(stopped.state, ConsentState::Given, "and it is not effective");
    assert!(!node.log().await.contains(&EntryKind::ConsentWithdrawn));
    std::fs::remove_dir(&file).unwrap();
    let node = node.restart().await;
    assert_eq!(finish_pending(&node).await, Ok(1));
    assert_eq!(stands(&node, YOUTH).await.consent.state, ConsentState::Withdrawn);
    assert_eq!(node.head.withdrawn().unwrap().len(), 1);
    assert_eq!(withdraw_scope(&node, Scope::default()).await, Ok(WITHDRAWN));
    assert_eq!(node.head.withdrawn().unwrap().len(), 1, "the same withdrawal again is none");
}

#[tokio::test]
async fn a_consent_withdrawn_since_the_backup_stays_withdrawn_when_the_database_is_put_back() {
    let node = with_consent().await;
    record_good(&node, &[good(2)]).await;
    withdraw_scope(&node, only(YOUTH)).await.unwrap();
    assert_eq!(withdraw_remembered(&node).await, Ok(0), "the database has them all");
    let since = |number| RememberedWithdrawal {
        consent_id: Id::from_bytes([number; 16]),
        withdrawal_id: Id::from_bytes([99; 16]),
    };
    node.head.append_withdrawn(&[since(1), since(77)]).unwrap();
    let node = node.restart().await;
    assert_eq!(withdraw_remembered(&node).await, Ok(1), "an unknown consent cannot be withdrawn");
    assert_eq!(stands(&node, JOB).await.consent.state, ConsentState::Withdrawn, "which part it was is lost: all of it");
    assert_eq!(towards(&node, YOUTH, 2).await[0].consent.state, ConsentState::Given, "and of no other consent");
    assert_eq!(node.log().await.last(), Some(&EntryKind::ConsentWithdrawn));
    assert_eq!(withdraw_remembered(&node).await, Ok(0));
    let imported_again = record_good(&node, &[good(77), good(78)]).await;
    assert_eq!(imported_again[0], Err(Reason::ConsentWithdrawn), "the same file once more revives nothing");
    assert!(imported_again[1].is_ok());
}

#[tokio::test]
async fn a_start_on_a_restored_database_waits_for_no_lease_of_the_last_run() {
    let node = with_consent().await;
    claim(&node, 1, JOB).await;
    let since = RememberedWithdrawal { consent_id: consent_id(), withdrawal_id: Id::from_bytes([99; 16]) };
    node.head.append_withdrawn(&[since]).unwrap();
    let node = node.restart().await;
    let settled = tokio::time::timeout(crate::shipment::LEASE / 2, withdraw_remembered(&node)).await;
    assert_eq!(settled, Ok(Ok(1)), "no byte of it is on its way");
    assert_eq!(stands(&node, JOB).await.consent.state, ConsentState::Withdrawn);
}

#[tokio::test]
async fn a_start_with_nothing_to_withdraw_again_waits_for_nobody_who_writes() {
    let node = with_consent().await;
    claim(&node, 1, JOB).await;
    let node = node.restart().await;
    let writing = Grip::take(node.database.url()).await;
    let settled = tokio::time::timeout(crate::shipment::LEASE / 2, withdraw_remembered(&node)).await;
    assert_eq!(settled, Ok(Ok(0)));
    writing.release().await;
}
