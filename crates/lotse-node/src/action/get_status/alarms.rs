//! What needs a human, a sentence each: what is about, what is wrong, what to do.

use std::collections::BTreeMap;

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use lotse_store::outbox::Waiting;

use super::state_in_doubt;
use crate::disk_space::{database_folder, measure, written_folders};
use crate::edge::OverLimit;
use crate::ending::NearEnd;
use crate::node::Node;

/// How the alarm about a full disk begins.
pub const DISK_FULL: &str = "the disk of the database is full";

/// What to do about the own card.
const NEW_CARD: &str =
    "draft, sign and install a new one (`lotse card draft`, `lotse card sign`, `lotse card install`)";

/// Returns the alarms of a node.
pub(super) fn alarms(node: &Node, waiting: &BTreeMap<AgencyId, Waiting>) -> Vec<String> {
    let now = node.now();
    let waiting = |peer: &AgencyId| waiting.get(peer).map_or(0, |waiting| waiting.due + waiting.in_doubt);
    let mut alarms: Vec<String> = node.holds.clock_doubt().map(|doubt| doubt.sentence()).into_iter().collect();
    alarms.extend(disks(node));
    alarms.extend(node.troubles.sentences());
    alarms.extend(node.links.alarms(waiting));
    alarms.extend(node.links.refused(now));
    alarms.extend(own_card(node, now));
    alarms.extend(own_certificates(node, now));
    alarms.extend(node.ports.over_limit(now).iter().map(OverLimit::sentence));
    alarms.extend(node.credentials.get().map(|credentials| credentials.refused().sentences(now)).unwrap_or_default());
    let federation = node.federation.get();
    alarms.extend(federation.peers.keys().filter_map(|peer| state_in_doubt(node, peer)).map(|doubt| doubt.message()));
    alarms.extend(peers_cards(node, now));
    alarms
}

/// Returns the alarms of which nothing else is logged: room on disks, cards and certificates that end.
pub fn unlogged_alarms(node: &Node) -> Vec<String> {
    let now = node.now();
    let disks = disks(node).into_iter().filter(|alarm| !alarm.starts_with(DISK_FULL));
    disks.chain(own_card(node, now)).chain(own_certificates(node, now)).chain(peers_cards(node, now)).collect()
}

fn disks(node: &Node) -> Vec<String> {
    let full = node.store.is_disk_full().then(|| {
        let disk = database_folder(&node.folder, &node.config)
            .map_or("its server".into(), |folder| format!("the disk of {}", folder.display()));
        format!(
            "{DISK_FULL}, nothing is stored, acknowledged or released: make room on {disk}; the node goes on by itself"
        )
    });
    let spaces = measure(written_folders(&node.folder, &node.config)).into_iter().flatten();
    full.into_iter().chain(spaces.filter_map(|space| space.alarm())).collect()
}

fn own_card(node: &Node, now: Timestamp) -> Vec<String> {
    let federation = node.federation.get();
    let Some(own) = &federation.own else { return vec!["no card is installed: draft, sign and install one".into()] };
    let ends = NearEnd::of_own_card(&own.card, now).into_iter();
    let ends = ends.chain(NearEnd::of_own_keys(&own.card, &node.keys, now));
    ends.map(|end| end.alarm("own card", NEW_CARD)).collect()
}

fn own_certificates(node: &Node, now: Timestamp) -> Vec<String> {
    let Some(credentials) = node.credentials.get() else { return Vec::new() };
    let (identity, ends) = (credentials.identity(), credentials.ends());
    let leaf = NearEnd::of_certificate(&identity, now)
        .map(|end| end.alarm("own certificate", "renew it (`lotse cert issue --role node 1`)"));
    let authorities = ends.authorities.into_iter().filter_map(|end| NearEnd::of_authority(end, now));
    let authorities = authorities.map(|end| {
        end.alarm(
            "own authority",
            "put the next authority's certificate beside it, then make a new card (certs/README.md)",
        )
    });
    let lists = ends.lists.and_then(|end| NearEnd::of_list(end, now));
    let lists = lists.map(|end| {
        end.alarm("own revocation list", "`lotse cert revoke` signs it anew; else every certificate is refused")
    });
    let fault = credentials
        .fault()
        .map(|fault| format!("own certificate files: the changed ones are not used, the last good ones stay: {fault}"));
    leaf.into_iter().chain(authorities).chain(lists).chain(fault).collect()
}

