//! Records that an officer reads the log: one entry per officer and minute, however many pages are turned.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lotse_core::time::Timestamp;

use crate::entry::{self, Draft, EntryKind};
use crate::failure::Failure;
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

/// Records the look before anything is shown: what cannot be logged is not read.
pub async fn record_look(node: &Arc<Node>, looks: &Looks, actor: &str) -> Result<(), Failure> {
    if !looks.begins(actor, node.now()) {
        return Ok(());
    }
    let draft = Draft { actor: actor.to_owned(), ..Draft::default() };
    let recorded = entry::record(node, "record_look", vec![(EntryKind::OfficerLooked, draft)]).await;
    if recorded.is_err() {
        looks.forget(actor);
    }
    Ok(recorded?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn one_entry_tells_of_all_looks_of_an_officer_in_a_minute() {
        let node = TestNode::new("jc.example").await;
        let before = node.log().await.len();
        let looks = Looks::default();
        let (anna, ben) = ("spiffe://jc.example/officer/anna", "spiffe://jc.example/officer/ben");
        for actor in [anna, anna, ben, anna] {
            record_look(&node, &looks, actor).await.unwrap();
        }
        assert_eq!(node.log().await[before..], [EntryKind::OfficerLooked; 2]);
        node.clock.turn(Duration::from_secs(59));
        record_look(&node, &looks, anna).await.unwrap();
        assert_eq!(node.log().await.len(), before + 2);
        node.clock.turn(Duration::from_secs(1));
        record_look(&node, &looks, anna).await.unwrap();
        assert_eq!(node.log().await.len(), before + 3);
        node.clock.turn_back(Duration::from_secs(30));
        record_look(&node, &looks, anna).await.unwrap();
        assert_eq!(node.log().await.len(), before + 4, "a clock that steps back hides no look");
    }
}
