//! Items that a recipient does not take for now: how often each is tried, and what else waits for it.

use std::time::Duration;

use futures_util::FutureExt as _;
use lotse_core::delivery::DeliveryState;
use lotse_core::id::Id;
use lotse_core::reason::Reason;
use lotse_core::time::DAY;
use lotse_store::counter::{self, Counter};

use super::pair::{Pair, submissions};
use crate::action::claim::{LONGEST_PAUSE, claim_due};
use crate::action::find_next_attempt::find_next_attempt;
use crate::action::offer_agreement::offer_agreement;
use crate::action::record_receipt::{Recorded, record_receipt};
use crate::action::submit_referrals::{Timing, submit_referrals};
use crate::action::suspend_agreement::{resume_agreement, suspend_agreement};
use crate::action::suspend_peer::{resume_peer, suspend_peer};
use crate::action::take_batch::take_batch;
use crate::entry::EntryKind;
use crate::link::WaitCause;
use crate::shipment::Shipment;
use crate::testing::{TestNode, admin, agree, agreement_text, introduce, pass_on, seal_version};

const SECOND: Duration = Duration::from_secs(1);

impl Pair {
    /// Two agencies of which the holder takes nothing for now.
    async fn with_suspended_owner() -> Pair {
        let pair = Pair::new().await;
        pair.consent("person-1").await;
        suspend_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
        pair
    }

    async fn leaves(&self) -> [usize; 2] {
        [self.owner.log().await.len(), self.holder.log().await.len()]
    }

    /// Hands over referrals, and delivers what is released at once. Returns their record ids.
    async fn submit_many(&self, numbers: std::ops::Range<usize>) -> Vec<Id> {
        let handovers: Vec<_> = numbers.map(|n| self.handover(&format!("key-{n}"), "person-1")).collect();
        let outcome = self.submit(&handovers, Timing::AtOnce).await;
        if let Some(shipment) = outcome.shipment {
            self.deliver(&shipment).await;
        }
        outcome.results.into_iter().map(|result| result.unwrap().record_id).collect()
    }

    /// Lets the owner's courier work for seconds as it does when nothing wakes it. Returns how many envelopes were sent.
    async fn work(&self, seconds: u32) -> usize {
        let mut sent = 0;
        for _ in 0..seconds {
            while let Some(shipment) = self.claimed().await {
                sent += shipment.envelopes.len();
                self.deliver(&shipment).await;
            }
            self.clock.turn(SECOND);
        }
        sent
    }

    /// Turns the clock to the next attempts until something goes, and delivers it.
    async fn try_next(&self) {
        loop {
            let next = find_next_attempt(&self.owner, &self.holder.agency).await.unwrap();
            self.clock.turn(next.after.unwrap().max(Duration::from_millis(1)));
            if let Some(shipment) = self.claimed().await {
                return self.deliver(&shipment).await;
            }
        }
    }

    async fn claimed(&self) -> Option<Shipment> {
        claim_due(&self.owner, &self.holder.agency).await.unwrap().shipment
    }

    async fn are_taken(&self, record_ids: &[Id]) -> bool {
        for &record_id in record_ids {
            if self.sent(record_id).await.delivery != DeliveryState::Taken {
                return false;
            }
        }
        true
    }
}

#[tokio::test]
async fn twenty_looks_at_what_is_answered_again_cost_few_leaves() {
    let pair = Pair::with_suspended_owner().await;
    let before = pair.leaves().await;
    pair.submit_many(0..1).await;
    pair.work(20).await;
    let after = pair.leaves().await;
    assert!(after[0] - before[0] <= 20 && after[1] - before[1] <= 20, "{before:?} {after:?}");
}

#[tokio::test]
async fn each_again_counts_as_an_attempt_of_its_item_and_its_pause_grows() {
    let pair = Pair::with_suspended_owner().await;
    let record_id = pair.submit_many(0..1).await[0];
    let mut pauses = Vec::new();
    for round in 1..20 {
        assert_eq!(pair.sent(record_id).await.attempts, round);
        let began = pair.owner.now();
        pair.try_next().await;
        pauses.push(pair.owner.now().since(began));
    }
    assert_eq!(pair.owner.entries(EntryKind::Released).await, 20);
    assert_eq!(pair.holder.entries(EntryKind::EnvelopeRefused).await, 20);
    let early: Duration = pauses[..4].iter().sum();
    let late: Duration = pauses[15..].iter().sum();
    assert!(early < Duration::from_secs(60) && late > 4 * Duration::from_secs(60), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE + 10 * SECOND), "{pauses:?}");
}

