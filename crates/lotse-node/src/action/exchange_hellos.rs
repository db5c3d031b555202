//! The first messages of two nodes to each other: versions, clocks, runs and highest numbers.

use std::sync::Arc;

use lotse_core::id::{AgencyId, Sequence};
use lotse_core::numbers::HighestNumbers;
use lotse_core::time::Timestamp;
use lotse_proto::exchange::v1 as proto;
use lotse_store::{StoreError, counter};
use tokio::time::Instant;

use crate::action::compare_numbers::{compare_numbers, runs_twice};
use crate::entry::{self, Decision, Direction, Draft, EntryKind};
use crate::failure::Failure;
use crate::hold::{ClockDoubt, PeerClock};
use crate::instance::{InstanceId, Meeting};
use crate::link::SkewLevel;
use crate::node::Node;
use crate::wire::envelope::SCHEMA_LEVEL;

/// Says who this node is and what it knows of a peer.
pub async fn hello(node: &Node, peer: &AgencyId) -> Result<proto::Hello, StoreError> {
    let seen_of = peer.clone();
    let read = node.store.read("seen numbers", |tx| Box::pin(async move { counter::all_seen(tx, &seen_of).await }));
    let seen = read.await?;
    let federation = node.federation.get();
    Ok(proto::Hello {
        agency: node.agency.to_string(),
        generation: node.generation,
        peer_generation: federation.peers.get(peer).map_or(0, |peer| peer.generation),
        highest_epoch: seen.epoch.as_u64(),
        highest_revision: seen.revision.as_u64(),
        highest_receipt_number: seen.receipt.as_u64(),
        time_us: node.now().micros(),
        schema_level: SCHEMA_LEVEL,
        catching_up: false,
        card_version: federation.own.as_ref().map_or(0, |own| own.card.version),
        instance: node.instances.own().to_vec(),
        clock_in_doubt: matches!(node.holds.clock_doubt(), Some(ClockDoubt::SteppedBack | ClockDoubt::JumpedAhead)),
    })
}

/// Takes in what a peer says of itself: its clock, and whether its card is newer than the one known. Returns false if it speaks
/// for another agency.
pub fn observe_hello(node: &Node, peer: &AgencyId, hello: &proto::Hello) -> bool {
    if hello.agency != peer.as_str() {
        return false;
    }
    note_hello(node, peer, hello);
    node.heard_from(peer);
    true
}

/// Takes in what a peer says again on an open stream: its clock, and whether its card is newer than the one known.
pub fn observe_again(node: &Node, peer: &AgencyId, hello: &proto::Hello) {
    if hello.agency == peer.as_str() {
        note_hello(node, peer, hello);
    }
}

fn note_hello(node: &Node, peer: &AgencyId, hello: &proto::Hello) {
    let now = node.now();
    let difference = hello.time_us.saturating_sub(now.micros());
    let clock = match hello.clock_in_doubt {
        true => PeerClock::InDoubt,
        false if SkewLevel::of(difference) == SkewLevel::TooFar => PeerClock::Differs,
        false => PeerClock::Agrees,
    };
    node.holds.compare(peer, clock, node.clock.reading());
    let was_skewed = node.links.skewed(peer);
    node.links.set_clock(peer, difference, now);
    if was_skewed && !node.links.skewed(peer) {
        node.signals.due(peer).notify_one();
    }
    node.links.update(peer, |link| {
        link.last_seen = Some(Timestamp::from_micros(now.micros()));
        link.card_version = hello.card_version;
    });
}

/// Compares what a peer's hello names with what this node knows: which run of the peer speaks, and which numbers of this node it has
/// seen.
///
/// # Errors
/// `NODE_STATE_IN_DOUBT`: nothing goes to the peer, and nothing is taken from it.
pub async fn compare_hello(node: &Arc<Node>, peer: &AgencyId, hello: &proto::Hello) -> Result<(), Failure> {
    if let Some(instance) = InstanceId::parse(&hello.instance) {
        match node.instances.meet(peer, instance, Instant::now()) {
            Meeting::One => {}
            Meeting::Two => return Err(runs_twice(peer)),
            Meeting::FoundTwo => {
                let failure = runs_twice(peer);
                tracing::error!(%peer, "two nodes speak under the identity of the peer: the exchange with it stops");
                let draft = Draft {
                    peer: Some(peer.clone()),
                    direction: Direction::In,
                    decision: Decision::Refuse,
                    reasons: vec![failure.reason()],
                    remark: "two nodes speak under its identity".into(),
                    ..Draft::default()
                };
                entry::record(node, "stop_peer", vec![(EntryKind::PeerStopped, draft)]).await?;
                return Err(failure);
            }
        }
    }
    let named = HighestNumbers {
        generation: hello.peer_generation,
        epoch: Sequence::from_u64(hello.highest_epoch),
        revision: Sequence::from_u64(hello.highest_revision),
        receipt: Sequence::from_u64(hello.highest_receipt_number),
    };
    compare_numbers(node, peer, named).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn a_peer_that_tells_the_first_or_last_time_there_is_gets_nothing() {
        let node = TestNode::new("one.example").await;
        let peer: AgencyId = "two.example".parse().unwrap();
        for time_us in [i64::MIN, i64::MAX] {
            let told = proto::Hello { agency: peer.to_string(), time_us, ..proto::Hello::default() };
            assert!(observe_hello(&node, &peer, &told));
            assert!(node.links.skewed(&peer), "{time_us}");
            assert_eq!(node.links.alarms(|_| 0).len(), 1, "{time_us}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_is_set_right_shows_by_the_next_hello_of_an_open_stream() {
        let node = TestNode::new("one.example").await;
        let peer: AgencyId = "two.example".parse().unwrap();
        let hello = |time_us, card_version| proto::Hello {
            agency: peer.to_string(),
            time_us,
            card_version,
            ..proto::Hello::default()
        };
        assert!(observe_hello(&node, &peer, &hello(node.now().micros() + 299_000_000, 1)));
        assert!(node.links.skewed(&peer));
        observe_again(&node, &peer, &hello(node.now().micros(), 2));
        assert!(!node.links.skewed(&peer));
        assert_eq!(node.links.get(&peer).card_version, 2);
        let woken = node.signals.due(&peer);
        tokio::time::timeout(std::time::Duration::from_secs(5), woken.notified())
            .await
            .expect("what waited is claimed");
        let other = proto::Hello { agency: "three.example".into(), ..hello(0, 9) };
        observe_again(&node, &peer, &other);
        assert!(!node.links.skewed(&peer) && node.links.get(&peer).card_version == 2, "another agency's");
    }
}
