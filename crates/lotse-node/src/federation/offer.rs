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

/// Bytes of one peer's versions that wait here, at most: none leaves the others without room.
pub(crate) const MAX_OFFERED_BYTES_OF_ONE: usize = 8 * 1024 * 1024;

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
    let own: Vec<_> = waiting.iter().filter(|version| version.offer.peer == *peer).collect();
    let bytes_after = |sizes: usize| sizes + size_bytes;
    if own.len() >= MAX_OFFERS {
        return refused(format!("{MAX_OFFERS} versions that your agency has offered wait for this agency's seal"));
    }
    if bytes_after(own.iter().map(|version| version.size_bytes).sum()) > MAX_OFFERED_BYTES_OF_ONE {
        let limit = MAX_OFFERED_BYTES_OF_ONE >> 20;
        return refused(format!("{limit} MiB of versions that your agency has offered wait for this agency's seal"));
    }
    if bytes_after(waiting.iter().map(|version| version.size_bytes).sum()) > MAX_OFFERED_BYTES {
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
    fn the_versions_of_one_peer_and_of_all_have_their_limits() {
        let offers: Vec<Offer> = (0..9)
            .map(|n| Offer { peer: format!("p{n}.example").parse().unwrap(), at: Timestamp::from_micros(0) })
            .collect();
        let version = |peer: usize, size_bytes| Waiting {
            digest: Digest::of(b"text"),
            offer: &offers[peer],
            valid_until: Timestamp::from_micros(1),
            size_bytes,
        };
        let refused = |waiting: &[Waiting<'_>], peer: usize, size_bytes| {
            check_limits(waiting, &offers[peer].peer, size_bytes).err().map(|failure| failure.reason())
        };
        let small = |count| (0..count).map(|_| version(0, 1)).collect::<Vec<_>>();
        assert_eq!(refused(&small(MAX_OFFERS - 1), 0, 1), None);
        assert_eq!(refused(&small(MAX_OFFERS), 0, 1), Some(Reason::Overloaded));
        assert_eq!(refused(&small(MAX_OFFERS), 1, 1), None, "of another peer");
        let full = [version(0, MAX_OFFERED_BYTES_OF_ONE - 1)];
        assert_eq!(refused(&full, 0, 1), None);
        assert_eq!(refused(&full, 0, 2), Some(Reason::Overloaded));
        assert_eq!(refused(&full, 1, 2), None, "one peer leaves the others their room");
        let peers = MAX_OFFERED_BYTES / MAX_OFFERED_BYTES_OF_ONE;
        let all: Vec<_> = (0..peers).map(|peer| version(peer, MAX_OFFERED_BYTES_OF_ONE - 1)).collect();
        let (next_peer, room) = (peers, peers);
        assert_eq!(refused(&all, next_peer, room), None);
        assert_eq!(refused(&all, next_peer, room + 1), Some(Reason::Overloaded));
    }
}
