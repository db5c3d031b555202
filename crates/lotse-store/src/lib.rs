//! The tables of a Lotse node: all SQL, for SQLite and PostgreSQL.
//!
//! One type, [`Store`], over two engines chosen by the URL. Every write goes through [`Store::transact`] and is answered
//! only after its commit is durable.

mod engine;
pub mod vault;

pub use engine::*;