#[tokio::test]
async fn a_peer_that_suspends_for_a_day_costs_few_leaves_and_gets_all_soon_after() {
    let pair = Pair::with_suspended_owner().await;
    let before = pair.leaves().await;
    let mut record_ids = pair.submit_many(0..250).await;
    record_ids.extend(pair.submit_many(250..500).await);
    let began = pair.owner.now();
    while pair.owner.now().since(began) < DAY {
        pair.work(60).await;
    }
    let after = pair.leaves().await;
    assert!(after[0] - before[0] <= 2_000 && after[1] - before[1] <= 2_000, "{before:?} {after:?}");
    assert_eq!(pair.owner.links.get(&pair.holder.agency).waits_for, Some(WaitCause::There(Reason::PeerSuspended)));
    resume_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    pair.work(5 * 60).await;
    assert!(pair.are_taken(&record_ids).await, "all goes within minutes, also if nobody says anything");
    assert_eq!(pair.owner.links.get(&pair.holder.agency).waits_for, None);
}

#[tokio::test]
async fn what_comes_from_the_peer_shortens_a_pause() {
    let pair = Pair::with_suspended_owner().await;
    let record_ids = pair.submit_many(0..40).await;
    pair.work(60 * 60).await;
    while pair.work(1).await == 0 {}
    pair.work(40).await;
    resume_peer(&pair.holder, pair.owner.agency.clone(), admin()).await.unwrap();
    assert!(pair.claimed().await.is_none());
    let due = pair.owner.signals.due(&pair.holder.agency);
    due.notified().now_or_never();
    let digest = pair.holder.federation.get().agreements[0].agreement.digest;
    pass_on(&pair.holder, &pair.owner, digest).await;
    assert!(due.notified().now_or_never().is_some(), "the courier is woken");
    pair.work(2).await;
    assert!(pair.are_taken(&record_ids).await);
}

#[tokio::test]
async fn an_agreement_that_the_recipient_suspended_holds_up_nothing_of_another() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let other = agree(&[&pair.owner, &pair.holder]).await;
    suspend_agreement(&pair.holder, pair.agreement, admin()).await.unwrap();
    let under = |agreement: Id, number: usize| {
        let mut handover = pair.handover(&format!("{agreement}-{number}"), "person-1");
        handover.agreement = Some(agreement);
        handover
    };
    let handovers: Vec<_> = (0..60).map(|n| under([pair.agreement, other][n % 2], n)).collect();
    let outcome = pair.submit(&handovers[..2], Timing::AtOnce).await;
    pair.deliver(&outcome.shipment.unwrap()).await;
    let outcome = pair.submit(&handovers[2..], Timing::AtOnce).await;
    assert!(outcome.shipment.is_none(), "the next claim sees to it that the pause is kept");
    let record_ids: Vec<Id> = outcome.results.into_iter().map(|result| result.unwrap().record_id).collect();
    let sent = pair.work(20).await;
    assert!(sent < 29 + 10, "{sent}");
    let of_other: Vec<Id> = record_ids.iter().skip(1).step_by(2).copied().collect();
    assert!(pair.are_taken(&of_other).await);
    assert!(!pair.are_taken(&record_ids[..1]).await);
    pair.work(20 * 60).await;
    while pair.work(1).await == 0 {}
    pair.work(40).await;
    resume_agreement(&pair.holder, pair.agreement, admin()).await.unwrap();
    let digest = pair.holder.federation.get().agreements[0].agreement.digest;
    pass_on(&pair.holder, &pair.owner, digest).await;
    pair.work(3).await;
    assert!(pair.are_taken(&record_ids).await, "and lets all go when it is lifted");
}

#[tokio::test]
async fn a_start_forgets_no_pause() {
    let pair = Pair::with_suspended_owner().await;
    pair.submit_many(0..40).await;
    let Pair { owner, holder, clock, agreement } = pair;
    let pair = Pair { owner: owner.restart().await, holder, clock, agreement };
    pair.clock.turn(LONGEST_PAUSE);
    assert_eq!(pair.claimed().await.unwrap().envelopes.len(), 1);
    assert!(pair.claimed().await.is_none());
}

/// The seal with which the owner completed the agreement has not reached the holder.
#[tokio::test]
async fn a_recipient_that_lacks_a_seal_is_offered_it_and_gets_what_waits() {
    let pair = Pair::without_agreement(
        lotse_core::agency::AgencyKind::JobcenterGe,
        lotse_core::agency::AgencyKind::EmploymentAgency,
    )
    .await;
    let (owner, holder) = (&pair.owner, &pair.holder);
    let text = agreement_text(pair.agreement, 0, &[owner, holder]);
    let offered = offer_agreement(owner, &text, admin()).await.unwrap().0;
    pass_on(owner, holder, offered.digest).await;
    seal_version(holder, offered.id, offered.version).await.unwrap();
    pass_on(holder, owner, offered.digest).await;
    seal_version(owner, offered.id, offered.version).await.unwrap();
    pair.consent("person-1").await;
    let offer_again = owner.signals.offer_again(&holder.agency);
    offer_again.notified().now_or_never();
    let record_ids = pair.submit_many(0..20).await;
    assert!(offer_again.notified().now_or_never().is_some(), "AGREEMENT_UNKNOWN asks for the offer");
    pass_on(owner, holder, offered.digest).await;
    // The holder's duty does this when the version is complete there.
    pass_on(holder, owner, offered.digest).await;
    pair.work(31).await;
    assert!(pair.are_taken(&record_ids).await);
}

