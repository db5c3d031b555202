//! Whether the database answers: what health checks and the service manager are told rests on it.

use std::sync::Arc;
use std::time::Duration;

use lotse_store::{Store, StoreError, meta};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::node::Node;

/// How often the database is asked.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How long it may take to answer: longer than a reader waits for a connection to a server.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How the database answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// It reads, and its writer takes works.
    Steady,
    /// It says that it cannot: a server is away, a disk fails. A new start would not mend it.
    Failing(StoreError),
    /// It says nothing.
    Silent,
}

/// Asks the database with a read of one row and a work that writes nothing, which waits for those before it. While the disk is full
/// the work writes a row, to learn when there is room again.
pub async fn feel(store: &Store, patience: Duration) -> Pulse {
    let is_full = store.is_disk_full();
    let work = store
        .transact("pulse", move |tx| Box::pin(async move { if is_full { meta::probe(tx).await } else { Ok(()) } }));
    let read = store.read("pulse", |tx| Box::pin(meta::generation(tx)));
    match timeout(patience, async { tokio::try_join!(work, read) }).await {
        Ok(Ok(_)) => Pulse::Steady,
        Ok(Err(error)) => Pulse::Failing(error),
        Err(_) => Pulse::Silent,
    }
}

/// Says that the node serves as long as its database answers, until told to stop.
pub async fn run(node: Arc<Node>, interval: Duration, patience: Duration, stop: CancellationToken) {
    let mut last = Pulse::Steady;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(interval) => {}
        }
        let pulse = feel(&node.store, patience).await;
        if pulse != last {
            tell(&pulse);
        }
        node.signals.serving.send_if_modified(|serving| {
            let now = pulse == Pulse::Steady && !node.signals.stopping.is_cancelled();
            std::mem::replace(serving, now) != now
        });
        last = pulse;
    }
}

fn tell(pulse: &Pulse) {
    match pulse {
        Pulse::Steady => tracing::info!("the database answers again"),
        Pulse::Failing(error) => tracing::error!(%error, "the database fails: the node says that it does not serve"),
        Pulse::Silent => tracing::error!("the database does not answer: the node says that it does not serve"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::sync::{oneshot, watch};
    use tokio::task::JoinHandle;

    use lotse_store::testing::disk;

    use super::*;
    use crate::failure::Failure;
    use crate::testing::TestNode;

    const SHORT: Duration = Duration::from_millis(50);

    /// A database whose writer takes no work.
    pub(crate) struct Standstill {
        end: oneshot::Sender<()>,
        work: JoinHandle<()>,
    }

    impl Standstill {
        pub(crate) async fn of(store: &Store) -> Standstill {
            let (began, begun) = oneshot::channel();
            let (end, ended) = oneshot::channel::<()>();
            let gate = Arc::new(std::sync::Mutex::new(Some((began, ended))));
            let store = store.clone();
            let work = tokio::spawn(async move {
                let stuck = store.transact("stuck", move |_| {
                    let gate = gate.lock().unwrap().take();
                    Box::pin(async move {
                        let Some((began, ended)) = gate else { return Ok(()) };
                        began.send(()).unwrap();
                        ended.await.unwrap();
                        Ok(())
                    })
                });
                stuck.await.unwrap();
            });
            begun.await.unwrap();
            Standstill { end, work }
        }

        pub(crate) async fn end(self) {
            self.end.send(()).unwrap();
            self.work.await.unwrap();
        }
    }

    async fn until(serving: &mut watch::Receiver<bool>, wanted: bool) {
        let changed = serving.wait_for(|serving| *serving == wanted);
        timeout(Duration::from_secs(20), changed).await.expect("it is told").expect("the node lives");
    }

    #[tokio::test]
    async fn a_node_whose_database_stands_still_says_that_it_does_not_serve_until_it_goes_on() {
        let node = TestNode::new("jc.example").await;
        let (stop, mut serving) = (CancellationToken::new(), node.signals.serving.subscribe());
        let pulse = tokio::spawn(run(node.node.clone(), SHORT, SHORT * 4, stop.clone()));
        until(&mut serving, true).await;
        let standstill = Standstill::of(&node.store).await;
        assert_eq!(feel(&node.store, SHORT).await, Pulse::Silent, "the writer takes no work");
        until(&mut serving, false).await;
        standstill.end().await;
        until(&mut serving, true).await;
        stop.cancel();
        pulse.await.unwrap();
    }

    #[tokio::test]
    async fn a_full_disk_is_named_and_noticed_until_there_is_room() {
        let node = TestNode::new("jc.example").await;
        disk::fill(&node.store).await;
        let write = async || node.store.transact("write", |tx| Box::pin(meta::probe(tx))).await;
        let failure = Failure::from(write().await.unwrap_err());
        assert!(failure.message().contains("disk of the node's database is full"), "{failure}");
        assert!(matches!(feel(&node.store, PATIENCE).await, Pulse::Failing(error) if error.is_disk_full()));
        assert!(node.store.is_disk_full());
        disk::make_room(&node.store).await;
        assert_eq!(feel(&node.store, PATIENCE).await, Pulse::Steady);
        assert!(!node.store.is_disk_full(), "the probe found room");
        write().await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_fails_is_not_taken_for_one_that_stands_still() {
        let node = TestNode::new("jc.example").await;
        node.store.clone().close().await;
        assert_eq!(feel(&node.store, PATIENCE).await, Pulse::Failing(StoreError::Closed));
    }
}