fn peers_cards(node: &Node, now: Timestamp) -> Vec<String> {
    let federation = node.federation.get();
    let of_peer = |(agency, peer): (&AgencyId, &crate::federation::Peer)| {
        let card = &peer.card.card;
        let todo =
            format!("ask {} for a newer one; its node offers it by itself once it is installed there", card.name);
        let ends = [NearEnd::of_peer_card(card, now), NearEnd::of_peer_authorities(card, now)];
        ends.into_iter().flatten().map(move |end| end.alarm(agency.as_str(), &todo)).collect::<Vec<_>>()
    };
    federation.peers.iter().flat_map(of_peer).collect()
}

#[cfg(test)]
mod tests {
    use lotse_core::time::DAY;
    use lotse_store::testing::disk;

    use super::super::get_status;
    use super::*;
    use crate::testing::TestNode;
    use crate::trouble::OwnWork;

    async fn alarms_of(node: &TestNode) -> Vec<String> {
        get_status(node).await.unwrap().alarms
    }

    #[tokio::test]
    async fn a_full_disk_is_an_alarm_with_what_to_do_until_there_is_room() {
        let node = TestNode::new("jc.example").await;
        assert!(alarms_of(&node).await.is_empty());
        disk::fill(&node.store).await;
        let alarms = alarms_of(&node).await;
        assert!(alarms[0].starts_with(DISK_FULL) && alarms[0].contains("make room on the disk of "), "{alarms:?}");
        disk::make_room(&node.store).await;
        node.store.transact("write", |tx| Box::pin(lotse_store::meta::probe(tx))).await.unwrap();
        assert!(alarms_of(&node).await.is_empty());
    }

    #[tokio::test]
    async fn a_work_of_the_node_that_fails_is_an_alarm_while_it_does() {
        let node = TestNode::new("jc.example").await;
        node.note_work(OwnWork::Signing, Err("the head store is read-only"));
        let alarms = alarms_of(&node).await;
        assert!(alarms[0].starts_with("the log's head is not signed"), "{alarms:?}");
        node.note_work(OwnWork::Signing, Ok::<(), String>(()));
        assert!(alarms_of(&node).await.is_empty());
    }

    #[tokio::test]
    async fn cards_keys_and_authorities_that_end_are_alarms_with_the_day_and_what_to_do() {
        let (one, two) = (TestNode::new("one.example").await, TestNode::new("two.example").await);
        one.accept(&two).await;
        assert!(alarms_of(&one).await.is_empty());
        one.clock.turn(340 * DAY);
        let alarms = alarms_of(&one).await;
        assert!(alarms[0].starts_with("own card: version 1 ends on ") && alarms[0].ends_with(NEW_CARD), "{alarms:?}");
        assert!(alarms[1].starts_with("two.example: its card ends on "), "{alarms:?}");
        assert!(alarms[1].contains("ask Agency two.example for a newer one"), "{alarms:?}");

        let mut card = one.card(2);
        card.keys[0].not_after = one.now().plus(DAY * 10);
        one.install(&card).await;
        let alarms = alarms_of(&one).await;
        assert!(alarms[0].starts_with("own card: it names the node's sealing key for less than 30 days"), "{alarms:?}");
        one.clock.turn(11 * DAY);
        let alarms = alarms_of(&one).await;
        assert!(alarms[0].contains("does not name the node's sealing key as valid now"), "{alarms:?}");
        one.clock.turn(3650 * DAY);
        let alarms = alarms_of(&one).await;
        assert!(
            alarms.iter().any(|alarm| alarm.contains("two.example: the authority in its card has expired")),
            "{alarms:?}"
        );
    }
}
