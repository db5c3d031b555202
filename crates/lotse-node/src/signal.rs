//! Who waits for what: tasks sleep until an action has committed something for them.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use lotse_core::id::AgencyId;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Wakes the tasks that wait for work. A signal carries nothing: who is woken reads the database.
pub struct Signals {
    due: Mutex<HashMap<AgencyId, Arc<Notify>>>,
    offer: Mutex<HashMap<AgencyId, Arc<Notify>>>,
    reachable: Mutex<HashMap<AgencyId, Arc<Notify>>>,
    inbox: watch::Sender<u64>,
    /// The log has new entries.
    pub log: Notify,
    /// Content was destroyed whose old bytes may still be in the database's write-ahead log. True at first: what a crash left
    /// behind is not known.
    pub content_gone: AtomicBool,
    /// The node is stopping: streams that would stay open for ever end.
    pub stopping: CancellationToken,
    /// Whether the node serves: it has started, its database answers, and it does not stop.
    pub serving: watch::Sender<bool>,
}

impl Default for Signals {
    fn default() -> Signals {
        Signals {
            due: Mutex::default(),
            offer: Mutex::default(),
            reachable: Mutex::default(),
            inbox: watch::Sender::new(0),
            log: Notify::new(),
            content_gone: AtomicBool::new(true),
            stopping: CancellationToken::new(),
            serving: watch::Sender::new(false),
        }
    }
}

impl Signals {
    /// Returns what wakes the courier to a peer.
    pub fn due(&self, peer: &AgencyId) -> Arc<Notify> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.entry(peer.clone()).or_default().clone()
    }

    /// Returns what wakes the duty to offer a peer its agreements and seals anew: it seems to lack some that it had.
    pub fn offer_again(&self, peer: &AgencyId) -> Arc<Notify> {
        let mut offer = self.offer.lock().unwrap_or_else(PoisonError::into_inner);
        offer.entry(peer.clone()).or_default().clone()
    }

    /// Returns what wakes those who wait before they try to reach a peer again: it has just spoken.
    pub fn reachable(&self, peer: &AgencyId) -> Arc<Notify> {
        let mut reachable = self.reachable.lock().unwrap_or_else(PoisonError::into_inner);
        reachable.entry(peer.clone()).or_default().clone()
    }

    /// Wakes the couriers to all peers.
    pub fn all_due(&self) {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        due.values().for_each(|notify| notify.notify_one());
    }

    /// Says that the inbox has a new event.
    pub fn inbox_changed(&self, seq: u64) {
        self.inbox.send_if_modified(|newest| {
            let newer = seq > *newest;
            *newest = (*newest).max(seq);
            newer
        });
    }

    /// Returns what tells of new inbox events.
    pub fn inbox(&self) -> watch::Receiver<u64> {
        self.inbox.subscribe()
    }
}
