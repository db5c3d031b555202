//! What the service manager is told (sd_notify(3), a systemd unit of `Type=notify`). Without one nobody is told anything.

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
    loop {
        if feel(&store, patience / 3).await != Pulse::Silent {
            tell(NotifyState::Watchdog);
        }
        tokio::time::sleep(patience / 3).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
