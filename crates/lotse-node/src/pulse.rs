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

/// Asks the database with a read of one row and a work that writes nothing, which waits for those before it.
pub async fn feel(store: &Store, patience: Duration) -> Pulse {
    let work = store.transact("pulse", |_| Box::pin(async { Ok(()) }));
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
mod tests {
    use tokio::sync::{Semaphore, watch};

    use super::*;
    use crate::testing::TestNode;

    const SHORT: Duration = Duration::from_millis(50);

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
        let (entered, opened) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (store, gate) = (node.store.clone(), (entered.clone(), opened.clone()));
        let stuck = tokio::spawn(async move {
            let work = store.transact("stuck", move |_| {
                let (entered, opened) = gate.clone();
                Box::pin(async move {
                    entered.add_permits(1);
                    drop(opened.acquire().await);
                    Ok(())
                })
            });
            work.await
        });
        entered.acquire().await.unwrap().forget();
        assert_eq!(feel(&node.store, SHORT).await, Pulse::Silent, "the writer takes no work");
        until(&mut serving, false).await;
        opened.add_permits(1);
        stuck.await.unwrap().unwrap();
        until(&mut serving, true).await;
        stop.cancel();
        pulse.await.unwrap();
    }

    #[tokio::test]
    async fn a_database_that_fails_is_not_taken_for_one_that_stands_still() {
        let node = TestNode::new("jc.example").await;
        node.store.clone().close().await;
        assert_eq!(feel(&node.store, PATIENCE).await, Pulse::Failing(StoreError::Closed));
    }
}
