//! The tables of a Lotse node: all SQL, for SQLite and PostgreSQL.
//!
//! One type, [`Store`], over two engines chosen by the URL. Every write goes through [`Store::transact`] and is answered
//! only after its commit is durable.

mod engine;

pub use engine::*;

pub mod batch;
pub mod consent;
pub mod counter;
pub mod custody;
pub mod inbox;
pub mod log;
pub mod outbox;
pub mod receipt;
pub mod register;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vault;
