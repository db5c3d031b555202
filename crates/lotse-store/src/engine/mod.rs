//! The engine: transactions, values and rows, the same on SQLite and PostgreSQL. Knows no noun.

mod checkup;
mod counters;
mod directory;
mod disk;
mod error;
mod faults;
mod job;
mod link;
mod many;
mod opener;
mod options;
mod postgres;
mod reader;
mod row;
mod sqlite;
mod store;
mod target;
#[cfg(test)]
mod tests;
mod thread;
mod tx;
mod value;
mod watch;
mod writer;

pub use checkup::{Checkup, check_tables, check_up, has_tables};
pub use counters::{Counters, WorkCounters};
pub use error::StoreError;
pub use faults::{Fault, Faults};
pub use opener::Opener;
pub use options::{EndedWork, EngineKind, StoreOptions, WorkObserver, WriteAheadLog};
pub use row::Readable;
pub use store::Store;
pub use tx::Tx;

pub(crate) use directory::Directory;
pub(crate) use many::{Columns, OnConflict, Table};
pub(crate) use row::{Row, readable};
pub(crate) use value::{Column, Value};
