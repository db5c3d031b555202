//! What the service manager is told (sd_notify(3), a systemd unit of `Type=notify`). Without one nobody is told anything.

use sd_notify::NotifyState;

/// Says that the node serves.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Says that the node has begun to stop.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Says again and again that the node's tasks get on, where the unit sets `WatchdogSec`: a node that stands still is started anew.
pub async fn keep_alive() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    loop {
        tell(NotifyState::Watchdog);
        tokio::time::sleep(patience / 3).await;
    }
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
