//! Room: how many batches may be on their way to one peer at once. Who submits takes room first, so that submission and release
//! are one commit while the courier keeps up, and what is handed over waits in the outbox while it does not.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lotse_core::id::AgencyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::shipment::Shipment;

/// Batches on their way to one peer at once.
pub(super) const BATCHES_IN_FLIGHT: usize = 4;

/// How long a submission waits for room while the stream is open; meanwhile others join its batch.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(100);

/// Room for one batch; given back when it is dropped.
pub type Room = OwnedSemaphorePermit;

/// A batch with the room that it takes.
pub struct Loaded {
    /// The batch.
    pub shipment: Shipment,
    /// Its room.
    pub room: Room,
}

/// The couriers of a node, by peer.
#[derive(Default)]
pub struct Couriers(Mutex<HashMap<AgencyId, Arc<Handle>>>);

struct Handle {
    room: Arc<Semaphore>,
    connected: AtomicBool,
    shipments: mpsc::Sender<Loaded>,
}

impl Couriers {
    /// Makes the place of a courier to a peer; none if there is one already.
    pub fn enlist(&self, peer: &AgencyId) -> Option<mpsc::Receiver<Loaded>> {
        let mut handles = self.lock();
        if handles.contains_key(peer) {
            return None;
        }
        let (shipments, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
        let room = Arc::new(Semaphore::new(BATCHES_IN_FLIGHT));
        handles.insert(peer.clone(), Arc::new(Handle { room, connected: AtomicBool::new(false), shipments }));
        Some(receiver)
    }

    /// Takes room for a batch, waiting a moment for it while the stream is open; none if there is none.
    pub async fn room(&self, peer: &AgencyId) -> Option<Room> {
        let handle = self.handle(peer)?;
        if !handle.connected.load(Ordering::Acquire) {
            return None;
        }
        tokio::time::timeout(WAIT_FOR_ROOM, handle.room.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Takes room for a batch if there is some now.
    pub fn try_room(&self, peer: &AgencyId) -> Option<Room> {
        self.handle(peer)?.room.clone().try_acquire_owned().ok()
    }

    /// Hands a claimed batch to its courier. If that is gone, the lease ends by itself.
    pub async fn send(&self, peer: &AgencyId, loaded: Loaded) {
        if let Some(handle) = self.handle(peer) {
            // An error means that the courier has stopped: the batch is then in doubt, and claimed again at the next start.
            let _ = handle.shipments.send(loaded).await;
        }
    }

    /// Notes that the stream to a peer is open.
    pub fn connected(&self, peer: &AgencyId) {
        self.handle(peer).into_iter().for_each(|handle| handle.connected.store(true, Ordering::Release));
    }

    /// Notes that the stream to a peer is closed.
    pub fn disconnected(&self, peer: &AgencyId) {
        self.handle(peer).into_iter().for_each(|handle| handle.connected.store(false, Ordering::Release));
    }

    fn handle(&self, peer: &AgencyId) -> Option<Arc<Handle>> {
        self.lock().get(peer).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AgencyId, Arc<Handle>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
