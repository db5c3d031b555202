//! Confirms that the clock is right although it stepped back, jumped ahead or was not compared.

use std::sync::Arc;

use crate::action::retry_waiting::retry_waiting;
use crate::entry::{self, AdminAct, Draft, EntryKind};
use crate::failure::Failure;
use crate::federation::Act;
use crate::node::Node;

/// Takes the present time as right, so that releases and expiry go on, also of what would still wait by a clock that was wrong.
pub async fn confirm_clock(node: &Arc<Node>, act: Act) -> Result<(), Failure> {
    let now = node.clock.reading();
    let draft = Draft { admin_act: AdminAct::ClockConfirmed, ..act.draft() };
    entry::record(node, "confirm_clock", vec![(EntryKind::AdminActed, draft)]).await?;
    node.holds.confirm_clock(now);
    retry_waiting(node).await
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
        let objection = || node.holds.objection(node.node.clock.reading());
        assert_eq!(objection(), None);
        node.clock.turn_back(DAY);
        assert_eq!(objection(), Some(Reason::ClockSteppedBack));
        confirm_clock(&node, admin()).await.unwrap();
        assert_eq!(objection(), None);
        node.clock.jump(DAY);
        assert_eq!(objection(), Some(Reason::ClockJumpedAhead));
        confirm_clock(&node, admin()).await.unwrap();
        assert_eq!(objection(), None);
        assert_eq!(node.log().await.last(), Some(&EntryKind::AdminActed));
    }
}
