//! What the service manager is told (sd_notify(3), a systemd unit of `Type=notify`). Without one nobody is told anything.

use std::time::Duration;

use lotse_store::Store;
use sd_notify::NotifyState;

use crate::pulse::{Pulse, feel};

/// Says that the node serves.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Says that the node has begun to stop.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says again and again that the node's tasks get on and its database answers, where the unit sets `WatchdogSec`: a node that
/// stands still is started anew. One whose database says that it fails is not: the next start would find the same.
pub async fn keep_alive(store: Store) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    feed(&store, patience, || tell(NotifyState::Watchdog)).await;
}

async fn feed(store: &Store, patience: Duration, tell: impl Fn()) {
    loop {
        if feel(store, patience / 3).await != Pulse::Silent {
            tell();
        }
        tokio::time::sleep(patience / 3).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::*;
    use crate::pulse::tests::Standstill;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn the_watchdog_is_fed_only_while_the_database_answers() {
        let node = TestNode::new("jc.example").await;
        let (fed, mut feeds) = mpsc::unbounded_channel();
        let (store, patience) = (node.store.clone(), Duration::from_millis(600));
        let feeding = tokio::spawn(async move { feed(&store, patience, || fed.send(()).unwrap()).await });
        let mut is_fed = async || timeout(patience * 2, feeds.recv()).await.is_ok();
        assert!(is_fed().await && is_fed().await);
        let standstill = Standstill::of(&node.store).await;
        let mut late = 0;
        while is_fed().await {
            late += 1;
            assert!(late < 4, "a database that stands still starves it");
        }
        standstill.end().await;
        assert!(is_fed().await);
        feeding.abort();
    }
}