#[tokio::test]
async fn a_peer_that_offers_fewer_seals_than_are_here_is_offered_the_rest() {
    let pair = Pair::new().await;
    let digest = pair.owner.federation.get().agreements[0].agreement.digest;
    let offer_again = pair.owner.signals.offer_again(&pair.holder.agency);
    offer_again.notified().now_or_never();
    pass_on(&pair.holder, &pair.owner, digest).await;
    assert!(offer_again.notified().now_or_never().is_none(), "it has all");
    let mut seal = pair.holder.federation.get().seals[&digest].as_ref().clone();
    seal.signatures.retain(|signature| signature.agency.as_ref() == Some(&pair.holder.agency));
    crate::action::take_agreement::take_agreement(&pair.owner, &pair.holder.agency, seal).await.unwrap();
    assert!(offer_again.notified().now_or_never().is_some());
}

/// A line that carries so many items within a lease, whatever batches they are in.
const CARRIED: usize = 40;

#[tokio::test]
async fn a_full_batch_gets_over_a_slow_line_in_the_end() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let handovers: Vec<_> = (0..250).map(|n| pair.handover(&format!("key-{n}"), "person-1")).collect();
    let outcome = pair.submit(&handovers, Timing::AtOnce).await;
    let record_ids: Vec<Id> = outcome.results.into_iter().map(|result| result.unwrap().record_id).collect();
    let (owner, peer) = (&pair.owner, &pair.holder.agency);
    let mut shipment = outcome.shipment;
    let mut rounds = 0;
    while let Some(carried) = shipment {
        let items = carried.items.len();
        if items <= CARRIED {
            pair.deliver(&carried).await;
            owner.links.grow_batches(peer, items, crate::shipment::LEASE);
        } else {
            pair.lapse(carried.batch_id).await;
            owner.links.shrink_batches(peer, items);
        }
        rounds += 1;
        assert!(rounds < 20, "it is sent whole again and again");
        pair.clock.turn(LONGEST_PAUSE);
        let again = super::claim_again(owner, peer).await.unwrap();
        shipment = again.and_then(|again| again.shipment);
    }
    assert!(pair.are_taken(&record_ids).await);
}

/// Raises the version of the federation as somebody else does who changes it.
async fn raise_version(node: &TestNode) {
    let federation = || [(Counter::Federation, 1)];
    let raise = node
        .store
        .transact("raise", move |tx| Box::pin(async move { counter::take(tx, &federation()).await.map(drop) }));
    raise.await.unwrap();
}

#[tokio::test]
async fn a_federation_that_a_decision_had_to_read_is_kept() {
    let pair = Pair::new().await;
    pair.consent("person-1").await;
    let old = pair.owner.federation.get();
    raise_version(&pair.owner).await;
    submit_referrals(
        &pair.owner,
        &pair.holder.agency,
        submissions(&[pair.handover("key-1", "person-1")]),
        Timing::Later,
    )
    .await
    .unwrap();
    assert_eq!(pair.owner.federation.get().version, old.version + 1);
    raise_version(&pair.owner).await;
    pair.deliver(&pair.claimed().await.unwrap()).await;
    assert_eq!(pair.owner.federation.get().version, old.version + 2);
}

/// The third agency's batches must not be smaller, nor wait, because of the second.
#[tokio::test]
async fn a_pause_is_one_peer_s() {
    let pair = Pair::with_suspended_owner().await;
    let third = TestNode::with("cc.example", pair.holder.kind, pair.clock.clone()).await;
    introduce(&[&pair.owner, &third]).await;
    agree(&[&pair.owner, &third]).await;
    let shipment = pair.submit(&[pair.handover("key-1", "person-1")], Timing::AtOnce).await.shipment.unwrap();
    let receipt = take_batch(&pair.holder, &pair.owner.agency, shipment.message()).await.unwrap();
    let recorded = record_receipt(&pair.owner, &pair.holder.agency, receipt).await.unwrap();
    assert_eq!(recorded, Recorded::First { taken: 0, refused: 0, again: vec![Reason::PeerSuspended] });
    assert!(pair.owner.pauses.of(&pair.holder.agency).any());
    assert!(!pair.owner.pauses.of(&third.agency).any());
}
