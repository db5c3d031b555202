//! Databases for tests: SQLite in a temporary folder, PostgreSQL from a server that lives as long as the test process.
#![expect(clippy::expect_used, reason = "a test that cannot have its database has failed")]

pub mod disk;
pub mod grip;
pub mod look;
pub mod pooler;
mod postgres;
pub mod tamper;

pub use postgres::Server;

use crate::{Store, StoreOptions};

/// An empty database that goes away with this value or with the process.
pub struct Database {
    url: String,
    folder: Option<tempfile::TempDir>,
}

impl Database {
    /// A file in a temporary folder.
    pub fn sqlite() -> Database {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}/lotse.db", folder.path().display());
        Database { url, folder: Some(folder) }
    }

    /// A database on the test server; `None`, said loudly, where PostgreSQL is not installed. With `CI=true` or
    /// `LOTSE_REQUIRE_POSTGRES=1` that is a failure instead.
    pub async fn postgres() -> Option<Database> {
        let url = postgres::Server::shared()?.new_database().await;
        Some(Database { url, folder: None })
    }

    /// Returns its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the folder of a SQLite database.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_ref().map(tempfile::TempDir::path)
    }

    /// Opens a store on it.
    pub async fn open(&self) -> Store {
        self.open_with(StoreOptions::default()).await
    }

    /// Opens a store on it with options.
    pub async fn open_with(&self, options: StoreOptions) -> Store {
        Store::open(&self.url, options).await.expect("the store opens")
    }
}

/// Makes a test on SQLite and one on PostgreSQL of each function `async fn name(database: Database)`.
#[cfg(test)]
macro_rules! on_both_engines {
    ($($contract:ident)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                super::$contract($crate::testing::Database::sqlite()).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $contract() {
                if let Some(database) = $crate::testing::Database::postgres().await {
                    super::$contract(database).await;
                }
            })+
        }
    };
}
#[cfg(test)]
pub(crate) use on_both_engines;

/// Runs a read, whose arguments are made inside of it, and returns what it found.
#[cfg(test)]
macro_rules! reading {
    ($store:expr, $tx:ident => $work:expr) => {
        $store.read("test", move |$tx| Box::pin(async move { $work.await })).await.unwrap()
    };
}
#[cfg(test)]
pub(crate) use reading;

/// Runs a write, whose arguments are made inside of it, because it may run twice.
#[cfg(test)]
macro_rules! writing {
    ($store:expr, $tx:ident => $work:expr) => {
        $store.transact("test", move |$tx| Box::pin(async move { $work.await })).await
    };
}
#[cfg(test)]
pub(crate) use writing;
