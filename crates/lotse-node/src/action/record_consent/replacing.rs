//! A consent that replaces another one: what the new one lacks of the old is withdrawn, in the two steps of a withdrawal. What
//! recipients hold stays with them until its lease; replacing is no withdrawal of that.

use std::sync::Arc;

use lotse_core::consent::{ConsentCoverage, ConsentState, covered};
use lotse_core::id::Id;
use lotse_store::consent::{self, Head, Recipient};
use lotse_store::withdrawal::{self, Scope, Withdrawal, WithdrawnBy};
use lotse_store::{StoreError, Tx};

use super::Item;
use crate::action::wait_for_leases::{leases_end, wait_for};
use crate::action::withdraw_consent::{carriers, draft, take_effect};
use crate::entry::{Draft, EntryKind};
use crate::failure::Failure;
use crate::head_store::RememberedWithdrawal;
use crate::node::Node;

/// The work that is left for consents that others replaced.
#[derive(Default)]
pub(super) struct Replacement {
    /// Withdrawals that are pending.
    withdrawals: Vec<RememberedWithdrawal>,
    /// Batches on their way with something released under the old consents.
    carriers: Vec<Id>,
}

impl Replacement {
    /// Finds what is left to do; nothing of it where the same call was made before and finished.
    pub(super) async fn find(tx: &mut Tx, superseded: &[Id]) -> Result<Replacement, StoreError> {
        if superseded.is_empty() {
            return Ok(Replacement::default());
        }
        let all = withdrawal::of_consents(tx, superseded).await?;
        let pending = all.iter().filter(|withdrawal| withdrawal.effective_at.is_none());
        let remembered =
            |row: &Withdrawal| RememberedWithdrawal { consent_id: row.consent_id, withdrawal_id: row.withdrawal_id };
        Ok(Replacement { withdrawals: pending.map(remembered).collect(), carriers: carriers(tx, superseded).await? })
    }

    /// Waits until nothing of the old coverage is on its way, and makes the withdrawals effective.
    pub(super) async fn take_effect(self, node: &Arc<Node>) -> Result<(), Failure> {
        wait_for(node, self.carriers, leases_end()).await?;
        if self.withdrawals.is_empty() { Ok(()) } else { take_effect(node, self.withdrawals).await }
    }
}

/// Supersedes what the items replace, and writes a withdrawal of what each lacks. Returns the entries about them. From this commit on
/// no decision sees the old coverage.
pub(super) async fn supersede(tx: &mut Tx, items: &[&Item]) -> Result<Vec<(EntryKind, Draft)>, StoreError> {
    let named: Vec<Id> = items.iter().filter_map(|item| item.supersedes).collect();
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let ended = consent::supersede(tx, &named).await?;
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let heads = consent::heads(tx, &ended).await?;
    let recipients = consent::recipients(tx, &ended).await?;
    let mut drafts = Vec::new();
    for item in items {
        let Some(head) = heads.iter().find(|head| Some(head.consent_id) == item.supersedes) else { continue };
        let of_old: Vec<&Recipient> = recipients.iter().filter(|r| r.consent_id == head.consent_id).collect();
        let Some(scope) = lacking(item, head, &of_old) else { continue };
        let Draft { actor, on_behalf_of, trace_id, .. } = item.draft.clone();
        let by = WithdrawnBy { actor, on_behalf_of, trace_id: Some(trace_id).filter(|id| !id.is_empty()) };
        let touched = of_old.into_iter().filter(|recipient| scope.touches(&recipient.recipient));
        drafts.extend(touched.map(|recipient| (EntryKind::WithdrawalArrived, draft(recipient, &scope, head, &by))));
        let withdrawal = Withdrawal {
            withdrawal_id: item.withdrawal_id,
            consent_id: head.consent_id,
            scope,
            arrived_at: item.consent.recorded_at,
            effective_at: None,
            by,
        };
        withdrawal::insert(tx, &withdrawal).await?;
    }
    Ok(drafts)
}

/// Returns what the new consent lacks of the old one; none if it lacks nothing.
fn lacking(item: &Item, old: &Head, recipients: &[&Recipient]) -> Option<Scope> {
    let new = &item.consent;
    let is_given = new.state == ConsentState::Given && new.recorded_at < new.expires_at;
    let coverage = ConsentCoverage {
        purposes: new.purposes,
        record_kinds: new.record_kinds,
        categories: covered(new.categories, new.explicit, new.form),
    };
    let lacking = old.coverage.without(if is_given { coverage } else { ConsentCoverage::NOTHING });
    if lacking == old.coverage {
        return Some(Scope::default());
    }
    let is_named = |one: &&&Recipient| item.recipients.iter().any(|drawn| drawn.recipient == one.recipient);
    let scope = Scope {
        recipients: recipients.iter().filter(|one| !is_named(one)).map(|one| one.recipient.clone()).collect(),
        purposes: lacking.purposes,
        categories: lacking.categories,
    };
    (!scope.is_whole()).then_some(scope)
}

#[cfg(test)]
mod tests {
    use lotse_core::category::Category;
    use lotse_core::purpose::Purpose;
    use lotse_core::reason::Reason;
    use lotse_proto::record::v1 as proto;

    use super::*;
    use crate::action::record_consent::record_consents;
    use crate::action::record_consent::tests::{SYSTEM, record_good, towards};
    use crate::action::withdraw_consent::finish_pending;
    use crate::action::withdraw_consent::tests::{answer, claim, with_consent};
    use crate::testing::TestNode;
    use crate::wire::consent::tests::{OWN, YOUTH, good, parsed};

