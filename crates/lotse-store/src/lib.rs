//! The tables of a Lotse node: all SQL, for SQLite and PostgreSQL.
//!
//! One type, [`Store`], over two engines chosen by the URL. Every write goes through [`Store::transact`] and is answered
//! only after its commit is durable.

mod engine;

pub use engine::*;

use engine::Directory;

pub mod agreement;
pub mod batch;
pub mod card;
pub mod consent;
pub mod counter;
pub mod custody;
pub mod import;
pub mod inbox;
pub mod log;
pub mod mark;
pub mod meta;
pub mod outbox;
pub mod peer;
pub mod receipt;
pub mod register;
pub mod subject;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vault;
pub mod withdrawal;
pub mod yardstick;

/// The tables whose rows are found by random ids.
static DIRECTORIES: [&Directory; 3] = [&outbox::RECORDS, &custody::RECORDS, &register::SUBJECTS];
