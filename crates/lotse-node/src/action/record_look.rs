//! Records that an officer reads the log: one entry per officer and minute, however many pages are turned. It says what was looked at
//! first in this minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lotse_core::id::AgencyId;
use lotse_core::time::Timestamp;
use lotse_store::log::Filter;

use crate::entry::{self, Decision, Direction, Draft, EntryKind, kind};
use crate::failure::Failure;
use crate::federation::Federation;
use crate::node::Node;

/// How long looks of one officer are one entry.
const MERGED: Duration = Duration::from_secs(60);

/// When each officer's last look was recorded. A restart records anew.
#[derive(Debug, Default)]
pub struct Looks(Mutex<HashMap<String, Timestamp>>);

impl Looks {
    /// Tells whether a look is to be recorded now, and remembers it.
    fn begins(&self, actor: &str, now: Timestamp) -> bool {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, at| now.since(*at) < MERGED && *at <= now);
        let is_new = !looks.contains_key(actor);
        if is_new {
            looks.insert(actor.to_owned(), now);
        }
        is_new
    }

    fn forget(&self, actor: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(actor);
    }
}

/// Records the look before anything is shown: what cannot be logged is not read. `seen` describes what is looked at.
pub async fn record_look(
    node: &Arc<Node>,
    looks: &Looks,
    actor: &str,
    seen: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if !looks.begins(actor, node.now()) {
        return Ok(());
    }
    let draft = Draft { actor: actor.to_owned(), remark: seen(), ..Draft::default() };
    let recorded = entry::record(node, "record_look", vec![(EntryKind::OfficerLooked, draft)]).await;
    if recorded.is_err() {
        looks.forget(actor);
    }
    Ok(recorded?)
}

/// Describes a list of entries by its filter. An agency that nobody here knows is not repeated: it may be a name that was typed into
/// the wrong field.
pub fn describe_list(filter: &Filter, federation: &Federation) -> String {
    let Filter { kind, direction, peer, record_id, decision, from, until } = filter;
    let way = |number: i32| {
        Direction::try_from(number).map_or("unknown", |way| if way == Direction::Out { "out" } else { "in" })
    };
    let known =
        |agency: &AgencyId| if federation.card(agency).is_some() { agency.as_str() } else { "unknown" }.to_string();
    let narrowed = [
        kind.map(|kind| format!("kind {}", EntryKind::try_from(kind).map_or("unknown".into(), kind::code))),
        direction.map(|direction| format!("direction {}", way(direction))),
        peer.as_ref().map(|peer| format!("peer {}", known(peer))),
        record_id.map(|record| format!("record {record}")),
        decision.map(|decision| if decision == Decision::Refuse as i32 { "refused" } else { "permitted" }.to_string()),
        from.map(|from| format!("from {from}")),
        until.map(|until| format!("before {until}")),
    ];
    let narrowed: Vec<String> = narrowed.into_iter().flatten().collect();
    if narrowed.is_empty() { "list".to_string() } else { format!("list: {}", narrowed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn a_list_is_described_by_its_filter_and_repeats_no_name_that_nobody_knows() {
        let (node, aa) = (TestNode::new("jc.example").await, TestNode::new("aa.example").await);
        node.accept(&aa).await;
        let described = |filter: &Filter| describe_list(filter, &node.federation.get());
        assert_eq!(described(&Filter::default()), "list");
        let all = Filter {
            kind: Some(EntryKind::SubmitRefused as i32),
            direction: Some(Direction::In as i32),
            peer: Some(aa.agency.clone()),
            record_id: Some("0198c5a4-7d3e-7cc0-8000-000000000001".parse().unwrap()),
            decision: Some(Decision::Refuse as i32),
            from: Some("2026-11-30T23:00:00Z".parse().unwrap()),
            until: Some("2026-12-01T23:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            described(&all),
            "list: kind submit-refused, direction in, peer aa.example, record 0198c5a4-7d3e-7cc0-8000-000000000001, refused, \
             from 2026-11-30T23:00:00Z, before 2026-12-01T23:00:00Z"
        );
        let name = Filter { peer: Some("schulze".parse().unwrap()), ..Filter::default() };
        assert_eq!(described(&name), "list: peer unknown");
    }

    #[tokio::test]
    async fn one_entry_tells_of_all_looks_of_an_officer_in_a_minute() {
        let node = TestNode::new("jc.example").await;
        let before = node.log().await.len();
        let looks = Looks::default();
        let (anna, ben) = ("spiffe://jc.example/officer/anna", "spiffe://jc.example/officer/ben");
        for actor in [anna, anna, ben, anna] {
            record_look(&node, &looks, actor, String::new).await.unwrap();
        }
        assert_eq!(node.log().await[before..], [EntryKind::OfficerLooked; 2]);
        node.clock.turn(Duration::from_secs(59));
        record_look(&node, &looks, anna, String::new).await.unwrap();
        assert_eq!(node.log().await.len(), before + 2);
        node.clock.turn(Duration::from_secs(1));
        record_look(&node, &looks, anna, String::new).await.unwrap();
        assert_eq!(node.log().await.len(), before + 3);
        node.clock.turn_back(Duration::from_secs(30));
        record_look(&node, &looks, anna, String::new).await.unwrap();
        assert_eq!(node.log().await.len(), before + 4, "a clock that steps back hides no look");
    }
}
