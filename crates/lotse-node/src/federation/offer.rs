//! Versions that peers have offered and this node has not sealed. Everything that is stored is read again with each change of the
//! federation, so there are limits to what peers leave here.

use std::time::Duration;

use lotse_core::id::{AgencyId, Digest};
use lotse_core::reason::Reason;
use lotse_core::time::{DAY, Timestamp};

use super::Federation;
use crate::failure::{ErrorKind, Failure};

/// Versions of one peer that wait here for this agency's seal, at most.
pub(crate) const MAX_OFFERS: usize = 16;

/// Bytes of all peers' versions that wait here, at most.
pub(crate) const MAX_OFFERED_BYTES: usize = 64 * 1024 * 1024;

/// How long a version counts at least, though its term may end before: each one that is taken is an entry of the log.
const COUNTS_FOR: Duration = DAY;

/// How a version came here.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Peer that offered it.
    pub peer: AgencyId,
    /// When.
    pub at: Timestamp,
}

/// A version that waits here for this agency's seal.
struct Waiting<'a> {
    digest: Digest,
    offer: &'a Offer,
    valid_until: Timestamp,
    size_bytes: usize,
}

impl Waiting<'_> {
    fn is_over(&self, at: Timestamp) -> bool {
        self.valid_until <= at && self.offer.at.plus(COUNTS_FOR) <= at
    }
}

/// Finds room for one more version that a peer offers. Returns those that go for it: nobody can seal them any more.
///
/// # Errors
/// `OVERLOADED` if there is none.
pub(crate) fn make_room(
    federation: &Federation,
    own: &AgencyId,
    peer: &AgencyId,
    size_bytes: usize,
    at: Timestamp,
) -> Result<Vec<Digest>, Failure> {
    let (over, left): (Vec<_>, Vec<_>) = waiting(federation, own).partition(|version| version.is_over(at));
    check_limits(&left, peer, size_bytes)?;
    Ok(over.into_iter().map(|version| version.digest).collect())
}

fn check_limits(waiting: &[Waiting<'_>], peer: &AgencyId, size_bytes: usize) -> Result<(), Failure> {
    let refused = |what: String| {
        let message = format!("{what}: let its administrator seal those that are to hold, then offer this one again");
        Err(Failure::new(ErrorKind::Overloaded, Reason::Overloaded, message))
    };
    if waiting.iter().filter(|version| version.offer.peer == *peer).count() >= MAX_OFFERS {
        return refused(format!("{MAX_OFFERS} versions that your agency has offered wait for this agency's seal"));
    }
    if waiting.iter().map(|version| version.size_bytes).sum::<usize>() + size_bytes > MAX_OFFERED_BYTES {
        return refused(format!("{} MiB of versions wait for this agency's seal", MAX_OFFERED_BYTES >> 20));
    }
    Ok(())
}

fn waiting<'a>(federation: &'a Federation, own: &'a AgencyId) -> impl Iterator<Item = Waiting<'a>> {
    let open = federation.agreements.iter().filter(|known| known.completed_at.is_none()).map(|known| &known.agreement);
    open.filter_map(move |agreement| {
        let digest = agreement.digest;
        let offer = federation.offers.get(&digest).filter(|_| !federation.sealed_by(&digest).contains(own))?;
        let size_bytes = federation.seals.get(&digest).map_or(0, |seal| seal.payload.len());
        Some(Waiting { digest, offer, valid_until: agreement.valid_until, size_bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_one_peer_and_the_bytes_of_all_have_their_limits() {
        let [one, two]: [AgencyId; 2] = ["one.example", "two.example"].map(|name| name.parse().unwrap());
        let offer = Offer { peer: one.clone(), at: Timestamp::from_micros(0) };
        let waiting = |count: usize, size_bytes| -> Vec<Waiting<'_>> {
            let valid_until = Timestamp::from_micros(1);
            let one = |_| Waiting { digest: Digest::of(b"text"), offer: &offer, valid_until, size_bytes };
            (0..count).map(one).collect()
        };
        let refused = |waiting: Vec<Waiting<'_>>, peer, size_bytes| {
            check_limits(&waiting, peer, size_bytes).err().map(|failure| failure.reason())
        };
        assert_eq!(refused(waiting(MAX_OFFERS - 1, 1), &one, 1), None);
        assert_eq!(refused(waiting(MAX_OFFERS, 1), &one, 1), Some(Reason::Overloaded));
        assert_eq!(refused(waiting(MAX_OFFERS, 1), &two, 1), None, "of another peer");
        assert_eq!(refused(waiting(2, MAX_OFFERED_BYTES / 2 - 1), &two, 2), None);
        assert_eq!(refused(waiting(2, MAX_OFFERED_BYTES / 2 - 1), &two, 3), Some(Reason::Overloaded));
    }
}
