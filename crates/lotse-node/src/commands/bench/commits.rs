//! The yardstick of one referral in flight: one durable commit of one row of a referral's size, on the disk of the nodes.

use std::path::Path;
use std::time::{Duration, Instant};

use lotse_store::{Store, StoreOptions, yardstick};

/// Size of the row.
const ROW_BYTES: usize = 2048;

/// A database of its own.
pub(super) struct Commits(Store);

impl Commits {
    /// Makes the database.
    pub(super) async fn open(file: &Path) -> anyhow::Result<Commits> {
        let store = Store::open(&format!("sqlite://{}", file.display()), StoreOptions::default()).await?;
        yardstick::prepare(&store).await?;
        Ok(Commits(store))
    }

    /// Commits one after another for a while and returns the mean time of one, seconds.
    pub(super) async fn mean_seconds(&self, length: Duration) -> anyhow::Result<f64> {
        let begin = Instant::now();
        let mut commits = 0;
        while begin.elapsed() < length {
            yardstick::commit_row(&self.0, vec![0x5a; ROW_BYTES]).await?;
            commits += 1;
        }
        Ok(begin.elapsed().as_secs_f64() / f64::from(commits))
    }

    pub(super) async fn close(self) {
        self.0.close().await;
    }
}
