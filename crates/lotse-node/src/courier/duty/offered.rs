//! Agreements and seals that a peer has said to have, and those that it is to be offered. Only memory knows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lotse_core::agreement::KnownAgreement;
use lotse_core::id::{AgencyId, Digest};
use lotse_core::seal::Seal;
use lotse_core::time::Timestamp;
use tokio::time::Instant;

use crate::federation::Federation;

/// Shortest time between two times at which everything is offered anew.
const ANEW_PAUSE: Duration = Duration::from_secs(5 * 60);

/// The agreements and seals that a peer has said to have.
#[derive(Default)]
pub(super) struct Offered {
    /// Whose seals the peer has said to have, by version.
    sealed_by: BTreeMap<Digest, BTreeSet<AgencyId>>,
    /// Versions under which the peer may send to this node, as it was shown.
    admitted: BTreeSet<Digest>,
    /// Generation and card version of the peer when it was last looked.
    node: Option<(u32, u64)>,
    /// Whether everything is to be offered anew.
    anew: bool,
    /// Time before which that is not done.
    anew_after: Option<Instant>,
}

impl Offered {
    /// Asks for everything to be offered anew: the peer seems to lack what it had.
    pub(super) fn offer_anew(&mut self) {
        self.anew = true;
    }

    /// Forgets what the peer has said if it may be another node now, or seems to lack what it had; and what it was shown of versions
    /// under which it may not send any more.
    pub(super) fn review(&mut self, federation: &Federation, peer: &AgencyId, at: Timestamp, now: Instant) {
        let node = federation.peers.get(peer).map(|peer| (peer.generation, peer.card.card.version));
        let is_other = self.node.is_some() && self.node != node;
        self.node = node;
        let is_time = self.anew_after.is_none_or(|after| now >= after);
        if is_other || self.anew && is_time {
            self.sealed_by.clear();
            (self.anew, self.anew_after) = (false, Some(now + ANEW_PAUSE));
        }
        let admitted: BTreeSet<Digest> = with(federation, peer, at)
            .filter(|known| admits(federation, peer, known))
            .map(|known| known.agreement.digest)
            .collect();
        self.admitted.retain(|digest| admitted.contains(digest));
    }

    /// Finds the versions of which the peer has not all seals, or under which it may send since it was last told of them.
    pub(super) fn open(&self, federation: &Federation, peer: &AgencyId, at: Timestamp) -> Vec<Arc<Seal>> {
        let is_open = |known: &&KnownAgreement| {
            let digest = &known.agreement.digest;
            let lacks = !self.sealed_by.get(digest).is_some_and(|has| federation.sealed_by(digest).is_subset(has));
            lacks || admits(federation, peer, known) && !self.admitted.contains(digest)
        };
        let open = with(federation, peer, at).filter(is_open);
        open.filter_map(|known| federation.seals.get(&known.agreement.digest).cloned()).collect()
    }

    /// Returns whether the peer has said that it knows a version.
    pub(super) fn is_known(&self, digest: &Digest) -> bool {
        self.sealed_by.contains_key(digest)
    }

    /// Returns whether the peer has said that it has an agency's seal of a version.
    pub(super) fn has_seal(&self, digest: &Digest, agency: &str) -> bool {
        self.sealed_by.get(digest).is_some_and(|has| has.iter().any(|known| known.as_str() == agency))
    }

    /// Writes down whose seals of a version the peer says to have.
    pub(super) fn note(&mut self, digest: Digest, sealed_by: &[String]) {
        self.sealed_by.insert(digest, sealed_by.iter().filter_map(|agency| agency.parse().ok()).collect());
        self.admitted.insert(digest);
    }

    /// Forgets what the peer has said of a version: it has refused its seals.
    pub(super) fn forget(&mut self, digest: &Digest) {
        self.sealed_by.remove(digest);
    }
}

/// Finds the versions that a peer seals, too, and whose term has not ended.
fn with<'a>(federation: &'a Federation, peer: &'a AgencyId, at: Timestamp) -> impl Iterator<Item = &'a KnownAgreement> {
    let agreements = federation.agreements.iter();
    agreements
        .filter(move |known| known.agreement.valid_until > at && federation.sealers(&known.agreement).contains(peer))
}

/// Returns whether this node takes what a peer sends under a version, as far as suspensions and seals go.
fn admits(federation: &Federation, peer: &AgencyId, known: &KnownAgreement) -> bool {
    let suspended = known.suspended || federation.peers.get(peer).is_none_or(|peer| peer.suspended);
    known.completed_at.is_some() && !suspended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::suspend_agreement::{resume_agreement, suspend_agreement};
    use crate::action::suspend_peer::{resume_peer, suspend_peer};
    use crate::action::take_card::take_card;
    use crate::testing::{TestNode, admin, agree, introduce};

    struct Two {
        one: TestNode,
        two: TestNode,
        agreement: lotse_core::id::Id,
        offered: Offered,
        now: Instant,
    }

    impl Two {
        /// Two agencies with an agreement, of which the second has said that it has all seals.
        async fn new() -> Two {
            let one = TestNode::new("one.example").await;
            let two = TestNode::with("two.example", one.kind, one.clock.clone()).await;
            introduce(&[&one, &two]).await;
            let agreement = agree(&[&one, &two]).await;
            let mut pair = Two { one, two, agreement, offered: Offered::default(), now: Instant::now() };
            assert_eq!(pair.open(), 1, "nothing is known after a start");
            pair.answer();
            pair
        }

        fn open(&mut self) -> usize {
            let (federation, at) = (self.one.federation.get(), self.one.now());
            self.offered.review(&federation, &self.two.agency, at, self.now);
            self.offered.open(&federation, &self.two.agency, at).len()
        }

        /// Lets the second say that it has all seals.
        fn answer(&mut self) {
            let federation = self.one.federation.get();
            let digest = federation.agreements[0].agreement.digest;
            let sealed_by: Vec<String> = federation.sealed_by(&digest).iter().map(AgencyId::to_string).collect();
            self.offered.note(digest, &sealed_by);
            assert_eq!(self.open(), 0);
        }
    }

    #[tokio::test]
    async fn a_peer_that_lacks_what_it_had_is_offered_everything_anew_but_not_all_the_time() {
        let mut pair = Two::new().await;
        pair.offered.offer_anew();
        assert_eq!(pair.open(), 1);
        pair.answer();
        pair.offered.offer_anew();
        assert_eq!(pair.open(), 0, "it was offered a moment ago");
        pair.now += ANEW_PAUSE;
        assert_eq!(pair.open(), 1, "and is not forgotten");
    }

    #[tokio::test]
    async fn a_peer_with_another_card_is_offered_everything_anew() {
        let mut pair = Two::new().await;
        take_card(&pair.one, &pair.two.agency, pair.two.seal_card(&pair.two.card(2))).await.unwrap();
        assert_eq!(pair.open(), 1);
    }

    #[tokio::test]
    async fn a_peer_is_shown_that_a_suspension_is_lifted() {
        let mut pair = Two::new().await;
        suspend_peer(&pair.one, pair.two.agency.clone(), admin()).await.unwrap();
        assert_eq!(pair.open(), 0, "it is not told of a suspension");
        resume_peer(&pair.one, pair.two.agency.clone(), admin()).await.unwrap();
        assert_eq!(pair.open(), 1);
        pair.answer();
        suspend_agreement(&pair.one, pair.agreement, admin()).await.unwrap();
        assert_eq!(pair.open(), 0);
        resume_agreement(&pair.one, pair.agreement, admin()).await.unwrap();
        assert_eq!(pair.open(), 1);
    }
}
