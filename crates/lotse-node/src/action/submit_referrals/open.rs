//! Another open referral of the same person to the same recipient: pointed out, because a corrected line makes a second one.

use std::collections::HashMap;

use lotse_core::id::Id;
use lotse_store::outbox::Known;

use super::{Item, Job, Outcome, Submitted};
use crate::failure::Failure;

impl Job {
    /// Returns the newest referrals before these of the same persons that memory knows, to be looked up with the items themselves.
    pub(super) fn latest(&self) -> Vec<Id> {
        let mut latest: Vec<Id> = self.items.iter().filter_map(|item| self.before(item)).collect();
        latest.sort_unstable();
        latest.dedup();
        latest
    }

    /// Names in each answer the open referral of the same person, from before or from this batch. `stored` are those from before, of
    /// which some may be repeated in this batch. A repeated key names the one before its referral again, as long as both are open: who
    /// was interrupted before it was cancelled finds it.
    pub(super) fn point_out<'a>(
        &self,
        stored: impl Iterator<Item = &'a (Id, Known)>,
        results: &mut [Result<Submitted, Failure>],
    ) {
        let latest: HashMap<Id, &Known> = stored.map(|(id, known)| (*id, known)).collect();
        let is_open = |id: &Id| latest.get(id).is_some_and(|known| known.referral_state.is_open());
        let mut in_this_batch: HashMap<Id, Id> = HashMap::new();
        for (item, result) in self.items.iter().zip(results) {
            let Ok(submitted) = result else { continue };
            if submitted.repeated && !(submitted.state.is_open() && self.is_remembered(item)) {
                continue;
            }
            let newest = self.before(item).filter(|id| latest.contains_key(id));
            if let Some(ended) = newest.filter(|id| !is_open(id)) {
                // An older one may be open: that is for the next time.
                item.subject.all().for_each(|person| self.node.latest_sent.forget(person, &self.peer, ended));
            }
            let earlier = match submitted.repeated {
                true => None,
                false => in_this_batch.insert(item.subject.composed, submitted.record_id),
            };
            submitted.open_referral = earlier.or(newest.filter(is_open));
        }
    }

    /// Notes what was handed over, after the commit.
    pub(super) fn remember(&self, outcome: &Outcome) {
        for (item, result) in self.items.iter().zip(&outcome.results) {
            let Ok(submitted) = result else { continue };
            if !submitted.repeated {
                self.node.latest_sent.note(item.subject.composed, &self.peer, submitted.record_id);
            }
        }
    }

    /// Returns the newest referral of the item's person; for an item that memory knows, the one before it.
    fn before(&self, item: &Item) -> Option<Id> {
        let latest = &self.node.latest_sent;
        item.subject.all().find_map(|person| latest.before(person, &self.peer, item.record_id))
    }

    fn is_remembered(&self, item: &Item) -> bool {
        item.subject.all().any(|person| self.node.latest_sent.all(person, &self.peer).contains(&item.record_id))
    }
}
