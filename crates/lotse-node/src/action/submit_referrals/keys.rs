//! Idempotency keys: the same key with the same content is the same referral for ever; with other content it is an error.

use lotse_core::id::{Digest, Id};
use lotse_core::reason::Reason;
use lotse_store::{Readable, outbox};

use super::{Item, Job, Submitted};
use crate::failure::{ErrorKind, Failure};

impl Item {
    /// Returns whether the same content was stored, also before its texts were composed.
    fn is_stored_as(&self, stored: Digest) -> bool {
        let digests = [Some(self.digest), self.digest_as_given];
        digests.into_iter().flatten().any(|digest| digest.is_stored_as(stored))
    }
}

impl Job {
    /// Places of items that are new here and in this batch.
    pub(super) fn fresh(&self, known: &Readable<(Id, outbox::Known)>) -> Vec<usize> {
        let is_known = |id: Id| known.rows.iter().any(|(known, _)| *known == id) || known.broken.contains(&id);
        let repeats =
            |place: usize| self.items[..place].iter().any(|before| before.record_id == self.items[place].record_id);
        let mut fresh: Vec<usize> =
            (0..self.items.len()).filter(|&place| !is_known(self.items[place].record_id)).collect();
        if self.items.len() > 1 {
            let mut ids: Vec<Id> = self.items.iter().map(|item| item.record_id).collect();
            ids.sort_unstable();
            if ids.windows(2).any(|pair| pair[0] == pair[1]) {
                fresh.retain(|&place| !repeats(place));
            }
        }
        fresh
    }

    /// Puts the answers of new and known items into the order of the submissions.
    pub(super) fn answers(
        &self,
        known: &Readable<(Id, outbox::Known)>,
        fresh: &[usize],
        fresh_results: Vec<Result<Submitted, Failure>>,
    ) -> Vec<Result<Submitted, Failure>> {
        let mut results: Vec<Option<Result<Submitted, Failure>>> = self.items.iter().map(|_| None).collect();
        for (&place, result) in fresh.iter().zip(fresh_results) {
            results[place] = Some(result);
        }
        for place in 0..self.items.len() {
            if results[place].is_none() {
                results[place] = Some(self.repeated(known, &results, place));
            }
        }
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(Failure::not_found()))).collect()
    }

    fn repeated(
        &self,
        known: &Readable<(Id, outbox::Known)>,
        results: &[Option<Result<Submitted, Failure>>],
        place: usize,
    ) -> Result<Submitted, Failure> {
        let item = &self.items[place];
        let first = self.items[..place].iter().position(|before| before.record_id == item.record_id);
        if known.broken.contains(&item.record_id) {
            return Err(Failure::unreadable());
        }
        let stored = known.rows.iter().find(|(id, _)| *id == item.record_id).map(|(_, known)| known);
        match (stored, first) {
            (Some(known), _) if item.is_stored_as(known.content_digest) => Ok(Submitted {
                record_id: item.record_id,
                delivery: known.state,
                state: known.referral_state,
                reasons: known.reasons.clone(),
                left_out: known.left_out,
                repeated: true,
                open_referral: None,
            }),
            (None, Some(first)) if self.items[first].digest == item.digest => match &results[first] {
                Some(Ok(submitted)) => Ok(Submitted { repeated: true, open_referral: None, ..submitted.clone() }),
                Some(Err(failure)) => Err(failure.clone()),
                None => Err(Failure::not_found()),
            },
            _ => Err(Failure::new(
                ErrorKind::Refused,
                Reason::IdempotencyKeyReused,
                "the idempotency key was used before with other content: repeat the same content, or choose a new key",
            )),
        }
    }
}
