//! The tasks of a node and how they end: what serves others first, then what finishes their work.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// When a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// First: ports and couriers. Nothing new comes in or goes out after it.
    Serving,
    /// Last: what finishes the work of the first stage, such as the signing of the log.
    Finishing,
}

/// The tasks of a node.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    serving: Tasks,
    finishing: Tasks,
    failed: CancellationToken,
}

#[derive(Clone, Debug, Default)]
struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
}

impl Lifecycle {
    /// Starts a task that works until told to stop. One that ends earlier, by a panic for instance, fails the node: a node
    /// that answers and does not send, or does not log, is worse than none.
    pub fn spawn<F>(&self, stage: Stage, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.tasks(stage);
        let (stop, failed) = (tasks.stop.clone(), self.failed.clone());
        let task = tokio::spawn(task(tasks.stop.clone()));
        tasks.tracker.spawn(async move {
            let end = task.await;
            if end.is_err() || !stop.is_cancelled() {
                tracing::error!(name, "a task of the node ended by itself");
                failed.cancel();
            }
        });
    }

    /// Waits until a task fails.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Tells whether a task failed.
    pub fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Stops the tasks, stage by stage, and waits for each stage at most so long.
    pub async fn stop(&self, deadline: Duration) {
        for stage in [Stage::Serving, Stage::Finishing] {
            let tasks = self.tasks(stage);
            tasks.stop.cancel();
            tasks.tracker.close();
            if timeout(deadline, tasks.tracker.wait()).await.is_err() {
                tracing::warn!(?stage, left = tasks.tracker.len(), "tasks are cut at the end of the deadline");
            }
        }
    }

    /// Tells all tasks to stop and waits for none.
    pub fn abandon(&self) {
        self.serving.stop.cancel();
        self.finishing.stop.cancel();
    }

    fn tasks(&self, stage: Stage) -> &Tasks {
        match stage {
            Stage::Serving => &self.serving,
            Stage::Finishing => &self.finishing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[tokio::test]
    async fn what_serves_ends_before_what_finishes() {
        let lifecycle = Lifecycle::default();
        let ends = Arc::new(Mutex::new(Vec::new()));
        for stage in [Stage::Finishing, Stage::Serving] {
            let ends = ends.clone();
            lifecycle.spawn(stage, "test", |stop| async move {
                stop.cancelled().await;
                tokio::task::yield_now().await;
                ends.lock().unwrap().push(stage);
            });
        }
        lifecycle.stop(Duration::from_secs(10)).await;
        assert_eq!(*ends.lock().unwrap(), [Stage::Serving, Stage::Finishing]);
        assert!(!lifecycle.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_panics_fails_the_node() {
        let lifecycle = Lifecycle::default();
        lifecycle.spawn(Stage::Serving, "test", |_| async { panic!("on purpose") });
        lifecycle.failed().await;
        lifecycle.stop(Duration::from_secs(10)).await;
    }
}
