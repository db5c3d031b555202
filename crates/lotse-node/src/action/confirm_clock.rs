//! Confirms that the clock is right although it stepped back.

use std::sync::Arc;

use crate::entry::{self, EntryKind};
use crate::failure::Failure;
use crate::federation::Act;
use crate::node::Node;

/// Takes the present time as right, so that releases go on.
pub async fn confirm_clock(node: &Arc<Node>, act: Act) -> Result<(), Failure> {
    let now = node.now();
    entry::record(node, "confirm_clock", vec![(EntryKind::AdminActed, act.draft())]).await?;
    node.holds.confirm_clock(now);
    node.signals.all_due();
    Ok(())
}

#[cfg(test)]
mod tests {
    use lotse_core::reason::Reason;
    use lotse_core::time::DAY;

    use super::*;
    use crate::testing::{TestNode, admin};

    #[tokio::test]
    async fn a_confirmed_clock_lets_releases_go_on_and_is_logged() {
        let node = TestNode::new("jc.example").await;
        assert_eq!(node.holds.objection(node.now()), None);
        node.clock.turn_back(DAY);
        assert_eq!(node.holds.objection(node.now()), Some(Reason::ClockSteppedBack));
        confirm_clock(&node, admin()).await.unwrap();
        assert_eq!(node.holds.objection(node.now()), None);
        assert_eq!(node.log().await.last(), Some(&EntryKind::AdminActed));
    }
}