    type Narrowing = fn(&mut proto::Consent);

    /// A consent for youth and job offices, two purposes and two categories is replaced by this one.
    fn replacing(change: impl FnOnce(&mut proto::Consent)) -> proto::Consent {
        let old = Id::from_bytes([1; 16]).to_string();
        let mut consent = proto::Consent {
            subject_reference: "AK-1".into(),
            recipients: vec![YOUTH.into(), "aa-hanau.example".into()],
            purposes: vec![Purpose::Orientation.number(), Purpose::JobPlacement.number()],
            supersedes: old,
            ..good(2)
        };
        change(&mut consent);
        consent
    }

    /// Returns the withdrawals of the old consent, whether each is effective.
    async fn withdrawals(node: &TestNode) -> Vec<(Scope, bool)> {
        let read = node.store.read("withdrawals", |tx| {
            Box::pin(async move { withdrawal::of_consents(tx, &[Id::from_bytes([1; 16])]).await })
        });
        read.await.unwrap().into_iter().map(|row| (row.scope, row.effective_at.is_some())).collect()
    }

    async fn old(node: &TestNode) -> consent::Towards {
        towards(node, YOUTH, 1).await.into_iter().find(|t| t.consent.id == Id::from_bytes([1; 16])).unwrap()
    }

    #[tokio::test]
    async fn what_a_replacing_consent_lacks_is_withdrawn() {
        let whole = Scope::default();
        let cases: [(Narrowing, Option<Scope>); 6] = [
            (|_| (), None),
            (|c| c.categories.push(Category::Skills.number()), None),
            (|c| c.categories.truncate(1), Some(Scope { categories: Category::Contact.into(), ..whole.clone() })),
            (|c| c.purposes.truncate(1), Some(Scope { purposes: Purpose::JobPlacement.into(), ..whole.clone() })),
            (
                |c| c.recipients.truncate(1),
                Some(Scope { recipients: vec!["aa-hanau.example".parse().unwrap()], ..whole.clone() }),
            ),
            (|c| c.purposes = vec![Purpose::Rehabilitation.number()], Some(whole.clone())),
        ];
        for (change, expected) in cases {
            let node = with_consent().await;
            let epoch = old(&node).await.epoch;
            assert!(record_good(&node, &[replacing(change)]).await[0].is_ok());
            let found = withdrawals(&node).await;
            assert_eq!(found, expected.into_iter().map(|scope| (scope, true)).collect::<Vec<_>>());
            let towards = old(&node).await;
            assert_eq!(towards.consent.state, ConsentState::Superseded);
            let touched = found.iter().any(|(scope, _)| scope.touches(&YOUTH.parse().unwrap()));
            assert_eq!(towards.epoch > epoch, touched);
            assert_eq!(towards.consent.withdrawn, Default::default(), "what was released stays until its lease");
        }
    }

    #[tokio::test]
    async fn a_replacing_consent_is_answered_when_nothing_of_the_old_coverage_is_on_its_way() {
        let node = with_consent().await;
        let batch_id = claim(&node, 1, YOUTH).await;
        let narrower = parsed(&replacing(|consent| consent.categories.truncate(1))).unwrap();
        let shared = node.node.clone();
        let recording = tokio::spawn(async move { record_consents(&shared, SYSTEM, vec![narrower], None).await });
        while old(&node).await.consent.state != ConsentState::Superseded {
            tokio::task::yield_now().await;
        }
        assert!(!node.is_answered_after_looks(&recording).await);
        assert_eq!(withdrawals(&node).await.iter().map(|(_, effective)| *effective).collect::<Vec<_>>(), [false]);
        answer(&node, batch_id).await;
        assert!(recording.await.unwrap().unwrap()[0].is_ok());
        assert!(withdrawals(&node).await[0].1);
        let entries = node.all_entries().await;
        let last = entries.last().unwrap();
        assert_eq!(last.kind, EntryKind::ConsentWithdrawn as i32);
        assert_eq!(last.reasons, [Reason::ConsentSuperseded.number()]);
    }

    #[tokio::test]
    async fn a_replacement_that_a_crash_left_behind_is_finished_at_the_next_start_and_by_a_repeat() {
        for repeat in [false, true] {
            let node = with_consent().await;
            claim(&node, 1, YOUTH).await;
            let narrower = replacing(|consent| consent.categories.truncate(1));
            let (shared, asked) = (node.node.clone(), parsed(&narrower).unwrap());
            let recording = tokio::spawn(async move { record_consents(&shared, SYSTEM, vec![asked], None).await });
            while old(&node).await.consent.state != ConsentState::Superseded {
                tokio::task::yield_now().await;
            }
            recording.abort();
            let _ = recording.await;
            assert!(!withdrawals(&node).await[0].1);
            answer(&node, Id::from_bytes([101; 16])).await;
            if repeat {
                assert!(record_good(&node, &[narrower]).await[0].unwrap().repeated);
            } else {
                let node = node.restart().await;
                assert_eq!(finish_pending(&node).await, Ok(1));
                assert!(withdrawals(&node).await[0].1);
                continue;
            }
            assert!(withdrawals(&node).await[0].1);
        }
    }

    #[tokio::test]
    async fn a_consent_may_replace_one_that_was_withdrawn_and_lost_with_the_database() {
        let node = TestNode::new(OWN).await;
        node.withdrawn_and_lost.set([Id::from_bytes([1; 16])].into()).unwrap();
        assert!(record_good(&node, &[replacing(|_| ())]).await[0].is_ok());
    }
}
